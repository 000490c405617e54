//! The app's side: what a program speaks that wants work done in the background.
//!
//! An app is a **front client** of the node on its own device, over a Unix socket; who it is, is decided by the Unix
//! user it runs as. It asks for access once, registers its tasks, and may then leave: registrations outlive it
//! (ACC-31), and its agents need no app to run (RUN-09). While it is attached it hears of its runs; what it missed
//! stays in [`Front::runs`].
//!
//! ```no_run
//! use lull_agent::Trigger;
//! use lull_agent::front::{Condition, Event, Front, FrontError, Presence, Registration};
//!
//! async fn app() -> Result<(), FrontError> {
//!     let front = Front::connect("photos").await?;
//!     if !front.request_access().await?.may_run() {
//!         return Ok(()); // the device or its user is against it (ACC-14)
//!     }
//!     // At each launch: all that the app wants. What stands already is left alone (ACC-32).
//!     let sync = Registration::named("sync")
//!         .entry_point("photo-sync")
//!         .trigger(Trigger::every(30))
//!         .condition(Condition::InternetAvailable);
//!     let news = Registration::named("news")
//!         .entry_point("photo-sync")
//!         .trigger(Trigger::Push);
//!     let done = front.reconcile([sync, news]).await?;
//!     println!("{} new, {} gone", done.registered.len(), done.unregistered.len());
//!     let mut events = front.attach_taking_pushes(Presence::Foreground).await?;
//!     while let Some(event) = events.next().await {
//!         match event? {
//!             // The user looks at the app: it shows the news itself, and no task runs (PSH-10).
//!             Event::Push(push) if push.body() == b"news" => push.handled().await?,
//!             Event::Push(other) => other.pass_on().await?, // so does dropping it
//!             Event::Progress { task, value, .. } => println!("{task}: {value} %"),
//!             Event::Completion(run) => match run.check_result() {
//!                 Ok(()) => println!("{}: done", run.task),
//!                 Err(error) => eprintln!("{error}"),
//!             },
//!             Event::Missed(_) => println!("{} runs", front.runs(50).await?.len()),
//!             Event::Started { .. } | Event::Dropped { .. } | Event::Unrecognised => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Each call has a deadline of 10 s. A call made while the daemon starts anew fails as [`FrontError::NoNode`]; the same
//! `Front` works again once the daemon is back.
//!
//! Deliberately absent: the agent's side, see [`agent`](crate::agent), and what is the operator's.

mod asked;
mod channel;
mod error;
mod events;
mod hand_over;
mod kept;
mod push;
mod reconcile;
mod registration;
mod run;
mod task;
mod wire;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use lull_proto::local::v1::app_service_client::AppServiceClient;
use lull_proto::local::v1::{
    AddScheduledRequest, AttachRequest, GetAccessStatusRequest, ListRunsRequest, ListTasksRequest,
    RemoveAccessRequest, RemoveScheduledRequest, RequestAccessRequest, RequestRunRequest,
    UnregisterRequest, UpdateCardRequest,
};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::RegistrationId;
pub use channel::{
    ChannelNotEnabled, ChannelStatus, ConnectedChannel, ControlChannel, PreparedChannel,
    RegisteredChannel,
};
pub use error::FrontError;
pub use events::{Event, Events};
pub use push::OfferedPush;
pub use reconcile::Reconciled;
pub use registration::{Condition, Named, Registration, WithEntryPoint};
pub use run::{Outcome, Run, RunError, RunState};
pub use task::{AccessKind, AccessStatus, Raised, Registered, ScheduledKind, Task, TaskState};

/// The variable that names the node's socket where it is not [`DEFAULT_SOCKET`].
pub const SOCKET_VARIABLE: &str = "LULL_NODE_SOCKET";

/// Where a node listens unless its configuration says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/lull/local.sock";

/// How long a connection may take: the node is on the same machine.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How long a call may take: the node answers after its commit, and disks stall.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of an answer: 256 runs with 8 KiB of output and 2 KiB of the rest each, and half as much to spare.
const ANSWER_LIMIT: usize = 4 << 20;

/// Whether a front client is what its user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It holds the foreground as long as it is attached: it hears progress and may raise application triggers.
    Foreground,
    /// It listens only.
    Background,
}

