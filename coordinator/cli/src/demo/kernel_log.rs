//! What the kernel says of memory kills, in its own log: which process, in which cage.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;

/// Bytes of a record: the kernel's own bound is 8 KiB with its fields.
const RECORD: usize = 8 * 1024;
/// Records read at once: its ring holds some thousands.
const RECORDS: usize = 16 * 1024;

/// The log from a moment on.
#[derive(Debug)]
pub(super) struct KernelLog(File);

impl KernelLog {
    /// From now on; none where this user may not read it.
    pub(super) fn from_now() -> Option<Self> {
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
        let mut options = File::options();
        let mut file = options
            .read(true)
            .custom_flags(nonblocking)
            .open("/dev/kmsg")
            .ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Self(file))
    }

    /// The lines since then about processes killed for memory below a cage of this name.
    pub(super) fn memory_kills(&mut self, cage: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut record = vec![0; RECORD];
        for _ in 0..RECORDS {
            match self.0.read(&mut record) {
                // A record is `priority,sequence,time,flags;text`.
                Ok(length) if length > 0 => {
                    let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
                    let line = text.split_once(';').map_or("", |(_, text)| text);
                    let line = line.lines().next().unwrap_or_default();
                    if line.starts_with("oom-kill:") && line.contains(cage) {
                        lines.push(line.to_owned());
                    }
                }
                // The ring has gone on; the next read takes the oldest that is left.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Ok(_) | Err(_) => break,
            }
        }
        lines
    }
}
