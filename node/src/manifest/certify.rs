//! Certification (MAN-10): what each agent of a manifest may do and not, and what it declares that no agent may have.
//!
//! Deliberately absent: this device. What is said here holds wherever the manifest is installed; whether its programs and users are there is
//! found out there. The signature too: this release verifies none, so what needs one never counts.

use std::path::Path;

use lull_launcher::sandbox::grant;
use lull_launcher::sandbox::{PRIVATE, SYSTEM_RUN, own_programs};
use lull_policy::{App, Capability, Policy, RegistrationRequest, SystemEvent, TaskType, Trigger};

use super::read::{self, CAPABILITIES, TYPES};
use super::{Agent, Manifest, allowed, folder};
use crate::error_chain::chain;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The agents, in the order of their names.
    pub agents: Vec<AgentCertificate>,
    /// What is declared and can never be had. Empty: the manifest is certified.
    pub errors: Vec<Finding>,
    /// What is declared and does not count as things are.
    pub notes: Vec<Finding>,
}

/// What one agent may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCertificate {
    /// Its entry point.
    pub entry_point: String,
    /// What it is declared for.
    pub types: Vec<&'static str>,
    /// Its command.
    pub command: Vec<String>,
    /// What it may do; each completes "it may".
    pub may: Vec<String>,
    /// What it could be granted and is not; each completes "it may not".
    pub may_not: Vec<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where: a key of the manifest, with its agent.
    pub place: String,
    /// What, and the way out.
    pub problem: String,
    /// The rule.
    pub rule: &'static str,
}

/// What no agent may do, whatever is declared; each completes "no agent may".
pub const NEVER: [&str; 8] = [
    "gain privileges, or become another user (RUN-46)",
    "mount, enter or make namespaces, load modules, restart the device, set the clock",
    "trace or read other processes, signal those of others, load programs into the kernel",
    "open sockets other than local ones and those of the Internet",
    "reach cameras, microphones, radios, sensors, input, or any device node but those of its run (RUN-47)",
    "reach a display or another user's session (RUN-06, RUN-47)",
    "register, unregister or open push channels (RUN-47)",
    "leave anything behind outside its folder: no /tmp, no shared memory, no message queues",
];

/// Programs that cannot do their work for an agent, and why.
const USELESS: [(&str, &str, &str); 20] = [
    ("arecord", CAPTURE, "RUN-47"),
    ("bwrap", SPACES, "RUN-46"),
    ("chroot", SPACES, "RUN-46"),
    ("doas", ROOT, "RUN-46"),
    ("gdb", TRACE, "RUN-46"),
    ("kdialog", SCREEN, "RUN-06"),
    ("modprobe", KERNEL, "RUN-46"),
    ("mount", SPACES, "RUN-46"),
    ("notify-send", SCREEN, "RUN-06"),
    ("nsenter", SPACES, "RUN-46"),
    ("parecord", CAPTURE, "RUN-47"),
    ("pkexec", ROOT, "RUN-46"),
    ("reboot", KERNEL, "RUN-46"),
    ("shutdown", KERNEL, "RUN-46"),
    ("strace", TRACE, "RUN-46"),
    ("su", ROOT, "RUN-46"),
    ("sudo", ROOT, "RUN-46"),
    ("unshare", SPACES, "RUN-46"),
    ("xdg-open", SCREEN, "RUN-47"),
    ("zenity", SCREEN, "RUN-06"),
];

const ROOT: &str = "agents never gain privileges; name the app's user with `user`";
const SPACES: &str = "agents have no mounts and namespaces of their own";
const TRACE: &str = "agents trace nothing";
const KERNEL: &str = "agents have no hand in the kernel";
const SCREEN: &str = "agents have no display; use a card or a notification";
const CAPTURE: &str = "agents capture nothing";

/// Variables that lead to a display or a session.
const SESSION: [&str; 7] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "PULSE_SERVER",
    "SSH_AUTH_SOCK",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
];

/// Reads the manifest in a file, under the figures that a node has by itself, and certifies it.
///
/// # Errors
/// Why it is no manifest, for people; names the file.
pub fn certify_file(file: &Path) -> Result<(Manifest, Certificate), String> {
    let text = folder::asked_about(file);
    let text = text.map_err(|error| format!("{}: {}", file.display(), chain(&error)))?;
    let manifest =
        read::read(file, &text, &Policy::default()).map_err(|error| error.to_string())?;
    let certificate = certify(&manifest);
    Ok((manifest, certificate))
}

/// Certifies a manifest that could be read.
pub fn certify(manifest: &Manifest) -> Certificate {
    let app = manifest.app();
    let mut errors = Vec::new();
    if manifest.user.as_deref() == Some("root") {
        errors.push(finding(
            "user",
            "agents never run as root; name another user",
            "RUN-46",
        ));
    }
    for agent in manifest.agents.values() {
        wrong_in(&app, agent, &mut errors);
    }
    let requests = manifest.registrations.iter();
    errors.extend(requests.filter_map(|request| without_sms(&app, request)));
    let unsigned = app
        .capabilities
        .iter()
        .filter(|capability| !app.can(**capability));
    let mut notes: Vec<Finding> = unsigned
        .map(|capability| unsigned_note(*capability))
        .collect();
    let people = manifest.user.as_deref().filter(|user| *user != "root");
    notes.extend(people.map(session_note));
    Certificate {
        agents: manifest
            .agents
            .values()
            .map(|agent| certificate(&app, agent))
            .collect(),
        errors,
        notes,
    }
}

