//! What the launcher is told to start, made of the machine's decision and the catalog's program.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use lull_launcher::sandbox::Sandbox;
use lull_launcher::wire;
use lull_policy::{
    AppId, ChannelActivity, Class, Details, Launch, MemoryLayers, Now, Push, Running,
    SocketActivity, Trigger, TriggerKind,
};
use lull_proto::agent::{
    HandedSocket, Invocation, LINE_LIMIT, Occasion, PROTOCOL, PushDetails, ToAgent, environment,
};
use lull_proto::handover::hex;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use serde::{Deserialize, Serialize};

use super::AgentProgram;
use super::front_desk::front_run;
use super::nodes::nodes;
use crate::broker::Taken;

/// Processes and threads of an agent at one time. An agent is a small program: a shell script needs four, a runtime with a thread for
/// each processor a few dozen.
pub(super) const PIDS: u32 = 128;

/// Open descriptors of each of its processes: the usual soft bound.
pub(super) const OPEN_FILES: u64 = 1024;

/// The descriptor of the agent's socket to the node, and that of the payload.
const SOCKET: &str = "3";
const PAYLOAD: &str = "4";

/// Names the node's socket to an app's own process, as the SDK reads it.
const NODE_SOCKET: &str = "LULL_NODE_SOCKET";

/// Tells an app's own process that nobody is looking at it.
const BACKGROUND: &str = "--background";
/// The descriptor of the agent's socket to the node where an app's socket is handed to it, which has to be 3.
const BESIDE_LISTENING: &str = "4";

/// Bytes of a name in `LISTEN_FDNAMES`.
const FD_NAME: usize = 255;

/// What is inherited of the daemon's own environment.
const INHERITED: [&str; 3] = ["PATH", "LANG", "TZ"];

/// Where programs are looked for if the daemon itself was not told.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What a later daemon must know of a run; kept with it by the launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The invocation without its times.
    pub(super) invocation: Invocation,
    /// When it is asked to cancel.
    pub(super) cancel_at: Option<Running>,
    /// When it is killed.
    pub(super) kill_at: Option<Running>,
    /// The agent has said hello: it is spoken to, not signalled.
    pub(super) spoke: bool,
    /// It sees an allocation beyond its cap fail before it is killed (AMB-15).
    #[serde(default)]
    pub(super) forgiven: bool,
    /// It is told of its memory level (RES-08).
    #[serde(default)]
    pub(super) follows_memory: bool,
}

