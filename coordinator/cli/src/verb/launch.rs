//! `lull launch`: a scheduled agent, run for test.

use lull_proto::local::v1::LaunchForTestRequest;

use super::schedule::{wire, word};
use crate::command::{Global, Launch};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::Output;

/// Runs the verb.
pub(crate) async fn run(global: &Global, launch: Launch, output: &Output) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let Launch { app, kind, delay } = launch;
    let delay = delay.map(|delay| {
        // The node refuses what is too long.
        delay.try_into().unwrap_or_default()
    });
    let request = LaunchForTestRequest {
        app: app.clone(),
        kind: wire(kind).into(),
        delay,
    };
    let done = node.operator().launch_for_test(request).await;
    done.map_err(|status| node.failure(&status))?;
    let word = word(kind);
    if output.json() {
        output.document(&serde_json::json!({ "app": app, "task": word }));
    } else {
        output.line(format!(
            "{app}/{word} is launched; `lull runs {app}` shows how it goes"
        ));
    }
    Ok(())
}
