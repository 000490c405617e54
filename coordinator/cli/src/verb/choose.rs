//! `lull choose`: what whoever runs the device decides about an app.

use lull_proto::local::v1::{AccessChoice, ChooseRequest, SetAccessRequest, SetConsentRequest};

use crate::command::{Access, Choose, Global};
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
    let chosen = [
        choose.pinned,
        choose.lock_screen,
        choose.auto_upload,
        choose.agents,
    ];
    if chosen.iter().any(Option::is_some) {
        let done = node.operator().choose(request).await;
        done.map_err(|status| node.failure(&status))?;
    }
    if let Some(access) = choose.access {
        set_access(&node, &choose.app, access).await?;
    }
    for (device, given) in [(&choose.revoke, false), (&choose.consent, true)] {
        if let Some(device) = device {
            set_consent(&node, &choose.app, device, given).await?;
        }
    }
    if output.json() {
        output.document(&serde_json::json!({
            "app": choose.app,
            "access": choose.access.map(word),
            "consent": choose.consent,
            "revoke": choose.revoke,
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

async fn set_access(node: &Node, app: &str, access: Access) -> Result<(), Failure> {
    let choice = match access {
        Access::Always => AccessChoice::Always,
        Access::Never => AccessChoice::Never,
        Access::App => AccessChoice::App,
    };
    let request = SetAccessRequest {
        app: app.to_owned(),
        choice: choice.into(),
    };
    let done = node.operator().set_access(request).await;
    done.map_err(|status| node.failure(&status))?;
    Ok(())
}

async fn set_consent(node: &Node, app: &str, device: &str, given: bool) -> Result<(), Failure> {
    let request = SetConsentRequest {
        app: app.to_owned(),
        device: device.to_owned(),
        given,
    };
    let done = node.operator().set_consent(request).await;
    done.map_err(|status| node.failure(&status))?;
    Ok(())
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Always => "always",
        Access::Never => "never",
        Access::App => "app",
    }
}
