//! Apps into the machine: hands over what the manifests say, then makes the registrations they declare.
//!
//! Idempotent: a declared registration that stands with equal content is left alone, with its timer and its queue.

use std::collections::BTreeSet;

use lull_policy::{AccessStatus, Answer, AppId, Caller, Event, Registration, Request};
use tokio::sync::Mutex;

use crate::ports::{DeclaredRegistration, EngineError, EngineRef, ReloadReport, look};

/// Hands the installed apps to the machine, waits for the commit, and makes the declared registrations that do
/// not stand yet. A refusal of one is logged and does not keep the others.
pub async fn install(engine: &EngineRef, report: &ReloadReport) -> Result<(), EngineError> {
    // The folder is followed while the operator asks for it to be read: each report is told whole, one after the other.
    static ONE: Mutex<()> = Mutex::const_new(());
    let _one = ONE.lock().await;
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
        && standing.network_requested == declared.request.network_requested
        && standing.group == declared.request.group
}

async fn ask_access(engine: &EngineRef, app: AppId) -> Result<(), EngineError> {
    // A grant that an update made stale has to be dropped first (ACC-02); without one there is nothing to drop.
    let requests = [
        Request::RemoveAccess { app: app.clone() },
        Request::RequestAccess { app: app.clone() },
    ];
    for request in requests {
        if let Answer::Refused(refusal) = engine.call(Caller::Operator, request).await? {
            tracing::warn!(%app, %refusal, "access for a manifest's own registrations was refused");
        }
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
        answer @ (Answer::Access(_)
        | Answer::Valid { .. }
        | Answer::Unregistered
        | Answer::Reconciled(_)
        | Answer::Done
        | Answer::Granted(_)
        | Answer::Raised(_)) => {
            tracing::error!(%app, %name, ?answer, "registering was answered by something else");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lull_policy::{Device, EntryPoint, RegistrationRequest, Trigger};

    use super::*;
    use crate::engine::rig::{PATIENCE, app, name, on_runtime, photos, rig};

    fn report(version: &str, minutes: u32) -> ReloadReport {
        let mut installed = photos();
        installed.version = version.into();
        installed.agents[0].types.push(lull_policy::TaskType::Timer);
        let request = |task, trigger| RegistrationRequest {
            conditions: vec![
                lull_policy::Condition::UserPresent,
                lull_policy::Condition::InternetAvailable,
            ],
            ..RegistrationRequest::new(name(task), EntryPoint::new("photo-sync").ok(), trigger)
        };
        let timer = Trigger::Timer {
            minutes,
            one_shot: false,
        };
        let declared = [request("tick", timer), request("told", Trigger::Push)];
        ReloadReport {
            apps: vec![installed],
            declared: declared
                .map(|request| DeclaredRegistration {
                    app: app(),
                    request,
                })
                .into(),
            refused: Vec::new(),
        }
    }

    fn ids(device: &Device) -> Vec<(String, u64)> {
        let registrations = device.registrations();
        registrations
            .map(|r| (r.name.to_string(), r.id.0))
            .collect()
    }

    #[test]
    fn what_is_declared_is_registered_once_and_replaced_when_it_changes() {
        on_runtime(async |arbiter| {
            let rig = rig(&arbiter, PATIENCE).await;
            let state = async || {
                look(&rig.door, |device, _now| {
                    (ids(device), device.access(&app()))
                })
                .await
                .unwrap()
            };
            install(&rig.door, &report("1.0", 30)).await.unwrap();
            let (first, access) = state().await;
            assert_eq!(access, AccessStatus::AllowedSubjectToSystemPolicy);
            let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["sync", "pushed", "tick", "told"]);
            install(&rig.door, &report("1.0", 30)).await.unwrap();
            assert_eq!(state().await.0, first, "equal registrations stand");
            install(&rig.door, &report("2.0", 45)).await.unwrap();
            let (second, access) = state().await;
            assert_eq!(
                access,
                AccessStatus::AllowedSubjectToSystemPolicy,
                "stale by the update"
            );
            let moved: Vec<_> = second.iter().filter(|one| !first.contains(one)).collect();
            assert_eq!(moved.len(), 1, "{second:?}");
            assert_eq!(moved[0].0, "tick");
            rig.handle.end().await;
        });
    }
}
