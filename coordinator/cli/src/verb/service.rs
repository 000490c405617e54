//! `lull service`: an app's task services a device, asked for in the app's place (TRGD-34, TRGD-35).
//!
//! Only an app in the foreground may ask, and only whoever runs the device says that its user consents: this program is both for as
//! long as the call takes.

use lull_proto::local::v1::{Raised, RequestServicingRequest};

use crate::command::{Global, Service};
use crate::failure::Failure;
use crate::node::Node;
use crate::output::Output;

/// Runs the verb.
pub(crate) async fn run(global: &Global, service: Service, output: &Output) -> Result<(), Failure> {
    let node = Node::of(global).await?;
    let (app, task) = service.task;
    let (app, task) = (app.to_string(), task.to_string());
    let mut apps = node.app();
    // Held until the end of this call.
    let _front = node.in_front_of(&app).await?;
    let expected = service.expected.map(|expected| {
        // The node refuses what is too long.
        expected.try_into().unwrap_or_default()
    });
    let request = RequestServicingRequest {
        app: app.clone(),
        name: task.clone(),
        device: service.device.clone(),
        expected,
        consent: service.consent,
    };
    let answer = apps.request_servicing(request).await;
    let answer = answer.map_err(|status| node.failure(&status))?.into_inner();
    if answer.result() != Raised::Allowed {
        return Err(Failure::Refused(format!(
            "{app}/{task} does not service {}: {}",
            service.device,
            why_not(answer.result())
        )));
    }
    if output.json() {
        output.document(&serde_json::json!({ "app": app, "task": task, "device": service.device }));
    } else {
        output.line(format!(
            "{app}/{task} services {}; `lull runs {app}` shows how it goes",
            service.device
        ));
    }
    Ok(())
}

fn why_not(result: Raised) -> &'static str {
    match result {
        Raised::Allowed => "nothing is against it",
        Raised::CurrentlyRunning => "a servicing task runs already, and there is one at a time",
        Raised::DisabledByPolicy => "access, policy or Battery Saver is against it; see `lull why`",
        Raised::DeniedByUser => {
            "the device's user has to consent this time; ask, then add --consent"
        }
        Raised::DeniedBySystem => {
            "the device is not there, or the app's manifest has no device-servicing that the device's maker signed"
        }
        Raised::LowBattery => "the charge is too low; connect power",
        Raised::Unspecified => "the node gave no reason that this program knows",
    }
}
