//! The command tree. Each verb's work stands in its own file below `verb`.

mod device;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lull_testkit::recording::{AppId, TaskName};

use crate::failure::EXITS;
pub(crate) use device::{
    Access, Choose, Debug, DebugVerb, Fire, Kind, Launch, RunNumber, Schedule, Service,
};

/// Runs background work on a fleet of Linux devices, and tells what became of it.
#[derive(Debug, Parser)]
#[command(
    name = "lull",
    version,
    max_term_width = 100,
    after_help = exit_table(),
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Print JSON for programs instead of tables for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The state folder of `lull up`, where addresses and the operator's identity are found
    /// [default: /var/lib/lull-up for root, else `$XDG_STATE_HOME/lull` or ~/.local/state/lull].
    #[arg(long, global = true, value_name = "DIR", env = "LULL_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// The socket of this machine's node [default: that of `lull up`, else /run/lull/local.sock].
    #[arg(long, global = true, value_name = "PATH", env = "LULL_LOCAL_SOCKET")]
    pub(crate) node_socket: Option<PathBuf>,
    /// The coordinator's fleet listener [default: that of `lull up`].
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "LULL_COORDINATOR"
    )]
    pub(crate) coordinator: Option<String>,
    /// A folder with cert.pem, key.pem and root.pem [default: the operator's of `lull up`].
    #[arg(long, global = true, value_name = "DIR", env = "LULL_IDENTITY")]
    pub(crate) identity: Option<PathBuf>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a coordinator and a node on this machine, for a first look.
    Up(Up),
    /// Send a push to an app on one device or on all that have the given labels.
    Push(Push),
    /// List the devices of the fleet.
    Devices,
    /// List the apps of this machine's node, or check manifests before they are installed.
    Apps(Apps),
    /// List the tasks of this machine's node.
    Tasks(OfApp),
    /// List the runs of this machine's node, those under way first.
    Runs(Runs),
    /// Tell why a task does not run now, and what would make it.
    Why(Why),
    /// Put an app's agent on the schedule of this machine's node, or take it off.
    Schedule(Schedule),
    /// Run a scheduled agent now, whatever its conditions; on a device in developer mode.
    Launch(Launch),
    /// Hold the limits of a run while you look into it.
    Debug(Debug),
    /// Fire a task of an app by hand; on a device in developer mode.
    Fire(Fire),
    /// Have a task of an app service a device, such as to update its firmware.
    Service(Service),
    /// Decide about an app on this machine's node: its access, its devices, its card, the lock screen, its scheduled agents.
    Choose(Choose),
    /// Run scenario files in virtual time, and tell what the device would do and when.
    Simulate(Simulate),
    /// Write what this machine's node has recorded to the standard output, for replay and what-if.
    Recording,
    /// Run recordings through the machine again, and show what was decided and when.
    Replay(Replay),
    /// Tell which tasks of recorded devices another policy would let run more, fewer or never.
    WhatIf(WhatIf),
    /// Make a one-time token with which a device joins the fleet.
    Enroll(Enroll),
    /// Make a key and have the coordinator certify it, for a publisher or an operator.
    ClientCertificate(ClientCertificate),
    /// The coordinator's process.
    #[command(name = "__coordinator", hide = true)]
    Coordinator(Configured),
    /// The node's process.
    #[command(name = "__node", hide = true)]
    Node(Configured),
    /// The launcher's process.
    #[command(name = "__launcher", hide = true)]
    Launcher {
        /// Where it listens.
        #[arg(long)]
        socket: PathBuf,
    },
    /// An example agent's process.
    #[command(name = "__agent", hide = true)]
    Agent {
        /// Which.
        name: String,
    },
}

/// `lull up`
#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// Run the demonstration in a fresh state and end: exit 0 only if all it claims was seen, 1 if a claim failed,
    /// 3 if something could not be shown on this machine.
    #[arg(long)]
    pub(crate) demo: bool,
    /// Write the demonstration's evidence, as JSON, to this file.
    #[arg(long, value_name = "FILE", requires = "demo")]
    pub(crate) report: Option<PathBuf>,
    /// Keep the demonstration's state folder (one given with --state is always kept).
    #[arg(long, requires = "demo")]
    pub(crate) keep: bool,
    /// Go on with the next step after one has failed.
    #[arg(long, requires = "demo")]
    pub(crate) keep_going: bool,
}