impl Note {
    /// The note as the launcher keeps it.
    pub(super) fn encode(&self) -> String {
        // Numbers and texts: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A note of this or an older daemon.
    pub(super) fn decode(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The invocation as it is said now.
    pub(super) fn invocation(&self, now: Now) -> Invocation {
        Invocation {
            cancel_after_ms: self.cancel_at.map(|at| at.since(now.running).as_millis()),
            kill_after_ms: self.kill_at.map(|at| at.since(now.running).as_millis()),
            ..self.invocation.clone()
        }
    }
}

/// A launch order, ready to be sent.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) launch: Box<wire::Launch>,
    /// The payload, or the app's socket that is handed to it.
    pub(super) descriptor: Option<OwnedFd>,
}

/// Makes the order of a run.
pub(super) fn order(
    launch: &Launch,
    program: AgentProgram,
    taken: Option<Taken>,
    now: Now,
    limits_off: bool,
) -> Result<(Order, Note), String> {
    let note = note(launch, taken.as_ref());
    let payload = launch.push.as_ref().map(|push| seal(&push.payload));
    let payload = payload
        .transpose()
        .map_err(|error| format!("cannot hand over the push's payload: {error}"))?;
    let program_path = text("the program", program.program.as_path())?;
    let folder = text("the app's folder", program.state_dir.as_path())?;
    let layers = MemoryLayers::of(launch.memory.filter(|_| !limits_off), launch.is_forgiven());
    let order = wire::Launch {
        run: launch.run.0,
        program: program_path,
        environment: environment(launch, &note, &program, &folder, now),
        args: program.args,
        uid: program.uid,
        gid: program.gid,
        groups: program.groups,
        folder: folder.clone(),
        memory: layers.killing.map(|cap| cap.0),
        data: layers.failing.map(|cap| cap.0),
        pids: PIDS,
        open_files: OPEN_FILES,
        sandbox: Some(sandbox(launch, program.sandbox, &folder)),
        class: class(launch),
        offline: !launch.network,
        closed: closed(launch),
        payload: payload.is_some(),
        socket: taken.as_ref().map(|taken| taken.serial),
        note: note.encode(),
    };
    let order = Order {
        launch: Box::new(order),
        descriptor: taken.map(|taken| taken.socket).or(payload),
    };
    Ok((order, note))
}

/// Makes the order of an app's own process (RUN-04): a program that is nobody's run, with no limit but the number of its processes. Its
/// last argument is `--background`, so that it opens no window.
pub(super) fn front(
    number: u64,
    app: &AppId,
    program: AgentProgram,
    socket: &std::path::Path,
) -> Result<Box<wire::Launch>, String> {
    let folder = text("the app's folder", program.state_dir.as_path())?;
    let socket = text("the node's socket", socket)?;
    let mut variables = surroundings(&program, &folder);
    variables.insert(environment::APP.to_owned(), app.to_string());
    variables.insert(environment::STATE.to_owned(), folder.clone());
    variables.insert(NODE_SOCKET.to_owned(), socket);
    let mut args = program.args;
    args.push(BACKGROUND.to_owned());
    let mut sandbox = program.sandbox;
    sandbox.writes.push(folder.clone());
    Ok(Box::new(wire::Launch {
        run: front_run(number),
        program: text("the program", program.program.as_path())?,
        environment: variables,
        args,
        uid: program.uid,
        gid: program.gid,
        groups: program.groups,
        folder,
        memory: None,
        data: None,
        pids: PIDS,
        open_files: OPEN_FILES,
        sandbox: Some(sandbox),
        class: wire::Class::Background,
        offline: false,
        closed: Vec::new(),
        payload: false,
        socket: None,
        note: app.to_string(),
    }))
}

/// What its manifest grants, the app's own folder, and the device that it was started for (TRGD-26, TRGD-34).
fn sandbox(launch: &Launch, declared: Sandbox, folder: &str) -> Sandbox {
    let mut sandbox = declared;
    sandbox.writes.push(folder.to_owned());
    let for_device = matches!(
        launch.trigger,
        Trigger::DeviceUse | Trigger::DeviceServicing
    );
    if let (true, Some(Details::Device { device, .. })) = (for_device, &launch.details) {
        sandbox.devices = nodes(device.as_str());
    }
    sandbox
}

fn class(launch: &Launch) -> wire::Class {
    match launch.class() {
        Class::Background => wire::Class::Background,
        Class::Intensive => wire::Class::Intensive,
        Class::Critical => wire::Class::Critical,
    }
}

/// The mobile networks of this device, where a run may not use them (INT-09).
fn closed(launch: &Launch) -> Vec<String> {
    if launch.cellular {
        return Vec::new();
    }
    let mut mobile = crate::watch::mobile_devices();
    mobile.truncate(wire::CLOSED);
    mobile
}

fn text(what: &str, path: &std::path::Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("{what} {} is not UTF-8; rename it", path.display()))
}

pub(super) fn note(launch: &Launch, taken: Option<&Taken>) -> Note {
    let mut note = Note {
        invocation: Invocation {
            protocol: PROTOCOL,
            run: launch.run.0,
            app: launch.app.to_string(),
            task: launch.task.to_string(),
            entry_point: entry_point(launch),
            trigger: trigger(&launch.trigger),
            occasion: launch.details.as_ref().and_then(|d| occasion(d, taken)),
            push: launch.push.as_ref().map(details),
            attempt: launch.attempt,
            cancel_after_ms: None,
            kill_after_ms: None,
        },
        cancel_at: launch.cancel_at,
        kill_at: launch.kill_at,
        spoke: false,
        forgiven: launch.is_forgiven(),
        follows_memory: false,
    };
    // Escapes make text up to six times as long. The payload's descriptor has it in any case.
    let said = note.invocation(Now {
        running: Running::from_millis(0),
        ..Now::default()
    });
    if line(&ToAgent::Invoke(said)).len() > LINE_LIMIT
        && let Some(push) = &mut note.invocation.push
    {
        push.text = None;
    }
    note
}

