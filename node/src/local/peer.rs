//! Who is at the other end of a connection, by the kernel's word.

use std::path::PathBuf;

use lull_policy::RunId;
use tokio::net::UnixStream;
use tokio::net::unix::UCred;
use tonic::{Request, Status};

use crate::supervisor::is_front;

/// The caller of every request on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its user.
    pub(crate) uid: u32,
    /// Its process when it connected; absent where it lives in another process namespace.
    pub(crate) pid: Option<u32>,
    /// Where it stands towards runs.
    pub(crate) place: Place,
}

/// Whether a caller is a running agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Outside of every cage.
    Outside,
    /// In the cage of a run: an agent, or something it started.
    Agent(RunId),
    /// It was gone before it could be looked at: it may have been an agent.
    Unknown,
}

impl Peer {
    /// Asks the kernel, once for each connection. A process cannot leave its cage, so what is true now stays true.
    pub(crate) fn of(stream: &UnixStream, cage: &str) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self::new(&credentials, cage))
    }

    fn new(credentials: &UCred, cage: &str) -> Self {
        let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok());
        let pid = pid.filter(|pid| *pid != 0);
        Self {
            uid: credentials.uid(),
            pid,
            place: pid.map_or(Place::Outside, |pid| place(pid, cage)),
        }
    }
}

/// Where a process stands, among the cages of this name.
pub(crate) fn place(pid: u32, cage: &str) -> Place {
    let file: PathBuf = ["/proc", &pid.to_string(), "cgroup"].iter().collect();
    match std::fs::read_to_string(file) {
        // An app's own process is no agent, also where the node started it.
        Ok(groups) => run_of(&groups, cage)
            .filter(|run| !is_front(*run))
            .map_or(Place::Outside, Place::Agent),
        Err(_gone) => Place::Unknown,
    }
}

/// The run in whose cage a process is, from its `/proc/<pid>/cgroup`: a folder `run-<id>` below the cages' own.
fn run_of(groups: &str, cage: &str) -> Option<RunId> {
    groups.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let mut folders = path.split('/').peekable();
        while let Some(folder) = folders.next() {
            let below = folders.peek().and_then(|name| name.strip_prefix("run-"));
            if folder == cage
                && let Some(run) = below.and_then(|id| id.parse().ok())
            {
                return Some(RunId(run));
            }
        }
        None
    })
}

/// The caller of a request.
pub(super) fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    let peer = request.extensions().get::<Peer>().cloned();
    peer.ok_or_else(|| Status::unauthenticated("the kernel did not say who is calling"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_by_its_cage_and_by_nothing_like_it() {
        for (groups, run) in [
            ("0::/lull/run-12\n", Some(12)),
            (
                "0::/system.slice/lull.service/lull/run-12/inner\n",
                Some(12),
            ),
            ("9:memory:/box/lull/run-7\n0::/\n", Some(7)),
            ("0::/lull\n", None),
            ("0::/lull/run-\n", None),
            ("0::/lull/run-x\n", None),
            ("0::/other/run-12\n", None),
            ("0::/lull-2/run-12\n", None),
            ("", None),
        ] {
            assert_eq!(run_of(groups, "lull"), run.map(RunId), "{groups}");
        }
    }
}
