//! Network, Internet and cost: from NetworkManager, or from the kernel's routes where there is none.

mod kernel;
mod manager;

pub(super) use kernel::{SYSFS, mobile};

use super::bus::follow;
use super::{Post, WatchError};

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    follow(post, manager::NetworkManager::of(post), kernel::watch).await
}
