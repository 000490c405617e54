//! AMB-42: what standby is on a device of a fleet. A host that has no reading of its own for it asks here.

use crate::{DeviceKind, Level};

/// Whether the device is in standby: on battery, its screen off, and nobody does anything at it. A device that nobody sits at
/// never is. What is not known (`None`) leaves it unknown, unless the rest decides.
pub const fn standby(
    kind: DeviceKind,
    external_power: Option<bool>,
    screen_on: Option<bool>,
    idle: bool,
) -> Level<bool> {
    let decided = matches!(kind, DeviceKind::Headless) || !idle;
    match (external_power, screen_on) {
        _ if decided => Level::Known(false),
        (Some(true), _) | (_, Some(true)) => Level::Known(false),
        (Some(false), Some(false)) => Level::Known(true),
        (None, _) | (_, None) => Level::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_battery_dark_and_idle_is_standby() {
        let (yes, no) = (Some(true), Some(false));
        let pc = |power, screen, idle| standby(DeviceKind::Pc, power, screen, idle);
        assert_eq!(pc(no, no, true), Level::Known(true));
        assert_eq!(pc(yes, no, true), Level::Known(false));
        assert_eq!(pc(no, yes, true), Level::Known(false));
        assert_eq!(pc(no, no, false), Level::Known(false));
        assert_eq!(pc(None, no, true), Level::Unknown);
        assert_eq!(pc(None, yes, true), Level::Known(false));
        assert_eq!(pc(no, None, true), Level::Unknown);
        let headless = standby(DeviceKind::Headless, no, no, true);
        assert_eq!(headless, Level::Known(false));
    }
}
