//! Tracers found on runs: whoever debugs an agent with `gdb -p` or `strace -p` need not say so.
//!
//! The kernel has no word for it, so the processes of runs are looked at every second, on devices in developer mode and while there are any. An
//! agent cannot trace itself to be rid of its limits: its sandbox has no `ptrace`, and a tracer that is in a cage itself counts for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lull_policy::RunId;

use super::{Debuggers, Session};
use crate::local::{Place, place};
use crate::ports::{EngineRef, look};
use crate::status::{RunProcess, StatusBoard};

/// How often processes are looked at; a person who attaches a debugger needs longer to type the next word.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for tracers until the daemon ends.
pub async fn find(debuggers: Debuggers, engine: EngineRef, board: Arc<StatusBoard>, cages: String) {
    let mut sessions: BTreeMap<RunId, Session> = BTreeMap::new();
    loop {
        board.some_process().await;
        let traced = traced(&board.read().processes, &cages);
        sessions.retain(|run, _| traced.contains(run));
        for run in traced {
            if sessions.contains_key(&run) {
                continue;
            }
            let task = look(&engine, move |device, _now| {
                let mut runs = device.runs();
                let found = runs.find(|of| of.id == run);
                found.map(|run| (run.app.clone(), run.task.clone()))
            });
            // One that has ended meanwhile needs no session.
            if let Ok(Some((app, task))) = task.await {
                tracing::info!(run = run.0, %app, %task, "a tracer was found: its limits are suspended while it stays");
                sessions.insert(run, debuggers.attach(app, task));
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn traced(processes: &BTreeMap<RunId, RunProcess>, cages: &str) -> Vec<RunId> {
    let traced = processes
        .iter()
        .filter(|(_, process)| is_traced(process, cages));
    traced.map(|(run, _)| *run).collect()
}

fn is_traced(process: &RunProcess, cages: &str) -> bool {
    // In a cage there is only what agents started.
    tracer(process.pid).is_some_and(|tracer| place(tracer, cages) == Place::Outside)
}

/// Who traces a process.
fn tracer(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok().filter(|tracer| *tracer != 0)
}
