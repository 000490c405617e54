//! What happens on the device of a device-use run (TRGD-31): reads and writes on its nodes (inotify), requests to a USB device and to a
//! block device (the kernel's own counters).
//!
//! Counted is whatever happens on the device; that the run did it shows in that it was at work. Deliberately absent: devices that are
//! used by calls of their own (cameras, sound, graphics, buses), which nobody can count from outside: there a run counts as using
//! its device while it works.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{major, minor};

use super::nodes::{name_in, nodes};

/// Kinds of devices that are used by reading and writing.
const READ_AND_WRITTEN: [&str; 6] = ["block", "hidraw", "input", "mem", "tty", "usbmisc"];

/// Room for some notices; equal ones that follow each other are one.
const BUFFER: usize = 4096;

/// Notices read at one look. The kernel keeps 16,384; what is left counts at the next look.
const AT_ONCE: usize = 16_384;

/// A device under watch.
#[derive(Debug)]
pub(super) struct DeviceUse {
    notices: Option<OwnedFd>,
    counters: Vec<Counter>,
    /// All that can happen on it is seen.
    seen: bool,
    ios: u64,
}

/// A counter of the kernel's.
#[derive(Debug)]
struct Counter {
    file: PathBuf,
    /// Which of its numbers, from 0.
    fields: &'static [usize],
    last: u64,
}

impl DeviceUse {
    /// Watches a device from now on.
    pub(super) fn watch(device: &str) -> Self {
        Self::watch_in(Path::new("/sys"), device)
    }

    fn watch_in(sysfs: &Path, device: &str) -> Self {
        let nodes = nodes(device);
        let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        let heard = |node: &String| {
            let flags = WatchFlags::ACCESS | WatchFlags::MODIFY;
            let notices = notices.as_ref();
            notices.is_some_and(|fd| inotify::add_watch(fd, node.as_str(), flags).is_ok())
        };
        let plain = |node: &String| {
            let kind = kind(sysfs, Path::new(node));
            kind.is_some_and(|kind| READ_AND_WRITTEN.contains(&kind.as_str()))
        };
        let all_heard = nodes.iter().filter(|node| heard(node)).count() == nodes.len();
        let all_plain = !nodes.is_empty() && nodes.iter().all(plain);
        let counters = counters(sysfs, device);
        Self {
            notices,
            seen: !counters.is_empty() || (all_heard && all_plain),
            counters,
            ios: 0,
        }
    }

    /// What has happened on it since it is watched; absent = not all of it can be seen.
    pub(super) fn ios(&mut self) -> Option<u64> {
        self.ios = self.ios.saturating_add(self.heard());
        for counter in &mut self.counters {
            if let Some(now) = counter.read() {
                self.ios = self.ios.saturating_add(now.saturating_sub(counter.last));
                counter.last = now;
            }
        }
        self.seen.then_some(self.ios)
    }

    fn heard(&self) -> u64 {
        let Some(notices) = &self.notices else {
            return 0;
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(notices, &mut buffer);
        let mut heard = 0;
        for _notice in 0..AT_ONCE {
            let used = ReadFlags::ACCESS | ReadFlags::MODIFY | ReadFlags::QUEUE_OVERFLOW;
            match reader.next() {
                Ok(notice) => heard += u64::from(notice.events().intersects(used)),
                // Nothing is left.
                Err(_none) => break,
            }
        }
        heard
    }
}

impl Counter {
    fn new(file: PathBuf, fields: &'static [usize]) -> Option<Self> {
        let mut counter = Self {
            file,
            fields,
            last: 0,
        };
        counter.last = counter.read()?;
        Some(counter)
    }

    fn read(&self) -> Option<u64> {
        let text = fs::read_to_string(&self.file).ok()?;
        let number = |field: &usize| text.split_whitespace().nth(*field)?.parse().ok();
        let numbers: Option<Vec<u64>> = self.fields.iter().map(number).collect();
        Some(numbers?.into_iter().fold(0, u64::saturating_add))
    }
}

/// Requests to a USB device by whatever driver, and completed reads and writes of a block device.
fn counters(sysfs: &Path, device: &str) -> Vec<Counter> {
    let Some((kind, name)) = name_in(device) else {
        return Vec::new();
    };
    let usb = sysfs.join("bus/usb/devices").join(name).join("urbnum");
    let block = sysfs.join("class/block").join(name).join("stat");
    match kind {
        "usb" => Counter::new(usb, &[0]).into_iter().collect(),
        "block" => Counter::new(block, &[0, 4]).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The kernel's subsystem of a device node.
fn kind(sysfs: &Path, node: &Path) -> Option<String> {
    use std::os::unix::fs::FileTypeExt as _;
    let found = fs::metadata(node).ok()?;
    let kind = if found.file_type().is_block_device() {
        "block"
    } else if found.file_type().is_char_device() {
        "char"
    } else {
        return None;
    };
    let number = format!("{}:{}", major(found.rdev()), minor(found.rdev()));
    let entry = sysfs.join("dev").join(kind).join(number).join("subsystem");
    let subsystem = fs::canonicalize(entry).ok()?;
    Some(subsystem.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn reads_and_writes_of_a_node_are_seen() {
        // Which nobody else on this machine reads.
        let mut device = DeviceUse::watch("/dev/full");
        assert_eq!(device.ios(), Some(0));
        let mut full = fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/full")
            .unwrap();
        full.read_exact(&mut [0; 8]).unwrap();
        let after_read = device.ios().unwrap();
        assert!(after_read > 0);
        assert_eq!(device.ios(), Some(after_read), "each counts once");
        assert!(full.write(b"x").is_err(), "it is full: nothing was written");
        assert_eq!(device.ios(), Some(after_read));
    }

    #[test]
    fn the_kernels_counters_are_read_by_the_kind_of_device() {
        let sysfs = tempfile::tempdir().unwrap();
        let usb = sysfs.path().join("bus/usb/devices/1-1");
        let block = sysfs.path().join("class/block/sdz");
        fs::create_dir_all(&usb).unwrap();
        fs::create_dir_all(&block).unwrap();
        fs::write(usb.join("urbnum"), "41\n").unwrap();
        fs::write(block.join("stat"), "  5 0 40 1  7 0 56 2 0 3 3\n").unwrap();
        let mut serial = DeviceUse::watch_in(sysfs.path(), "usb:1a86:7523:1-1");
        let mut disk = DeviceUse::watch_in(sysfs.path(), "block:sdz");
        assert_eq!((serial.ios(), disk.ios()), (Some(0), Some(0)));
        fs::write(usb.join("urbnum"), "44\n").unwrap();
        fs::write(block.join("stat"), "  6 0 48 1  9 0 72 2 0 3 3\n").unwrap();
        assert_eq!((serial.ios(), disk.ios()), (Some(3), Some(3)));
    }

    #[test]
    fn what_cannot_be_counted_is_not_counted() {
        for device in ["video4linux:video9", "/dev/not-there", "scale"] {
            assert_eq!(DeviceUse::watch(device).ios(), None, "{device}");
        }
    }
}
