//! `ControlChannelTrigger` (TRG-14, TRGD-10 to TRGD-14): the bounds of a registration, and the hardware slots of the
//! device. The connection itself is the host's.

use crate::{Device, Refusal, RegistrationId, Slot, Subject, Trigger};

/// Most characters of a channel's name (TRGD-12).
const NAME: usize = 64;
/// Server keep-alive in minutes (TRGD-12).
const KEEP_ALIVE: std::ops::RangeInclusive<u32> = 15..=1_439;

/// TRGD-12.
pub(crate) fn validate(id: &Subject, keep_alive_minutes: u32) -> Result<(), Refusal> {
    let wrong = |field: &str, message| {
        Err(Refusal::InvalidArgument {
            field: format!("trigger.control-channel.{field}"),
            message,
        })
    };
    let length = id.as_str().chars().count();
    if length > NAME {
        return wrong(
            "id",
            format!("{length} characters are more than {NAME}; shorten the name"),
        );
    }
    if !KEEP_ALIVE.contains(&keep_alive_minutes) {
        return wrong(
            "keep_alive_minutes",
            format!(
                "{keep_alive_minutes} min are not within {} and {}",
                KEEP_ALIVE.start(),
                KEEP_ALIVE.end()
            ),
        );
    }
    Ok(())
}

/// TRGD-13: `PolicyError`, too many: a device keeps only so many channels in hardware. Those to be replaced free theirs.
pub(crate) fn slots<'t>(
    device: &Device,
    wanted: impl Iterator<Item = &'t Trigger>,
    replaced: &[RegistrationId],
) -> Result<(), Refusal> {
    let wanted = wanted.filter(|trigger| in_hardware(trigger)).count();
    if wanted == 0 {
        return Ok(());
    }
    let limit = device.policy.channel_hardware_slots as usize;
    let others = device.registrations().filter(|r| !replaced.contains(&r.id));
    let taken = others.filter(|r| in_hardware(&r.trigger)).count();
    if taken + wanted > limit {
        return Err(Refusal::LimitReached {
            message: format!(
                "{taken} of {limit} hardware slots for control channels are taken; use a software slot"
            ),
        });
    }
    Ok(())
}

fn in_hardware(trigger: &Trigger) -> bool {
    let slot = if let Trigger::ControlChannel { slot, .. } = trigger {
        Some(*slot)
    } else {
        None
    };
    slot == Some(Slot::Hardware)
}
