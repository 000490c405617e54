//! The node is killed in the middle of a run: the agent goes on, and the next daemon adopts it and reports its end.

use std::path::Path;
use std::time::Duration;

use super::seat::{PROMPT, Seat, completed, ending, hops, show_chain};
use super::step::Step;
use crate::failure::Failure;
use crate::proc::Process;
use crate::up::daemon::until;
use crate::up::pair::Pair;

/// For a run of 7 s to end, with a daemon's start in it.
const REST: Duration = Duration::from_secs(30);

/// Runs the step; the pair's node is another at its end.
pub(super) async fn run(pair: &mut Pair) -> Step {
    let mut step = Step::new(
        "adoption",
        "The node is killed in the middle of a run, adopts it, and reports its end",
    );
    let result = work(pair, &mut step).await;
    step.end(result)
}

async fn work(pair: &mut Pair, step: &mut Step) -> Result<(), Failure> {
    let seat = Seat::of(pair).await?;
    let beats = seat.app_state("neighbour").join("beats.log");
    let sent = seat.send("neighbour", "work on", "").await?;
    let before = seat.under_way("neighbour", &sent.push_id).await?;
    let main = before.pid.and_then(Process::of);
    step.keep("push_id", &sent.push_id);
    step.keep("run_before", &before);
    step.keep("main", main);
    step.keep("beats", &beats);
    let begun = beat_after(&beats, before.run, 0).await?;
    let (killed, launcher) = (pair.node_process(), pair.launcher_process());
    pair.kill_node().await?;
    let alone = beat_after(&beats, before.run, begun + 1).await?;
    let alive = main.is_some_and(Process::alive);
    step.keep("beat_at_kill", begun);
    step.keep("beat_without_daemon", alone);
    step.claim(
        "the agent works on while no daemon runs",
        alive && alone > begun,
        format!("beat {begun} before the kill, beat {alone} with no daemon"),
    );
    pair.start_node().await?;
    step.keep("killed_node", killed);
    step.keep("node", pair.node_process());
    step.keep("launcher_before", launcher);
    step.keep("launcher", pair.launcher_process());
    follow(pair, step, &sent.push_id, before.run, main).await
}

async fn follow(
    pair: &mut Pair,
    step: &mut Step,
    push_id: &str,
    run: u64,
    main: Option<Process>,
) -> Result<(), Failure> {
    let seat = Seat::of(pair).await?;
    let adopted = seat.under_way("neighbour", push_id).await?;
    step.keep("run_adopted", &adopted);
    let same = adopted.run == run && adopted.pid.and_then(Process::of) == main;
    step.claim(
        "the new daemon adopts the run",
        same && adopted.outcome.is_none(),
        format!(
            "run {} {}, process {}, launcher {}",
            adopted.run,
            adopted.state.as_deref().unwrap_or("over"),
            adopted
                .pid
                .map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()),
            pair.launcher_process()
                .map_or_else(|| "unknown".to_owned(), |launcher| launcher.pid.to_string()),
        ),
    );
    let receipts = seat.receipts(push_id, REST).await?;
    show_chain(step, &receipts);
    step.keep("receipts", &receipts);
    let ended = seat.ended("neighbour", push_id).await?;
    step.keep("run", &ended);
    step.claim(
        "it reports the end of that same run, to the coordinator too",
        ended.run == run
            && ended.attempt == 1
            && completed(&receipts)
            && receipts
                .iter()
                .all(|receipt| receipt.run.is_none_or(|told| told == run)),
        format!(
            "{}, {}, attempt {}",
            hops(&receipts),
            ending(&receipts),
            ended.attempt
        ),
    );
    Ok(())
}

/// Waits for a beat of the run with a number above `above`; answers it.
async fn beat_after(beats: &Path, run: u64, above: u64) -> Result<u64, Failure> {
    until(PROMPT, "the neighbour's heart does not beat", async || {
        let text = std::fs::read_to_string(beats).unwrap_or_default();
        let last = text.lines().rev().find_map(|line| {
            let mut words = line.split(' ').map(str::parse::<u64>);
            let ours = words.next()?.ok()? == run;
            words.next()?.ok().filter(|_| ours)
        });
        Ok(last.filter(|beat| *beat > above))
    })
    .await
}
