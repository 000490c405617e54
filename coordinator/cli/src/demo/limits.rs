//! Two agents that pass their limits, each ended by the node: `stubborn` by the clock, `glutton` by its memory cap, with
//! a well-behaved neighbour beside it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kernel_log::KernelLog;
use super::seat::{PROMPT, Seat, WHOLE_RUN, completed, ending, show_chain};
use super::step::Step;
use crate::failure::Failure;
use crate::proc::{Process, oom_kills};
use crate::up::cages::{self, MemorySeen};
use crate::up::daemon::until;
use crate::up::manifests::CAP;
use crate::up::settings::cage;
use crate::view::RunView;
use crate::words::{bytes, count, exact};

/// When a trigger task is asked, and when it is killed (RUN-13, RES-01).
const ASKED: Duration = Duration::from_secs(25);
const KILLED: Duration = Duration::from_secs(30);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_millis(1_500);

/// A process of the stubborn agent's tree, as it wrote it down itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Member {
    #[serde(flatten)]
    process: Process,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

/// `stubborn` ignores its cancellation.
pub(super) async fn stubborn(seat: &Seat) -> Step {
    let mut step = Step::new(
        "stubborn",
        "An agent that ignores its cancellation is killed, with its whole tree",
    );
    let result = watch_stubborn(seat, &mut step).await;
    step.end(result)
}

async fn watch_stubborn(seat: &Seat, step: &mut Step) -> Result<(), Failure> {
    let sent = seat.send("stubborn", "stay", "").await?;
    step.keep("push_id", &sent.push_id);
    let run = seat.under_way("stubborn", &sent.push_id).await?;
    let cgroup = run.cgroup.clone().unwrap_or_default();
    let cages = cages::of_run(&cage(&seat.folder.0), &cgroup);
    step.keep("cages", &cages);
    step.keep("main", run.pid.and_then(Process::of));
    let tree_file = seat.app_state("stubborn").join("tree.json");
    let tree = until(
        PROMPT,
        "the stubborn agent did not write down its tree",
        async || {
            let text = std::fs::read_to_string(&tree_file).unwrap_or_default();
            Ok(serde_json::from_str::<Vec<Member>>(&text)
                .ok()
                .filter(|tree| !tree.is_empty()))
        },
    )
    .await?;
    step.keep("tree", &tree);
    let inside: BTreeSet<Process> = cages
        .iter()
        .flat_map(|cage| cages::processes(cage))
        .collect();
    step.keep("in_cage", inside);
    let receipts = seat.receipts(&sent.push_id, WHOLE_RUN).await?;
    step.keep("receipts", &receipts);
    show_chain(step, &receipts);
    let run = seat.ended("stubborn", &sent.push_id).await?;
    let cancelled = std::fs::read_to_string(seat.app_state("stubborn").join("cancelled.json"));
    let cancelled = cancelled
        .ok()
        .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    judge_time(step, &run, cancelled.as_ref());
    step.keep("cancelled", cancelled);
    judge_tree(step, &tree, &cages);
    step.keep("run", &run);
    Ok(())
}

/// The agent wrote down itself when it was asked; the node says when it was over.
fn judge_time(step: &mut Step, run: &RunView, cancelled: Option<&serde_json::Value>) {
    let asked = cancelled
        .and_then(|told| told.get("wall_ms")?.as_i64())
        .zip(run.started_at)
        .map_or(0, |(asked, started)| {
            asked.saturating_sub(started.as_millisecond())
        });
    let asked = Duration::from_millis(u64::try_from(asked).unwrap_or(0));
    let reason = cancelled
        .and_then(|told| told.get("reason")?.as_str())
        .unwrap_or("nothing");
    step.claim(
        format!("it is asked to cancel at {} s", ASKED.as_secs()),
        asked + SLACK >= ASKED
            && asked <= ASKED + SLACK
            && run.cancel_reason.as_deref() == Some("execution-time-exceeded"),
        format!(
            "the agent itself was asked after {}, for {reason}",
            exact(asked)
        ),
    );
    let ran = Duration::from_millis(run.ran_ms.unwrap_or(0));
    step.claim(
        format!("it is killed at {} s", KILLED.as_secs()),
        run.outcome.as_deref() == Some("hung") && ran >= KILLED && ran <= KILLED + SLACK,
        format!(
            "{} after {}",
            run.outcome.as_deref().unwrap_or("no outcome"),
            exact(ran)
        ),
    );
}

