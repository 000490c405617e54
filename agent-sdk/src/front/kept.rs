//! What an app in the foreground has on its own device: the folder that it shares with its agents, and its memory.

use std::io;
use std::path::PathBuf;

use lull_proto::local::v1::GetStateFolderRequest;

use crate::MemoryUsage;
use crate::front::{Front, FrontError};

impl Front {
    /// The folder that the app shares with its agents, whose `LULL_STATE` it is. It stays the same, so that an app may remember
    /// it for when no node runs. [`State::open`](crate::state::State::open) gives the key-value state in it (RUN-22).
    ///
    /// # Errors
    /// [`FrontError::NotFound`] where the app is not installed here.
    pub async fn state_folder(&self) -> Result<PathBuf, FrontError> {
        let request = GetStateFolderRequest {
            app: self.app.clone(),
        };
        let mut client = self.client.clone();
        let answer = self
            .call("get the state folder", client.get_state_folder(request))
            .await?;
        if answer.folder.is_empty() {
            return Err(FrontError::Unintelligible {
                wanted: "folder of the app's state",
            });
        }
        Ok(PathBuf::from(answer.folder))
    }

    /// What memory this process may use and uses (RES-07). A cap is one of the control groups that it is in: the one that is
    /// nearest to being reached, with what that whole group uses. Without one the limit is absent, and the usage is what the
    /// process itself has in memory. The kernel is asked, no node.
    ///
    /// # Errors
    /// What the kernel said where `/proc` cannot be read.
    pub fn memory_usage(&self) -> io::Result<MemoryUsage> {
        crate::memory::of_this_process()
    }
}
