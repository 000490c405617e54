//! The wire's words into the machine's and back. What cannot be is refused by the name of its field.

mod raise;
mod reconcile;
mod schedule;
mod trigger;

use std::time::Duration;

use lull_policy::{
    self as policy, AppId, EntryPoint, Exit, FinishedRun, GroupId, NameError, Outcome, PushId,
    Raised, Refusal, RegistrationRequest, Run, TaskName, Verdict, Wall, bounds,
};
use lull_proto::local::v1 as wire;
use lull_proto::{problem, time};
use serde::Serialize;
use tonic::{Code, Status};

pub(super) use raise::{access_kind, device, expected, wish};
pub(super) use reconcile::{desired, reconciled};
pub(super) use schedule::{delay, instant, scheduled_kind};
use trigger::{condition, trigger};
pub(super) use trigger::{condition_out, trigger_out};

use crate::ports::EngineError;
use crate::status::RunProcess;

/// When a caller may try again after the engine had no room or no store.
const AGAIN: Duration = Duration::from_secs(1);

/// The engine's troubles.
pub(super) fn unavailable(error: &EngineError) -> Status {
    problem::retry_later(Code::Unavailable, error.to_string(), AGAIN)
}

/// The machine's refusals.
pub(super) fn refused(refusal: Refusal) -> Status {
    match refusal {
        Refusal::AccessDenied { message } | Refusal::PermissionDenied { message } => {
            Status::permission_denied(message)
        }
        Refusal::InvalidArgument { field, message } => problem::invalid(&field, message),
        Refusal::AlreadyExists { message } => Status::already_exists(message),
        Refusal::LimitReached { message } => Status::resource_exhausted(message),
        Refusal::NotFound { message } => Status::not_found(message),
        Refusal::Unsupported { message } => Status::unimplemented(message),
        Refusal::FailedPrecondition { message } => Status::failed_precondition(message),
    }
}

/// A name, parsed.
fn name<T>(field: &str, parsed: Result<T, NameError>) -> Result<T, Status> {
    parsed.map_err(|error| problem::invalid(field, error.to_string()))
}

/// An app's id, from the field `app`.
pub(super) fn app(text: String) -> Result<AppId, Status> {
    name("app", AppId::new(text))
}

/// A task's name.
pub(super) fn task(field: &str, text: String) -> Result<TaskName, Status> {
    name(field, TaskName::new(text))
}

/// A push's id.
pub(super) fn push(field: &str, text: String) -> Result<PushId, Status> {
    name(field, PushId::new(text))
}

/// A registration as asked for.
pub(super) fn registration(request: wire::RegisterRequest) -> Result<RegistrationRequest, Status> {
    if request.conditions.len() > bounds::CONDITIONS {
        let message = format!(
            "{} conditions, at most {} are accepted",
            request.conditions.len(),
            bounds::CONDITIONS
        );
        return Err(problem::invalid("conditions", message));
    }
    let conditions = request.conditions.iter().enumerate();
    let (entry_point, trigger) = (entry_point(request.entry_point)?, trigger(request.trigger)?);
    if entry_point.is_none() {
        in_process(&trigger)?;
    }
    Ok(RegistrationRequest {
        name: task("name", request.name)?,
        entry_point,
        trigger,
        conditions: conditions
            .map(|(n, number)| condition(n, *number))
            .collect::<Result<_, _>>()?,
        cancel_on_condition_loss: request.cancel_on_condition_loss,
        network_requested: request.network_requested,
        group: group(request.group)?,
        replace: request.replace,
        dry_run: request.dry_run,
    })
}

/// Empty = none.
fn group(text: String) -> Result<Option<GroupId>, Status> {
    let named = (!text.is_empty()).then_some(text);
    named
        .map(|text| name("group", GroupId::new(text)))
        .transpose()
}

