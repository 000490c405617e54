//! What an idle node costs: the released daemon with 20 registrations and nothing due. Prints resident memory of daemon and
//! launcher, wake-ups a minute, bytes written, and the size of the program.
//!
//! `cargo bench -p lull-node --bench footprint`; `LULL_FOOTPRINT_SECONDS` says how long is looked (120).

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use measure::{Watch, resident};

#[path = "../src/measure.rs"]
#[expect(unreachable_pub, dead_code, reason = "the harness has it too")]
mod measure;

/// What a start still does is over by then.
const SETTLING: Duration = Duration::from_secs(20);
/// How long the daemon may take until it listens.
const START: Duration = Duration::from_secs(30);

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        // It ends its launcher too, which holds no run.
        if let Ok(pid) = i32::try_from(self.0.id())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        self.0.wait().ok();
    }
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
#[expect(
    clippy::cast_precision_loss,
    reason = "bytes and counts far below 2^52"
)]
fn main() -> Result<()> {
    let program = env!("CARGO_BIN_EXE_lull-node");
    let folder = tempfile::tempdir()?;
    let config = configure(folder.path())?;
    let child = Command::new(program)
        .args(["run", "--config"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start the node")?;
    let node = Node(child);
    let socket = folder.path().join("run/local.sock");
    let watch = Watch::start();
    while !socket.exists() {
        anyhow::ensure!(watch.elapsed() < START, "the node does not listen");
        pause(Duration::from_millis(50));
    }
    pause(SETTLING);
    let pid = node.0.id();
    let seconds = std::env::var("LULL_FOOTPRINT_SECONDS").ok();
    let seconds: u64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(120);
    let (woke, wrote) = (wakes(pid)?, written(pid)?);
    pause(Duration::from_secs(seconds));
    let woke = wakes(pid)?.saturating_sub(woke);
    let wrote = written(pid)?.saturating_sub(wrote);
    let mebibytes = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
    let launcher = children(pid)?
        .into_iter()
        .map(resident)
        .sum::<Result<u64>>()?;
    println!(
        "idle node with 20 registrations: {:.1} MiB resident, its launcher {:.1} MiB; {:.2} wake-ups a minute and {:.2} MiB a day \
         written, over {seconds} s; program {:.1} MiB",
        mebibytes(resident(pid)?),
        mebibytes(launcher),
        woke as f64 * 60.0 / seconds as f64,
        mebibytes(wrote) * 86_400.0 / seconds as f64,
        mebibytes(std::fs::metadata(program)?.len()),
    );
    Ok(())
}

/// Twenty registrations, none of which is due within a day.
fn configure(folder: &Path) -> Result<std::path::PathBuf> {
    let apps = folder.join("apps");
    std::fs::create_dir(&apps)?;
    let mut manifest = String::from(
        "id = \"bench\"\nversion = \"1.0\"\n\n[[agent]]\nentry_point = \"agent\"\n\
         types = [\"timer\", \"push-notification\", \"system-event\"]\ncommand = [\"/bin/true\"]\n",
    );
    let conditions = [
        "user-not-present",
        "internet-available",
        "session-connected",
        "free-network-available",
        "background-work-cost-not-high",
    ];
    for number in 0..20 {
        let trigger = match number % 2 {
            0 => "{ timer = { minutes = 1440, one_shot = false } }",
            _ => "{ push = {} }",
        };
        let condition = conditions[number % conditions.len()];
        write!(
            manifest,
            "\n[[register]]\nname = \"task-{number}\"\nentry_point = \"agent\"\ntrigger = {trigger}\n\
             conditions = [\"{condition}\"]\n"
        )?;
    }
    std::fs::write(apps.join("bench.toml"), manifest)?;
    let config = folder.join("node.toml");
    let text = format!(
        "state_dir = \"{0}/state\"\nrun_dir = \"{0}/run\"\napps_dir = \"{0}/apps\"\n[cgroup]\nname = \"lull-footprint\"\n",
        folder.display()
    );
    std::fs::write(&config, text)?;
    Ok(config)
}

/// How often a thread of the process gave the processor up and was woken again.
fn wakes(pid: u32) -> Result<u64> {
    let mut all = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        all += number(&status, "voluntary_ctxt_switches:")?;
    }
    Ok(all)
}

/// Bytes that the process had written to the block device.
fn written(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io"))?;
    number(&text, "write_bytes:")
}

fn number(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.with_context(|| format!("no {name}"))?.trim().parse()?)
}

fn children(pid: u32) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = std::fs::read_to_string(thread?.path().join("children"))?;
        all.extend(
            children
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    Ok(all)
}

fn pause(span: Duration) {
    let timeout = rustix::time::Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    };
    rustix::event::poll(&mut [], Some(&timeout)).ok();
}
