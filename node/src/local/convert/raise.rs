//! What an app asks for itself: a kind of access, the use and the servicing of devices.

use lull_policy::{self as policy, Span, Subject};
use lull_proto::local::v1 as wire;
use lull_proto::{problem, time};
use tonic::Status;

/// A kind of access (ACC-10).
pub(in crate::local) fn access_kind(number: i32) -> Result<policy::AccessKind, Status> {
    match wire::AccessKind::try_from(number) {
        Ok(wire::AccessKind::AlwaysAllowed) => Ok(policy::AccessKind::AlwaysAllowed),
        Ok(wire::AccessKind::Allowed) => Ok(policy::AccessKind::AllowedSubjectToSystemPolicy),
        Ok(wire::AccessKind::Unspecified) | Err(_) => Err(problem::invalid(
            "kind",
            format!("{number} is not known; set always allowed (1) or allowed (2)"),
        )),
    }
}

/// The kind that an app wishes for.
pub(in crate::local) fn wish(kind: policy::AccessKind) -> wire::AccessKind {
    match kind {
        policy::AccessKind::AlwaysAllowed => wire::AccessKind::AlwaysAllowed,
        policy::AccessKind::AllowedSubjectToSystemPolicy => wire::AccessKind::Allowed,
    }
}

/// One device, by its whole name.
pub(in crate::local) fn device(text: String) -> Result<Subject, Status> {
    if text.contains('*') {
        let message =
            format!("{text:?} names several; name one device, such as \"usb:046d:c52b:1-1.2\"");
        return Err(problem::invalid("device", message));
    }
    super::name("device", Subject::new(text))
}

/// How long servicing will take; none = unknown (TRGD-37).
pub(in crate::local) fn expected(
    expected: Option<prost_types::Duration>,
) -> Result<Option<Span>, Status> {
    let millis = expected.as_ref().map(time::span_millis).transpose();
    let millis = millis.map_err(|error| problem::invalid("expected", error.to_string()))?;
    Ok(millis.filter(|millis| *millis > 0).map(Span::millis))
}