/// A socket is handed to a process that begins with it, which the app's own has done long ago.
fn in_process(trigger: &policy::Trigger) -> Result<(), Status> {
    match trigger {
        policy::Trigger::Socket { .. } | policy::Trigger::ControlChannel { .. } => {
            Err(problem::invalid(
                "entry_point",
                "missing; sockets and control channels wake an agent of the manifest, so name one",
            ))
        }
        _ => Ok(()),
    }
}

/// Empty = the app's own process (ACC-21).
fn entry_point(text: String) -> Result<Option<EntryPoint>, Status> {
    let named = (!text.is_empty()).then_some(text);
    named
        .map(|text| name("entry_point", EntryPoint::new(text)))
        .transpose()
}

/// What the operator chose; `None` = leave it to the app.
pub(super) fn choice(number: i32) -> Result<Option<policy::AccessChoice>, Status> {
    match wire::AccessChoice::try_from(number) {
        Ok(wire::AccessChoice::Always) => Ok(Some(policy::AccessChoice::Always)),
        Ok(wire::AccessChoice::Never) => Ok(Some(policy::AccessChoice::Never)),
        Ok(wire::AccessChoice::App) => Ok(None),
        Ok(wire::AccessChoice::Unspecified) | Err(_) => Err(problem::invalid(
            "choice",
            format!("{number} is not known; set always (1), never (2) or app (3)"),
        )),
    }
}

/// How many runs to list.
pub(super) fn limit(asked: u32) -> Result<usize, Status> {
    const DEFAULT: usize = 50;
    let most = bounds::FINISHED_RUNS;
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => Ok(DEFAULT),
        n if n <= most => Ok(n),
        n => Err(problem::invalid(
            "limit",
            format!("{n} runs, at most {most} are kept"),
        )),
    }
}

/// An access status.
pub(super) fn access(status: policy::AccessStatus) -> wire::AccessStatus {
    match status {
        policy::AccessStatus::Unspecified => wire::AccessStatus::NotRequested,
        policy::AccessStatus::AlwaysAllowed => wire::AccessStatus::AlwaysAllowed,
        policy::AccessStatus::AllowedSubjectToSystemPolicy => wire::AccessStatus::Allowed,
        policy::AccessStatus::DeniedBySystemPolicy => wire::AccessStatus::DeniedBySystemPolicy,
        policy::AccessStatus::DeniedByUser => wire::AccessStatus::DeniedByUser,
    }
}

/// What raising answered.
pub(super) fn raised(raised: Raised) -> wire::Raised {
    match raised {
        Raised::Allowed => wire::Raised::Allowed,
        Raised::CurrentlyRunning => wire::Raised::CurrentlyRunning,
        Raised::DisabledByPolicy => wire::Raised::DisabledByPolicy,
        Raised::DeniedByUser => wire::Raised::DeniedByUser,
        Raised::DeniedBySystem => wire::Raised::DeniedBySystem,
        Raised::LowBattery => wire::Raised::LowBattery,
    }
}

/// A moment.
pub(super) fn moment(wall: Wall) -> prost_types::Timestamp {
    time::timestamp(wall.as_millis())
}

/// A run under way.
pub(super) fn under_way(run: &Run, process: Option<&RunProcess>) -> wire::Run {
    wire::Run {
        run: run.id.0,
        app: run.app.to_string(),
        task: run.task.to_string(),
        number: run.number,
        state: word(&run.state),
        cancel_reason: run.cancel_reason.as_ref().map(word).unwrap_or_default(),
        started_at: Some(moment(run.started)),
        progress: run.progress,
        push_id: run.push.clone().map(String::from).unwrap_or_default(),
        attempt: run.attempt,
        pid: process.map_or(0, |process| process.pid),
        cgroup: process
            .map(|process| process.cgroup.clone())
            .unwrap_or_default(),
        ..wire::Run::default()
    }
}

