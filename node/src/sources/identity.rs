//! The online identity (TRG-03): the device is enrolled, enrolled anew as another or with another fleet, or no longer enrolled.
//!
//! The folder is heard, then read anew. Deliberately absent: a certificate that is renewed (the identity stays), and a folder that
//! cannot be understood (it is perhaps being replaced): the identity known before counts until it can.

use std::convert::Infallible;

use lull_policy::Occurrence;

use super::paths::Paths;
use super::{Post, Source, SourceError};
use crate::error_chain::chain;
use crate::identity::Identity;

/// Told until it is dropped.
pub(super) async fn watch(post: &Post) -> Result<Infallible, SourceError> {
    let kernel = |source| SourceError::Kernel {
        what: "listening to the folder of the identity (inotify)",
        source,
    };
    let mut paths = Paths::new().map_err(kernel)?;
    paths.set(&[post.identity.clone()].into());
    let mut known = read(post, None);
    loop {
        match paths.failed().next() {
            Some((path, why)) => {
                let path = path.display();
                let line = format!("inotify: {path} cannot be watched ({why}); it is tried again");
                post.stands(Source::Identity, &line);
            }
            None => post.stands(Source::Identity, "inotify"),
        }
        paths.changed().await.map_err(kernel)?;
        let found = read(post, known.as_ref());
        if found != known {
            known = found;
            post.tell(Occurrence::OnlineIdChanged).await?;
        }
    }
}

/// Who this device is, in which fleet; `before` where that cannot be said.
fn read(post: &Post, before: Option<&Who>) -> Option<Who> {
    match Identity::load(&post.identity) {
        Ok(identity) => identity.map(|identity| Who {
            root: identity.root().to_vec(),
            device: identity.device,
        }),
        Err(error) => {
            tracing::debug!(error = chain(&error), "the identity known before counts");
            before.cloned()
        }
    }
}

/// An identity: an id in a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Who {
    device: String,
    /// The fleet's root certificate.
    root: Vec<u8>,
}
