//! Keeps the catalog true to its folder: hears changes, reads anew, tells the machine.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Catalog;
use crate::declared;
use crate::ports::{AppSource as _, EngineError, EngineRef};
use crate::retry::{Retry, random};
use crate::watch::bell::{FolderBell, Rung};

/// Readings in a row while the folder does not come to rest, before the machine is told what stands there now.
const ROUNDS: u32 = 8;

/// When to try again what this device refused: the folder is gone, the store cannot commit.
const RETRY: Retry = Retry::new(Duration::from_millis(500), Duration::from_secs(30));

/// Follows the folder until the engine ends. The first reading happens at once, so that nothing between the daemon's own
/// reading and the first ear is missed.
pub async fn follow(catalog: Arc<Catalog>, engine: EngineRef) {
    let mut retry = RETRY;
    loop {
        let folder = catalog.folder().display();
        match hear(&catalog, &engine, &mut retry).await {
            Ok(()) => {
                tracing::info!(%folder, "the folder of manifests is gone or was replaced; looking for it anew");
            }
            Err(FollowError::Ending) => return,
            Err(FollowError::Folder(error)) => {
                tracing::warn!(%folder, %error, "the folder of manifests cannot be followed; trying again");
            }
        }
        tokio::time::sleep(retry.next(random())).await;
    }
}

enum FollowError {
    Folder(io::Error),
    Ending,
}

/// Until the folder is lost.
async fn hear(
    catalog: &Arc<Catalog>,
    engine: &EngineRef,
    retry: &mut Retry,
) -> Result<(), FollowError> {
    let bell = FolderBell::new().map_err(FollowError::Folder)?;
    bell.whole_files(catalog.folder())
        .map_err(FollowError::Folder)?;
    loop {
        let mut rung = settle(catalog, &bell).await.map_err(FollowError::Folder)?;
        tell(catalog, engine).await?;
        retry.reset();
        if rung.is_none() {
            rung = Some(bell.ring().await.map_err(FollowError::Folder)?);
        }
        if rung == Some(Rung::Lost) {
            return Ok(());
        }
    }
}

/// Reads until nothing rang meanwhile; what rang in the last round is answered.
async fn settle(catalog: &Arc<Catalog>, bell: &FolderBell) -> io::Result<Option<Rung>> {
    let mut round = 0;
    loop {
        let source = Arc::clone(catalog);
        let reading = tokio::task::spawn_blocking(move || drop(source.reload()));
        reading.await.map_err(io::Error::other)?;
        let rung = bell.drain()?;
        round += 1;
        if rung != Some(Rung::Changed) || round >= ROUNDS {
            return Ok(rung);
        }
    }
}

/// Tells the machine, again and again while it cannot commit, and until what it was told is what stands in the catalog: the
/// operator may have the folder read at the same time.
async fn tell(catalog: &Arc<Catalog>, engine: &EngineRef) -> Result<(), FollowError> {
    let mut retry = RETRY;
    loop {
        let report = catalog.last();
        match declared::install(engine, &report).await {
            Ok(()) if catalog.last() == report => return Ok(()),
            Ok(()) => {}
            Err(EngineError::Ending) => return Err(FollowError::Ending),
            Err(error @ (EngineError::Full(_) | EngineError::Unavailable)) => {
                tracing::warn!(%error, "the machine did not take the installed apps; trying again");
                tokio::time::sleep(retry.next(random())).await;
            }
        }
    }
}
