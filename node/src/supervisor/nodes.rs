//! The device nodes of a device by its name: what a run that was started for its use may open (TRGD-26).
//!
//! A name is a path below `/dev`, or the kernel's subsystem and name as the watchers of devices say them: `tty:ttyACM0`,
//! `usb:1d6b:0002:1-1`. Deliberately absent: whether a run may use it, which the machine has decided.

use std::path::Path;

/// Nodes of one device: a sound card has a dozen.
const NODES: usize = 64;

/// The nodes that are there now.
pub(super) fn nodes(device: &str) -> Vec<String> {
    nodes_in(Path::new("/sys"), device)
}

/// The kernel's subsystem and name, which can be parts of a path.
pub(super) fn name_in(device: &str) -> Option<(&str, &str)> {
    let (kind, _) = device.split_once(':')?;
    let (_, name) = device.rsplit_once(':')?;
    let plain = |word: &str| !word.is_empty() && !word.starts_with('.') && !word.contains('/');
    (plain(kind) && plain(name)).then_some((kind, name))
}

fn nodes_in(sysfs: &Path, device: &str) -> Vec<String> {
    if device.starts_with("/dev/") {
        return vec![device.to_owned()];
    }
    let Some((kind, name)) = name_in(device) else {
        return Vec::new();
    };
    let class = sysfs.join("class").join(kind).join(name);
    let bus = sysfs.join("bus").join(kind).join("devices").join(name);
    let mut found = Vec::new();
    for folder in [class, bus] {
        found.extend(node(&folder));
        // The parts of a device: those of a sound card have the nodes.
        let parts = folder.read_dir().into_iter().flatten().flatten();
        let own = parts.filter(|part| part.file_type().is_ok_and(|kind| kind.is_dir()));
        found.extend(own.filter_map(|part| node(&part.path())));
    }
    found.sort();
    found.dedup();
    found.truncate(NODES);
    found
}

/// The node that the kernel gave to one entry of sysfs.
fn node(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("uevent")).ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(format!("/dev/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_nodes_that_the_kernel_names() {
        let sysfs = tempfile::tempdir().unwrap();
        for (folder, text) in [
            ("class/tty/ttyACM0", "MAJOR=166\nDEVNAME=ttyACM0\n"),
            ("class/sound/card0", "\n"),
            ("class/sound/card0/controlC0", "DEVNAME=snd/controlC0\n"),
            ("class/sound/card0/pcmC0D0p", "DEVNAME=snd/pcmC0D0p\n"),
            (
                "bus/usb/devices/1-1",
                "DEVNAME=bus/usb/001/002\nDEVTYPE=usb_device\n",
            ),
            ("bus/usb/devices/1-1/1-1:1.0", "DEVTYPE=usb_interface\n"),
        ] {
            let folder = sysfs.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("uevent"), text).unwrap();
        }
        let cases: &[(&str, &[&str])] = &[
            ("/dev/ttyUSB0", &["/dev/ttyUSB0"]),
            ("tty:ttyACM0", &["/dev/ttyACM0"]),
            ("sound:card0", &["/dev/snd/controlC0", "/dev/snd/pcmC0D0p"]),
            ("usb:1d6b:0002:1-1", &["/dev/bus/usb/001/002"]),
            ("tty:ttyACM1", &[]),
            ("usb:../../class/tty/ttyACM0", &[]),
            ("..:ttyACM0", &[]),
            ("scale", &[]),
        ];
        for (device, expected) in cases {
            assert_eq!(nodes_in(sysfs.path(), device), *expected, "{device}");
        }
    }
}
