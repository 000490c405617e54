//! What can go wrong with an app's state, sorted by who must act.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{KEY, KEYS, TOTAL, VALUE};

/// Why the state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// For who calls: the folder is not there, or not this user's.
    #[error(
        "the folder {} of the app's state cannot be used; call as the app's user, with the folder that the node names",
        folder.display()
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// For the app: the state was damaged and is empty now. What was found is kept. Told once.
    #[error("the app's state is damaged ({reason}); it begins anew, what was found is kept as {}", set_aside.display())]
    Damaged {
        /// What is wrong with it.
        reason: &'static str,
        /// Where it is now.
        set_aside: PathBuf,
    },
    /// For nobody: others held the state. Try again; a run of the app may be frozen in the midst of a change.
    #[error("the app's state was in use by others for {wait:?}; try again later")]
    Busy {
        /// How long it was waited for.
        wait: Duration,
    },
    /// For who builds: a newer SDK has written it. Nothing was touched.
    #[error("the app's state {} has the format {version}, and this build knows 1; build with a newer SDK", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        version: u32,
    },
    /// For the app's author: no key.
    #[error("{key:?} is no key: a key has 1 to {KEY} bytes of characters that print")]
    Key {
        /// What was given, at most [`KEY`] bytes of it.
        key: String,
    },
    /// For the app's author: a value is too long.
    #[error(
        "the value of {key} has {bytes} bytes, at most {VALUE} are kept; put it into a file of its own and keep its name here"
    )]
    Value {
        /// Its key.
        key: String,
        /// How many it has.
        bytes: usize,
    },
    /// For the app's author: too much.
    #[error(
        "the app's state would have {keys} keys and {bytes} bytes, at most {KEYS} keys and {TOTAL} bytes are kept; remove something"
    )]
    Full {
        /// How many keys it would have.
        keys: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// For who runs the device: the disk, or what stands in the way there.
    #[error("failed to {what} {}", path.display())]
    Files {
        /// What was done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}
