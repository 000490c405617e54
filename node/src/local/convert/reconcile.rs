//! All that an app wants registered, and what became of it (ACC-32).

use lull_policy::{Reconciled, RegistrationRequest, TaskName, bounds};
use lull_proto::local::v1 as wire;
use lull_proto::problem;
use tonic::Status;

use super::registration;

/// What is desired. A field that is wrong is named with its place: `desired[2].trigger`.
pub(in crate::local) fn desired(
    tasks: Vec<wire::DesiredTask>,
) -> Result<Vec<RegistrationRequest>, Status> {
    if tasks.len() > bounds::DESIRED {
        let message = format!(
            "{} registrations are more than an app may have, {}; group what belongs together in one task",
            tasks.len(),
            bounds::DESIRED
        );
        return Err(problem::invalid("desired", message));
    }
    let tasks = tasks.into_iter().enumerate();
    tasks
        .map(|(place, task)| registration(whole(task)).map_err(|status| at(place, &status)))
        .collect()
}

/// What reconciling did.
pub(in crate::local) fn reconciled(done: Reconciled) -> wire::ReconcileResponse {
    let names = |names: Vec<TaskName>| names.into_iter().map(String::from).collect();
    wire::ReconcileResponse {
        registered: names(done.registered),
        unregistered: names(done.unregistered),
        replaced: names(done.replaced),
        kept: names(done.kept),
    }
}

/// The registration that is meant.
fn whole(task: wire::DesiredTask) -> wire::RegisterRequest {
    wire::RegisterRequest {
        name: task.name,
        entry_point: task.entry_point,
        trigger: task.trigger,
        conditions: task.conditions,
        cancel_on_condition_loss: task.cancel_on_condition_loss,
        network_requested: task.network_requested,
        ..wire::RegisterRequest::default()
    }
}

/// The same refusal, of the registration at a place.
fn at(place: usize, status: &Status) -> Status {
    let violations = problem::violations(status);
    match violations.into_iter().next() {
        Some((field, message)) => problem::invalid(&format!("desired[{place}].{field}"), message),
        None => status.clone(),
    }
}
