//! Files that change (TRG-48): every path that some registration names, each for the apps that name it.
//!
//! What counts as a change stands in [`super::paths`]. A path that does not exist, or goes away, is watched again when it comes. An app is told of what its own user may see.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use lull_policy::{AppId, Occurrence, Subject};
use tokio::sync::watch;

use super::paths::Paths;
use super::{Post, Source, SourceError, WITHHELD, Wanted, sight};

/// Told until it is dropped.
pub(super) async fn watch(
    post: &Post,
    mut wanted: watch::Receiver<Wanted>,
) -> Result<Infallible, SourceError> {
    let kernel = |source| SourceError::Kernel {
        what: "listening to files (inotify)",
        source,
    };
    let mut paths = Paths::new().map_err(kernel)?;
    loop {
        let files = wanted.borrow_and_update().files.clone();
        let all: BTreeSet<PathBuf> = files.keys().map(|path| path.as_str().into()).collect();
        paths.set(&all);
        stands(post, &paths);
        let changed = tokio::select! {
            changed = paths.changed() => changed.map_err(kernel)?,
            again = wanted.changed() => match again {
                Ok(()) => continue,
                Err(_keeper_gone) => return Err(SourceError::Ending),
            },
        };
        for path in changed {
            let named = name(&path).and_then(|path| files.get_key_value(&path));
            let Some((subject, apps)) = named else {
                continue;
            };
            for app in apps {
                if may_see(post, app, &path) {
                    let (app, path) = (app.clone(), subject.clone());
                    post.tell(Occurrence::FilesChanged { app, path }).await?;
                } else {
                    withhold(post, app, &path);
                }
            }
        }
    }
}

fn may_see(post: &Post, app: &AppId, path: &Path) -> bool {
    let user = post.users.user(app);
    user.is_some_and(|user| sight::may_see(&user, path))
}

fn withhold(post: &Post, app: &AppId, path: &Path) {
    post.board.count(WITHHELD);
    let path = path.display();
    post.board.cannot_enforce(&format!(
        "{app} is not told of changes at {path} (TRG-48): its user may not look there; give it the right to read (chmod, chgrp)"
    ));
}

fn name(path: &Path) -> Option<Subject> {
    Subject::new(path.to_str()?).ok()
}

fn stands(post: &Post, paths: &Paths) {
    let mut failed = paths.failed().peekable();
    let line = match failed.peek() {
        Some((path, why)) => {
            let path = path.display();
            format!("inotify: {path} cannot be watched ({why}); it is tried again")
        }
        None => format!("inotify: {} paths", paths.len()),
    };
    post.stands(Source::Files, &line);
}
