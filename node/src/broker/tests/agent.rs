//! The agent of `runs`: this test's own program, started anew by the launcher, with its sockets where a shell can put them.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use lull_proto::agent::{FromAgent, ToAgent, environment};
use lull_proto::handover::{HandOver, hex};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// Names the part that the program plays as an agent.
pub(super) const PART: &str = "LULL_TEST_AGENT";

/// Its own socket as standard error, and a socket handed to it as standard input: descriptors that std can name.
pub(super) const SCRIPT: &str = "[ \"$LISTEN_PID\" = $$ ] && [ \"$LULL_SOCKET_FD\" = 4 ] \
    && exec \"$0\" --exact broker::tests::runs::a_listener_goes_to_its_run_and_back --nocapture 0<&3 2>&4; exit 9";

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Its output is kept with the run.
fn say(words: impl std::fmt::Display) {
    writeln!(io::stdout(), "{words}").unwrap();
}

/// Says what it found, does its part, and ends.
pub(super) fn play(part: &str) {
    say(format!(
        "found {} {} {} {} {}",
        variable(environment::LISTEN_FDNAMES),
        variable(environment::SOCKET_ID),
        variable(environment::SOCKET_ACTIVITY),
        variable(environment::SOCKET_KIND),
        variable(environment::SOCKET_CONTEXT),
    ));
    let handed = io::stdin().as_fd().try_clone_to_owned().unwrap();
    match part {
        "answer" => hand_over(answer(handed).as_fd()),
        "keep" => drop(answer(handed)),
        "read" => {
            let stream = TcpStream::from(handed);
            let mut bytes = [0; 64];
            let length = (&stream).read(&mut bytes).unwrap();
            say(format!(
                "read {}",
                String::from_utf8_lossy(&bytes[..length])
            ));
            hand_over(stream.as_fd());
        }
        part => panic!("{part}"),
    }
}

/// Greets the guests who are there.
fn answer(listener: OwnedFd) -> TcpListener {
    let listener = TcpListener::from(listener);
    listener.set_nonblocking(true).unwrap();
    while let Ok((mut guest, _address)) = listener.accept() {
        guest.write_all(b"welcome").unwrap();
    }
    listener
}

/// Hands it back, and says what the node answered.
fn hand_over(socket: BorrowedFd<'_>) {
    let asked = FromAgent::HandOver(HandOver {
        id: variable("LULL_TEST_ID"),
        channel: false,
        context: hex(b"again"),
        keep_alive_minutes: None,
    });
    let mut line = serde_json::to_vec(&asked).unwrap();
    line.push(b'\n');
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket];
    assert!(control.push(SendAncillaryMessage::ScmRights(&sockets)));
    let node = io::stderr();
    let sent = sendmsg(
        &node,
        &[IoSlice::new(&line)],
        &mut control,
        SendFlags::NOSIGNAL,
    );
    assert_eq!(sent, Ok(line.len()));
    let mut heard = Vec::new();
    while !heard.ends_with(b"\n") {
        let mut byte = [0];
        assert_eq!(rustix::io::read(&node, &mut byte), Ok(1));
        heard.extend(byte);
    }
    match serde_json::from_slice(&heard).unwrap() {
        ToAgent::HandedOver { refused, .. } => say(format!("handed over: {refused:?}")),
        other => panic!("{other:?}"),
    }
}
