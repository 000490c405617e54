//! Triggers on things that the host watches for an app: devices (TRG-46), files (TRG-48), events of the bus (TRG-47).

use crate::{Subject, Trigger};

/// Whether a device-watcher trigger is about a device: its name, or the beginning of it before a final `*`.
pub(crate) fn matches(trigger: &Trigger, device: &Subject) -> bool {
    let Trigger::DeviceWatcher { pattern } = trigger else {
        return false;
    };
    match pattern.as_str().strip_suffix('*') {
        Some(beginning) => device.as_str().starts_with(beginning),
        None => pattern == device,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let rows = [
            ("usb:1", "usb:1", true),
            ("usb:1", "usb:12", false),
            ("usb:*", "usb:12", true),
            ("usb:*", "pci:12", false),
            ("*", "anything", true),
        ];
        for (pattern, device, expected) in rows {
            let trigger = Trigger::DeviceWatcher {
                pattern: Subject::new(pattern).unwrap(),
            };
            let device = Subject::new(device).unwrap();
            assert_eq!(matches(&trigger, &device), expected, "{pattern} {device}");
        }
    }
}
