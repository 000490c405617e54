//! Kinds of devices, how each is called, and how that is read from what the kernel says.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lull_policy::Subject;

/// Where the kernel shows its devices.
const SYSFS: &str = "/sys";

/// Where it shows those that software makes.
const VIRTUAL: &str = "/devices/virtual/";

/// Bytes of one message or file: the kernel's own bound is 2 KiB and a path.
const LONGEST: usize = 8 << 10;

/// A kind of devices.
#[derive(Debug)]
pub(in crate::sources) struct Kind {
    /// Its name here and in the kernel.
    pub(in crate::sources) word: &'static str,
    /// Where the kernel lists them, below [`SYSFS`].
    listed: &'static str,
    /// Which of them are whole devices.
    whole: Whole,
    /// Where the numbers of maker and product stand.
    numbers: Option<Numbers>,
}

/// What tells a device from its parts.
#[derive(Debug)]
enum Whole {
    /// All of them are.
    All,
    /// The kernel calls them so.
    Called(&'static str),
    /// Their names begin so.
    Named(&'static str),
}

/// A variable with two numbers in hexadecimal digits.
#[derive(Debug)]
struct Numbers {
    variable: &'static str,
    between: char,
}

/// Every kind that is watched.
pub(in crate::sources) const KINDS: [Kind; 9] = [
    Kind {
        numbers: Some(Numbers {
            variable: "PRODUCT",
            between: '/',
        }),
        ..Kind::of("usb", "bus/usb/devices", Whole::Called("usb_device"))
    },
    Kind {
        numbers: Some(Numbers {
            variable: "PCI_ID",
            between: ':',
        }),
        ..Kind::of("pci", "bus/pci/devices", Whole::All)
    },
    Kind::of("mmc", "bus/mmc/devices", Whole::All),
    Kind::of("block", "class/block", Whole::Called("disk")),
    Kind::of("tty", "class/tty", Whole::All),
    Kind::of("sound", "class/sound", Whole::Named("card")),
    Kind::of("video4linux", "class/video4linux", Whole::All),
    Kind::of("hidraw", "class/hidraw", Whole::All),
    Kind::of("bluetooth", "class/bluetooth", Whole::Called("host")),
];

impl Kind {
    const fn of(word: &'static str, listed: &'static str, whole: Whole) -> Self {
        Self {
            word,
            listed,
            whole,
            numbers: None,
        }
    }

    /// What a device is called; absent = it is none.
    fn name<'v>(&self, path: &str, variable: impl Fn(&str) -> Option<&'v str>) -> Option<Subject> {
        if path.starts_with(VIRTUAL) {
            return None;
        }
        let (_, name) = path.rsplit_once('/')?;
        let whole = match self.whole {
            Whole::All => true,
            Whole::Called(called) => variable("DEVTYPE") == Some(called),
            Whole::Named(beginning) => name.starts_with(beginning),
        };
        if !whole {
            return None;
        }
        let word = self.word;
        let called = match &self.numbers {
            None => format!("{word}:{name}"),
            Some(numbers) => {
                let mut given = variable(numbers.variable)?.split(numbers.between);
                let mut number = || u16::from_str_radix(given.next()?, 16).ok();
                let (maker, product) = (number()?, number()?);
                format!("{word}:{maker:04x}:{product:04x}:{name}")
            }
        };
        Subject::new(called).ok()
    }
}

/// The kinds, for people.
pub(in crate::sources) fn kinds() -> String {
    KINDS.each_ref().map(|kind| kind.word).join(", ")
}

/// Whether a message of the kernel is about a device that came or went.
pub(super) fn concerns(message: &[u8]) -> bool {
    read(message).is_some()
}

/// The device that a message is about, and whether it is there now.
pub(super) fn read(message: &[u8]) -> Option<(Subject, bool)> {
    let message = message.get(..message.len().min(LONGEST))?;
    let text = std::str::from_utf8(message).ok()?;
    let variable = |name: &str| variable(text.split('\0'), name);
    let present = match variable("ACTION")? {
        "add" => true,
        "remove" => false,
        _ => return None,
    };
    let subsystem = variable("SUBSYSTEM")?;
    let kind = KINDS.iter().find(|kind| kind.word == subsystem)?;
    let device = kind.name(variable("DEVPATH")?, variable)?;
    Some((device, present))
}

/// Every device that is there, up to the bound.
pub(super) fn scan() -> BTreeSet<Subject> {
    let mut here = BTreeSet::new();
    for kind in &KINDS {
        // A kernel that does not know the kind has no folder for it.
        let entries = std::fs::read_dir(Path::new(SYSFS).join(kind.listed));
        for entry in entries.into_iter().flatten().flatten() {
            if here.len() == super::DEVICES {
                return here;
            }
            here.extend(found(kind, &entry.path()));
        }
    }
    here
}

/// The device at a place of sysfs; absent also when it went while it was looked at.
fn found(kind: &Kind, place: &Path) -> Option<Subject> {
    let place: PathBuf = place.canonicalize().ok()?;
    let path = place.to_str()?.strip_prefix(SYSFS)?;
    let mut text = String::new();
    let limit = u64::try_from(LONGEST).ok()?;
    let file = std::fs::File::open(place.join("uevent")).ok()?;
    file.take(limit).read_to_string(&mut text).ok()?;
    kind.name(path, |name| variable(text.lines(), name))
}

fn variable<'t>(mut lines: impl Iterator<Item = &'t str>, name: &str) -> Option<&'t str> {
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, rest: &str) -> Option<String> {
        let message = format!("add@{path}\0ACTION=add\0DEVPATH={path}\0{rest}");
        let (device, present) = read(message.as_bytes())?;
        assert!(present);
        Some(device.to_string())
    }

    #[test]
    fn whole_devices_have_names_and_their_parts_have_none() {
        let usb = "/devices/pci0000:00/0000:00:14.0/usb1/1-1";
        let rows = [
            (
                usb,
                "SUBSYSTEM=usb\0DEVTYPE=usb_device\0PRODUCT=46d/c52b/1211\0",
                Some("usb:046d:c52b:1-1"),
            ),
            (
                "/devices/a/1-1:1.0",
                "SUBSYSTEM=usb\0DEVTYPE=usb_interface\0PRODUCT=46d/c52b/1211\0",
                None,
            ),
            (
                usb,
                "SUBSYSTEM=usb\0DEVTYPE=usb_device\0PRODUCT=46d\0",
                None,
            ),
            (usb, "SUBSYSTEM=usb\0DEVTYPE=usb_device\0", None),
            (
                "/devices/pci0000:00/0000:00:1f.2",
                "SUBSYSTEM=pci\0PCI_ID=8086:0D57\0",
                Some("pci:8086:0d57:0000:00:1f.2"),
            ),
            (
                "/devices/a/block/sdb",
                "SUBSYSTEM=block\0DEVTYPE=disk\0",
                Some("block:sdb"),
            ),
            (
                "/devices/a/block/sdb/sdb1",
                "SUBSYSTEM=block\0DEVTYPE=partition\0",
                None,
            ),
            (
                "/devices/virtual/block/loop0",
                "SUBSYSTEM=block\0DEVTYPE=disk\0",
                None,
            ),
            (
                "/devices/a/sound/card1",
                "SUBSYSTEM=sound\0",
                Some("sound:card1"),
            ),
            ("/devices/a/sound/card1/pcmC1D0p", "SUBSYSTEM=sound\0", None),
            ("/devices/a/net/eth0", "SUBSYSTEM=net\0", None),
            (
                "/devices/a/net/eth0/queues/rx-0",
                "SUBSYSTEM=queues\0",
                None,
            ),
        ];
        for (path, rest, expected) in rows {
            assert_eq!(said(path, rest).as_deref(), expected, "{path}");
        }
        assert!(read(b"").is_none());
        assert!(read(b"change@/x\0ACTION=change\0DEVPATH=/x\0SUBSYSTEM=tty\0").is_none());
        assert!(read(b"libudev\0\xfe\xed\xca\xfe").is_none());
        let gone = read(b"remove@/a/t\0ACTION=remove\0DEVPATH=/a/t\0SUBSYSTEM=tty\0").unwrap();
        assert_eq!(gone, (Subject::new("tty:t").unwrap(), false));
    }
}
