//! `lull choose`: what whoever runs the device decides about an app.

use lull_proto::local::v1::ChooseRequest;

use crate::command::{Choose, Global};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::Output;

/// Runs the verb.
pub(crate) async fn run(global: &Global, choose: Choose, output: &Output) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let request = ChooseRequest {
        app: choose.app.clone(),
        pinned: choose.pinned,
        lock_screen: choose.lock_screen,
        auto_upload: choose.auto_upload,
        agents_disabled: choose.agents.map(|on| !on),
    };
    let done = node.operator().choose(request).await;
    done.map_err(|status| node.failure(&status))?;
    if output.json() {
        output.document(&serde_json::json!({
            "app": choose.app,
            "pinned": choose.pinned,
            "lock_screen": choose.lock_screen,
            "auto_upload": choose.auto_upload,
            "agents": choose.agents,
        }));
    } else {
        output.line(format!("{}: chosen", choose.app));
    }
    Ok(())
}
