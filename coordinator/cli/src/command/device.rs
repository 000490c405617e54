//! What the verbs take that act on this machine's node.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use lull_testkit::recording::{AppId, TaskName};

/// Which of an app's two schedules.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Every half hour or so, for 25 seconds.
    Periodic,
    /// For 10 minutes, while the device is on power, charged, locked, off mobile networks, and nobody calls.
    ResourceIntensive,
}

/// `lull schedule`
#[derive(Debug, Clone, Args)]
pub(crate) struct Schedule {
    /// The app; one of its agents has the type scheduled in the manifest.
    pub(crate) app: String,
    /// Which schedule.
    pub(crate) kind: Kind,
    /// What the user is shown of it; a periodic agent needs one.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) description: String,
    /// Take it off the schedule.
    #[arg(long, conflicts_with = "description")]
    pub(crate) off: bool,
}

/// `lull launch`
#[derive(Debug, Clone, Args)]
pub(crate) struct Launch {
    /// The app.
    pub(crate) app: String,
    /// Which of its schedules.
    pub(crate) kind: Kind,
    /// After so long, at most 24h [default: now].
    #[arg(long, value_name = "SPAN", value_parser = crate::span::parse)]
    pub(crate) delay: Option<Duration>,
}

/// `lull debug`
#[derive(Debug, Clone, Args)]
pub(crate) struct Debug {
    #[command(subcommand)]
    pub(crate) verb: DebugVerb,
}

/// What to do about a run.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DebugVerb {
    /// Suspend the memory and time limits of a run until it ends, or until Ctrl-C.
    Attach(RunNumber),
}

/// A run of this machine's node.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunNumber {
    /// Its number, as `lull runs` tells it.
    pub(crate) run: u64,
}

/// `lull fire`
#[derive(Debug, Clone, Args)]
pub(crate) struct Fire {
    /// The task; one that its app raises itself, or that a push or something else with a body fires, cannot be fired by hand.
    #[arg(value_name = "APP/TASK", value_parser = super::task)]
    pub(crate) task: (AppId, TaskName),
}

/// `lull service`
#[derive(Debug, Clone, Args)]
pub(crate) struct Service {
    /// The task; it is registered for device-servicing.
    #[arg(value_name = "APP/TASK", value_parser = super::task)]
    pub(crate) task: (AppId, TaskName),
    /// The device, such as usb:046d:c52b:1-1.2.
    pub(crate) device: String,
    /// How long it will take, under 30m [default: unknown].
    #[arg(long, value_name = "SPAN", value_parser = crate::span::parse)]
    pub(crate) expected: Option<Duration>,
    /// The device's user was asked, this time, and consents.
    #[arg(long)]
    pub(crate) consent: bool,
}

/// Whether an app may run in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Access {
    /// In Battery Saver too.
    Always,
    /// Not at all.
    Never,
    /// As it asks for and the device grants.
    App,
}

/// `lull choose`
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("choice").required(true).multiple(true)
    .args(["access", "consent", "revoke", "pinned", "lock_screen", "auto_upload", "agents"]))]
pub(crate) struct Choose {
    /// The app.
    pub(crate) app: String,
    /// Whether it may run in the background.
    #[arg(long)]
    pub(crate) access: Option<Access>,
    /// The device's user lets it use this device, until that is revoked.
    #[arg(long, value_name = "DEVICE")]
    pub(crate) consent: Option<String>,
    /// It may no longer use this device; a run that does is asked to cancel.
    #[arg(long, value_name = "DEVICE")]
    pub(crate) revoke: Option<String>,
    /// Its card is pinned: its agents are renewed while they update it.
    #[arg(long, value_name = "true|false")]
    pub(crate) pinned: Option<bool>,
    /// It is chosen for the lock screen.
    #[arg(long, value_name = "true|false")]
    pub(crate) lock_screen: Option<bool>,
    /// It uploads photos by itself: its agents do not end with their two weeks.
    #[arg(long, value_name = "true|false")]
    pub(crate) auto_upload: Option<bool>,
    /// Its scheduled agents may run.
    #[arg(long, value_name = "true|false")]
    pub(crate) agents: Option<bool>,
}
