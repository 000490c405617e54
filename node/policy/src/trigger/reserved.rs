//! What the rule book knows by name and leaves out, and what a kind of device does not have: refused by name, never
//! accepted in silence (rule book 0a; TRGD-11, TRGD-34).

use crate::{Broken, Device, DeviceKind, Refusal, Trigger, TriggerKind};

/// Refused with `Unsupported`, if it is.
pub(crate) fn supported(device: &Device, trigger: &Trigger) -> Result<(), Refusal> {
    let unsupported = |message: String| Err(Refusal::Unsupported { message });
    let kind = device.profile.kind;
    if device.broken(Broken::NothingUnsupported) {
        return Ok(());
    }
    match (trigger, kind) {
        (Trigger::Reserved { name }, _) => unsupported(format!(
            "{name} is a known name that this release does not offer; lull --help lists what it offers"
        )),
        (Trigger::ControlChannel { .. }, DeviceKind::Phone) => unsupported(
            "control channels do not exist on phones; hand the socket to the broker and use a socket trigger"
                .to_owned(),
        ),
        (Trigger::DeviceServicing, DeviceKind::Phone | DeviceKind::Headless) => unsupported(
            "devices are serviced on a PC only; a device-use trigger may do".to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Whether only the machine makes such a registration.
pub(crate) const fn machine_made(kind: TriggerKind) -> bool {
    match kind {
        TriggerKind::Periodic | TriggerKind::ResourceIntensive | TriggerKind::UpdateTask => true,
        TriggerKind::Timer
        | TriggerKind::Maintenance
        | TriggerKind::System(_)
        | TriggerKind::Push
        | TriggerKind::ControlChannel
        | TriggerKind::Socket
        | TriggerKind::Application
        | TriggerKind::Media
        | TriggerKind::DeviceUse
        | TriggerKind::DeviceServicing
        | TriggerKind::DeviceWatcher
        | TriggerKind::Files
        | TriggerKind::Bus
        | TriggerKind::Reserved => false,
    }
}
