//! Where a page of a listing ended. Opaque outside; a caller only hands them back.

use lull_fleet_policy::DeviceId;

/// A text is no cursor of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the page token is not one that was given out; leave it empty to start anew")]
pub struct CursorError;

/// A place in the list of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCursor(pub(super) DeviceId);

impl DeviceCursor {
    /// The cursor as a page token.
    pub fn encode(&self) -> String {
        self.0.to_string()
    }
    /// A page token that came back.
    pub fn decode(token: &str) -> Result<Self, CursorError> {
        DeviceId::parse(token)
            .map(Self)
            .map_err(|_malformed| CursorError)
    }
}

/// A place in the receipts of one push. Orders as the receipts do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ReceiptCursor(pub(super) Place);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Place {
    #[default]
    Start,
    /// After the acceptance for this device.
    Accepted(DeviceId),
    /// After the receipt recorded under this number of the push.
    Recorded(u64),
}

impl ReceiptCursor {
    /// Before the first receipt.
    pub const START: Self = Self(Place::Start);
}
