//! Apps into the machine: hands over what the manifests say, then makes the registrations they declare.
//!
//! Idempotent: a declared registration that stands with equal content is left alone, with its timer and its queue.

use std::collections::BTreeSet;

use lull_policy::{AccessStatus, Answer, AppId, Caller, Event, Registration, Request};

use crate::ports::{DeclaredRegistration, EngineError, EngineRef, ReloadReport, look};

/// Hands the installed apps to the machine, waits for the commit, and makes the declared registrations that do
/// not stand yet. A refusal of one is logged and does not keep the others.
pub async fn install(engine: &EngineRef, report: &ReloadReport) -> Result<(), EngineError> {
    engine.commit(Event::Apps(report.apps.clone())).await?;
    let wanted = wanted(engine, report.declared.clone()).await?;
    for app in wanted.access {
        ask_access(engine, app).await?;
    }
    for declared in wanted.registrations {
        register(engine, declared).await?;
    }
    Ok(())
}

/// What declared registrations still need.
#[derive(Debug, Default)]
struct Wanted {
    /// Apps that never asked for access, dropped it, or whose update made it stale (ACC-02).
    access: BTreeSet<AppId>,
    /// Registrations that do not stand with equal content.
    registrations: Vec<DeclaredRegistration>,
}

async fn wanted(
    engine: &EngineRef,
    declared: Vec<DeclaredRegistration>,
) -> Result<Wanted, EngineError> {
    look(engine, move |device, _now| {
        let mut wanted = Wanted::default();
        for declaration in declared {
            if device.access(&declaration.app) == AccessStatus::Unspecified {
                wanted.access.insert(declaration.app.clone());
            }
            if !device.registrations().any(|r| equals(r, &declaration)) {
                wanted.registrations.push(declaration);
            }
        }
        wanted
    })
    .await
}

fn equals(standing: &Registration, declared: &DeclaredRegistration) -> bool {
    let mut conditions = declared.request.conditions.clone();
    conditions.sort_unstable();
    conditions.dedup();
    standing.app == declared.app
        && standing.name == declared.request.name
        && standing.entry_point == declared.request.entry_point
        && standing.trigger == declared.request.trigger
        && standing.conditions == conditions
        && standing.cancel_on_condition_loss == declared.request.cancel_on_condition_loss
}

async fn ask_access(engine: &EngineRef, app: AppId) -> Result<(), EngineError> {
    let request = Request::RequestAccess { app: app.clone() };
    if let Answer::Refused(refusal) = engine.call(Caller::Operator, request).await? {
        tracing::warn!(%app, %refusal, "access for a manifest's own registrations was refused");
    }
    Ok(())
}

async fn register(engine: &EngineRef, declared: DeclaredRegistration) -> Result<(), EngineError> {
    let DeclaredRegistration { app, mut request } = declared;
    request.replace = true;
    let name = request.name.clone();
    let call = Request::Register {
        app: app.clone(),
        registration: request,
    };
    match engine.call(Caller::Operator, call).await? {
        Answer::Registered { id, warnings } => {
            tracing::info!(%app, %name, id = id.0, ?warnings, "registered what the manifest declares");
        }
        Answer::Refused(refusal) => {
            tracing::warn!(%app, %name, %refusal, "a registration that the manifest declares was refused");
        }
        answer @ (Answer::Access(_) | Answer::Unregistered | Answer::Raised(_)) => {
            tracing::error!(%app, %name, ?answer, "registering was answered by something else");
        }
    }
    Ok(())
}
