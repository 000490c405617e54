//! The second socket, on which front clients hand sockets over, with callers of real users.

use std::io::{BufRead as _, BufReader, IoSlice};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;

use lull_policy::{Subject, Trigger};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::*;
use crate::broker::Broker;
use crate::engine::rig;

/// Says a line, with a descriptor if there is one; the answer.
async fn ask(path: &Path, uid: u32, line: &str, socket: Option<TcpListener>) -> String {
    let (path, line) = (path.to_owned(), format!("{line}\n"));
    let asking = tokio::task::spawn_blocking(move || {
        let stream = connection(&path, uid).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sockets: Vec<_> = socket.iter().map(|socket| socket.as_fd()).collect();
        if !sockets.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(&sockets)));
        }
        let parts = [IoSlice::new(line.as_bytes())];
        let sent = sendmsg(&stream, &parts, &mut control, SendFlags::NOSIGNAL);
        assert_eq!(sent, Ok(line.len()));
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer
    });
    asking.await.unwrap()
}

/// TRGD-15, TRGD-19.
#[test]
fn an_apps_user_hands_a_socket_over_and_nobody_else_does() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        let id = Subject::new("door").unwrap();
        let registered = rig
            .call(rig::register("door", Trigger::Socket { id }))
            .await;
        assert!(matches!(registered, Ok(Answer::Registered { .. })));
        let folder = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let path = folder.path().join("handover.sock");
        let clock: ClockRef = Arc::<crate::clock::Manual>::clone(&rig.clock);
        let (engine, board) = (Arc::clone(&rig.door), Arc::clone(&rig.board));
        let ending = CancellationToken::new();
        let door = HandoverDoor {
            authority: Authority {
                daemon_uid: rustix::process::getuid().as_raw(),
                cage: "lull-no-cage".to_owned(),
                owners: Arc::new(Manifests(Mutex::default(), PathBuf::new())),
            },
            broker: Broker::new(engine, Arc::clone(&clock), Arc::clone(&board)),
            board,
            clock,
            ending: ending.clone(),
        };
        let serving = tokio::spawn(door.serve(LocalSocket::bind(&path).unwrap()));
        let line = r#"{"app":"photos","id":"door","context":"7631"}"#;
        let gate = r#"{"app":"photos","id":"gate"}"#;
        let rows = [
            (
                OWNER,
                line,
                true,
                r#"{"type":"handed-over","kind":"listener","slot":null}"#,
            ),
            (STRANGER, line, true, r#""code":"permission-denied""#),
            (OWNER, line, false, "no descriptor came"),
            (OWNER, gate, true, r#""code":"failed-precondition""#),
            (OWNER, "door", true, r#""code":"invalid-argument""#),
        ];
        let mut held = None;
        for (uid, line, with_socket, words) in rows {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            held = held.or(Some(address));
            let answer = ask(&path, uid, line, with_socket.then_some(listener)).await;
            assert!(answer.contains(words), "{uid} {line}: {answer}");
            assert_eq!(
                TcpStream::connect(address).is_ok(),
                held == Some(address),
                "{line}"
            );
        }
        ending.cancel();
        tokio::time::timeout(PATIENCE, serving)
            .await
            .unwrap()
            .unwrap();
        rig.handle.end().await;
    });
}
