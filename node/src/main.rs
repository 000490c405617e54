//! `lull-node`: the node daemon's program. Thin: everything is in the library.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use lull_node::config::{self, NodeConfig, Overrides};
use lull_node::{daemon, identity};

/// Runs background work on this device, inside hard limits, when its triggers fire and its conditions hold.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon until it is told to end.
    Run(Configuration),
    /// Trade a one-time token for this device's identity. Works while the daemon runs.
    Enroll {
        #[command(flatten)]
        configuration: Configuration,
        /// As printed by `lull enroll`; `-` reads it from standard input, so that it is in no list of processes.
        #[arg(long)]
        token: String,
        /// The coordinator's door.
        #[arg(long, value_name = "HOST:PORT")]
        door: String,
    },
    /// Print every key of the configuration with its default and meaning.
    PrintConfig,
    /// Start agents on the daemon's behalf.
    #[command(hide = true)]
    Launcher {
        /// Where the daemon finds it.
        #[arg(long)]
        socket: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Configuration {
    /// The configuration; without it /etc/lull/node.toml, or the defaults where there is none.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Overrides `state_dir`.
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<OsString>,
    /// Overrides `run_dir`.
    #[arg(long, value_name = "FOLDER")]
    run_dir: Option<OsString>,
    /// Overrides `apps_dir`.
    #[arg(long, value_name = "FOLDER")]
    apps_dir: Option<OsString>,
    /// Overrides `log.level`.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<OsString>,
}

impl Configuration {
    fn load(self) -> Result<NodeConfig, config::ConfigError> {
        let flags = Overrides::flags([
            ("state_dir", self.state_dir),
            ("run_dir", self.run_dir),
            ("apps_dir", self.apps_dir),
            ("log.level", self.log_level),
        ]);
        NodeConfig::load(self.config.as_deref(), std::env::vars_os(), flags)
    }
}

/// Exit codes: 0 done, 1 failed, 2 wrong arguments (clap's own), 78 wrong configuration (`EX_CONFIG`).
fn main() -> ExitCode {
    match Arguments::parse().verb.perform() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            let wrong = error.downcast_ref::<config::ConfigError>().is_some();
            ExitCode::from(if wrong { 78 } else { 1 })
        }
    }
}

impl Verb {
    fn perform(self) -> anyhow::Result<()> {
        match self {
            Self::Run(configuration) => daemon::run(configuration.load()?),
            Self::Enroll {
                configuration,
                token,
                door,
            } => enroll(&configuration.load()?, token, &door),
            Self::PrintConfig => print(config::DEFAULT),
            Self::Launcher { socket } => Ok(lull_launcher::run(&socket)?),
        }
    }
}

fn enroll(config: &NodeConfig, token: String, door: &str) -> anyhow::Result<()> {
    let token = if token == "-" {
        let mut line = String::new();
        std::io::stdin()
            .read_line(&mut line)
            .context("reading the token from standard input")?;
        line
    } else {
        token
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let enrolled = runtime.block_on(identity::enroll(config, &token, door))?;
    print(&format!(
        "enrolled as {} with the coordinator at {}; the identity is in {}\n",
        enrolled.device,
        enrolled.fleet_address,
        enrolled.folder.display()
    ))
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")
}

/// The whole chain, once.
fn complain(error: &anyhow::Error) {
    // Without standard error nobody can be told; the exit code says it too.
    drop(writeln!(std::io::stderr(), "lull-node: {error:#}"));
}