fn judge_tree(step: &mut Step, tree: &[Member], cages: &[PathBuf]) {
    let left: Vec<u32> = tree
        .iter()
        .map(|member| member.process)
        .filter(|process| process.listed())
        .map(|process| process.pid)
        .collect();
    step.claim(
        "nothing of its process tree is left",
        left.is_empty() && tree.len() > 1,
        format!(
            "{} written down by itself, {} left",
            count(tree.len() as u64, "process"),
            left.len()
        ),
    );
    let standing = cages.iter().filter(|cage| cage.exists()).count();
    if cages.is_empty() {
        step.cannot(
            "its cage is gone",
            "this machine gives no control group to put it in",
        );
    } else {
        step.claim(
            "its cage is gone",
            standing == 0,
            format!("{standing} of {} folders left", cages.len()),
        );
    }
}

/// `glutton` passes its cap while its neighbour works.
pub(super) async fn glutton(seat: &Seat) -> Step {
    let mut step = Step::new(
        "glutton",
        "An agent that passes its memory cap is killed, its neighbour finishes",
    );
    let result = watch_glutton(seat, &mut step).await;
    step.end(result)
}

async fn watch_glutton(seat: &Seat, step: &mut Step) -> Result<(), Failure> {
    let neighbour = seat.send("neighbour", "work", "").await?;
    let beside = seat.under_way("neighbour", &neighbour.push_id).await?;
    step.keep("neighbour_push_id", &neighbour.push_id);
    step.keep("neighbour_main", beside.pid.and_then(Process::of));
    let mut log = KernelLog::from_now();
    step.keep("oom_kills_before", oom_kills());
    let sent = seat.send("glutton", "eat", "").await?;
    step.keep("push_id", &sent.push_id);
    let seen = follow_memory(seat, step, &sent.push_id).await?;
    let receipts = seat.receipts(&sent.push_id, WHOLE_RUN).await?;
    step.keep("receipts", &receipts);
    step.keep("memory", &seen);
    step.keep("oom_kills_after", oom_kills());
    show_chain(step, &receipts);
    let run = seat.ended("glutton", &sent.push_id).await?;
    step.keep("run", &run);
    let capped = judge_memory(step, &run, &seen);
    if let Some(log) = log.as_mut().filter(|_| capped) {
        let kills = log.memory_kills(&cage(&seat.folder.0));
        step.claim(
            "the kernel's own log says so",
            !kills.is_empty(),
            kills
                .first()
                .cloned()
                .unwrap_or_else(|| "it says nothing of this cage".to_owned()),
        );
        step.keep("kernel_log", kills);
    }
    let receipts = seat.receipts(&neighbour.push_id, WHOLE_RUN).await?;
    let finished = seat.ended("neighbour", &neighbour.push_id).await?;
    step.keep("neighbour_receipts", &receipts);
    step.keep("neighbour_run", &finished);
    let around = finished.started_at <= run.started_at && finished.ended_at >= run.ended_at;
    step.claim(
        "its neighbour, running before and after, finishes",
        completed(&receipts) && (around || !capped),
        format!("{}, {}", ending(&receipts), finished.output.trim()),
    );
    Ok(())
}

/// Looks at the glutton's cage as long as it stands: when it ends, so do its files.
async fn follow_memory(seat: &Seat, step: &mut Step, push_id: &str) -> Result<MemorySeen, Failure> {
    let run = seat.under_way("glutton", push_id).await?;
    step.keep("main", run.pid.and_then(Process::of));
    let cgroup = run.cgroup.clone().unwrap_or_default();
    let cages = cages::of_run(&cage(&seat.folder.0), &cgroup);
    step.keep("cages", &cages);
    let mut seen = MemorySeen::default();
    until(WHOLE_RUN, "the glutton was not ended", async || {
        seen.look(&cages);
        let runs = seat.runs_of("glutton", push_id).await?;
        Ok(runs.iter().any(|run| run.outcome.is_some()).then_some(()))
    })
    .await?;
    Ok(seen)
}

/// Answers whether there is a cap at all on this machine.
fn judge_memory(step: &mut Step, run: &RunView, seen: &MemorySeen) -> bool {
    let outcome = run.outcome.as_deref().unwrap_or("no outcome");
    let claim = format!("it is killed past its cap of {CAP}");
    let Some(limit) = seen.limit() else {
        step.cannot(
            claim,
            format!("this machine gives no memory control group; it ended: {outcome}"),
        );
        return false;
    };
    let peak = run.memory_peak.unwrap_or(0).max(seen.peak);
    step.claim(
        claim,
        outcome == "memory-quota-exceeded" && peak <= limit,
        format!(
            "{outcome}, peak {}, the kernel's limit {}",
            bytes(peak),
            bytes(limit)
        ),
    );
    true
}
