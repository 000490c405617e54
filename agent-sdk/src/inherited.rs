//! Takes over the descriptors that a node hands to an agent. The only unsafe code of the SDK.
//!
//! Deliberately absent: what is read from them or written to them.

use std::fs::File;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use rustix::fs::FileType;
use rustix::io::{Errno, FdFlags};

const STDIN: RawFd = 0;

/// Below stand standard input, output and error.
const FIRST_FREE: RawFd = 3;

/// Why a descriptor that the environment names cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// Not a number, or that of an output stream.
    #[error(
        "{variable}={value:?} names no descriptor that an agent can inherit; a node gives 0, or 3 and above"
    )]
    Number {
        /// Which variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// Nothing is open under that number, or it cannot be used.
    #[error("{variable}={number} cannot be used")]
    Unusable {
        /// Which variable.
        variable: &'static str,
        /// The number.
        number: RawFd,
        /// What the kernel says.
        #[source]
        source: Errno,
    },
    /// It was opened by this process, or taken over before.
    #[error(
        "{variable}={number} was not inherited, or was taken over before; an agent starts its side once per process"
    )]
    NotInherited {
        /// Which variable.
        variable: &'static str,
        /// The number.
        number: RawFd,
    },
    /// It is open, and something else.
    #[error("{variable}={number} is no {wanted}")]
    Kind {
        /// Which variable.
        variable: &'static str,
        /// The number.
        number: RawFd,
        /// What it should be.
        wanted: &'static str,
    },
}

/// Takes over the socket to the node.
pub(crate) fn socket(variable: &'static str, value: &str) -> Result<UnixStream, InheritError> {
    take(variable, value, FileType::Socket, "socket").map(UnixStream::from)
}

/// Takes over the file with the payload.
pub(crate) fn file(variable: &'static str, value: &str) -> Result<File, InheritError> {
    take(variable, value, FileType::RegularFile, "regular file").map(File::from)
}

/// Where `sd_listen_fds(3)` has the first socket that is handed to a program.
const LISTENING: &str = "3";

/// Takes over the socket that the run was started for.
pub(crate) fn listening(variable: &'static str) -> Result<OwnedFd, InheritError> {
    take(variable, LISTENING, FileType::Socket, "socket")
}

/// One at a time, so that two threads cannot both find a descriptor free to take.
static TAKING: Mutex<()> = Mutex::new(());

fn take(
    variable: &'static str,
    value: &str,
    kind: FileType,
    wanted: &'static str,
) -> Result<OwnedFd, InheritError> {
    let _alone = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let number = number(variable, value)?;
    let unusable = |source| InheritError::Unusable {
        variable,
        number,
        source,
    };
    // SAFETY: the borrow ends before the descriptor is owned below. Should nothing be open under the number, the
    // calls on it fail with EBADF; they read no memory by it.
    #[expect(
        unsafe_code,
        reason = "a number from the environment is all there is of it"
    )]
    let inherited = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = rustix::io::fcntl_getfd(inherited).map_err(unusable)?;
    let found = rustix::fs::fstat(inherited).map_err(unusable)?;
    if FileType::from_raw_mode(found.st_mode) != kind {
        return Err(InheritError::Kind {
            variable,
            number,
            wanted,
        });
    }
    if number == STDIN {
        // Standard input belongs to the standard library for good, so a duplicate of it is taken.
        return rustix::io::fcntl_dupfd_cloexec(inherited, FIRST_FREE).map_err(unusable);
    }
    // What exec passed on cannot have this flag, and all that Rust itself opens has it: so this is nobody else's.
    if flags.contains(FdFlags::CLOEXEC) {
        return Err(InheritError::NotInherited { variable, number });
    }
    rustix::io::fcntl_setfd(inherited, FdFlags::CLOEXEC).map_err(unusable)?;
    // SAFETY: it is open and was inherited (above), the node gave it to this process for this use alone, and the
    // flag just set makes this the only time that it is taken.
    #[expect(
        unsafe_code,
        reason = "the one place where an inherited descriptor gets its owner"
    )]
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(owned)
}

fn number(variable: &'static str, value: &str) -> Result<RawFd, InheritError> {
    let number = value.parse::<RawFd>().ok();
    let usable = number.filter(|n| *n == STDIN || *n >= FIRST_FREE);
    usable.ok_or_else(|| InheritError::Number {
        variable,
        value: value.chars().take(32).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd as _, IntoRawFd as _};

    use super::*;

    const VARIABLE: &str = "LULL_SOCKET_FD";

    #[test]
    fn what_is_no_number_of_an_inherited_descriptor_is_refused() {
        for value in ["", "x", "-1", "1", "2", "99999999999", "3 "] {
            let refused = socket(VARIABLE, value).unwrap_err();
            assert!(matches!(refused, InheritError::Number { .. }), "{value:?}");
        }
    }

    #[test]
    fn what_is_not_open_is_refused() {
        let refused = socket(VARIABLE, "1000000").unwrap_err();
        assert!(matches!(refused, InheritError::Unusable { .. }));
    }

    #[test]
    fn what_this_process_opened_itself_stays_with_its_owner() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let refused = socket(VARIABLE, &ours.as_raw_fd().to_string()).unwrap_err();
        assert!(matches!(refused, InheritError::NotInherited { .. }));
    }

    #[test]
    fn an_inherited_socket_is_taken_once() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        rustix::io::fcntl_setfd(&ours, FdFlags::empty()).unwrap();
        let number = ours.into_raw_fd().to_string();
        assert!(matches!(
            file(VARIABLE, &number).unwrap_err(),
            InheritError::Kind { .. }
        ));
        let taken = socket(VARIABLE, &number).unwrap();
        let flags = rustix::io::fcntl_getfd(&taken).unwrap();
        assert!(flags.contains(FdFlags::CLOEXEC));
        assert!(matches!(
            socket(VARIABLE, &number).unwrap_err(),
            InheritError::NotInherited { .. }
        ));
    }
}
