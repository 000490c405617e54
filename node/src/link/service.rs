//! Keeps a session up: waits for an identity, connects, begins again when it ended, paced by [`Backoff`].

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::dial::{DialError, channel, connect};
use super::end::End;
use super::place::PlaceFile;
use super::session;
use super::{Backoff, Link, counter};
use crate::durable_file;
use crate::error_chain::chain;
use crate::identity::{Identity, IdentityError};
use crate::retry::random;
use crate::watch::bell::FolderBell;

/// When to look again for an identity whose folder cannot be listened to.
const LOOK: Duration = Duration::from_secs(30);

/// Runs the link until the engine ends. Without identity it waits quietly until there is one.
pub async fn run(mut link: Link) {
    let mut file = PlaceFile::open(&link.place_file);
    while let Some(identity) = enrolled(&mut link).await {
        link.board
            .set_identity(&identity.device, &identity.fleet_address.to_string());
        tracing::info!(device = identity.device, coordinator = %identity.fleet_address,
            "enrolled; keeping a session with the coordinator up");
        if keep(&mut link, &mut file, &identity).await.is_none() {
            return;
        }
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Session(#[from] End),
}

/// Sessions with one identity, until another one is there. `None` when the engine has ended.
async fn keep(link: &mut Link, file: &mut PlaceFile, identity: &Identity) -> Option<()> {
    let times = link.times;
    let mut backoff = Backoff::new(times.base, times.spread, times.cap, times.healthy);
    loop {
        let began = Instant::now();
        let failure = attempt(link, file, identity).await?;
        link.board.set_connected(false);
        link.board.count(counter::FAILURES);
        let (lived, order) = match &failure {
            Failure::Session(end) => (began.elapsed(), end.retry_after()),
            Failure::Identity(_) | Failure::Dial(_) => (Duration::ZERO, None),
        };
        backoff.ended(lived);
        let delay = backoff.next(random(), order);
        tracing::warn!(error = chain(&failure), ?lived, next = ?delay, "no session with the coordinator");
        if pause(link, delay, identity).await? {
            return Some(());
        }
    }
}

/// One connection and its session. `None` when the engine has ended.
async fn attempt(link: &mut Link, file: &mut PlaceFile, identity: &Identity) -> Option<Failure> {
    let config = match identity.client_config() {
        Ok(config) => config,
        Err(error) => return Some(error.into()),
    };
    let (address, limit) = (&identity.fleet_address, link.times.connect);
    let dial = async {
        let stream = connect(address, config, limit).await?;
        channel(address, stream).await
    };
    match meanwhile(link, dial).await? {
        Err(error) => Some(error.into()),
        Ok(channel) => match session::run(link, file, channel).await {
            End::EngineEnded => None,
            end => Some(end.into()),
        },
    }
}

/// Waits for something while there is no session. Orders that come meanwhile are for none: the next session asks for all.
/// `None` when the engine has ended.
pub(super) async fn meanwhile<T>(link: &mut Link, wait: impl Future<Output = T>) -> Option<T> {
    let mut wait = std::pin::pin!(wait);
    loop {
        tokio::select! {
            done = &mut wait => return Some(done),
            order = link.orders.recv() => drop(order?),
        }
    }
}

/// Waits before the next attempt; true when another identity is there, which is tried at once.
async fn pause(link: &mut Link, delay: Duration, identity: &Identity) -> Option<bool> {
    let end = Instant::now() + delay;
    let folder = link.identity_dir.clone();
    let other = || match Identity::load(&folder) {
        Ok(Some(found)) => found != *identity,
        // Being replaced, perhaps; the one at hand is as good as before.
        Ok(None) | Err(_) => false,
    };
    let wait = async {
        loop {
            let bell = ear(&folder);
            if other() {
                return true;
            }
            tokio::select! {
                () = sleep_until(end) => return other(),
                () = rung(bell) => {}
            }
        }
    };
    meanwhile(link, wait).await
}

fn ear(folder: &Path) -> Option<FolderBell> {
    let bell = FolderBell::new().ok()?;
    bell.whole_files(folder).ok()?;
    Some(bell)
}

/// Resolves when it rings; never where there is none.
async fn rung(bell: Option<FolderBell>) {
    if let Some(bell) = bell
        && bell.ring().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// The identity, once there is one. `None` when the engine has ended.
async fn enrolled(link: &mut Link) -> Option<Identity> {
    let folder = link.identity_dir.clone();
    let mut told = String::new();
    loop {
        // A missing folder is made, so that it can be listened to.
        let made = durable_file::make_folder(&folder, 0o700);
        let bell = made.ok().and_then(|()| ear(&folder));
        let why = match Identity::load(&folder) {
            Ok(Some(identity)) => return Some(identity),
            Ok(None) => {
                "not enrolled: no pushes until `lull-node enroll` has run; everything local works"
                    .to_owned()
            }
            Err(error) => chain(&error),
        };
        if why != told {
            tracing::info!(folder = %folder.display(), "{why}");
            told = why;
        }
        let look = Instant::now() + LOOK;
        let deaf = bell.is_none();
        let wait = async {
            tokio::select! {
                () = rung(bell) => {}
                () = sleep_until(look), if deaf => {}
            }
        };
        meanwhile(link, wait).await?;
    }
}
