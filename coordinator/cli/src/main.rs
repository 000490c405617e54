//! `lull`: the operator's command, and the first look at Lull (`lull up`).
//!
//! The command tree stands in `command`, each verb in a file of its own below `verb`, and what is said to people in
//! `output`, the only place that prints. Deliberately absent: decisions about devices or the fleet. The daemons that
//! `lull up` runs are this same executable, started anew with a hidden verb (`hidden`).

mod clock;
mod command;
mod demo;
mod failure;
mod fleet;
mod hidden;
mod locate;
mod node;
mod output;
mod proc;
mod span;
mod up;
mod verb;
mod view;
mod words;

use std::process::ExitCode;

use clap::Parser as _;

use crate::command::{Cli, Verb};
use crate::failure::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    // An agent's status is its own: 0 is completion, 75 is abort.
    if let Verb::Agent { name } = &cli.verb
        && let Some(agent) = lull_examples::main_of(name)
    {
        return agent();
    }
    let output = Output::new(cli.global.json);
    match verb::run(cli, &output) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit().into()
        }
    }
}
