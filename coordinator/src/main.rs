//! `lull-coordinator`: the daemon's command line. Everything else is in the library.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lull_coordinator::config::{ConfigError, CoordinatorConfig, DEFAULT};

/// Delivers pushes to a fleet of devices and knows what became of each.
///
/// Exit status: 0 it ended as asked, 1 it could not start or go on, 2 the command line or the configuration is wrong.
#[derive(Debug, Parser)]
#[command(name = "lull-coordinator", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the coordinator until SIGTERM or SIGINT.
    Run {
        /// The configuration; without it, every key has its default.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Prints the default configuration, with what each key means.
    PrintConfig,
}

fn main() -> ExitCode {
    let Err(error) = perform(Arguments::parse().verb) else {
        return ExitCode::SUCCESS;
    };
    // Where standard error is gone too, the status has to do.
    writeln!(std::io::stderr(), "lull-coordinator: {error:#}").unwrap_or(());
    match error.downcast_ref::<ConfigError>() {
        Some(_) => ExitCode::from(2),
        None => ExitCode::FAILURE,
    }
}

fn perform(verb: Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Run { config } => {
            let config = match config {
                Some(path) => CoordinatorConfig::load(&path)?,
                None => CoordinatorConfig::default(),
            };
            lull_coordinator::server::run(config)
        }
        Verb::PrintConfig => Ok(std::io::stdout().write_all(DEFAULT.as_bytes())?),
    }
}
