//! `lull schedule`: an app's agent on this machine's schedule, put there in the app's place.
//!
//! Only an app in the foreground may (ACC-42): this program is the app's front client for as long as the call takes.

use lull_proto::local::v1::{AddScheduledRequest, RemoveScheduledRequest, ScheduledKind};

use crate::command::{Global, Kind, Schedule};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::Output;

/// Runs the verb.
pub(crate) async fn run(
    global: &Global,
    schedule: Schedule,
    output: &Output,
) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let mut apps = node.app();
    let Schedule {
        app,
        kind,
        description,
        off,
    } = schedule;
    // Held until the end of this call.
    let _front = node.in_front_of(&app).await?;
    let word = word(kind);
    if off {
        let request = RemoveScheduledRequest {
            app: app.clone(),
            kind: wire(kind).into(),
        };
        let done = apps.remove_scheduled(request).await;
        done.map_err(|status| node.failure(&status))?;
        if output.json() {
            output.document(&serde_json::json!({ "app": app, "task": word, "scheduled": false }));
        } else {
            output.line(format!("{app}/{word} is off the schedule"));
        }
        return Ok(());
    }
    let request = AddScheduledRequest {
        app: app.clone(),
        kind: wire(kind).into(),
        description,
        expires: None,
    };
    let answer = apps.add_scheduled(request).await;
    let id = answer
        .map_err(|status| node.failure(&status))?
        .into_inner()
        .id;
    if output.json() {
        output.document(
            &serde_json::json!({ "app": app, "task": word, "scheduled": true, "id": id }),
        );
    } else {
        output.line(format!(
            "{app}/{word} is on the schedule, for 14 days unless the app renews it"
        ));
    }
    Ok(())
}

/// As the wire has it.
pub(super) fn wire(kind: Kind) -> ScheduledKind {
    match kind {
        Kind::Periodic => ScheduledKind::Periodic,
        Kind::ResourceIntensive => ScheduledKind::ResourceIntensive,
    }
}

/// The name of the task.
pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Periodic => "periodic",
        Kind::ResourceIntensive => "resource-intensive",
    }
}
