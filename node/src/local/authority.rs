//! What a caller may: the user of an app is the app, root and the daemon's own user are the operator, a running agent only reads.

use std::sync::Arc;

use lull_policy::AppId;
use tonic::Status;

use super::peer::{Peer, Place};
use crate::ports::AppOwners;

/// Decides by the kernel's word on the caller.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The daemon's own user.
    pub daemon_uid: u32,
    /// The name of the folder of cages.
    pub cage: String,
    /// The users of apps.
    pub owners: Arc<dyn AppOwners>,
}

impl Authority {
    /// Whether the caller may read what concerns an app.
    pub(super) fn read(&self, peer: &Peer, app: &AppId) -> Result<(), Status> {
        let owner = self.owners.uid_of(app);
        if self.is_operator(peer) || owner == Some(peer.uid) {
            return Ok(());
        }
        let whose = match owner {
            Some(owner) => format!("the user of app {app} (uid {owner})"),
            None => format!("the user of app {app}, which is not installed here"),
        };
        Err(Status::permission_denied(format!(
            "uid {} is not {whose}; call as that user, or as root",
            peer.uid
        )))
    }

    /// Whether the caller may act for an app.
    pub(crate) fn act(&self, peer: &Peer, app: &AppId) -> Result<(), Status> {
        self.read(peer, app)?;
        no_agent(peer, "act for its app")
    }

    /// Whether the caller is the operator.
    pub(crate) fn operate(&self, peer: &Peer) -> Result<(), Status> {
        no_agent(peer, "operate the device")?;
        if self.is_operator(peer) {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "uid {} is not the operator of this device; call as root or as uid {}",
            peer.uid, self.daemon_uid
        )))
    }

    fn is_operator(&self, peer: &Peer) -> bool {
        let runs_it = peer.uid == 0 || peer.uid == self.daemon_uid;
        runs_it && peer.place == Place::Outside
    }
}

/// ACC-50: an agent cannot register or raise anything, whatever its user.
fn no_agent(peer: &Peer, what: &str) -> Result<(), Status> {
    match peer.place {
        Place::Outside => Ok(()),
        Place::Agent(run) => Err(Status::permission_denied(format!(
            "the caller is the agent of run {}, which cannot {what}; a front client outside of any run can",
            run.0
        ))),
        Place::Unknown => Err(Status::permission_denied(format!(
            "the calling process was gone before it could be looked at, and may have been an agent, which cannot {what}"
        ))),
    }
}