/// `lull push`
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["device", "label"]))]
#[command(group = clap::ArgGroup::new("body").required(true).args(["payload", "payload_file"]))]
pub(crate) struct Push {
    /// The app whose push registrations it fires.
    pub(crate) app: String,
    /// Send it to this device (see `lull devices`).
    #[arg(long, value_name = "ID")]
    pub(crate) device: Option<String>,
    /// Send it to every device that has this label; all given labels must match.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
    /// The body, 1 to 5,000 bytes.
    #[arg(long, value_name = "TEXT")]
    pub(crate) payload: Option<String>,
    /// Read the body from a file; - is the standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) payload_file: Option<PathBuf>,
    /// How long it may wait for its device, 1s to 28d [default: 3d].
    #[arg(long, value_name = "SPAN", value_parser = crate::span::parse)]
    pub(crate) ttl: Option<Duration>,
    /// A key of your own, at most 64 bytes: sending again with it within 24 hours stores nothing new
    /// [default: a fresh one, told where an answer was lost].
    #[arg(long, value_name = "KEY")]
    pub(crate) dedup_key: Option<String>,
    /// Follow its receipts until each device has its last; exit 0 only if every run completed.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Give up watching after this long (exit 6); the push itself goes on.
    #[arg(long, value_name = "SPAN", value_parser = crate::span::parse, default_value = "15m", requires = "watch")]
    pub(crate) timeout: Duration,
}

impl Push {
    /// The labels that the targets must have.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.label.iter().cloned().collect()
    }
}

/// `lull apps`
#[derive(Debug, Clone, Args)]
pub(crate) struct Apps {
    /// What to do instead of listing them.
    #[command(subcommand)]
    pub(crate) verb: Option<AppsVerb>,
}

/// What can be done with apps.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum AppsVerb {
    /// Tell what the agents of a manifest may do and what not; exit 1 if it declares what no agent may have.
    Check {
        /// The manifests; no node is asked.
        #[arg(value_name = "MANIFEST", required = true)]
        files: Vec<PathBuf>,
    },
}

/// A verb about one app or all.
#[derive(Debug, Clone, Args)]
pub(crate) struct OfApp {
    /// Only this app's.
    pub(crate) app: Option<String>,
}

/// `lull runs`
#[derive(Debug, Clone, Args)]
pub(crate) struct Runs {
    /// Only this app's.
    pub(crate) app: Option<String>,
    /// How many at most, 1 to 256.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) limit: u32,
    /// Show what each run printed.
    #[arg(long)]
    pub(crate) output: bool,
}

/// `lull why`
#[derive(Debug, Clone, Args)]
pub(crate) struct Why {
    /// APP or APP/TASK; without one, whatever should have run by now and did not.
    #[arg(value_name = "APP[/TASK]")]
    pub(crate) subject: Option<String>,
}

/// `lull simulate`
#[derive(Debug, Clone, Args)]
pub(crate) struct Simulate {
    /// The scenario files; the timeline of each is printed, as one JSON object a line.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print the timelines as tables for people.
    #[arg(long)]
    pub(crate) table: bool,
    /// Stop after so much virtual time; what is expected at the end is then not checked.
    #[arg(long, value_name = "SPAN", value_parser = crate::span::parse)]
    pub(crate) until: Option<Duration>,
}

/// `lull replay`
#[derive(Debug, Clone, Args)]
pub(crate) struct Replay {
    /// Files written by `lull recording`; the timeline of each is printed, as one JSON object a line.
    #[arg(value_name = "RECORDING", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Print the timelines as tables for people.
    #[arg(long)]
    pub(crate) table: bool,
    /// Show only so much from the beginning of each recording.
    #[arg(long, value_name = "SPAN", value_parser = crate::span::parse)]
    pub(crate) until: Option<Duration>,
    /// Show only what concerns this task.
    #[arg(long, value_name = "APP/TASK", value_parser = task)]
    pub(crate) task: Option<(AppId, TaskName)>,
}

