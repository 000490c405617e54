//! What `--json` shows: wire messages with stable field names. Times are RFC 3339 in UTC, spans milliseconds, sizes
//! bytes; what is absent is `null` or an empty list, never left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lull_proto::{fleet, local, push, time};
use serde::Serialize;

/// A wire time; none where it is absent or names no moment.
pub(crate) fn moment(timestamp: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let millis = time::wall_millis(&timestamp?).ok()?;
    Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn numbered(number: u64) -> Option<u64> {
    Some(number).filter(|number| *number != 0)
}

/// A device of the fleet.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DeviceView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) connected: bool,
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) enrolled_at: Option<Timestamp>,
    pub(crate) waiting: u32,
    pub(crate) apps: Vec<String>,
    pub(crate) node_version: String,
}

impl From<fleet::v1::Device> for DeviceView {
    fn from(device: fleet::v1::Device) -> Self {
        Self {
            id: device.id,
            name: device.name,
            labels: device.labels.into_iter().collect(),
            connected: device.connected,
            last_seen: moment(device.last_seen),
            enrolled_at: moment(device.enrolled_at),
            waiting: device.waiting,
            apps: device.apps,
            node_version: device.node_version,
        }
    }
}

/// One hop of a push on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ReceiptView {
    pub(crate) device: String,
    pub(crate) hop: &'static str,
    pub(crate) at: Option<Timestamp>,
    pub(crate) terminal: bool,
    pub(crate) run: Option<u64>,
    pub(crate) attempt: Option<u32>,
    pub(crate) outcome: Option<String>,
    pub(crate) reason: Option<String>,
}

impl ReceiptView {
    /// A receipt of a device.
    pub(crate) fn new(device: String, receipt: push::v1::Receipt) -> Self {
        Self {
            device,
            hop: hop_name(receipt.hop()),
            at: moment(receipt.at),
            terminal: receipt.terminal,
            run: numbered(receipt.run),
            attempt: Some(receipt.attempt).filter(|attempt| *attempt != 0),
            outcome: filled(receipt.outcome),
            reason: filled(receipt.reason),
        }
    }
}

fn hop_name(hop: push::v1::Hop) -> &'static str {
    match hop {
        push::v1::Hop::Unspecified => "unknown",
        push::v1::Hop::Accepted => "accepted",
        push::v1::Hop::Delivered => "delivered",
        push::v1::Hop::Started => "started",
        push::v1::Hop::Finished => "finished",
        push::v1::Hop::Expired => "expired",
        push::v1::Hop::Dropped => "dropped",
    }
}

/// An app of a node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AppView {
    pub(crate) app: String,
    pub(crate) version: String,
    pub(crate) access: &'static str,
    pub(crate) user: String,
    pub(crate) entry_points: Vec<String>,
    pub(crate) registrations: u32,
    /// A kind of access that it wishes for; null = none.
    pub(crate) wish: Option<WishView>,
}

/// A kind of access that the operator has to decide on (ACC-10).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WishView {
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
}

impl From<local::v1::App> for AppView {
    fn from(app: local::v1::App) -> Self {
        let kind = match app.wish() {
            local::v1::AccessKind::Unspecified => None,
            local::v1::AccessKind::AlwaysAllowed => Some("always-allowed"),
            local::v1::AccessKind::Allowed => Some("allowed"),
        };
        Self {
            access: access_name(app.access()),
            wish: kind.map(|kind| WishView {
                kind,
                reason: app.wish_reason,
            }),
            app: app.app,
            version: app.version,
            user: app.user,
            entry_points: app.entry_points,
            registrations: app.registrations,
        }
    }
}

fn access_name(status: local::v1::AccessStatus) -> &'static str {
    match status {
        local::v1::AccessStatus::Unspecified => "unknown",
        local::v1::AccessStatus::NotRequested => "not-requested",
        local::v1::AccessStatus::AlwaysAllowed => "always-allowed",
        local::v1::AccessStatus::Allowed => "allowed",
        local::v1::AccessStatus::DeniedBySystemPolicy => "denied-by-system-policy",
        local::v1::AccessStatus::DeniedByUser => "denied-by-user",
    }
}

