//! The verbs, one a file, and what each needs to run.

mod apps;
mod certificate;
mod check;
mod choose;
mod debug;
mod devices;
mod enroll;
mod fire;
mod launch;
mod push;
mod recording;
mod replay;
mod runs;
mod schedule;
mod service;
mod simulate;
mod tasks;
mod what_if;
mod why;

pub(crate) use apps::list as list_apps;
pub(crate) use devices::list as list_devices;
pub(crate) use enroll::create as create_token;
pub(crate) use push::{Follower, receipt_words, send};
pub(crate) use runs::list_runs;
pub(crate) use why::{ask as ask_why, words as why_words};

use std::future::Future;

use crate::command::{Apps, AppsVerb, Cli, Debug, DebugVerb, Verb};
use crate::failure::Failure;
use crate::hidden;
use crate::output::Output;

/// Runs a verb to its end.
pub(crate) fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    let global = cli.global;
    match cli.verb {
        Verb::Up(up) => crate::up::run(&global, &up, output),
        Verb::Push(push) => block(push::run(&global, push, output)),
        Verb::Devices => block(devices::run(&global, output)),
        Verb::Apps(Apps { verb: None }) => block(apps::run(&global, output)),
        Verb::Apps(Apps {
            verb: Some(AppsVerb::Check { files }),
        }) => check::run(&files, output),
        Verb::Tasks(of) => block(tasks::run(&global, of, output)),
        Verb::Runs(runs) => block(runs::run(&global, runs, output)),
        Verb::Why(why) => block(why::run(&global, why, output)),
        Verb::Schedule(schedule) => block(schedule::run(&global, schedule, output)),
        Verb::Launch(launch) => block(launch::run(&global, launch, output)),
        Verb::Debug(Debug {
            verb: DebugVerb::Attach(run),
        }) => block(debug::run(&global, run, output)),
        Verb::Fire(fire) => block(fire::run(&global, fire, output)),
        Verb::Service(service) => block(service::run(&global, service, output)),
        Verb::Choose(choose) => block(choose::run(&global, choose, output)),
        Verb::Simulate(files) => simulate::run(&files, output),
        Verb::Recording => block(recording::run(&global)),
        Verb::Replay(replay) => replay::run(&replay, output),
        Verb::WhatIf(what_if) => what_if::run(&what_if, output),
        Verb::Enroll(enroll) => block(enroll::run(&global, enroll, output)),
        Verb::ClientCertificate(certificate) => {
            block(certificate::run(&global, certificate, output))
        }
        Verb::Coordinator(configured) => hidden::coordinator(&configured.config),
        Verb::Node(configured) => hidden::node(&configured.config),
        Verb::Launcher { socket } => hidden::launcher(&socket),
        Verb::Agent { name } => Err(Failure::Input(format!(
            "there is no agent {name:?} in this executable"
        ))),
    }
}

/// Runs a future on this thread. One thread is enough for a command, and children must be started by a thread that
/// stays: they ask to be told when it ends.
pub(crate) fn block<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("cannot start the runtime", &error.into()))?
        .block_on(future)
}
