//! `lull debug attach`: holds the limits of a run while somebody looks into it.

use lull_proto::local::v1::DebugRequest;
use lull_proto::local::v1::debug_response::Event;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::command::{Global, RunNumber};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::Output;

/// Runs the verb until the run ends, or this program is interrupted.
pub(crate) async fn run(global: &Global, of: RunNumber, output: &Output) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let RunNumber { run } = of;
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|error| Failure::internal("cannot listen for an interrupt", &error.into()))?;
    let answered = node.operator().debug(DebugRequest { run }).await;
    let mut events = answered
        .map_err(|status| node.failure(&status))?
        .into_inner();
    loop {
        let event = tokio::select! {
            event = events.message() => event.map_err(|status| node.failure(&status))?,
            _ = interrupt.recv() => {
                output.note(format!("detached: the limits of run {run} count anew from now"));
                return Ok(());
            }
        };
        match event.and_then(|message| message.event) {
            Some(Event::Attached(attached)) if output.json() => output.record(&json!({
                "run": run,
                "app": attached.app,
                "task": attached.task,
                "pid": attached.pid,
                "limits_kept": attached.limits_kept,
            })),
            Some(Event::Attached(attached)) => {
                output.line(format!(
                    "attached to run {run}, {}/{}, process {}",
                    attached.app, attached.task, attached.pid
                ));
                if attached.limits_kept {
                    output
                        .note("the policy of this device keeps the limits (debugger_keeps_limits)");
                } else {
                    output.note(format!(
                        "its limits of memory and time are suspended until Ctrl-C; for instance: gdb -p {}",
                        attached.pid
                    ));
                }
            }
            Some(Event::Ended(ended)) if output.json() => {
                output.record(&json!({ "run": run, "outcome": ended.outcome, "exit": ended.exit }));
            }
            Some(Event::Ended(ended)) => {
                output.line(format!(
                    "run {run} ended: {}, {}",
                    ended.outcome, ended.exit
                ));
            }
            None => return Ok(()),
        }
    }
}