/// A run that ended.
pub(super) fn finished(run: &FinishedRun) -> wire::Run {
    wire::Run {
        run: run.id.0,
        app: run.app.to_string(),
        task: run.task.to_string(),
        number: run.number,
        outcome: outcome(run.outcome),
        cancel_reason: run.cancel_reason.as_ref().map(word).unwrap_or_default(),
        message: run.message.clone().unwrap_or_default(),
        started_at: Some(moment(run.started)),
        ended_at: Some(moment(run.ended)),
        ran: Some(time::duration(run.ran.as_millis())),
        progress: run.progress,
        memory_peak: run.usage.memory_peak.map(|bytes| bytes.0),
        push_id: run.push.clone().map(String::from).unwrap_or_default(),
        attempt: run.attempt,
        output: run.output.clone(),
        exit: exit(&run.exit),
        ..wire::Run::default()
    }
}

/// An outcome's word.
pub(super) fn outcome(outcome: Outcome) -> String {
    word(&outcome)
}

fn exit(exit: &Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exit status {status}"),
        Exit::Signal(signal) => format!("signal {signal}"),
        Exit::MemoryExceeded => "killed by the kernel at its memory cap".to_owned(),
        Exit::SystemMemory => {
            "killed by the kernel: the whole device was short of memory".to_owned()
        }
        Exit::LaunchFailed { message } => format!("not started: {message}"),
        Exit::Lost => "lost: nobody held it when the daemon came back".to_owned(),
        Exit::Vanished => {
            "it went with the app's own process; nobody saw how that ended".to_owned()
        }
    }
}

/// Why a task does not run.
pub(super) fn explanation(explanation: &policy::Explanation) -> wire::Explanation {
    wire::Explanation {
        app: explanation.app.to_string(),
        task: explanation.task.to_string(),
        registration: explanation.registration.0,
        waiting_since: explanation.waiting_since.map(moment),
        waiting: explanation.waiting,
        running: explanation.running.map_or(0, |run| run.0),
        blocked: explanation.blocked.as_ref().map(word).unwrap_or_default(),
        reasons: explanation.reasons.iter().map(why).collect(),
        fires: explanation.fires.clone(),
        next: explanation.next.map(moment),
        recent: explanation.recent.iter().map(verdict).collect(),
        starves: explanation.starves.as_ref().map(starvation),
    }
}

fn starvation(starvation: &policy::Starvation) -> wire::Starvation {
    let blocked_by = match starvation.blocked_by {
        Some(policy::Blocker::Waits(reason)) => word(&reason),
        Some(policy::Blocker::Drops(reason)) => word(&reason),
        None => String::new(),
    };
    wire::Starvation {
        since: Some(moment(starvation.since)),
        expected: starvation.expected,
        actual: starvation.actual,
        blocked_by,
        remedy_by: starvation.proposal.by().to_owned(),
        remedy: starvation.proposal.to_string(),
    }
}

fn why(why: &policy::Why) -> wire::Why {
    wire::Why {
        reason: word(&why.reason),
        since: why.since.map(moment),
        seen: why.seen.clone(),
        needs: why.needs.clone(),
        until: why.until.map(moment),
    }
}

fn verdict(entry: &policy::VerdictEntry) -> wire::VerdictEntry {
    let (verdict, reason) = match entry.verdict {
        Verdict::Ran => ("ran", String::new()),
        Verdict::Waiting(reason) => ("waiting", word(&reason)),
        Verdict::Dropped(reason) => ("dropped", word(&reason)),
    };
    wire::VerdictEntry {
        firing: entry.firing,
        fired: Some(moment(entry.fired)),
        verdict: verdict.to_owned(),
        reason,
        decided: Some(moment(entry.decided)),
        run: entry.run.map_or(0, |run| run.0),
    }
}