/// An app's connection to the node on its device. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct Front {
    app: String,
    socket: PathBuf,
    client: AppServiceClient<Channel>,
}

impl Front {
    /// Connects for an app, by its id in the manifest. The socket is that of [`SOCKET_VARIABLE`], else
    /// [`DEFAULT_SOCKET`].
    pub async fn connect(app: impl Into<String>) -> Result<Self, FrontError> {
        let socket = std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty());
        let socket = socket.unwrap_or_else(|| DEFAULT_SOCKET.into());
        Self::connect_to(app, PathBuf::from(socket)).await
    }

    /// Connects for an app over a given socket.
    pub async fn connect_to(
        app: impl Into<String>,
        socket: impl AsRef<Path>,
    ) -> Result<Self, FrontError> {
        let socket = socket.as_ref().to_owned();
        let path = socket.clone();
        let connector = tower::service_fn(move |_address| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The name is for the protocol only; the connector knows the socket.
        let endpoint =
            Endpoint::from_static("http://node.invalid").connect_timeout(CONNECT_DEADLINE);
        let channel = endpoint.connect_with_connector(connector).await;
        let channel = channel.map_err(|error| FrontError::connecting(&socket, &error))?;
        Ok(Self {
            app: app.into(),
            socket,
            client: AppServiceClient::new(channel).max_decoding_message_size(ANSWER_LIMIT),
        })
    }

    /// The app it speaks for.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Asks for access (ACC-01, ACC-09): once, and after each update of the app first
    /// [`remove_access`](Self::remove_access), then this (ACC-02).
    pub async fn request_access(&self) -> Result<AccessStatus, FrontError> {
        let request = RequestAccessRequest {
            app: self.app.clone(),
        };
        let mut client = self.client.clone();
        let answer = self
            .call("request access", client.request_access(request))
            .await?;
        Ok(wire::access(answer.status))
    }

    /// Gives access up (ACC-13): registrations stay and do not run until access is asked for again.
    pub async fn remove_access(&self) -> Result<AccessStatus, FrontError> {
        let request = RemoveAccessRequest {
            app: self.app.clone(),
        };
        let mut client = self.client.clone();
        let answer = self
            .call("remove access", client.remove_access(request))
            .await?;
        Ok(wire::access(answer.status))
    }

    /// The access status, without asking for it (ACC-11).
    pub async fn access_status(&self) -> Result<AccessStatus, FrontError> {
        let request = GetAccessStatusRequest {
            app: self.app.clone(),
        };
        let mut client = self.client.clone();
        let answer = self
            .call("access status", client.get_access_status(request))
            .await?;
        Ok(wire::access(answer.status))
    }

    /// Registers a task (ACC-20). Refused without access (ACC-01); nothing stands where it fails (ACC-28).
    pub async fn register(&self, registration: Registration) -> Result<Registered, FrontError> {
        let request = registration.into_wire(self.app.clone(), false);
        let mut client = self.client.clone();
        let answer = self.call("register", client.register(request)).await?;
        Ok(Registered {
            registration: RegistrationId(answer.id),
            warnings: answer.warnings,
        })
    }

    /// Whether a registration would be accepted, and what is odd about it (ACC-30). Nothing is registered.
    pub async fn try_register(
        &self,
        registration: Registration,
    ) -> Result<Vec<String>, FrontError> {
        let request = registration.into_wire(self.app.clone(), true);
        let mut client = self.client.clone();
        let answer = self
            .call("try to register", client.register(request))
            .await?;
        Ok(answer.warnings)
    }

    /// Removes a registration; a run of it that is under way may finish (AMB-14).
    pub async fn unregister(&self, registration: RegistrationId) -> Result<(), FrontError> {
        self.remove(registration, false).await
    }

    /// Removes a registration and asks its run to cancel.
    pub async fn unregister_and_cancel(
        &self,
        registration: RegistrationId,
    ) -> Result<(), FrontError> {
        self.remove(registration, true).await
    }

    async fn remove(&self, registration: RegistrationId, cancel: bool) -> Result<(), FrontError> {
        let request = UnregisterRequest {
            app: self.app.clone(),
            id: registration.0,
            cancel,
        };
        let mut client = self.client.clone();
        self.call("unregister", client.unregister(request)).await?;
        Ok(())
    }

    /// The app's registrations (MNG-01).
    pub async fn tasks(&self) -> Result<Vec<Task>, FrontError> {
        let request = ListTasksRequest {
            app: self.app.clone(),
        };
        let mut client = self.client.clone();
        let answer = self.call("list tasks", client.list_tasks(request)).await?;
        answer.tasks.into_iter().map(wire::task).collect()
    }

    /// Raises the application trigger of the registration of that name (TRGD-22). Needs the foreground.
    pub async fn request_run(&self, name: impl Into<String>) -> Result<Raised, FrontError> {
        let request = RequestRunRequest {
            app: self.app.clone(),
            name: name.into(),
        };
        let mut client = self.client.clone();
        let answer = self
            .call("request run", client.request_run(request))
            .await?;
        Ok(wire::raised(answer.result))
    }

    /// Puts the app's scheduled agent on the schedule (ACC-42), for 14 days at most: do it again whenever the app is used.
    /// Needs the foreground: attach first. The description is what the user is shown of it.
    pub async fn add_scheduled(
        &self,
        kind: ScheduledKind,
        description: impl Into<String>,
    ) -> Result<RegistrationId, FrontError> {
        let request = AddScheduledRequest {
            app: self.app.clone(),
            kind: wire::scheduled_kind(kind).into(),
            description: description.into(),
            expires: None,
        };
        let mut client = self.client.clone();
        let answer = self
            .call("add scheduled", client.add_scheduled(request))
            .await?;
        Ok(RegistrationId(answer.id))
    }

    /// Takes it off (ACC-47). Needs the foreground. A run under way may finish.
    pub async fn remove_scheduled(&self, kind: ScheduledKind) -> Result<(), FrontError> {
        let request = RemoveScheduledRequest {
            app: self.app.clone(),
            kind: wire::scheduled_kind(kind).into(),
        };
        let mut client = self.client.clone();
        self.call("remove scheduled", client.remove_scheduled(request))
            .await?;
        Ok(())
    }

    /// Says that the app's card has new content.
    pub async fn update_card(&self) -> Result<(), FrontError> {
        let request = UpdateCardRequest {
            app: self.app.clone(),
        };
        let mut client = self.client.clone();
        self.call("update card", client.update_card(request))
            .await?;
        Ok(())
    }

    /// The app's runs, at most so many (1 to 256): those under way, then those that ended, newest first.
    pub async fn runs(&self, limit: u32) -> Result<Vec<Run>, FrontError> {
        let request = ListRunsRequest {
            app: self.app.clone(),
            limit,
        };
        let mut client = self.client.clone();
        let answer = self.call("list runs", client.list_runs(request)).await?;
        answer.runs.into_iter().map(wire::run).collect()
    }

    /// Attaches this client: what happens from now on comes as [`Events`]. The node has confirmed it when this returns.
    pub async fn attach(&self, presence: Presence) -> Result<Events, FrontError> {
        self.attach_as(presence, false).await
    }

    async fn attach_as(
        &self,
        presence: Presence,
        takes_pushes: bool,
    ) -> Result<Events, FrontError> {
        let request = AttachRequest {
            app: self.app.clone(),
            foreground: presence == Presence::Foreground,
            takes_pushes,
        };
        let mut client = self.client.clone();
        let attach = async {
            let mut answers = client.attach(request).await?.into_inner();
            let first = answers.message().await?;
            Ok(Response::new((answers, first)))
        };
        let (answers, first) = self.call("attach", attach).await?;
        let attached = first.map(|first| wire::event(first, self)).transpose()?;
        if attached != Some(None) {
            return Err(FrontError::Unintelligible {
                wanted: "confirmation that the client is attached",
            });
        }
        Ok(Events::new(answers, self.clone()))
    }

    async fn call<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, FrontError> {
        match tokio::time::timeout(CALL_DEADLINE, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(FrontError::answered(&self.socket, &status)),
            Err(_elapsed) => Err(FrontError::Deadline {
                call,
                seconds: CALL_DEADLINE.as_secs(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