fn certificate(app: &App, agent: &Agent) -> AgentCertificate {
    let granted = allowed::grants(app, &agent.declaration);
    let (mut may, mut may_not) = (Vec::new(), Vec::new());
    may.push("read and change its app's own folder".to_owned());
    may.push("read and execute the system's programs, and read its settings".to_owned());
    let program = agent.program.path.to_string_lossy();
    let own = own_programs(&program, &agent.program.args);
    let own = own.iter().filter(|path| !is_system(path));
    let own: Vec<String> = own.map(|path| path.display().to_string()).collect();
    may.extend(all("read and execute", &own));
    may.extend(all("read", &agent.program.reads));
    may.extend(all("read and change", &agent.program.writes));
    for row in &grant::TABLE {
        let list = if granted.contains(&row.grant) {
            &mut may
        } else {
            &mut may_not
        };
        list.push(row.may.to_owned());
    }
    let types = &agent.declaration.types;
    let device = [TaskType::DeviceUse, TaskType::DeviceServicing]
        .into_iter()
        .any(|needed| types.contains(&needed) && can_be(app, needed));
    let list = if device { &mut may } else { &mut may_not };
    list.push("use the device that a run was started for".to_owned());
    AgentCertificate {
        entry_point: agent.declaration.entry_point.to_string(),
        types: types
            .iter()
            .map(|task_type| word(&TYPES, task_type))
            .collect(),
        command: std::iter::once(program.into_owned())
            .chain(agent.program.args.clone())
            .collect(),
        may,
        may_not,
    }
}

fn all(what: &str, paths: &[String]) -> Option<String> {
    (!paths.is_empty()).then(|| format!("{what} {}", paths.join(", ")))
}

fn is_system(path: &Path) -> bool {
    SYSTEM_RUN.iter().any(|system| path.starts_with(system))
}

/// What an agent declares and cannot have.
fn wrong_in(app: &App, agent: &Agent, errors: &mut Vec<Finding>) {
    let place = |key: &str| format!("{key} of agent {}", agent.declaration.entry_point);
    let lacking = |task_type: &&TaskType| !can_be(app, **task_type);
    for task_type in agent.declaration.types.iter().filter(lacking) {
        let needed = needed(*task_type).map_or("", |capability| word(&CAPABILITIES, &capability));
        let way_out = if app
            .capabilities
            .iter()
            .any(|had| word(&CAPABILITIES, had) == needed)
        {
            "which counts only in a signed manifest, and this one is not"
        } else {
            "which is not declared; add it, or leave the type out"
        };
        let problem = format!(
            "{:?} needs the capability {needed:?}, {way_out}",
            word(&TYPES, task_type)
        );
        errors.push(finding(place("types"), problem, "MAN-08"));
    }
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let mut called = name(&agent.program.path);
    if called.as_deref() == Some("env") {
        called = agent
            .program
            .args
            .first()
            .and_then(|arg| name(Path::new(arg)));
    }
    if let Some((program, why, rule)) = USELESS
        .iter()
        .find(|(name, ..)| called.as_deref() == Some(*name))
    {
        let problem = format!("{program:?} cannot do its work: {why}");
        errors.push(finding(place("command"), problem, rule));
    }
    if let Some(folder) = PRIVATE
        .iter()
        .find(|folder| agent.program.path.starts_with(folder))
    {
        let problem = format!(
            "{} lies below {folder}, where no agent's program is executed; install it by a package",
            agent.program.path.display()
        );
        errors.push(finding(place("command"), problem, "RUN-46"));
    }
    for variable in SESSION
        .iter()
        .filter(|name| agent.program.environment.contains_key(**name))
    {
        let problem =
            format!("{variable} leads to a display or a session, which no agent has; leave it out");
        errors.push(finding(place("environment"), problem, "RUN-06"));
    }
}

fn needed(task_type: TaskType) -> Option<Capability> {
    let row = allowed::TABLE
        .iter()
        .find(|row| row.needed_for.contains(&task_type));
    row.map(|row| row.capability)
}

fn can_be(app: &App, task_type: TaskType) -> bool {
    needed(task_type).is_none_or(|capability| app.can(capability))
}

/// The one registration whose capability does not follow from a type.
fn without_sms(app: &App, request: &RegistrationRequest) -> Option<Finding> {
    let sms = matches!(
        request.trigger,
        Trigger::System {
            event: SystemEvent::SmsReceived,
            ..
        }
    );
    (sms && !app.can(Capability::Sms)).then(|| {
        let place = format!("trigger of registration {}", request.name);
        finding(
            place,
            "SMS needs the capability \"sms\", which is not declared; add it",
            "MAN-08",
        )
    })
}