/// What the firing is about; a text message is told by the trigger's name alone.
fn occasion(details: &Details, taken: Option<&Taken>) -> Option<Occasion> {
    let socket = || {
        taken.map(|taken| HandedSocket {
            kind: taken.kind.word().to_owned(),
            context: hex(&taken.context),
        })
    };
    match details {
        Details::Device { device, present } => Some(Occasion::Device {
            device: device.to_string(),
            present: *present,
        }),
        Details::Files { path } => Some(Occasion::Files {
            path: path.to_string(),
        }),
        Details::Bus { event } => Some(Occasion::Bus {
            event: event.to_string(),
        }),
        Details::Socket { id, activity } => Some(Occasion::Socket {
            id: id.to_string(),
            activity: activity_word(*activity).to_owned(),
            number: activity.number(),
            socket: socket(),
        }),
        Details::Channel { id, activity } => Some(Occasion::Channel {
            id: id.to_string(),
            activity: channel_word(*activity).to_owned(),
            socket: socket(),
        }),
        Details::Sms => None,
    }
}

/// TRGD-16.
fn activity_word(activity: SocketActivity) -> &'static str {
    match activity {
        SocketActivity::Activity => "socket-activity",
        SocketActivity::Accepted => "connection-accepted",
        SocketActivity::KeepAlive => "keep-alive-timer-expired",
        SocketActivity::Closed => "socket-closed",
    }
}

/// TRGD-10.
fn channel_word(activity: ChannelActivity) -> &'static str {
    match activity {
        ChannelActivity::Message => "message",
        ChannelActivity::KeepAlive => "keep-alive",
        ChannelActivity::Reset => "reset",
    }
}

/// An id as `sd_listen_fds_with_names(3)` knows names.
fn fd_name(id: &str) -> String {
    let fits = id.len() <= FD_NAME && id.bytes().all(|b| (b' '..0x7f).contains(&b) && b != b':');
    if fits { id } else { "unknown" }.to_owned()
}

