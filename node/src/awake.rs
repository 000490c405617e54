//! Keeps the device awake while a run is under way that asked for the network (RUN-30): by an inhibitor of logind, which holds for as
//! long as its descriptor is open here.
//!
//! Deliberately absent: when that is, which the machine decides; and holding up the connection itself. NetworkManager has no call for
//! that; a connection that goes down for another reason than sleep goes down.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use zbus::{MatchRule, OwnedFd, message};

use crate::retry::{Retry, random};
use crate::status::{STAY_AWAKE, StatusBoard};
use crate::watch::GAP;
use crate::watch::bus::{Bus, Ear};

const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: &str = "/org/freedesktop/login1";
const MANAGER_INTERFACE: &str = "org.freedesktop.login1.Manager";
const BUS: &str = "org.freedesktop.DBus";

/// What logind refuses meanwhile, and what it tells people who ask why.
const WHAT: &str = "sleep:idle";
const WHO: &str = "lull";
const WHY: &str = "A background run asked for the network";
const MODE: &str = "block";

/// When a bus or a logind that failed is asked again.
const RETRY: Retry = Retry::new(Duration::from_secs(1), Duration::from_mins(1));

/// Holds and releases as `wanted` says, until its sender is gone. `bus`: the system bus; absent = where this machine has it.
pub async fn run(mut wanted: watch::Receiver<bool>, board: Arc<StatusBoard>, bus: Option<String>) {
    let mut unwanted = wanted.clone();
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        tokio::select! {
            _ = unwanted.wait_for(|wanted| !*wanted) => {}
            () = hold(&board, bus.as_deref()) => {}
        }
        board.set_source(STAY_AWAKE, "not needed");
    }
}

/// Holds for as long as it is not dropped, however often the bus fails meanwhile.
async fn hold(board: &StatusBoard, bus: Option<&str>) {
    let mut retry = RETRY;
    let mut held = None;
    loop {
        let Err(error) = follow(board, bus, &mut held, &mut retry).await;
        tracing::warn!(%error, "sleep cannot be inhibited now");
        if held.is_none() {
            board.set_source(STAY_AWAKE, &format!("this device may sleep: {error}"));
        }
        tokio::time::sleep(retry.next(random())).await;
    }
}

/// No error = never.
#[derive(Debug)]
enum Never {}

/// Takes an inhibitor, and another whenever logind came or went; the one before is held until then.
async fn follow(
    board: &StatusBoard,
    bus: Option<&str>,
    held: &mut Option<OwnedFd>,
    retry: &mut Retry,
) -> zbus::Result<Never> {
    let bus = Bus::at(bus).await?;
    loop {
        let rule = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender(BUS)
            .interface(BUS)
            .member("NameOwnerChanged")
            .arg(0, LOGIND);
        let mut ear = Ear::of(&bus, rule.build()?.into()).await?;
        if bus.standing(LOGIND).await?.offered() {
            let body = (WHAT, WHO, WHY, MODE);
            let inhibitor = bus
                .call(LOGIND, MANAGER, MANAGER_INTERFACE, "Inhibit", &body)
                .await?;
            *held = Some(inhibitor);
            retry.reset();
            board.set_source(STAY_AWAKE, "logind: held");
        } else if held.is_none() {
            board.set_source(
                STAY_AWAKE,
                "this device has no logind that could send it to sleep",
            );
        }
        ear.next().await?;
        tokio::time::sleep(GAP).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::stage::{Stage, eventually};

    const TEMPLATE: &str = "logind";

    /// The inhibitors that logind has.
    async fn held(bus: &Bus) -> Vec<[String; 4]> {
        let all: Vec<(String, String, String, String, u32, u32)> = bus
            .call(LOGIND, MANAGER, MANAGER_INTERFACE, "ListInhibitors", &())
            .await
            .unwrap();
        let words = all
            .into_iter()
            .map(|(what, who, why, mode, _uid, _pid)| [what, who, why, mode]);
        words.collect()
    }

    fn own() -> [String; 4] {
        [WHAT, WHO, WHY, MODE].map(str::to_owned)
    }

    fn begin(stage: &Stage) -> (watch::Sender<bool>, Arc<StatusBoard>) {
        let (want, wanted) = watch::channel(false);
        let board = Arc::new(StatusBoard::new());
        tokio::spawn(run(wanted, Arc::clone(&board), Some(stage.address())));
        (want, board)
    }

    #[tokio::test]
    async fn the_device_is_kept_awake_for_as_long_as_it_is_wanted() {
        let mut stage = Stage::start().await;
        stage.mock(TEMPLATE, LOGIND).await;
        let bus = stage.connect().await;
        let (want, board) = begin(&stage);
        for _round in 0..2 {
            assert!(held(&bus).await.is_empty());
            want.send_replace(true);
            eventually("an inhibitor", async || held(&bus).await == [own()]).await;
            want.send_replace(false);
            eventually("its release", async || held(&bus).await.is_empty()).await;
        }
        eventually("a line about it", async || {
            board.read().sources.get(STAY_AWAKE).map(String::as_str) == Some("not needed")
        })
        .await;
    }

    #[tokio::test]
    async fn a_logind_that_was_restarted_is_asked_anew() {
        let mut stage = Stage::start().await;
        let bus = stage.connect().await;
        let (want, board) = begin(&stage);
        want.send_replace(true);
        eventually("a line about a missing logind", async || {
            let sources = board.read().sources;
            let line = sources.get(STAY_AWAKE);
            line.is_some_and(|line| line.contains("no logind"))
        })
        .await;
        stage.mock(TEMPLATE, LOGIND).await;
        eventually("an inhibitor", async || held(&bus).await == [own()]).await;
        stage.kill();
        stage.mock(TEMPLATE, LOGIND).await;
        eventually("another one", async || held(&bus).await == [own()]).await;
        want.send_replace(false);
        eventually("its release", async || held(&bus).await.is_empty()).await;
    }

    #[tokio::test]
    async fn a_daemon_that_ends_lets_go() {
        let mut stage = Stage::start().await;
        stage.mock(TEMPLATE, LOGIND).await;
        let bus = stage.connect().await;
        let (want, wanted) = watch::channel(true);
        let board = Arc::new(StatusBoard::new());
        let part = tokio::spawn(run(wanted, board, Some(stage.address())));
        eventually("an inhibitor", async || held(&bus).await == [own()]).await;
        part.abort();
        eventually("its release", async || held(&bus).await.is_empty()).await;
        drop(want);
    }
}
