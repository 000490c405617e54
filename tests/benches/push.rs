//! Pushes: durable accept rate, delivered-and-acknowledged rate, resident memory per idle device; each against bare
//! tonic with the same TLS, messages and client (`lull_tests::floor`), interleaved, medians of the rounds.
//!
//! `cargo bench -p lull-tests --bench push`. Acceptance is always after the fsync.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use lull_proto::push::v1::push_service_client::PushServiceClient;
use lull_proto::push::v1::{SendRequest, send_request::Target};
use lull_tests::fleet::{Coordinator, Credentials, Session};
use lull_tests::floor::Floor;
use lull_tests::measure::{Watch, median, resident};
use tonic::transport::Channel;

/// Bytes of a push's payload.
const PAYLOAD: usize = 256;
/// Calls under way at once.
const CONCURRENT: usize = 64;
/// Pushes of one accept round.
const ACCEPTS: u64 = 20_000;
/// Pushes of one delivery round.
const DELIVERIES: u64 = 20_000;
/// Devices of a delivery round.
const DEVICES: usize = 100;
/// Devices of the memory measurement.
const IDLE: usize = 1_000;
/// Interleaved rounds.
const ROUNDS: usize = 3;
/// The app that every device has.
const APP: &str = "bench";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("__coordinator") => {
            let file = arguments.get(2).context("which configuration file?")?;
            lull_coordinator::server::run(lull_coordinator::config::CoordinatorConfig::load(
                Path::new(file),
            )?)
        }
        Some("__floor") => {
            lull_tests::floor::serve(Path::new(arguments.get(2).context("which folder?")?))
        }
        _ => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(measure()),
    }
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
async fn measure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let coordinator = Coordinator::start(folder.path())?;
    let floor = Floor::start(folder.path())?;
    println!("{IDLE} devices enrol");
    let devices = coordinator.enroll(IDLE).await?;
    let names: Vec<String> = devices.iter().map(|(name, _)| name.clone()).collect();

    // First, while nothing waits for anybody.
    let ours = idle(
        coordinator.pid(),
        coordinator.fleet_address(),
        &devices,
        None,
    )
    .await?;
    let bare = idle(floor.pid(), &floor.address, &devices, Some(&floor.client)).await?;
    report(
        "resident bytes per idle attached device",
        &[ours],
        &[bare],
        "lower",
    );

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Spread over the devices that take part nowhere else, so that no mailbox fills.
        let away = names.get(DEVICES..).unwrap_or_default();
        ours.push(send(coordinator.operator().await?, away, ACCEPTS, round).await?);
        bare.push(
            send(
                floor.client.connect(&floor.address).await?,
                away,
                ACCEPTS,
                round,
            )
            .await?,
        );
    }
    report(
        "accepted a second, unary, 64 at once",
        &ours,
        &bare,
        "higher",
    );

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let takers = devices.get(..DEVICES).unwrap_or_default();
    for round in 0..ROUNDS {
        ours.push(deliver(&coordinator, takers, round).await?);
        bare.push(deliver_bare(&floor, &names, round).await?);
    }
    report(
        "delivered and acknowledged a second, 100 devices",
        &ours,
        &bare,
        "higher",
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn report(what: &str, ours: &[f64], bare: &[f64], better: &str) {
    let (ours, bare) = (median(ours), median(bare));
    println!(
        "{what}: lull {ours:.0}, bare tonic {bare:.0}, ratio {:.2} ({better} is better)",
        ours / bare
    );
}

/// Sends `count` pushes from `CONCURRENT` callers on one connection; accepted a second.
async fn send(channel: Channel, names: &[String], count: u64, round: usize) -> Result<f64> {
    let next = Arc::new(AtomicU64::new(0));
    let watch = Watch::start();
    let callers = (0..CONCURRENT).map(|_| {
        let (channel, next, names) = (channel.clone(), Arc::clone(&next), names.to_vec());
        tokio::spawn(async move {
            let mut client = PushServiceClient::new(channel);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, tonic::Status>(());
                }
                let at = usize::try_from(number).unwrap_or(0) % names.len();
                client.send(push(&names[at], number, round)).await?;
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(watch.rate(count))
}

fn push(device: &str, number: u64, _round: usize) -> SendRequest {
    let fill = u8::try_from(number % 251).unwrap_or(0);
    SendRequest {
        app: APP.to_owned(),
        target: Some(Target::Device(device.to_owned())),
        payload: vec![fill; PAYLOAD].into(),
        ..Default::default()
    }
}

async fn deliver(
    coordinator: &Coordinator,
    devices: &[(String, Credentials)],
    round: usize,
) -> Result<f64> {
    let mut sessions = Vec::with_capacity(devices.len());
    for (name, credentials) in devices {
        let channel = credentials.connect(coordinator.fleet_address()).await?;
        sessions.push(Session::open(channel, &format!("{name}-{round}"), APP).await?);
    }
    let names: Vec<_> = devices.iter().map(|(name, _)| name.clone()).collect();
    take_all(sessions, coordinator.operator().await?, &names, round).await
}

async fn deliver_bare(floor: &Floor, names: &[String], round: usize) -> Result<f64> {
    let names = names.get(..DEVICES).unwrap_or_default();
    let mut sessions = Vec::with_capacity(names.len());
    for name in names {
        let channel = floor.client.connect(&floor.address).await?;
        sessions.push(Session::open(channel, name, APP).await?);
    }
    take_all(
        sessions,
        floor.client.connect(&floor.address).await?,
        names,
        round,
    )
    .await
}

/// Sends and takes at once; delivered and acknowledged a second.
async fn take_all(
    sessions: Vec<Session>,
    publisher: Channel,
    names: &[String],
    round: usize,
) -> Result<f64> {
    let each = DELIVERIES / u64::try_from(sessions.len())?;
    let total = each * u64::try_from(sessions.len())?;
    let watch = Watch::start();
    let takers = sessions.into_iter().map(|mut session| {
        tokio::spawn(async move {
            for _ in 0..each {
                session.take().await?;
            }
            Ok::<_, anyhow::Error>(session)
        })
    });
    let takers: Vec<_> = takers.collect();
    send(publisher, names, total, round).await?;
    for taker in takers {
        taker.await??;
    }
    Ok(watch.rate(total))
}

/// Attaches every device and reads the server's memory before and after; bytes per device.
async fn idle(
    pid: u32,
    address: &str,
    devices: &[(String, Credentials)],
    shared: Option<&Credentials>,
) -> Result<f64> {
    let before = resident(pid)?;
    let mut sessions = Vec::with_capacity(devices.len());
    for (name, own) in devices {
        let channel = shared.unwrap_or(own).connect(address).await?;
        sessions.push(Session::open(channel, &format!("{name}-idle"), APP).await?);
    }
    let after = resident(pid)?;
    ensure!(sessions.len() == devices.len(), "every device is attached");
    #[expect(
        clippy::cast_precision_loss,
        reason = "sizes of a bench are far below 2^52"
    )]
    Ok(after.saturating_sub(before) as f64 / devices.len() as f64)
}
