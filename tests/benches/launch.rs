//! From the order to start an agent until its program executes, against bare fork + exec + cgroup with the same hierarchies
//! and limits, interleaved. Needs root.
//!
//! `cargo bench -p lull-tests --bench launch`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use lull_launcher::wire::{Class, Event, Launch, Request};
use lull_launcher::{Client, spawn};
use lull_tests::measure::{Watch, median};

/// Starts of each kind.
const STARTS: u64 = 300;
/// The program: it ends at once.
const PROGRAM: &str = "/bin/true";
/// Memory cap of both.
const MEMORY: u64 = 64 << 20;
/// Process cap of both.
const PIDS: u32 = 64;
/// Who the agent runs as: nobody.
const UID: u32 = 65_534;

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, socket] = arguments.as_slice()
        && verb == "__launcher"
    {
        return lull_launcher::run(Path::new(socket)).context("run the launcher");
    }
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("launcher.sock");
    let own = std::env::current_exe()?.to_string_lossy().into_owned();
    spawn(
        &[
            own,
            "__launcher".to_owned(),
            socket.to_string_lossy().into_owned(),
        ],
        &socket,
    )?;
    let (client, greeting, _) = Client::connect(&socket, "lull-bench")?;
    for line in &greeting.cannot_enforce {
        println!("not enforced here: {line}");
    }
    let floor = Floor::new()?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for run in 1..=STARTS {
        ours.push(launch(&client, run)?);
        bare.push(floor.start(run)?);
    }
    client.send(&Request::Quit {}, None)?;
    let (ours, bare) = (median(&ours), median(&bare));
    println!(
        "order to exec: lull {ours:.0} µs, bare fork + exec + cgroup {bare:.0} µs, ratio {:.2} (medians of {STARTS})",
        ours / bare
    );
    Ok(())
}

/// Microseconds from the order until the launcher says that the program executes.
fn launch(client: &Client, run: u64) -> Result<f64> {
    let order = Request::Launch(Box::new(Launch {
        run,
        program: PROGRAM.to_owned(),
        args: Vec::new(),
        environment: BTreeMap::new(),
        uid: UID,
        gid: UID,
        groups: Vec::new(),
        folder: "/".to_owned(),
        memory: Some(MEMORY),
        data: None,
        pids: PIDS,
        open_files: 256,
        class: Class::Background,
        offline: false,
        closed: Vec::new(),
        sandbox: None,
        payload: false,
        socket: None,
        note: String::new(),
    }));
    let watch = Watch::start();
    client.send(&order, None)?;
    let mut took = None;
    loop {
        match client.receive()?.0 {
            Event::Started { .. } => took = Some(watch.elapsed().as_secs_f64() * 1e6),
            Event::Ended { .. } => break,
            Event::Refused { message } => bail!("refused: {message}"),
            Event::Welcome { .. }
            | Event::Held { .. }
            | Event::Usage { .. }
            | Event::Sampled { .. }
            | Event::Kept { .. }
            | Event::Unknown => {}
        }
    }
    client.send(&Request::Forget { run }, None)?;
    took.context("it ended without having started")
}

/// Bare fork + exec + cgroup: make the groups, write the limits, start, move, wait, remove.
struct Floor {
    groups: Vec<(PathBuf, Vec<(&'static str, String)>)>,
}

impl Floor {
    fn new() -> Result<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup")?;
        let below = |controller: &str| -> Option<PathBuf> {
            let entry = own
                .lines()
                .find(|line| line.split(':').nth(1) == Some(controller))?;
            let path = entry.splitn(3, ':').nth(2)?.trim_start_matches('/');
            let mount = if controller.is_empty() {
                "unified"
            } else {
                controller
            };
            let folder = Path::new("/sys/fs/cgroup").join(mount).join(path);
            folder.is_dir().then_some(folder)
        };
        let limits = [
            (
                "memory",
                vec![("memory.limit_in_bytes", MEMORY.to_string())],
            ),
            ("pids", vec![("pids.max", PIDS.to_string())]),
            ("cpu", vec![("cpu.shares", "256".to_owned())]),
            ("", Vec::new()),
        ];
        let groups = limits
            .into_iter()
            .filter_map(|(name, files)| Some((below(name)?, files)));
        Ok(Self {
            groups: groups.collect(),
        })
    }

    fn start(&self, run: u64) -> Result<f64> {
        let watch = Watch::start();
        let mut made = Vec::new();
        for (folder, files) in &self.groups {
            let group = folder.join(format!("lull-floor-{run}"));
            std::fs::create_dir(&group).with_context(|| format!("make {}", group.display()))?;
            for (file, value) in files {
                std::fs::write(group.join(file), value)?;
            }
            made.push(group);
        }
        let mut child = Command::new(PROGRAM)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        for group in &made {
            // It may have ended already; then there is nothing left to move.
            drop(std::fs::write(
                group.join("cgroup.procs"),
                child.id().to_string(),
            ));
        }
        let took = watch.elapsed().as_secs_f64() * 1e6;
        child.wait()?;
        for group in &made {
            std::fs::remove_dir(group).with_context(|| format!("remove {}", group.display()))?;
        }
        Ok(took)
    }
}
