//! `[[register]]`: registrations that the daemon makes for apps that have no front client.

use std::collections::{BTreeMap, BTreeSet};

use lull_document::{DocumentError, Refused, Section, unknown_name, word};
use lull_policy::{
    Condition, EntryPoint, GroupId, KEEP_ALIVE_MINUTES, Policy, RegistrationRequest, Slot, Subject,
    SystemEvent, TaskName, TaskType, Trigger,
};

use super::{Agent, bounds};
use crate::sources::subject;

const KEYS: [&str; 7] = [
    "name",
    "entry_point",
    "trigger",
    "conditions",
    "cancel_on_condition_loss",
    "network_requested",
    "group",
];

/// Triggers by their names in a manifest. Those after the first ten are known and not offered yet.
const TRIGGERS: [&str; 13] = [
    "timer",
    "maintenance",
    "system",
    "push",
    "application",
    "device-watcher",
    "files",
    "bus",
    "control-channel",
    "socket",
    "media",
    "device-use",
    "device-servicing",
];

/// Keys of a control channel.
const CHANNEL: [&str; 3] = ["id", "keep_alive_minutes", "hardware"];

/// What has to be written.
const EXPECTED: &str = "one of { timer = { minutes = 30 } }, { maintenance = { minutes = 30 } }, { system = { event = \"internet-available\" } }, { push = {} }, { application = {} }, { files = { path = \"/srv/inbox\" } }, { device-watcher = { match = \"usb:046d:*\" } }, { bus = { event = \"com.example.Door com.example.Door1.Opened\" } }, { socket = { id = \"door\" } }, { control-channel = { id = \"chat\", keep_alive_minutes = 15 } }";

/// Conditions by their names in a manifest.
const CONDITIONS: [(&str, Condition); 8] = [
    ("user-present", Condition::UserPresent),
    ("user-not-present", Condition::UserNotPresent),
    ("internet-available", Condition::InternetAvailable),
    ("internet-not-available", Condition::InternetNotAvailable),
    ("session-connected", Condition::SessionConnected),
    ("session-disconnected", Condition::SessionDisconnected),
    ("free-network-available", Condition::FreeNetworkAvailable),
    (
        "background-work-cost-not-high",
        Condition::BackgroundWorkCostNotHigh,
    ),
];

/// Reads all of them; each must fit an agent of the manifest.
pub(super) fn read(
    root: &Section<'_>,
    agents: &BTreeMap<EntryPoint, Agent>,
    policy: &Policy,
) -> Result<Vec<RegistrationRequest>, DocumentError> {
    let sections = root.sections("register", &KEYS)?;
    if sections.len() > bounds::REGISTRATIONS {
        let problem = format!(
            "{} registrations, at most {} are accepted",
            sections.len(),
            bounds::REGISTRATIONS
        );
        return Err(root.error("register", problem));
    }
    let mut names = BTreeSet::new();
    let mut requests = Vec::new();
    for section in &sections {
        let request = request(section, agents, policy)?;
        if !names.insert(request.name.clone()) {
            let problem = format!(
                "{:?} is registered twice; give each its own name",
                request.name.as_str()
            );
            return Err(section.error("name", problem));
        }
        requests.push(request);
    }
    Ok(requests)
}

fn request(
    section: &Section<'_>,
    agents: &BTreeMap<EntryPoint, Agent>,
    policy: &Policy,
) -> Result<RegistrationRequest, DocumentError> {
    let expected = "the registration's name, in quotes";
    let name = section.parsed("name", expected, |text| TaskName::new(text))?;
    let name = name.ok_or_else(|| section.missing("name", expected))?;
    let agent = agent(section, agents)?;
    let (trigger, needed) = trigger(section, policy)?;
    if !agent.declaration.types.contains(&needed.1) {
        let problem = format!(
            "agent {:?} is not declared for it; add {:?} to its types",
            agent.declaration.entry_point.as_str(),
            needed.0
        );
        return Err(section.error("trigger", problem));
    }
    let entry_point = agent.declaration.entry_point.clone();
    Ok(RegistrationRequest {
        conditions: conditions(section)?,
        cancel_on_condition_loss: section.flag("cancel_on_condition_loss")?.unwrap_or(false),
        network_requested: section.flag("network_requested")?.unwrap_or(false),
        group: section.parsed("group", "the group's name, in quotes", |text| {
            GroupId::new(text)
        })?,
        replace: true,
        ..RegistrationRequest::new(name, Some(entry_point), trigger)
    })
}