/// A socket as a plain command finds it.
fn socket_variables(occasion: Option<&Occasion>) -> [(&'static str, Option<String>); 6] {
    let (id, activity, socket) = match occasion {
        Some(
            Occasion::Socket {
                id,
                activity,
                socket,
                ..
            }
            | Occasion::Channel {
                id,
                activity,
                socket,
            },
        ) => (Some(id), Some(activity), socket.as_ref()),
        _ => (None, None, None),
    };
    let name = socket.and(id).map(|id| fd_name(id));
    [
        (environment::SOCKET_ID, id.cloned()),
        (environment::SOCKET_ACTIVITY, activity.cloned()),
        (environment::SOCKET_KIND, socket.map(|s| s.kind.clone())),
        (
            environment::SOCKET_CONTEXT,
            socket.map(|s| s.context.clone()),
        ),
        (environment::LISTEN_FDS, socket.map(|_| "1".to_owned())),
        (environment::LISTEN_FDNAMES, name),
    ]
}

/// An occasion as a plain command finds it.
fn occasion_variables(occasion: Option<&Occasion>) -> [(&'static str, Option<String>); 4] {
    let (mut device, mut change, mut path, mut event) = (None, None, None, None);
    match occasion {
        Some(Occasion::Device {
            device: name,
            present,
        }) => {
            device = Some(name.clone());
            change = Some(if *present { "arrived" } else { "left" }.to_owned());
        }
        Some(Occasion::Files { path: changed }) => path = Some(changed.clone()),
        Some(Occasion::Bus { event: heard }) => event = Some(heard.clone()),
        Some(Occasion::Socket { .. } | Occasion::Channel { .. } | Occasion::Unknown) | None => {}
    }
    [
        (environment::DEVICE, device),
        (environment::DEVICE_CHANGE, change),
        (environment::PATH_CHANGED, path),
        (environment::BUS_EVENT, event),
    ]
}

fn details(push: &Push) -> PushDetails {
    PushDetails {
        id: push.id.to_string(),
        text: String::from_utf8(push.payload.clone()).ok(),
    }
}

/// A message as a line.
pub(super) fn line(message: &ToAgent) -> Vec<u8> {
    // Numbers and texts: there is nothing in it that JSON cannot say.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Empty for what runs in the app's own process, which is not ordered here.
fn entry_point(launch: &Launch) -> String {
    let entry_point = launch.entry_point.as_ref();
    entry_point.map(ToString::to_string).unwrap_or_default()
}

/// What fired it, in the words of [`environment::TRIGGER`].
fn trigger(trigger: &Trigger) -> String {
    match trigger.kind() {
        TriggerKind::System(event) => format!("system:{}", event.word()),
        kind => kind.word().to_owned(),
    }
}

/// The whole environment of an agent: the little that is inherited, the manifest's, and the node's own over both.
fn environment(
    launch: &Launch,
    note: &Note,
    program: &AgentProgram,
    folder: &str,
    now: Now,
) -> BTreeMap<String, String> {
    let mut all = surroundings(program, folder);
    let mut own = |name: &str, value: Option<String>| match value {
        Some(value) => drop(all.insert(name.to_owned(), value)),
        None => drop(all.remove(name)),
    };
    let push = launch.push.as_ref();
    let text = push.and_then(|push| String::from_utf8(push.payload.clone()).ok());
    let seconds = |at: Running| (at.since(now.running).as_millis() + 500) / 1_000;
    let occasion = note.invocation.occasion.as_ref();
    let sockets = socket_variables(occasion);
    let listening = sockets
        .iter()
        .any(|(name, value)| *name == environment::LISTEN_FDS && value.is_some());
    let socket = if listening { BESIDE_LISTENING } else { SOCKET };
    own(environment::SOCKET_FD, Some(socket.to_owned()));
    own(environment::PAYLOAD_FD, push.map(|_| PAYLOAD.to_owned()));
    own(
        environment::PAYLOAD,
        text.filter(|text| !text.contains('\0')),
    );
    own(environment::RUN, Some(launch.run.0.to_string()));
    own(environment::APP, Some(launch.app.to_string()));
    own(environment::TASK, Some(launch.task.to_string()));
    own(environment::TRIGGER, Some(trigger(&launch.trigger)));
    for (name, value) in occasion_variables(occasion).into_iter().chain(sockets) {
        own(name, value);
    }
    own(environment::PUSH_ID, push.map(|push| push.id.to_string()));
    own(environment::ATTEMPT, Some(launch.attempt.to_string()));
    own(environment::STATE, Some(folder.to_owned()));
    own(
        environment::CANCEL_AFTER,
        launch.cancel_at.map(|at| seconds(at).to_string()),
    );
    all
}

/// What a program of an app finds, whatever it is started for.
fn surroundings(program: &AgentProgram, folder: &str) -> BTreeMap<String, String> {
    let inherited = INHERITED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let mut all: BTreeMap<String, String> = inherited.collect();
    all.entry("PATH".to_owned())
        .or_insert_with(|| PATH.to_owned());
    all.insert("HOME".to_owned(), folder.to_owned());
    // Nobody else's place for temporary files is open to it.
    all.insert("TMPDIR".to_owned(), folder.to_owned());
    all.extend(
        program
            .user_name
            .iter()
            .map(|name| ("USER".to_owned(), name.clone())),
    );
    all.extend(program.environment.clone());
    all
}

/// The payload as a file in memory that nobody can change any more.
fn seal(payload: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create(
        "lull-payload",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    let mut rest = payload;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, all)?;
    Ok(file)
}
