//! Which engine the coordinator's store stands on: `SQLite`, redb and fjall write the product's own rows, each commit
//! durable, against a bare append + fdatasync.
//!
//! Disks and machines are shared and noisy, so the contestants take turns every few commits: a ratio compares what ran
//! side by side. CPU is the whole process's, background threads included.
//!
//! `cargo bench -p lull-tests --features store-engines --bench store_engines`. It prints a Markdown table; ARCHITECTURE.md
//! has the one that the choice was made on. Deliberately absent: the store itself as the coordinator uses it (benches/push).

mod fjall;
mod floor;
mod redb;
mod rows;
mod sqlite;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lull_tests::measure::Watch;
use rows::{Batch, Hop, Load};
use rustix::time::ClockId;

/// Devices with a mailbox.
const DEVICES: usize = 1_000;
/// Pushes that are there before anything is measured.
const BEFORE: usize = 20_000;
/// Pushes of one commit, and commits of one turn.
const BATCHES: [(usize, usize); 3] = [(1, 20), (16, 10), (256, 4)];
/// Turns of each contestant for each batch size.
const TURNS: usize = 30;
/// Receipts of one commit.
const RECEIPTS: usize = 256;
/// Pushes whose receipts are recorded in one turn, in commits.
const RECEIPT_TURNS: usize = 10;
/// The contestants.
const ENGINES: [(&str, Open); 3] = [
    ("SQLite", sqlite::open),
    ("redb", redb::open),
    ("fjall", fjall::open),
];

/// An engine with the product's rows in it.
trait Engine {
    /// Stores a batch of pushes in one durable commit.
    fn accept(&mut self, batch: &Batch) -> Result<()>;
    /// Records one hop of these pushes in one durable commit.
    fn record(&mut self, batch: &Batch, hop: Hop) -> Result<()>;
    /// Reads a device's whole mailbox with the bodies: rows and bytes.
    fn drain(&mut self, device: &[u8; 16]) -> Result<(usize, usize)>;
}

type Open = fn(&Path) -> Result<Box<dyn Engine>>;

/// One engine, its load, and what was seen of it.
struct Contestant {
    name: &'static str,
    open: Open,
    path: PathBuf,
    engine: Box<dyn Engine>,
    load: Load,
    /// Accepts, by batch size.
    accepts: [Tally; 3],
    receipts: Tally,
    drained: Tally,
    reopened: Duration,
    size: u64,
}

/// What was done, and what it took.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    count: usize,
    time: Duration,
    cpu: Duration,
}

impl Tally {
    fn measure(&mut self, count: usize, what: impl FnOnce() -> Result<()>) -> Result<()> {
        let cpu = cpu();
        let begin = Watch::start();
        what()?;
        self.time += begin.elapsed();
        self.cpu += cpu_since(cpu);
        self.count += count;
        Ok(())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a bench are far below 2^52"
    )]
    fn rate(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a bench are far below 2^52"
    )]
    fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.count as f64
    }
}

fn main() -> Result<()> {
    let program = std::env::current_exe()?;
    // The build's own folder: a real disk, where `/tmp` may be memory.
    let home = program.parent().context("the program is in a folder")?;
    let folder = tempfile::tempdir_in(home)?;
    let mut contestants = Vec::new();
    for (name, open) in ENGINES {
        contestants.push(Contestant::begin(folder.path(), name, open).context(name)?);
    }
    let floor = accepts(folder.path(), &mut contestants)?;
    for contestant in &mut contestants {
        contestant.receipts()?;
        contestant.drain()?;
        contestant.reopen()?;
    }
    print(&floor, &contestants);
    Ok(())
}

/// All take turns; gives the floor's.
fn accepts(folder: &Path, contestants: &mut [Contestant]) -> Result<[Tally; 3]> {
    let mut floor = [Tally::default(); 3];
    let mut log = floor::Log::create(&folder.join("floor"))?;
    let mut load = Load::new(DEVICES);
    for (place, (size, commits)) in BATCHES.into_iter().enumerate() {
        for turn in 0..TURNS {
            let batches: Vec<_> = (0..commits).map(|_| load.batch(size)).collect();
            floor[place].measure(size * commits, || {
                batches.iter().try_for_each(|batch| log.append(batch))
            })?;
            // Another one goes first in each turn.
            contestants.rotate_left(usize::from(turn > 0));
            for contestant in contestants.iter_mut() {
                let name = contestant.name;
                contestant.accepts(place, size, commits).context(name)?;
            }
        }
    }
    contestants.sort_by_key(|contestant| {
        ENGINES
            .iter()
            .position(|(name, _)| *name == contestant.name)
    });
    Ok(floor)
}

