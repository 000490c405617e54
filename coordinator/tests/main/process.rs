//! The real process: killed, ended, started twice, and pressed by slow readers.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lull_proto::push::v1::{LabelSelector, SendRequest, send_request::Target};
use tonic::Code;

use crate::site::{Device, Seat, hello, push_to, until};

/// A coordinator process; killed when dropped.
struct Process {
    child: Child,
    seat: Seat,
}

fn command(state: &Path, level: &str) -> Command {
    let config = state.with_extension("toml");
    let text = format!(
        "state_dir = \"{}\"\nfleet_address = \"127.0.0.1:0\"\ndoor_address = \"127.0.0.1:0\"\n[log]\nlevel = \"{level}\"\n",
        state.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lull-coordinator"));
    command.arg("run").arg("--config").arg(config);
    command
}

impl Process {
    async fn start(state: &Path, level: &str, log: Stdio) -> Self {
        let child = command(state, level).stderr(log).spawn().unwrap();
        let ready = until("ready.json", async || {
            let text = std::fs::read(state.join("ready.json")).ok()?;
            let ready: serde_json::Value = serde_json::from_slice(&text).ok()?;
            (ready["pid"] == child.id()).then_some(ready)
        })
        .await;
        let seat = Seat {
            state: state.to_owned(),
            fleet: ready["fleet"].as_str().unwrap().to_owned(),
            door: ready["door"].as_str().unwrap().to_owned(),
        };
        Self { child, seat }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Resident memory in KiB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn moved(device: &Device, seat: &Seat) -> Device {
    Device {
        seat: seat.clone(),
        id: device.id.clone(),
        holder: device.holder.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_accepted_survives_a_kill_and_arrives_once() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let first = Process::start(&state, "warn", Stdio::null()).await;
    let device = first.seat.device(&[]).await;
    let mut talk = device.attach("photos", 10).await;
    let mut push = first.seat.push().await;
    let mut sent = Vec::new();
    for n in 0..60 {
        let request = push_to(&device, "photos", format!("{n}").as_bytes());
        sent.push(push.send(request).await.unwrap().into_inner().push_id);
    }
    let mut seen = Vec::new();
    for n in 1..=10 {
        seen.push(talk.delivery().await.push_id);
        if n == 5 {
            talk.acknowledge(5).await;
        }
    }
    until("the acknowledgement", async || {
        (first.seat.listed(&device).await.waiting == 55).then_some(())
    })
    .await;
    first.kill();

    let second = Process::start(&state, "warn", Stdio::null()).await;
    let device = moved(&device, &second.seat);
    let (mut talk, _) = device.greet(hello()).await.unwrap();
    talk.grant("photos", 64).await;
    let mut arrived = Vec::new();
    for _ in 0..55 {
        arrived.push(talk.delivery().await.push_id);
    }
    assert_eq!(
        arrived,
        sent[5..],
        "all that was not acknowledged, in order"
    );
    let last = 55;
    talk.acknowledge(last).await;
    until("an empty mailbox", async || {
        (second.seat.listed(&device).await.waiting == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_ends_well_when_asked_and_tells_its_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut process = Process::start(&state, "warn", Stdio::null()).await;
    let device = process.seat.device(&[]).await;
    let talk = device.attach("photos", 1).await;
    let pid = rustix::process::Pid::from_child(&process.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(talk.end().await.code(), Code::Unavailable);
    let child = &mut process.child;
    let status = tokio::task::block_in_place(|| child.wait().unwrap());
    assert!(status.success(), "{status}");
    assert!(!state.join("ready.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_coordinator_uses_a_state_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let first = Process::start(&state, "warn", Stdio::null()).await;
    let second = command(&state, "warn").output().unwrap();
    assert!(!second.status.success());
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(message.contains("another coordinator uses"), "{message}");
    assert!(
        state.join("ready.json").exists(),
        "the first one is as it was"
    );
    first.seat.devices().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_damaged_store_is_set_aside_and_its_devices_are_told_to_enrol_anew() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let log = folder.path().join("log");
    let first = Process::start(&state, "warn", Stdio::null()).await;
    let device = first.seat.device(&[]).await;
    first.kill();
    std::fs::write(state.join("coordinator.db"), "no database at all").unwrap();
    // The log of what is not yet in the file would heal it.
    std::fs::remove_file(state.join("coordinator.db-wal")).unwrap();

    let file = std::fs::File::create(&log).unwrap();
    let second = Process::start(&state, "warn", file.into()).await;
    let device = moved(&device, &second.seat);
    let refused = device.call().await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    assert!(refused.message().contains("enrol"), "{refused}");
    assert!(
        second.seat.devices().await.is_empty(),
        "the operator goes on"
    );
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("set aside"), "{text}");
    let kept = std::fs::read_dir(&state)
        .unwrap()
        .filter_map(Result::ok)
        .any(|entry| std::fs::read(entry.path()).is_ok_and(|bytes| bytes == b"no database at all"));
    assert!(kept, "never deleted");
}

#[test]
fn an_address_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = folder.path().join("config.toml");
    let state = folder.path().join("state");
    let text = format!("state_dir = {state:?}\nfleet_address = \"{address}\"\n");
    std::fs::write(&config, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lull-coordinator"))
        .arg("run")
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains(&address) && message.contains("fleet_address"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_secret_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let process = Process::start(&state, "trace", file.into()).await;
    let token = process.seat.token(&[]).await;
    let key = rcgen::KeyPair::generate().unwrap();
    process.seat.enrol_with(&token, &key).await.unwrap();
    let device = process.seat.device(&[]).await;
    let canary = "canary-7f3a9c";
    process
        .seat
        .send(push_to(&device, "photos", canary.as_bytes()))
        .await
        .unwrap();
    let mut talk = device.attach("photos", 1).await;
    talk.delivery().await;
    let operator = process.seat.operator();
    process.kill();
    let mut text = Vec::new();
    std::fs::File::open(&log)
        .unwrap()
        .read_to_end(&mut text)
        .unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("a device has enrolled"), "the log works");
    let key_line = operator.key.lines().nth(1).unwrap();
    for secret in [&token[6..49], canary, key_line] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}

/// Devices that take nothing from their connections hold a bounded part of what waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn slow_readers_do_not_grow_the_coordinator() {
    const DEVICES: usize = 20;
    const PUSHES: usize = 800;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("state"), "warn", Stdio::null()).await;
    let seat = &process.seat;
    let mut talks = Vec::new();
    for _ in 0..DEVICES {
        let device = seat.device(&[("ring", "slow")]).await;
        talks.push(device.attach("photos", PUSHES as u64).await);
    }
    let mut push = seat.push().await;
    let request = SendRequest {
        app: "photos".to_owned(),
        target: Some(Target::Selector(LabelSelector {
            labels: [("ring".to_owned(), "slow".to_owned())].into(),
        })),
        payload: vec![7; 5_000].into(),
        ..SendRequest::default()
    };
    push.send(request.clone()).await.unwrap();
    let before = process.resident();
    for _ in 1..PUSHES {
        push.send(request.clone()).await.unwrap();
    }
    let grown = process.resident().saturating_sub(before);
    // Each holds 64 messages, and what its HTTP/2 stream buffers (400 KiB); all of it would be 80 MB.
    assert!(grown < 40 << 10, "{grown} KiB");
    // And none of it is lost.
    for talk in &mut talks {
        let mut last = 0;
        for _ in 0..PUSHES {
            last = talk.delivery().await.sequence;
        }
        assert_eq!(last, PUSHES as u64);
    }
}

#[test]
fn a_wrong_configuration_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "\nstate_dri = \"/x\"\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lull-coordinator"))
        .arg("run")
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    let shown = config.display();
    assert_eq!(
        message,
        format!(
            "lull-coordinator: {shown}:2: no such key `state_dri` (did you mean `state_dir`?); every key is in \
             `lull-coordinator print-config`\n"
        )
    );
}

#[test]
fn print_config_prints_the_template() {
    let printed = Command::new(env!("CARGO_BIN_EXE_lull-coordinator"))
        .arg("print-config")
        .output()
        .unwrap();
    assert_eq!(printed.stdout, lull_coordinator::config::DEFAULT.as_bytes());
}