/// `lull what-if`
#[derive(Debug, Clone, Args)]
pub(crate) struct WhatIf {
    /// The figures to try, in a table `[policy]` or at the top level of a TOML file; those left out stay as recorded.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Files written by `lull recording`, of one device or several.
    #[arg(value_name = "RECORDING", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// `lull enroll`
#[derive(Debug, Clone, Args)]
pub(crate) struct Enroll {
    /// A label that the device gets.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
    /// How long the token is good, at most 10m [default: 10m].
    #[arg(long, value_name = "SPAN", value_parser = crate::span::parse)]
    pub(crate) valid_for: Option<Duration>,
}

/// `lull client-certificate`
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientCertificate {
    /// Who it is for: 1 to 64 of A-Z a-z 0-9 . _ : -
    #[arg(long)]
    pub(crate) name: String,
    /// What it may do.
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    /// For a publisher: an app it may push to; may be repeated.
    #[arg(long, value_name = "APP", required_if_eq("role", "publisher"))]
    pub(crate) app: Vec<String>,
    /// How long it is good, at most 90d [default: 90d].
    #[arg(long, value_name = "SPAN", value_parser = crate::span::parse)]
    pub(crate) valid_for: Option<Duration>,
    /// The folder to make, with cert.pem, key.pem and root.pem; the key never leaves it.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Send pushes to the given apps and follow them.
    Publisher,
    /// Run the fleet.
    Operator,
}

/// A daemon's process.
#[derive(Debug, Clone, Args)]
pub(crate) struct Configured {
    /// Its configuration.
    #[arg(long)]
    pub(crate) config: PathBuf,
}

/// Reads `key=value`.
fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(format!(
            "{text:?} is no label; write KEY=VALUE, each 1 to 63 bytes"
        )),
    }
}

/// Reads `app/task`.
fn task(text: &str) -> Result<(AppId, TaskName), String> {
    let parts = text.split_once('/');
    let (app, task) = parts.ok_or_else(|| format!("{text:?} is no task; write APP/TASK"))?;
    let app = AppId::new(app).map_err(|error| error.to_string())?;
    let task = TaskName::new(task).map_err(|error| error.to_string())?;
    Ok((app, task))
}

fn exit_table() -> String {
    let rows = EXITS
        .iter()
        .map(|(exit, meaning)| format!("  {:<4}{meaning}", *exit as u8));
    let mut text = vec!["Exit status:".to_owned()];
    text.extend(rows);
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_eighty_columns_and_lists_the_exit_statuses() {
        let help = Cli::command().term_width(80).render_help().to_string();
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
        insta::assert_snapshot!(help);
    }

    #[test]
    fn a_push_needs_a_target_and_a_body() {
        for line in [
            "lull push photos",
            "lull push photos --device d",
            "lull push photos --payload x",
            "lull push photos --device d --label a=b --payload x",
            "lull push photos --device d --payload x --payload-file f",
            "lull push photos --label a= --payload x",
            "lull push photos --device d --payload x --ttl 5",
            "lull runs --limit 257",
            "lull client-certificate --name n --role publisher --out d",
            "lull up --keep",
            "lull simulate",
            "lull simulate one.toml --until soon",
            "lull replay",
            "lull replay one --task mail",
            "lull what-if one",
            "lull apps check",
            "lull fire mail",
            "lull service mail/flash",
            "lull choose mail",
            "lull choose mail --access sometimes",
            "lull what-if --policy new.toml",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in [
            "lull push photos --device d --payload x",
            "lull push photos --label a=b --label c=d --payload-file - --ttl 1h --watch --timeout 2m",
            "lull client-certificate --name n --role operator --out d",
            "lull why photos/sync --json",
            "lull __agent photo-sync",
            "lull simulate one.toml two.toml --table --until 36h",
            "lull apps",
            "lull apps check photos.toml inbox.toml --json",
            "lull recording",
            "lull fire mail/sync",
            "lull service mail/flash usb:046d:c52b:1-1.2 --expected 10m --consent",
            "lull choose mail --access always --consent usb:046d:c52b:1-1.2 --revoke block:sdb",
            "lull replay one two --table --until 36h --task mail/sync",
            "lull what-if --policy new.toml one two --json",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }
}
