//! Trigger sources that are no readings: files (TRG-48), devices (TRG-46), signals of the bus (TRG-47), text messages (TRG-04),
//! the enrolled identity (TRG-03). They tell the engine what occurred; whom it fires, and whether, the machine decides.
//!
//! One task a source, armed while some registration wants it: the engine says that registrations changed, and they are looked at. What
//! comes in a burst is told at most once in [`GAP`]. A source that fails is started anew with back-off; the status board says
//! where each stands.
//!
//! Deliberately absent: what occurred while the daemon was down or a source was not armed. It is no event for anybody
//! (TRGC-03); the first look is a baseline.

mod bus;
mod devices;
mod files;
mod follow;
mod identity;
mod paths;
mod sight;
mod sms;
pub(crate) mod subject;
mod wanted;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lull_policy::{AppId, Device, Event, Occurrence};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::error_chain::chain;
use crate::manifest::Owner;
use crate::ports::{EngineError, EngineRef, look};
use crate::retry::{Retry, random};
use crate::status::{StatusBoard, trigger_source};
use crate::watch::GAP;
use wanted::Wanted;

/// When a source that failed is started anew.
const RETRY: Retry = Retry::new(Duration::from_secs(1), Duration::from_mins(1));

/// When the engine is told again what it had no room for, or could not commit.
const AGAIN: Retry = Retry::new(GAP, Duration::from_secs(30));

/// Counts sources that failed and were started anew.
pub const RESTARTED: &str = "trigger-sources-restarted";
/// Counts occurrences that the engine did not take at once; they are told again.
pub const REFUSED: &str = "occurrences-refused";
/// Counts floods that were not listened to until the end of a gap.
pub const FLOODED: &str = "trigger-sources-flooded";

/// Counts changes of files that an app's user may not see.
pub const WITHHELD: &str = "file-changes-withheld";

/// As whom an app's agents run.
pub trait AppUsers: Debug + Send + Sync + 'static {
    /// The user of an installed app; absent = no such app.
    fn user(&self, app: &AppId) -> Option<Owner>;
}

/// What every source needs.
#[derive(Debug, Clone)]
struct Post {
    engine: EngineRef,
    board: Arc<StatusBoard>,
    /// The system bus; absent = where this machine has it.
    bus: Option<String>,
    /// Where this device's identity is.
    identity: PathBuf,
    users: Arc<dyn AppUsers>,
}

/// Why a source ended.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    /// The engine is gone: there is nobody to tell.
    #[error("the engine has ended")]
    Ending,
    /// The kernel did not let it listen.
    #[error("{what}")]
    Kernel {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The connection over which signals come failed.
    #[error("the system bus")]
    Bus(#[source] zbus::Error),
    /// A part of it panicked.
    #[error("a part of the source")]
    Part(#[source] JoinError),
}

/// Arms and disarms sources until the engine ends; `registrations` says when to look at them, `identity` is the folder of this
/// device's identity.
pub async fn run(
    identity: PathBuf,
    users: Arc<dyn AppUsers>,
    engine: EngineRef,
    board: Arc<StatusBoard>,
    registrations: watch::Receiver<()>,
) {
    let post = Post {
        engine,
        board,
        bus: None,
        identity,
        users,
    };
    Sources::new(post).keep(registrations).await;
}

/// The sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Files,
    Devices,
    Bus,
    Sms,
    Identity,
}

impl Source {
    const ALL: [Self; 5] = [
        Self::Files,
        Self::Devices,
        Self::Bus,
        Self::Sms,
        Self::Identity,
    ];

    /// Its name on the status board.
    const fn name(self) -> &'static str {
        match self {
            Self::Files => trigger_source::FILES,
            Self::Devices => trigger_source::DEVICES,
            Self::Bus => trigger_source::BUS,
            Self::Sms => trigger_source::SMS,
            Self::Identity => trigger_source::IDENTITY,
        }
    }

    /// Whether some registration needs it.
    fn is_wanted(self, wanted: &Wanted) -> bool {
        match self {
            Self::Files => !wanted.files.is_empty(),
            Self::Devices => wanted.devices,
            Self::Bus => !wanted.signals.is_empty(),
            Self::Sms => wanted.sms,
            Self::Identity => wanted.identity,
        }
    }
}

/// The keeper of the tasks.
#[derive(Debug)]
struct Sources {
    post: Post,
    tasks: JoinSet<Result<Infallible, SourceError>>,
    armed: BTreeMap<Source, Armed>,
    wanted: watch::Sender<Wanted>,
}