/// The rule book's word for a plain value: the name it has in records and files.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        // Only values without content are asked for.
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_starving_task_names_its_gate_and_its_remedy() {
        let starves = policy::Starvation {
            registration: policy::RegistrationId(1),
            since: Wall::from_millis(0),
            expected: 3,
            actual: 0,
            blocked_by: Some(policy::Blocker::Waits(policy::WaitReason::BatteryLevel)),
            proposal: policy::Proposal::Figure {
                name: "intensive_battery_above".to_owned(),
                now: "90 %".to_owned(),
                then: "79.9 %".to_owned(),
            },
        };
        let wire = starvation(&starves);
        assert_eq!(wire.blocked_by, "battery-level");
        assert_eq!(wire.remedy_by, "policy");
        assert_eq!(
            wire.remedy,
            "set intensive_battery_above from 90 % to 79.9 %"
        );
    }

    #[test]
    fn no_entry_point_is_the_apps_own_process() {
        assert_eq!(entry_point(String::new()).unwrap(), None, "ACC-21");
        let named = entry_point("photo-sync".to_owned()).unwrap();
        assert_eq!(named.unwrap().as_str(), "photo-sync");
        let refused = entry_point("a\nb".to_owned()).unwrap_err();
        assert_eq!(problem::violations(&refused).remove(0).0, "entry_point");
    }

    #[test]
    fn statuses_choices_and_answers_have_their_numbers() {
        use policy::AccessStatus as Status;
        for (status, number) in [
            (Status::Unspecified, 1),
            (Status::AlwaysAllowed, 2),
            (Status::AllowedSubjectToSystemPolicy, 3),
            (Status::DeniedBySystemPolicy, 4),
            (Status::DeniedByUser, 5),
        ] {
            assert_eq!(i32::from(access(status)), number);
        }
        for (raised_as, number) in [
            (Raised::Allowed, 1),
            (Raised::CurrentlyRunning, 2),
            (Raised::DisabledByPolicy, 3),
            (Raised::DeniedByUser, 4),
            (Raised::DeniedBySystem, 5),
            (Raised::LowBattery, 6),
        ] {
            assert_eq!(i32::from(raised(raised_as)), number);
        }
        assert_eq!(choice(1).unwrap(), Some(policy::AccessChoice::Always));
        assert_eq!(choice(2).unwrap(), Some(policy::AccessChoice::Never));
        assert_eq!(choice(3).unwrap(), None);
        for wrong in [0, 4, -1] {
            assert_eq!(
                problem::violations(&choice(wrong).unwrap_err())[0].0,
                "choice"
            );
        }
    }

    #[test]
    fn words_are_those_of_the_rule_book() {
        assert_eq!(
            outcome(Outcome::MemoryQuotaExceeded),
            "memory-quota-exceeded"
        );
        assert_eq!(
            word(&policy::CancelReason::ExecutionTimeExceeded),
            "execution-time-exceeded"
        );
        assert_eq!(word(&policy::RunState::Cancelling), "cancelling");
        assert_eq!(word(&policy::DropReason::NoHandler), "no-handler");
        assert_eq!(
            word(&policy::WaitReason::UserNotPresent),
            "user-not-present"
        );
    }

    #[test]
    fn refusals_have_the_code_that_says_what_to_do() {
        let message = || "in words".to_owned();
        for (refusal, code) in [
            (
                Refusal::AccessDenied { message: message() },
                Code::PermissionDenied,
            ),
            (
                Refusal::PermissionDenied { message: message() },
                Code::PermissionDenied,
            ),
            (
                Refusal::AlreadyExists { message: message() },
                Code::AlreadyExists,
            ),
            (
                Refusal::LimitReached { message: message() },
                Code::ResourceExhausted,
            ),
            (Refusal::NotFound { message: message() }, Code::NotFound),
        ] {
            let status = refused(refusal);
            assert_eq!((status.code(), status.message()), (code, "in words"));
        }
        assert_eq!(
            unavailable(&EngineError::Full(1_024)).code(),
            Code::Unavailable
        );
    }
}
