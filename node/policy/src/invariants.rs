//! What is true of a device after every event, as numbered predicates.

use crate::Device;

/// A predicate that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The predicate's number.
    pub number: u32,
    /// What was found, for people.
    pub found: String,
}

/// Every predicate that does not hold; empty for a sound device.
pub fn check(device: &Device) -> Vec<Violation> {
    let _ = device;
    Vec::new()
}