#[derive(Debug)]
struct Armed {
    task: AbortHandle,
    retry: Retry,
}

impl Sources {
    fn new(post: Post) -> Self {
        Self {
            post,
            tasks: JoinSet::new(),
            armed: BTreeMap::new(),
            wanted: watch::Sender::default(),
        }
    }

    async fn keep(mut self, mut registrations: watch::Receiver<()>) {
        loop {
            match self.post.look(Wanted::of).await {
                Ok(wanted) => self.arm(wanted),
                Err(_ending) => return,
            }
            // A registration changes with every firing: however many do, they are looked at four times a second.
            tokio::time::sleep(GAP).await;
            loop {
                tokio::select! {
                    changed = registrations.changed() => match changed {
                        Ok(()) => break,
                        Err(_engine_gone) => return,
                    },
                    Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                }
            }
        }
    }

    fn arm(&mut self, wanted: Wanted) {
        for words in &wanted.left_out {
            self.post.board.cannot_enforce(words);
        }
        for source in Source::ALL {
            if !source.is_wanted(&wanted) {
                if let Some(armed) = self.armed.remove(&source) {
                    armed.task.abort();
                    self.post.board.set_source(source.name(), "not armed");
                }
            } else if !self.armed.contains_key(&source) {
                // The task reads what is wanted when it starts, which is after this.
                let task = self.spawn(source, Duration::ZERO);
                let retry = RETRY;
                self.armed.insert(source, Armed { task, retry });
            }
        }
        self.wanted.send_if_modified(|known| {
            let differs = *known != wanted;
            *known = wanted;
            differs
        });
    }

    fn spawn(&mut self, source: Source, after: Duration) -> AbortHandle {
        let post = self.post.clone();
        let wanted = self.wanted.subscribe();
        self.tasks.spawn(async move {
            tokio::time::sleep(after).await;
            match source {
                Source::Files => files::watch(&post, wanted).await,
                Source::Devices => devices::watch(&post).await,
                Source::Bus => bus::watch(&post, wanted).await,
                Source::Sms => sms::watch(&post).await,
                Source::Identity => identity::watch(&post).await,
            }
        })
    }

    /// A task that ended by itself is started anew.
    fn ended(&mut self, ended: Result<(Id, Result<Infallible, SourceError>), JoinError>) {
        let (id, why) = match ended {
            Ok((_, Err(SourceError::Ending))) => return,
            Ok((id, Err(error))) => (id, chain(&error)),
            Err(error) => (error.id(), error.to_string()),
        };
        let found = self.armed.iter_mut().find(|(_, a)| a.task.id() == id);
        // A task that was disarmed is not armed any more.
        let Some((source, armed)) = found else {
            return;
        };
        let source = *source;
        let after = armed.retry.next(random());
        let retry = armed.retry;
        tracing::warn!(
            ?source,
            why,
            ?after,
            "a trigger source failed; what occurs until it is back is not heard"
        );
        self.post.board.count(RESTARTED);
        let line = format!("failed: {why}; started anew after {after:?}");
        self.post.board.set_source(source.name(), &line);
        let task = self.spawn(source, after);
        self.armed.insert(source, Armed { task, retry });
    }
}

impl Post {
    /// Tells the engine what occurred, until it has taken it.
    async fn tell(&self, occurrence: Occurrence) -> Result<(), SourceError> {
        let mut retry = AGAIN;
        loop {
            let event = Event::Occurred(occurrence.clone());
            match self.engine.commit(event).await {
                Ok(()) => return Ok(()),
                Err(EngineError::Ending) => return Err(SourceError::Ending),
                Err(EngineError::Full(_) | EngineError::Unavailable) => {
                    self.board.count(REFUSED);
                    tokio::time::sleep(retry.next(random())).await;
                }
            }
        }
    }

    /// Looks at the machine, again and again while the engine has no room for the question.
    async fn look<T: Send + 'static>(&self, read: fn(&Device) -> T) -> Result<T, SourceError> {
        let mut retry = AGAIN;
        loop {
            match look(&self.engine, move |device, _now| read(device)).await {
                Ok(seen) => return Ok(seen),
                Err(EngineError::Ending) => return Err(SourceError::Ending),
                Err(EngineError::Full(_) | EngineError::Unavailable) => {
                    tokio::time::sleep(retry.next(random())).await;
                }
            }
        }
    }

    /// Says on the board where a source stands.
    fn stands(&self, source: Source, line: &str) {
        self.board.set_source(source.name(), line);
    }
}

#[cfg(test)]
mod tests;
