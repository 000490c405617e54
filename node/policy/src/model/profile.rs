//! What the device is: its kind, its memory, its runtime level. Said by the host, never by an app.

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// The kind of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A desktop, laptop, kiosk: device servicing is possible (TRGD-34).
    #[default]
    Pc,
    /// A phone-like device: no control channels (TRGD-11).
    Phone,
    /// Nobody sits at it.
    Headless,
}

/// A version compared number by number (RES-06): 8.0.10492.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuntimeLevel(pub Vec<u32>);

impl RuntimeLevel {
    /// Parses numbers joined by dots; absent for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        text.split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<Vec<u32>>>()
            .map(Self)
    }
}

/// The device profile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// Installed memory, as the memory class goes by it (rule book 0a, *Sizes*); absent = plenty.
    pub memory: Option<Bytes>,
    /// The runtime level that audio agents are capped by (RES-06); absent = the newest.
    pub runtime_level: Option<RuntimeLevel>,
    /// Launches for test and firing by hand are accepted (MNG-13, MNG-14).
    pub developer_mode: bool,
}

impl Profile {
    /// Below 10^9 bytes (RES-05): smaller caps, smaller limits.
    pub fn low_memory(&self) -> bool {
        self.memory.is_some_and(|memory| memory < Bytes::mb(1_000))
    }
}