fn agent<'a>(
    section: &Section<'_>,
    agents: &'a BTreeMap<EntryPoint, Agent>,
) -> Result<&'a Agent, DocumentError> {
    let expected = "the entry point of an [[agent]], in quotes";
    let name = section.parsed("entry_point", expected, |text| EntryPoint::new(text))?;
    let name = name.ok_or_else(|| section.missing("entry_point", expected))?;
    agents.get(&name).ok_or_else(|| {
        let known: Vec<&str> = agents.keys().map(EntryPoint::as_str).collect();
        section.error("entry_point", unknown_name("agent", name.as_str(), &known))
    })
}

/// A task type, with its name.
type Needed = (&'static str, TaskType);

/// The trigger, and the type that it needs (MAN-04).
fn trigger(section: &Section<'_>, policy: &Policy) -> Result<(Trigger, Needed), DocumentError> {
    let trigger = section.section("trigger", &TRIGGERS)?;
    let trigger = trigger.ok_or_else(|| section.missing("trigger", EXPECTED))?;
    let given: Vec<&str> = trigger.keys().collect();
    let [given] = *given else {
        let problem = format!("{} triggers; it has to be {EXPECTED}", given.len());
        return Err(section.error("trigger", problem));
    };
    if let Some(timer) = trigger.section("timer", &["minutes", "one_shot"])? {
        let (minutes, one_shot) = period(&timer, policy)?;
        let timer = Trigger::Timer { minutes, one_shot };
        return Ok((timer, ("timer", TaskType::Timer)));
    }
    if let Some(maintenance) = trigger.section("maintenance", &["minutes", "one_shot"])? {
        let (minutes, one_shot) = period(&maintenance, policy)?;
        let maintenance = Trigger::Maintenance { minutes, one_shot };
        return Ok((maintenance, ("system-event", TaskType::SystemEvent)));
    }
    if let Some(system) = trigger.section("system", &["event", "one_shot"])? {
        let system = system_trigger(&system)?;
        return Ok((system, ("system-event", TaskType::SystemEvent)));
    }
    if trigger.section("push", &[])?.is_some() {
        let needed = ("push-notification", TaskType::PushNotification);
        return Ok((Trigger::Push, needed));
    }
    if trigger.section("application", &[])?.is_some() {
        return Ok((Trigger::Application, ("general", TaskType::General)));
    }
    if let Some(channel) = channel(&trigger)? {
        return Ok((channel, ("control-channel", TaskType::ControlChannel)));
    }
    if let Some(watched) = watched(&trigger)? {
        return Ok((watched, ("general", TaskType::General)));
    }
    let problem = format!("{given} is not offered by this node yet; it has to be {EXPECTED}");
    Err(section.error("trigger", problem))
}

/// A trigger on something that the node watches for the app.
fn watched(trigger: &Section<'_>) -> Result<Option<Trigger>, DocumentError> {
    if let Some(files) = trigger.section("files", &["path"])? {
        let expected = "a path from the root, in quotes";
        let path = files.parsed("path", expected, subject::path)?;
        let path = path.ok_or_else(|| files.missing("path", expected))?;
        return Ok(Some(Trigger::Files { path }));
    }
    if let Some(devices) = trigger.section("device-watcher", &["match"])? {
        let expected = "a device or several, such as \"usb:046d:*\"";
        let pattern = devices.parsed("match", expected, subject::pattern)?;
        let pattern = pattern.ok_or_else(|| devices.missing("match", expected))?;
        return Ok(Some(Trigger::DeviceWatcher { pattern }));
    }
    if let Some(bus) = trigger.section("bus", &["event"])? {
        let expected = "a service and its signal, in quotes";
        let event = bus.parsed("event", expected, subject::event)?;
        let event = event.ok_or_else(|| bus.missing("event", expected))?;
        return Ok(Some(Trigger::Bus { event }));
    }
    if let Some(socket) = trigger.section("socket", &["id"])? {
        let id = id(&socket)?;
        return Ok(Some(Trigger::Socket { id }));
    }
    Ok(None)
}

/// A connection that the node keeps for the app (TRG-14).
fn channel(trigger: &Section<'_>) -> Result<Option<Trigger>, DocumentError> {
    let Some(channel) = trigger.section("control-channel", &CHANNEL)? else {
        return Ok(None);
    };
    let bounds = (*KEEP_ALIVE_MINUTES.start()).into()..=(*KEEP_ALIVE_MINUTES.end()).into();
    let expected = format!("{} to {} minutes", bounds.start(), bounds.end());
    let minutes = channel.whole("keep_alive_minutes", bounds)?;
    let minutes = minutes.and_then(|minutes| u32::try_from(minutes).ok());
    Ok(Some(Trigger::ControlChannel {
        id: id(&channel)?,
        keep_alive_minutes: minutes
            .ok_or_else(|| channel.missing("keep_alive_minutes", &expected))?,
        slot: match channel.flag("hardware")? {
            Some(true) => Slot::Hardware,
            Some(false) | None => Slot::Software,
        },
    }))
}

/// The app's own name for a socket or a channel, by which it hands one over.
fn id(section: &Section<'_>) -> Result<Subject, DocumentError> {
    let expected = "a name of the app's own, in quotes";
    let id = section.parsed("id", expected, subject::plain)?;
    id.ok_or_else(|| section.missing("id", expected))
}

/// Minutes, and whether once only.
fn period(timer: &Section<'_>, policy: &Policy) -> Result<(u32, bool), DocumentError> {
    // Periods stay below the ceiling (TRGD-04, AMB-18) and not below the floor (TRGD-01).
    let minute = 60_000;
    let least = policy.timer_floor.as_millis().div_ceil(minute).max(1);
    let most = policy.timer_ceiling.as_millis().div_ceil(minute).max(2) - 1;
    let minutes = timer.whole("minutes", least..=most)?;
    let minutes = minutes
        .and_then(|minutes| u32::try_from(minutes).ok())
        .ok_or_else(|| timer.missing("minutes", &format!("{least} to {most}")))?;
    Ok((minutes, timer.flag("one_shot")?.unwrap_or(false)))
}

fn system_trigger(system: &Section<'_>) -> Result<Trigger, DocumentError> {
    let events = SystemEvent::ALL.map(|event| (event.word(), event));
    let offered = events.map(|(word, _)| format!("{word:?}")).join(", ");
    let event = system.value("event", &format!("one of {offered}"), |value| {
        word(value.as_str().ok_or(Refused::Type)?, &events)
    })?;
    let event = event.ok_or_else(|| system.missing("event", &format!("one of {offered}")))?;
    Ok(Trigger::System {
        event,
        one_shot: system.flag("one_shot")?.unwrap_or(false),
    })
}

fn conditions(section: &Section<'_>) -> Result<Vec<Condition>, DocumentError> {
    let conditions = section
        .words("conditions", &CONDITIONS)?
        .unwrap_or_default();
    let limit = lull_policy::bounds::CONDITIONS;
    if conditions.len() > limit {
        let problem = format!(
            "{} conditions, at most {limit} are accepted",
            conditions.len()
        );
        return Err(section.error("conditions", problem));
    }
    Ok(conditions)
}
