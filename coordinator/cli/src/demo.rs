//! `lull up --demo`: everything the first release promises, shown on real input, with evidence.
//!
//! It runs in a fresh state folder and, as root, in a network namespace of its own. What it claims it has seen itself;
//! the report holds what somebody else needs to judge it anew (`tests/e2e/check_demo.py`).

mod adoption;
mod condition;
mod enrolment;
mod kernel_log;
mod limits;
mod network;
mod outage;
mod photos;
mod report;
mod seat;
mod step;

use std::path::{Path, PathBuf};

use crate::command::{Global, Up};
use crate::failure::Failure;
use crate::locate::default_state;
use crate::output::Output;
use crate::up::EndSignal;
use crate::up::pair::Pair;
use crate::up::settings::cage;
use crate::up::{cages, folder, manifests, samples};
use crate::words::count;
use network::Namespace;
use report::Report;
use seat::Seat;
use step::Step;

/// Runs the demonstration.
pub(crate) fn run(global: &Global, up: &Up, output: &Output) -> Result<(), Failure> {
    let namespace = network::enter_own();
    let path = fresh_folder(global)?;
    let keep = up.keep || global.state.is_some();
    let shown = crate::verb::block(show(&path, namespace, up, output));
    let whole = matches!(&shown, Ok(()) | Err(Failure::NotShown(_)));
    if keep || !whole {
        output.note(format!("state kept: {}", path.display()));
    } else if let Err(error) = std::fs::remove_dir_all(&path) {
        output.note(format!("cannot remove {}: {error}", path.display()));
    }
    shown
}

/// The state folder to use: one that is named must be empty, for what is shown must not stem from before.
fn fresh_folder(global: &Global) -> Result<PathBuf, Failure> {
    let Some(path) = &global.state else {
        let name = format!("lull-demo-{}", std::process::id());
        return Ok(default_state().with_file_name(name));
    };
    let empty = std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        Ok(path.clone())
    } else {
        Err(Failure::Input(format!(
            "--state {}: the demonstration needs a fresh state, and something is there; name a new folder or empty it",
            path.display()
        )))
    }
}

async fn show(path: &Path, namespace: Namespace, up: &Up, output: &Output) -> Result<(), Failure> {
    let mut pair = Pair::new(folder::take(path)?)?;
    let mut report = Report::new(&pair, namespace);
    for note in &pair.held().notes {
        output.note(format!("note: {note}"));
    }
    let mut end = EndSignal::new()?;
    let stepped = tokio::select! {
        stepped = steps(&mut pair, namespace, up.keep_going, &mut report, output) => stepped,
        () = end.asked() => Err(Failure::Refused("ended before its end, as asked".to_owned())),
    };
    let last = finish(&mut pair, stepped.is_ok()).await;
    last.print(output);
    report.add(&last);
    let written = up
        .report
        .as_deref()
        .map_or(Ok(()), |file| report.write(file));
    if let Some(file) = &up.report {
        output.note(format!("\nevidence: {}", file.display()));
    }
    stepped.and(written).and(report.verdict(output))
}

async fn steps(
    pair: &mut Pair,
    namespace: Namespace,
    keep_going: bool,
    report: &mut Report,
    output: &Output,
) -> Result<(), Failure> {
    let mut take = |step: Step| {
        step.print(output);
        report.add(&step);
        keep_going || step.held()
    };
    if namespace == Namespace::Own {
        network::loopback_up().await?;
    }
    samples::make(&manifests::photos_folder(pair.folder()))
        .map_err(|error| Failure::internal("cannot make the photos", &error.into()))?;
    let waiting = output.waiting("a node joins");
    if !take(enrolment::run(pair).await) || !take(enrolment::install(pair).await) {
        return Ok(());
    }
    let seat = Seat::of(pair).await?;
    waiting.say("photos, a stubborn agent (30 s), a glutton and its neighbour, a task that waits");
    // All at once, as agents of different apps run beside each other.
    let (photos, condition, glutton, stubborn) = tokio::join!(
        photos::run(&seat),
        condition::run(&seat, namespace),
        limits::glutton(&seat),
        limits::stubborn(&seat),
    );
    let held = [photos, condition, glutton, stubborn].map(&mut take);
    if held.contains(&false) {
        return Ok(());
    }
    waiting.say("an outage of the coordinator");
    if !take(outage::run(pair, &seat).await) {
        return Ok(());
    }
    waiting.say("a killed node");
    take(adoption::run(pair).await);
    Ok(())
}

/// Ends all, and looks for what is left. Where the steps were cut short, agents may still be at work.
async fn finish(pair: &mut Pair, whole: bool) -> Step {
    let mut step = Step::new("end", "All ends in order");
    let name = cage(&pair.folder().0);
    let (node, coordinator, launcher) = (
        pair.node_process(),
        pair.coordinator_process(),
        pair.launcher_process(),
    );
    step.keep("node", node);
    step.keep("coordinator", coordinator);
    step.keep("launcher", launcher);
    let swept = cages::sweep(&name, launcher);
    let result = pair.end_all().await;
    let left = [node, coordinator, launcher]
        .into_iter()
        .flatten()
        .filter(|one| one.alive())
        .count();
    let cages = cages::remove(&name);
    step.claim(
        "no daemon, no agent and no cage is left",
        left == 0 && cages.is_empty() && (swept == 0 || !whole),
        format!(
            "{} and {} left; {} had to be ended",
            count(left as u64, "daemon"),
            count(cages.len() as u64, "cage"),
            count(swept as u64, "agent")
        ),
    );
    step.end(result)
}
