//! `lull up`: a coordinator and a node on this machine, for a first look.
//!
//! Both are this executable, started anew; all their state is in one folder, and a second start on it goes on where the
//! first one ended. Deliberately absent: anything that an installation needs (users, units, a certificate of your own).

pub(crate) mod cages;
pub(crate) mod daemon;
pub(crate) mod folder;
mod greet;
pub(crate) mod manifests;
pub(crate) mod pair;
pub(crate) mod samples;
pub(crate) mod settings;

use tokio::signal::unix::{SignalKind, signal};

use crate::command::{Enroll, Global, Up};
use crate::failure::Failure;
use crate::locate;
use crate::output::Output;
use pair::Pair;

/// Runs the verb.
pub(crate) fn run(global: &Global, up: &Up, output: &Output) -> Result<(), Failure> {
    if up.demo {
        return crate::demo::run(global, up, output);
    }
    crate::verb::block(stay(global, output))
}

/// Starts both, stays until asked to end, ends both.
async fn stay(global: &Global, output: &Output) -> Result<(), Failure> {
    let mut pair = Pair::new(folder::take(&locate::state(global))?)?;
    let mut end = EndSignal::new()?;
    let stayed = tokio::select! {
        stayed = serve(&mut pair, output) => stayed,
        () = end.asked() => Ok(()),
    };
    output.note("ending …");
    let ended = pair.end().await;
    stayed.and(ended)
}

async fn serve(pair: &mut Pair, output: &Output) -> Result<(), Failure> {
    for note in &pair.held().notes {
        output.note(format!("note: {note}"));
    }
    let waiting = output.waiting("starting the coordinator");
    let ready = pair.start_coordinator().await?;
    if !crate::hidden::is_enrolled(pair.folder())? {
        waiting.say("enrolling the node");
        enrol(pair).await?;
    }
    waiting.say("starting the node");
    samples::make(&manifests::photos_folder(pair.folder()))
        .map_err(|error| Failure::internal("cannot make the photos", &error.into()))?;
    manifests::install(pair.held(), manifests::Set::FirstLook)?;
    pair.start_node().await?;
    let status = pair.connected().await?;
    drop(waiting);
    greet::ready(pair, &ready, &status, output);
    Err(pair.unexpected_end().await)
}

/// Makes a token and has the node trade it for its identity.
async fn enrol(pair: &Pair) -> Result<(), Failure> {
    let operator = pair.operator().await?;
    let label = vec![("origin".to_owned(), "lull-up".to_owned())];
    let token = crate::verb::create_token(
        &operator,
        Enroll {
            label,
            valid_for: None,
        },
    )
    .await?;
    pair.enrol(&token.door_address, &token.token).await
}

/// Ctrl-C, or a service manager's wish.
#[derive(Debug)]
pub(crate) struct EndSignal {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl EndSignal {
    /// Listens from now on.
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::internal("cannot listen for signals", &error.into()))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Resolves when this process is asked to end.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
