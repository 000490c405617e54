//! One attribute of a device, as the kernel shows it (sysfs).

use std::io;
use std::path::Path;

use crate::durable_file;

/// Bytes of one attribute: a page.
const ATTRIBUTE: u64 = 4_096;

/// The text of an attribute; absent where the device has none, or has gone, or cannot say now.
pub(super) fn attribute(folder: &Path, name: &str) -> io::Result<Option<String>> {
    match durable_file::read(&folder.join(name), ATTRIBUTE) {
        Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if is_mute(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What drivers answer for an attribute that they have and cannot read now, and what a file among the folders of devices is.
fn is_mute(error: &io::Error) -> bool {
    let mute = [
        libc::ENODATA,
        libc::ENODEV,
        libc::ENXIO,
        libc::EAGAIN,
        libc::ENOTDIR,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| mute.contains(&code))
}
