//! `lull-coordinator`: the daemon's command line. Everything else is in the library.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use lull_coordinator::config::{CoordinatorConfig, DEFAULT};

/// Delivers pushes to a fleet of devices and knows what became of each.
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

fn main() -> anyhow::Result<()> {
    match Arguments::parse().verb {
        Verb::Run { config } => {
            let config = match config {
                Some(path) => CoordinatorConfig::load(&path)?,
                None => CoordinatorConfig::default(),
            };
            lull_coordinator::server::run(config)
        }
        Verb::PrintConfig => {
            use std::io::Write as _;
            Ok(std::io::stdout().write_all(DEFAULT.as_bytes())?)
        }
    }
}
