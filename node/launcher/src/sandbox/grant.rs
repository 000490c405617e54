//! The table of what can be granted to an agent, beside what every agent may.
//!
//! Deliberately absent: grants for what no agent may have (RUN-47): cameras, microphones, vibration, radios, sensors, input, displays. A
//! device of one of these kinds is reached only by a run that was started for the use of that very device (TRGD-26).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// An ability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// Sockets of the Internet, and the kernel's answers about addresses and routes.
    Internet,
    /// Playing sound: the playback and control nodes of ALSA, none of capture.
    Sound,
    /// Computing on the graphics processor: render nodes, which show nothing.
    Render,
    /// One of a newer daemon; grants nothing.
    #[serde(other)]
    Unknown,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The grant.
    pub grant: Grant,
    /// What it lets an agent do, after "may".
    pub may: &'static str,
    /// Device nodes: the folder, and how a node's name begins and ends.
    devices: &'static [(&'static str, &'static str, &'static str)],
}

/// Every grant, with what it lets an agent do.
pub const TABLE: [Row; 3] = [
    Row {
        grant: Grant::Internet,
        may: "use the Internet (TCP, UDP), and look up names and routes",
        devices: &[],
    },
    Row {
        grant: Grant::Sound,
        may: "play sound (ALSA playback, no capture)",
        devices: &[
            ("/dev/snd", "pcm", "p"),
            ("/dev/snd", "control", ""),
            ("/dev/snd", "timer", ""),
        ],
    },
    Row {
        grant: Grant::Render,
        may: "compute on the graphics processor (render nodes, no display)",
        devices: &[("/dev/dri", "renderD", "")],
    },
];

impl Grant {
    /// Its row.
    pub fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.grant == self)
    }

    /// The device nodes of it that are there now.
    pub(super) fn devices(self) -> Vec<PathBuf> {
        let row = self.row().into_iter();
        row.flat_map(|row| row.devices)
            .flat_map(|(folder, begin, end)| nodes(Path::new(folder), begin, end))
            .collect()
    }
}

fn nodes(folder: &Path, begin: &str, end: &str) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        // No such hardware.
        return Vec::new();
    };
    let named = |name: &str| name.starts_with(begin) && name.ends_with(end);
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(named))
        .map(|entry| entry.path())
        .collect()
}
