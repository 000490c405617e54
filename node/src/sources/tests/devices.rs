//! Devices (TRG-46), by uevents that the kernel makes when root asks it to.

use super::*;

/// A device that is on every machine with a PCI bus, and that nobody misses: nothing is bound to it.
const BRIDGE: &str = "/sys/bus/pci/devices/0000:00:00.0/uevent";

pub(super) fn bridge() -> Option<Subject> {
    let text = std::fs::read_to_string(BRIDGE).ok()?;
    let numbers = text.lines().find_map(|line| line.strip_prefix("PCI_ID="))?;
    let numbers = numbers.to_ascii_lowercase();
    Some(subject(format!("pci:{numbers}:0000:00:00.0")))
}

fn ask(action: &str) -> std::io::Result<()> {
    std::fs::write(BRIDGE, action)
}

#[tokio::test]
async fn devices_come_and_go() {
    let root = rustix::process::geteuid().is_root();
    let (post, mut heard) = post();
    let source = super::super::devices::watch(&post);
    let test = async {
        stands(&post.board, Source::Devices, "uevents of the kernel").await;
        let Some(device) = bridge() else {
            return;
        };
        let told = |present| {
            let device = device.clone();
            Occurrence::Device { device, present }
        };
        // It is there already, and a network device is none of those that are told.
        assert_eq!(ask("add").is_ok(), root);
        if !root {
            return;
        }
        std::fs::write("/sys/class/net/lo/uevent", "remove").unwrap();
        ask("remove").unwrap();
        // Within a gap, coming back is no news.
        assert_eq!(next(&mut heard).await, told(false));
        ask("remove").unwrap();
        ask("change").unwrap();
        ask("add").unwrap();
        assert_eq!(next(&mut heard).await, told(true));
        assert!(heard.try_recv().is_err());
    };
    beside(source, test).await;
}