/// A manifest that a node refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RefusedView {
    pub(crate) path: String,
    pub(crate) error: String,
}

impl From<local::v1::RefusedManifest> for RefusedView {
    fn from(refused: local::v1::RefusedManifest) -> Self {
        Self {
            path: refused.path,
            error: refused.error,
        }
    }
}

/// A task of a node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskView {
    pub(crate) id: u64,
    pub(crate) app: String,
    pub(crate) name: String,
    pub(crate) entry_point: String,
    pub(crate) trigger: String,
    pub(crate) conditions: Vec<&'static str>,
    pub(crate) state: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) registered_at: Option<Timestamp>,
    pub(crate) next: Option<Timestamp>,
    pub(crate) runs: u64,
}

impl From<local::v1::Task> for TaskView {
    fn from(task: local::v1::Task) -> Self {
        Self {
            conditions: task.conditions().map(condition_name).collect(),
            trigger: trigger_words(task.trigger),
            id: task.id,
            app: task.app,
            name: task.name,
            entry_point: task.entry_point,
            state: task.state,
            reasons: task.reasons,
            registered_at: moment(task.registered_at),
            next: moment(task.next),
            runs: task.runs,
        }
    }
}

fn condition_name(condition: local::v1::Condition) -> &'static str {
    match condition {
        local::v1::Condition::Unspecified => "unknown",
        local::v1::Condition::UserPresent => "user-present",
        local::v1::Condition::UserNotPresent => "user-not-present",
        local::v1::Condition::InternetAvailable => "internet-available",
        local::v1::Condition::InternetNotAvailable => "internet-not-available",
        local::v1::Condition::SessionConnected => "session-connected",
        local::v1::Condition::SessionDisconnected => "session-disconnected",
        local::v1::Condition::FreeNetworkAvailable => "free-network-available",
        local::v1::Condition::BackgroundWorkCostNotHigh => "background-work-cost-not-high",
    }
}

fn trigger_words(trigger: Option<local::v1::Trigger>) -> String {
    use local::v1::trigger::Kind;
    let once = |one_shot: bool| if one_shot { ":once" } else { "" };
    let word = match trigger.and_then(|trigger| trigger.kind) {
        Some(Kind::Timer(timer)) => {
            return format!("timer:{}min{}", timer.minutes, once(timer.one_shot));
        }
        Some(Kind::Maintenance(timer)) => {
            return format!("maintenance:{}min{}", timer.minutes, once(timer.one_shot));
        }
        Some(Kind::System(system)) => {
            let event = event_name(system.event());
            return format!("system:{event}{}", once(system.one_shot));
        }
        Some(Kind::ControlChannel(channel)) => return format!("control-channel:{}", channel.id),
        Some(Kind::Socket(socket)) => return format!("socket:{}", socket.id),
        Some(Kind::DeviceWatcher(watcher)) => return format!("device-watcher:{}", watcher.pattern),
        Some(Kind::Files(files)) => return format!("files:{}", files.path),
        Some(Kind::Bus(bus)) => return format!("bus:{}", bus.event),
        Some(Kind::Push(_)) => "push",
        Some(Kind::Application(_)) => "application",
        Some(Kind::Media(_)) => "media",
        Some(Kind::DeviceUse(_)) => "device-use",
        Some(Kind::DeviceServicing(_)) => "device-servicing",
        Some(Kind::Periodic(_)) => "periodic",
        Some(Kind::ResourceIntensive(_)) => "resource-intensive",
        Some(Kind::UpdateTask(_)) => "update-task",
        None => "unknown",
    };
    word.to_owned()
}

fn event_name(event: local::v1::SystemEvent) -> String {
    let name = event.as_str_name().strip_prefix("SYSTEM_EVENT_");
    match name {
        Some("UNSPECIFIED") | None => "unknown".to_owned(),
        Some(name) => name.to_ascii_lowercase().replace('_', "-"),
    }
}

/// A run of a node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunView {
    pub(crate) run: u64,
    pub(crate) app: String,
    pub(crate) task: String,
    pub(crate) number: u64,
    pub(crate) state: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) cancel_reason: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) ran_ms: Option<u64>,
    pub(crate) progress: Option<u32>,
    pub(crate) memory_peak: Option<u64>,
    pub(crate) push_id: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) output: String,
    pub(crate) pid: Option<u32>,
    pub(crate) cgroup: Option<String>,
    pub(crate) exit: Option<String>,
}

