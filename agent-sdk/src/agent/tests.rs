//! The agent's side against the node's end of a socketpair.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ExitCode;

use super::*;
use crate::{CancelReason, FiredBy, HandOver, RunId};

/// Longer than any of these tests takes on a loaded machine.
const LONG: Duration = Duration::from_mins(1);

const INVOKE: &str = r#"{"type":"invoke","protocol":1,"run":7,"app":"photos","task":"sync",
    "entry_point":"photo-sync","trigger":"push","push":{"id":"p-1","text":"body"},"attempt":2,
    "cancel_after_ms":25000,"kill_after_ms":30000,"of_a_newer_node":true}"#;

/// The node's end.
struct Node {
    lines: BufReader<UnixStream>,
}

impl Node {
    fn pair() -> (Self, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        let lines = BufReader::new(ours);
        (Self { lines }, theirs)
    }

    /// A node that has invoked its agent.
    fn invoked() -> (Self, Agent) {
        let (mut node, socket) = Self::pair();
        node.say(&INVOKE.replace('\n', " "));
        let agent = Agent::over(socket, None).unwrap();
        assert_eq!(node.hear(), r#"{"type":"hello","protocol":1}"#);
        (node, agent)
    }

    fn say(&mut self, line: &str) {
        writeln!(self.lines.get_mut(), "{line}").unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

#[test]
fn an_agent_learns_what_its_run_is_about() {
    let (_node, agent) = Node::invoked();
    let wanted = Invocation {
        run: RunId(7),
        app: "photos".to_owned(),
        task: "sync".to_owned(),
        entry_point: "photo-sync".to_owned(),
        fired_by: FiredBy::Push,
        occasion: None,
        push: Some(Push {
            id: "p-1".to_owned(),
        }),
        attempt: 2,
        cancel_after: Some(Duration::from_secs(25)),
        kill_after: Some(Duration::from_secs(30)),
    };
    assert_eq!(agent.invocation(), &wanted);
    assert_eq!(agent.payload(), b"body");
    assert!(agent.node_is_there());
}

#[test]
fn an_agent_learns_which_device_path_or_signal_it_was() {
    let rows = [
        (
            r#"{"kind":"device","device":"usb:046d:c52b:1-1.2","present":false}"#,
            Some(Occasion::Device {
                device: "usb:046d:c52b:1-1.2".to_owned(),
                present: false,
            }),
        ),
        (
            r#"{"kind":"files","path":"/srv/inbox"}"#,
            Some(Occasion::Files {
                path: "/srv/inbox".into(),
            }),
        ),
        (
            r#"{"kind":"bus","event":"com.example.Door com.example.Door1.Opened"}"#,
            Some(Occasion::Bus {
                event: "com.example.Door com.example.Door1.Opened".to_owned(),
            }),
        ),
        (r#"{"kind":"tide","height":3}"#, None),
    ];
    for (said, wanted) in rows {
        let (mut node, socket) = Node::pair();
        let occasion = format!(r#""occasion":{said},"attempt""#);
        let invoke = INVOKE.replace('\n', " ").replace(r#""attempt""#, &occasion);
        node.say(&invoke);
        let agent = Agent::over(socket, None).unwrap();
        assert_eq!(agent.invocation().occasion, wanted);
    }
}

#[test]
fn what_an_agent_reports_arrives_and_its_last_word_gives_the_status() {
    let (mut node, agent) = Node::invoked();
    agent.progress(40);
    assert_eq!(node.hear(), r#"{"type":"progress","value":40}"#);
    let deferral = agent.deferral();
    assert_eq!(node.hear(), r#"{"type":"deferral-taken"}"#);
    deferral.complete();
    assert_eq!(node.hear(), r#"{"type":"deferral-completed"}"#);
    assert_eq!(agent.complete(), ExitCode::SUCCESS);
    assert_eq!(node.hear(), r#"{"type":"complete"}"#);
    assert_eq!(node.hear(), "", "the socket closes with the agent");
}

#[test]
fn an_abort_carries_its_message_cut_to_the_limit() {
    let (mut node, agent) = Node::invoked();
    let long = format!("{}ä", "x".repeat(MESSAGE_LIMIT - 1));
    assert_eq!(agent.abort(long), ExitCode::from(75));
    let cut = "x".repeat(MESSAGE_LIMIT - 1);
    assert_eq!(
        node.hear(),
        format!(r#"{{"type":"abort","message":"{cut}"}}"#)
    );
}

#[test]
fn the_end_waits_for_work_on_other_threads() {
    let (mut node, agent) = Node::invoked();
    let deferral = agent.deferral();
    let cancellation = agent.cancellation();
    let side = std::thread::spawn(move || {
        cancellation.wait(LONG);
        deferral.complete();
    });
    let main = std::thread::spawn(move || agent.complete());
    assert_eq!(node.hear(), r#"{"type":"deferral-taken"}"#);
    node.say(r#"{"type":"cancel","reason":"abort","number":0,"grace_ms":60000}"#);
    assert_eq!(node.hear(), r#"{"type":"deferral-completed"}"#);
    assert_eq!(node.hear(), r#"{"type":"complete"}"#);
    side.join().unwrap();
    assert_eq!(main.join().unwrap(), ExitCode::SUCCESS);
}

#[test]
fn a_cancel_names_reason_number_and_grace() {
    let (mut node, agent) = Node::invoked();
    let cancellation = agent.cancellation();
    assert!(!cancellation.is_requested());
    node.say(r#"{"type":"of a newer node","x":[1]}"#);
    node.say("no JSON at all");
    node.say(r#"{"type":"cancel","reason":"execution-time-exceeded","number":9,"grace_ms":5000}"#);
    assert!(cancellation.wait(LONG));
    let wanted = Cancel {
        reason: CancelReason::ExecutionTimeExceeded,
        number: 9,
        grace: Some(Duration::from_secs(5)),
    };
    assert_eq!(cancellation.requested(), Some(wanted));
}

#[test]
fn memory_is_asked_of_the_node() {
    let (mut node, agent) = Node::invoked();
    let answering = std::thread::spawn(move || {
        assert_eq!(node.hear(), r#"{"type":"memory-usage"}"#);
        node.say(r#"{"type":"memory-usage","usage":1024,"limit":null}"#);
        node
    });
    let wanted = MemoryUsage {
        usage: Some(1024),
        limit: None,
    };
    assert_eq!(agent.memory_usage(), Ok(wanted));
    drop(answering.join().unwrap());
    assert_eq!(agent.memory_usage(), Err(NodeAway));
}

#[test]
fn memory_levels_are_followed_from_when_they_are_asked_for() {
    let (mut node, agent) = Node::invoked();
    let mut levels = agent.memory_levels();
    // A second follower hears the same; the node is asked once.
    let mut others = agent.memory_levels();
    assert_eq!(node.hear(), r#"{"type":"follow-memory"}"#);
    let mut told = |word: &str, number: u8, usage: u64| {
        node.say(&format!(
            r#"{{"type":"memory-level","level":"{word}","number":{number},"usage":{usage},"limit":100}}"#
        ));
    };
    told("low", 0, 10);
    let long = Duration::from_mins(1);
    let now = |level, usage| {
        let limit = Some(100);
        Some(MemoryNow {
            level,
            usage,
            limit,
        })
    };
    assert_eq!(levels.wait(long), now(MemoryLevel::Low, 10));
    assert_eq!(levels.wait(Duration::ZERO), None, "no news");
    // One of a newer node is passed over.
    told("beyond", 9, 1_000);
    told("over-limit", 3, 101);
    assert_eq!(levels.wait(long), now(MemoryLevel::OverLimit, 101));
    assert_eq!(others.wait(long), now(MemoryLevel::OverLimit, 101));
    assert_eq!(MemoryLevel::OverLimit as u8, 3, "RES-08");
    drop(node);
    assert_eq!(
        levels.wait(long),
        None,
        "nobody waits for a node that is away"
    );
}

#[test]
fn an_agent_outlives_its_daemon() {
    let (node, agent) = Node::invoked();
    drop(node);
    let cancellation = agent.cancellation();
    agent.progress(1);
    assert_eq!(agent.memory_usage(), Err(NodeAway));
    assert!(!agent.node_is_there());
    assert!(!cancellation.is_requested());
    assert_eq!(agent.abort("nobody listens"), ExitCode::from(75));
}

#[test]
fn a_daemon_that_does_not_read_holds_nobody_up() {
    let (mut node, agent) = Node::invoked();
    // More than any socket takes.
    let deferrals = 50_000;
    for _ in 0..deferrals {
        agent.deferral().complete();
    }
    agent.progress(40);
    assert_eq!(agent.complete(), ExitCode::SUCCESS);
    let said = std::iter::from_fn(|| Some(node.hear()).filter(|line| !line.is_empty()));
    let said: Vec<String> = said.collect();
    let count = |wanted: &str| said.iter().filter(|line| line.as_str() == wanted).count();
    assert_eq!(count(r#"{"type":"deferral-taken"}"#), deferrals);
    assert_eq!(count(r#"{"type":"deferral-completed"}"#), deferrals);
    assert_eq!(count(r#"{"type":"progress","value":40}"#), 1);
    assert_eq!(said.last().unwrap(), r#"{"type":"complete"}"#);
}

#[test]
fn a_line_longer_than_the_protocol_allows_ends_the_conversation() {
    let (mut node, agent) = Node::invoked();
    let long = "x".repeat(2 * lull_proto::agent::LINE_LIMIT);
    // The agent may hang up before it has read the whole of it.
    drop(node.lines.get_mut().write_all(long.as_bytes()));
    assert_eq!(agent.memory_usage(), Err(NodeAway));
    assert!(!agent.node_is_there());
}

#[test]
fn a_node_that_hangs_up_or_speaks_a_newer_protocol_is_an_error() {
    let (node, socket) = Node::pair();
    drop(node);
    assert!(matches!(Agent::over(socket, None), Err(StartError::HungUp)));
    let (mut node, socket) = Node::pair();
    let newer = INVOKE
        .replace('\n', " ")
        .replace("\"protocol\":1", "\"protocol\":2");
    node.say(&newer);
    let refused = Agent::over(socket, None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the node speaks version 2 of the agent protocol, this agent 1 to 1; update the older one"
    );
}

#[test]
fn a_payload_is_read_to_its_bound() {
    let payload = |length: usize| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![0xff; length]).unwrap();
        let (mut node, socket) = Node::pair();
        node.say(&INVOKE.replace('\n', " "));
        Agent::over(socket, Some(file)).map(|agent| agent.payload().len())
    };
    assert_eq!(payload(5_000).unwrap(), 5_000);
    assert_eq!(payload(PAYLOAD_LIMIT).unwrap(), PAYLOAD_LIMIT);
    assert!(matches!(
        payload(PAYLOAD_LIMIT + 1),
        Err(StartError::PayloadTooLong { .. })
    ));
}

#[test]
fn a_program_started_by_hand_is_told_how_to_run() {
    let error = StartError::NotStartedByNode {
        variable: environment::SOCKET_FD,
        program: "/usr/lib/photos/photo-sync".to_owned(),
    };
    let told = error.to_string();
    for word in [
        "LULL_SOCKET_FD",
        "/usr/lib/photos/photo-sync",
        "[[agent]]",
        "lull push",
    ] {
        assert!(told.contains(word), "{told}");
    }
}

/// One line of the agent with the descriptor that came with it.
fn hear_with_descriptor(node: &Node) -> (String, Option<OwnedFd>) {
    use std::io::IoSliceMut;
    use std::mem::MaybeUninit;

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let (mut line, mut descriptor) = (Vec::new(), None);
    while !line.ends_with(b"\n") {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 256];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let message = recvmsg(node.lines.get_ref(), &mut parts, &mut control, flags).unwrap();
        let came = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        descriptor = descriptor.or(came);
        line.extend_from_slice(&bytes[..message.bytes]);
    }
    (String::from_utf8(line).unwrap(), descriptor)
}

/// TRGD-15, TRGD-19.
#[test]
fn a_socket_is_handed_over_with_its_line_and_comes_back_where_it_is_refused() {
    let (mut node, agent) = Node::invoked();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let offering = std::thread::spawn(move || {
        let first = HandOver::new("door", listener.try_clone().unwrap()).context(b"v1");
        agent.hand_over(first).unwrap();
        let refused = agent
            .hand_over(HandOver::new("gate", listener))
            .unwrap_err();
        drop(agent);
        refused
    });
    let (line, descriptor) = hear_with_descriptor(&node);
    assert_eq!(
        line.trim_end(),
        r#"{"type":"hand-over","id":"door","channel":false,"context":"7631","keep_alive_minutes":null}"#
    );
    let held = std::net::TcpListener::from(descriptor.unwrap());
    assert_eq!(held.local_addr().unwrap(), address);
    node.say(r#"{"type":"handed-over","id":"door","refused":null}"#);
    let (line, descriptor) = hear_with_descriptor(&node);
    assert!(
        line.contains(r#""id":"gate""#) && descriptor.is_some(),
        "{line}"
    );
    node.say(r#"{"type":"handed-over","id":"gate","refused":"there is no registration of it"}"#);
    let refused = offering.join().unwrap();
    assert!(
        refused
            .to_string()
            .ends_with("there is no registration of it")
    );
    let back = std::net::TcpListener::from(refused.hand_over.into_socket());
    assert_eq!(back.local_addr().unwrap(), address);
}

#[test]
fn an_agent_learns_what_happened_on_its_socket() {
    let (mut node, socket) = Node::pair();
    let said = r#""occasion":{"kind":"socket","id":"door","activity":"connection-accepted","number":2,
        "socket":{"kind":"listener","context":"7631"}},"attempt""#;
    let invoke = INVOKE.replace(r#""attempt""#, said).replace('\n', " ");
    node.say(&invoke);
    let mut agent = Agent::over(socket, None).unwrap();
    let wanted = Occasion::Socket {
        id: "door".to_owned(),
        activity: crate::SocketActivity::ConnectionAccepted,
        socket: Some(crate::HandedSocket {
            kind: crate::SocketKind::Listener,
            context: b"v1".to_vec(),
        }),
    };
    assert_eq!(agent.invocation().occasion, Some(wanted));
    assert!(agent.take_socket().is_none(), "a harness hands none");
}
