//! An app's process against a node that each test plays, packet by packet.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, recvmsg,
    sendmsg, socket_with,
};
use tempfile::TempDir;

use super::*;

/// Longer than any of these tests takes on a loaded machine.
const LONG: Duration = Duration::from_mins(1);

struct Node {
    folder: TempDir,
    listener: OwnedFd,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = Self::listen(folder.path());
        Self { folder, listener }
    }

    fn listen(folder: &Path) -> OwnedFd {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let listener = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        let path = folder.join(SOCKET);
        std::fs::remove_file(&path).ok();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 8).unwrap();
        set_socket_timeout(&listener, Timeout::Recv, Some(LONG)).unwrap();
        listener
    }

    fn local_socket(&self) -> PathBuf {
        self.folder.path().join("local.sock")
    }

    /// Takes a process and answers its hello.
    fn greet(&self, answer: &str) -> Guest {
        let connection = accept_with(&self.listener, SocketFlags::CLOEXEC).unwrap();
        set_socket_timeout(&connection, Timeout::Recv, Some(LONG)).unwrap();
        let guest = Guest(connection);
        assert_eq!(
            guest.hears().unwrap(),
            r#"{"type":"hello","protocol":1,"app":"photos"}"#
        );
        guest.says(answer, None);
        guest
    }
}

struct Guest(OwnedFd);

impl Guest {
    /// The next packet; absent = closed.
    fn hears(&self) -> Option<String> {
        let mut bytes = vec![0; 4_096];
        let mut none = RecvAncillaryBuffer::default();
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let length = recvmsg(&self.0, &mut parts, &mut none, RecvFlags::empty());
        let length = length.unwrap().bytes;
        bytes.truncate(length);
        (length > 0).then(|| String::from_utf8(bytes).unwrap())
    }

    fn says(&self, packet: &str, socket: Option<&UnixStream>) {
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = socket.map(|socket| [socket.as_fd()]);
        if let Some(fds) = &fds {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        let parts = [IoSlice::new(packet.as_bytes())];
        sendmsg(&self.0, &parts, &mut control, SendFlags::empty()).unwrap();
    }

    /// Hands a run over, and answers the node's end of its socket.
    fn begins(&self, payload: &str) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        let packet = format!(r#"{{"type":"run","run":7,"payload":{payload}}}"#);
        self.says(&packet, Some(&theirs));
        ours
    }
}

const WELCOME: &str = r#"{"type":"welcome","protocol":1}"#;

fn line(socket: &UnixStream) -> io::Result<String> {
    use std::io::BufRead as _;
    let mut text = String::new();
    // One line at a time is said before the next is asked for, so none is lost with the buffer.
    io::BufReader::new(socket).read_line(&mut text)?;
    Ok(text.trim_end().to_owned())
}

fn invoke(mut socket: &UnixStream) {
    assert_eq!(line(socket).unwrap(), r#"{"type":"hello","protocol":1}"#);
    let invocation = r#"{"type":"invoke","protocol":1,"run":7,"app":"photos","task":"sum","entry_point":"","trigger":"timer","push":null,"attempt":1,"cancel_after_ms":25000,"kill_after_ms":30000}"#;
    socket.write_all(invocation.as_bytes()).unwrap();
    socket.write_all(b"\n").unwrap();
}

/// The app's process: hands each of its runs to `takes`.
fn app(
    node: &Node,
    runs: usize,
    takes: impl Fn(Run) + Send + 'static,
) -> std::thread::JoinHandle<Result<(), HostError>> {
    let socket = node.local_socket();
    std::thread::spawn(move || {
        let mut host = Host::connect_to("photos", socket)?;
        for _ in 0..runs {
            takes(host.next_run()?);
        }
        host.leave();
        Ok(())
    })
}

#[test]
fn runs_come_with_their_payload_and_the_app_says_that_it_leaves() {
    let node = Node::new();
    let app = app(&node, 2, |run| {
        if run.payload().is_empty() {
            return; // Code that returns is done.
        }
        assert_eq!(
            (run.payload(), run.invocation().task.as_str()),
            (&[0, 255][..], "sum")
        );
        run.abort("no server");
    });
    let guest = node.greet(WELCOME);
    guest.says(r#"{"type":"of-a-newer-node","x":1}"#, None);
    for (payload, last_word) in [
        ("[0,255]", r#"{"type":"abort","message":"no server"}"#),
        ("[]", r#"{"type":"complete"}"#),
    ] {
        let run = guest.begins(payload);
        invoke(&run);
        assert_eq!(line(&run).unwrap(), last_word);
        assert_eq!(line(&run).unwrap(), "", "and its socket is closed");
    }
    assert_eq!(guest.hears().unwrap(), r#"{"type":"leaving"}"#);
    assert_eq!(guest.hears(), None);
    app.join().unwrap().unwrap();
}

#[test]
fn a_node_that_starts_anew_is_connected_to_again() {
    let mut node = Node::new();
    let app = app(&node, 1, Run::complete);
    drop(node.greet(WELCOME));
    node.listener = Node::listen(node.folder.path());
    let guest = node.greet(WELCOME);
    let run = guest.begins("[]");
    invoke(&run);
    assert_eq!(line(&run).unwrap(), r#"{"type":"complete"}"#);
    app.join().unwrap().unwrap();
}

#[test]
fn a_refusal_is_told_in_the_nodes_words() {
    let node = Node::new();
    let app = app(&node, 1, drop);
    let _guest = node.greet(r#"{"type":"refused","message":"no app photos is installed"}"#);
    let refused = app.join().unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "no app photos is installed");
}

#[test]
fn without_a_node_the_socket_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Host::connect_to("photos", folder.path().join("local.sock")).unwrap_err();
    assert!(matches!(refused, HostError::NoNode { .. }));
    assert!(
        refused.to_string().contains("host.sock; start lull-node"),
        "{refused}"
    );
}

#[test]
fn another_thread_can_say_that_the_app_leaves() {
    let node = Node::new();
    let socket = node.local_socket();
    let app = std::thread::spawn(move || Host::connect_to("photos", socket).unwrap());
    let guest = node.greet(WELCOME);
    let host = app.join().unwrap();
    host.leaver().leave();
    assert_eq!(guest.hears().unwrap(), r#"{"type":"leaving"}"#);
}