impl From<local::v1::Run> for RunView {
    fn from(run: local::v1::Run) -> Self {
        Self {
            run: run.run,
            app: run.app,
            task: run.task,
            number: run.number,
            state: filled(run.state),
            outcome: filled(run.outcome),
            cancel_reason: filled(run.cancel_reason),
            message: filled(run.message),
            started_at: moment(run.started_at),
            ended_at: moment(run.ended_at),
            ran_ms: run.ran.and_then(|ran| time::span_millis(&ran).ok()),
            progress: run.progress,
            memory_peak: run.memory_peak,
            push_id: filled(run.push_id),
            attempt: run.attempt,
            output: run.output,
            pid: Some(run.pid).filter(|pid| *pid != 0),
            cgroup: filled(run.cgroup),
            exit: filled(run.exit),
        }
    }
}

/// Why a task does not run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ExplanationView {
    pub(crate) app: String,
    pub(crate) task: String,
    pub(crate) registration: u64,
    pub(crate) waiting_since: Option<Timestamp>,
    pub(crate) waiting: u64,
    pub(crate) running: Option<u64>,
    pub(crate) blocked: Option<String>,
    pub(crate) reasons: Vec<ReasonView>,
    pub(crate) fires: String,
    pub(crate) next: Option<Timestamp>,
    pub(crate) recent: Vec<VerdictView>,
    pub(crate) starves: Option<StarvationView>,
}

impl From<local::v1::Explanation> for ExplanationView {
    fn from(explanation: local::v1::Explanation) -> Self {
        Self {
            app: explanation.app,
            task: explanation.task,
            registration: explanation.registration,
            waiting_since: moment(explanation.waiting_since),
            waiting: explanation.waiting,
            running: numbered(explanation.running),
            blocked: filled(explanation.blocked),
            reasons: explanation
                .reasons
                .into_iter()
                .map(ReasonView::from)
                .collect(),
            fires: explanation.fires,
            next: moment(explanation.next),
            recent: explanation
                .recent
                .into_iter()
                .map(VerdictView::from)
                .collect(),
            starves: explanation.starves.map(StarvationView::from),
        }
    }
}

/// A task that should have run by now and did not.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StarvationView {
    pub(crate) since: Option<Timestamp>,
    pub(crate) expected: u64,
    pub(crate) actual: u64,
    pub(crate) blocked_by: Option<String>,
    pub(crate) remedy_by: String,
    pub(crate) remedy: String,
}

impl From<local::v1::Starvation> for StarvationView {
    fn from(starvation: local::v1::Starvation) -> Self {
        Self {
            since: moment(starvation.since),
            expected: starvation.expected,
            actual: starvation.actual,
            blocked_by: filled(starvation.blocked_by),
            remedy_by: starvation.remedy_by,
            remedy: starvation.remedy,
        }
    }
}

/// One reason that holds a task back.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReasonView {
    pub(crate) reason: String,
    pub(crate) since: Option<Timestamp>,
    pub(crate) seen: String,
    pub(crate) needs: String,
    pub(crate) until: Option<Timestamp>,
}

impl From<local::v1::Why> for ReasonView {
    fn from(why: local::v1::Why) -> Self {
        Self {
            reason: why.reason,
            since: moment(why.since),
            seen: why.seen,
            needs: why.needs,
            until: moment(why.until),
        }
    }
}

/// What became of one firing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VerdictView {
    pub(crate) firing: u64,
    pub(crate) fired: Option<Timestamp>,
    pub(crate) verdict: String,
    pub(crate) reason: Option<String>,
    pub(crate) decided: Option<Timestamp>,
    pub(crate) run: Option<u64>,
}

impl From<local::v1::VerdictEntry> for VerdictView {
    fn from(entry: local::v1::VerdictEntry) -> Self {
        Self {
            firing: entry.firing,
            fired: moment(entry.fired),
            verdict: entry.verdict,
            reason: filled(entry.reason),
            decided: moment(entry.decided),
            run: numbered(entry.run),
        }
    }
}