impl Contestant {
    fn begin(folder: &Path, name: &'static str, open: Open) -> Result<Self> {
        let path = folder.join(name);
        std::fs::create_dir(&path)?;
        let mut engine = open(&path)?;
        let mut load = Load::new(DEVICES);
        for _ in 0..BEFORE / 500 {
            engine.accept(&load.batch(500))?;
        }
        Ok(Self {
            name,
            open,
            path,
            engine,
            load,
            accepts: <[Tally; 3]>::default(),
            receipts: Tally::default(),
            drained: Tally::default(),
            reopened: Duration::ZERO,
            size: 0,
        })
    }

    fn accepts(&mut self, place: usize, size: usize, commits: usize) -> Result<()> {
        let batches: Vec<_> = (0..commits).map(|_| self.load.batch(size)).collect();
        let engine = &mut self.engine;
        self.accepts[place].measure(size * commits, || {
            batches.iter().try_for_each(|batch| engine.accept(batch))
        })
    }

    fn receipts(&mut self) -> Result<()> {
        for _ in 0..RECEIPT_TURNS {
            let mut batch = self.load.batch(RECEIPTS);
            self.engine.accept(&batch)?;
            for hop in Hop::ALL {
                self.load.settle(&mut batch, hop);
                let engine = &mut self.engine;
                self.receipts
                    .measure(RECEIPTS, || engine.record(&batch, hop))?;
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        let mut rows = 0;
        let waiting = self.load.waiting();
        let engine = &mut self.engine;
        self.drained.measure(waiting, || {
            for place in 0..DEVICES {
                let (count, bytes) = engine.drain(&Load::device(place))?;
                ensure!(bytes == count * rows::PAYLOAD, "a body is missing");
                rows += count;
            }
            Ok(())
        })?;
        ensure!(rows == waiting, "{rows} rows, not {waiting}");
        Ok(())
    }

    fn mebibytes(&self) -> u64 {
        self.size.div_ceil(1 << 20)
    }

    /// A copy of the files as they are while the engine runs is what a killed process leaves.
    fn reopen(&mut self) -> Result<()> {
        let left = self.path.with_extension("left");
        copy(&self.path, &left)?;
        self.size = size_of(&left)?;
        let begin = Watch::start();
        let mut again = (self.open)(&left)?;
        ensure!(again.drain(&Load::device(0))?.0 > 0, "an empty mailbox");
        self.reopened = begin.elapsed();
        Ok(())
    }
}

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn cpu_since(before: Duration) -> Duration {
    cpu().saturating_sub(before)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn size_of(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        size += if entry.file_type()?.is_dir() {
            size_of(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(size)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn print(floor: &[Tally; 3], contestants: &[Contestant]) {
    println!(
        "{DEVICES} devices, {BEFORE} pushes there before, bodies of {} bytes; every commit durable. In brackets: over bare \
         append + fdatasync of the same bytes, side by side.\n",
        rows::PAYLOAD
    );
    println!(
        "| | accepts/s, 1 a commit | 16 a commit | 256 a commit | CPU µs an accept, at 16 and 256 | receipts/s, {RECEIPTS} a \
         commit | drained rows/s | reopened after a kill, ms | size, MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let [one, some, many] = floor;
    println!(
        "| append + fdatasync | {:.0} | {:.0} | {:.0} | {:.1}, {:.1} | | | | |",
        one.rate(),
        some.rate(),
        many.rate(),
        some.cpu_micros(),
        many.cpu_micros()
    );
    for contestant in contestants {
        let rates: Vec<String> = contestant
            .accepts
            .iter()
            .zip(floor)
            .map(|(ours, bare)| format!("{:.0} ({:.2})", ours.rate(), ours.rate() / bare.rate()))
            .collect();
        let [_, some, many] = &contestant.accepts;
        println!(
            "| {} | {} | {:.0}, {:.0} | {:.0} | {:.0} | {:.1} | {} |",
            contestant.name,
            rates.join(" | "),
            some.cpu_micros(),
            many.cpu_micros(),
            contestant.receipts.rate(),
            contestant.drained.rate(),
            contestant.reopened.as_secs_f64() * 1e3,
            contestant.mebibytes()
        );
    }
}
