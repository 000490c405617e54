//! Watchers: read the device and report levels. Never edges, never decisions.

pub mod bell;