fn unsigned_note(capability: Capability) -> Finding {
    let word = word(&CAPABILITIES, &capability);
    let signer = if capability == Capability::DeviceServicing {
        "the device's maker"
    } else {
        "the fleet's operator"
    };
    let problem =
        format!("{word:?} counts only in a manifest that {signer} signed; this one is not");
    finding("capabilities", problem, "ENT-01")
}

/// Sockets with a path are kept by their modes alone.
fn session_note(user: &str) -> Finding {
    let problem = format!(
        "a session of {user:?}, should there be one, is open to these agents by its sockets; name a user that nobody logs in as, or none"
    );
    finding("user", problem, "RUN-47")
}

fn word<T: PartialEq>(words: &[(&'static str, T)], of: &T) -> &'static str {
    let found = words.iter().find(|(_, known)| known == of);
    found.map_or("", |(word, _)| word)
}

fn finding(place: impl Into<String>, problem: impl Into<String>, rule: &'static str) -> Finding {
    Finding {
        place: place.into(),
        problem: problem.into(),
        rule,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(head: &str, types: &str, more: &str) -> Manifest {
        let text = format!(
            "id = \"a\"\nversion = \"1\"\n{head}\n[[agent]]\nentry_point = \"go\"\ntypes = [\"{types}\"]\n{more}"
        );
        read::read(Path::new("a.toml"), &text, &Policy::default()).unwrap()
    }

    /// Head, types and the rest of a manifest; where it is wrong, and by which rule.
    type Case<'c> = (&'c str, &'c str, &'c str, Option<(&'c str, &'static str)>);

    /// The places and rules of what is wrong.
    fn wrong(manifest: &Manifest) -> Vec<(String, &'static str)> {
        let errors = certify(manifest).errors.into_iter();
        errors.map(|error| (error.place, error.rule)).collect()
    }

    #[test]
    fn each_wrong_declaration_is_found() {
        let command = "command = [\"/usr/bin/go\"]";
        let none = "capabilities = []";
        let display = format!("{command}\nenvironment = {{ DISPLAY = \":0\" }}");
        let cases: &[Case<'_>] = &[
            ("", "timer", command, None),
            ("", "push-notification", command, None),
            ("", "device-use", command, None),
            (none, "timer", command, None),
            (
                none,
                "push-notification",
                command,
                Some(("types", "MAN-08")),
            ),
            (none, "control-channel", command, Some(("types", "MAN-08"))),
            (none, "device-use", command, Some(("types", "MAN-08"))),
            (none, "media-processing", command, Some(("types", "MAN-08"))),
            (
                "capabilities = [\"device-servicing\"]",
                "device-servicing",
                command,
                Some(("types", "MAN-08")),
            ),
            (
                "",
                "timer",
                "command = [\"/usr/bin/sudo\", \"x\"]",
                Some(("command", "RUN-46")),
            ),
            (
                "",
                "timer",
                "command = [\"/usr/bin/env\", \"strace\"]",
                Some(("command", "RUN-46")),
            ),
            (
                "",
                "timer",
                "command = [\"/run/x\"]",
                Some(("command", "RUN-46")),
            ),
            ("", "timer", &display, Some(("environment", "RUN-06"))),
        ];
        for (head, types, more, expected) in cases {
            let found = wrong(&manifest(head, types, more));
            let expected: Vec<(String, &str)> = expected
                .iter()
                .map(|(key, rule)| (format!("{key} of agent go"), *rule))
                .collect();
            assert_eq!(found, expected, "{head} {types} {more}");
        }
        let root = manifest("user = \"root\"", "timer", command);
        assert_eq!(wrong(&root), [("user".to_owned(), "RUN-46")]);
    }

    #[test]
    fn sms_needs_its_capability() {
        let sms = |capabilities: &str| {
            let mut manifest = manifest(
                capabilities,
                "system-event",
                "command = [\"/usr/bin/go\"]\n[[register]]\nname = \"text\"\nentry_point = \"go\"\n\
                 trigger = { system = { event = \"internet-available\" } }",
            );
            let trigger = Trigger::System {
                event: SystemEvent::SmsReceived,
                one_shot: false,
            };
            for request in &mut manifest.registrations {
                request.trigger = trigger.clone();
            }
            wrong(&manifest)
        };
        assert_eq!(sms("capabilities = [\"sms\"]"), []);
        assert_eq!(
            sms(""),
            [("trigger of registration text".to_owned(), "MAN-08")]
        );
    }

    #[test]
    fn what_does_not_count_is_noted() {
        let command = "command = [\"/usr/bin/go\"]";
        let head = "user = \"alice\"\ncapabilities = [\"device-servicing\", \"extended-background-task-time\"]";
        let found = certify(&manifest(head, "timer", command));
        assert_eq!(found.errors, []);
        let places: Vec<&str> = found.notes.iter().map(|note| note.place.as_str()).collect();
        assert_eq!(places, ["capabilities", "capabilities", "user"]);
    }
}
