//! What an app asks for beyond the usual: a kind of access, and devices.

use std::time::Duration;

use lull_proto::local::v1::{
    RequestAccessKindRequest, RequestDeviceRequest, RequestServicingRequest,
};
use lull_proto::time;

use crate::front::{AccessKind, Front, FrontError, Raised, wire};

impl Front {
    /// Asks for a kind of access (ACC-10), with a reason of at most 1,024 bytes for whoever decides. Whether the app has it now.
    /// The usual kind is granted as by [`request_access`](Self::request_access). To run in Battery Saver too is the operator's
    /// to grant: the answer is no until then, and the wish stands (`lull apps`).
    pub async fn request_access_kind(
        &self,
        kind: AccessKind,
        reason: impl Into<String>,
    ) -> Result<bool, FrontError> {
        let request = RequestAccessKindRequest {
            app: self.app.clone(),
            kind: wire::access_kind(kind).into(),
            reason: reason.into(),
        };
        let mut client = self.client.clone();
        let answer = self
            .call("request access", client.request_access_kind(request))
            .await?;
        Ok(answer.granted)
    }

    /// Raises the device-use trigger of the registration of that name (TRGD-30): its run uses the device. Needs the foreground. The
    /// device's user has to consent, once for an app and device, which the operator tells the node:
    /// [`Raised::DeniedByUser`] until then.
    pub async fn request_device(
        &self,
        name: impl Into<String>,
        device: impl Into<String>,
    ) -> Result<Raised, FrontError> {
        let request = RequestDeviceRequest {
            app: self.app.clone(),
            name: name.into(),
            device: device.into(),
        };
        let mut client = self.client.clone();
        let answer = self
            .call("request device", client.request_device(request))
            .await?;
        Ok(wire::raised(answer.result))
    }

    /// Raises the device-servicing trigger of the registration of that name (TRGD-34), for an app with that capability. Needs the
    /// foreground, and external power or charge. `expected` is how long it will take, if that is known. The device's user has to
    /// consent this time (TRGD-35), and only the operator can say so, as an app's front client in its place: from the app
    /// itself `consent` counts as no.
    pub async fn request_servicing(
        &self,
        name: impl Into<String>,
        device: impl Into<String>,
        expected: Option<Duration>,
        consent: bool,
    ) -> Result<Raised, FrontError> {
        let expected = expected.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let request = RequestServicingRequest {
            app: self.app.clone(),
            name: name.into(),
            device: device.into(),
            expected: expected.map(time::duration),
            consent,
        };
        let mut client = self.client.clone();
        let answer = self
            .call("request servicing", client.request_servicing(request))
            .await?;
        Ok(wire::raised(answer.result))
    }
}
