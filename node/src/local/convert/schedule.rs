//! Schedules on the wire: kinds, moments, delays.

use lull_policy as policy;
use lull_policy::Span;
use lull_proto::local::v1 as wire;
use lull_proto::problem;
use tonic::Status;

/// Which schedule.
pub(in crate::local) fn scheduled_kind(kind: i32) -> Result<policy::ScheduledKind, Status> {
    match wire::ScheduledKind::try_from(kind) {
        Ok(wire::ScheduledKind::Periodic) => Ok(policy::ScheduledKind::Periodic),
        Ok(wire::ScheduledKind::ResourceIntensive) => Ok(policy::ScheduledKind::ResourceIntensive),
        Ok(wire::ScheduledKind::Unspecified) | Err(_) => Err(problem::invalid(
            "kind",
            "it has to be SCHEDULED_KIND_PERIODIC or SCHEDULED_KIND_RESOURCE_INTENSIVE",
        )),
    }
}

/// A moment by the wall clock.
pub(in crate::local) fn instant(
    field: &str,
    at: prost_types::Timestamp,
) -> Result<policy::Wall, Status> {
    let millis = i128::from(at.seconds) * 1_000 + i128::from(at.nanos / 1_000_000);
    let millis = u64::try_from(millis).ok();
    let wall = millis.map(policy::Wall::from_millis);
    wall.ok_or_else(|| problem::invalid(field, "it has to be a moment after 1970"))
}

/// Longest delay of a launch for test.
const DELAY: Span = Span::hours(24);

/// How long a launch for test waits.
pub(in crate::local) fn delay(delay: Option<prost_types::Duration>) -> Result<Span, Status> {
    let Some(delay) = delay else {
        return Ok(Span::ZERO);
    };
    let millis = i128::from(delay.seconds) * 1_000 + i128::from(delay.nanos / 1_000_000);
    let span = u64::try_from(millis).ok().map(Span::millis);
    let span = span.filter(|span| *span <= DELAY);
    span.ok_or_else(|| problem::invalid("delay", "it has to be between 0 and 24 hours"))
}
