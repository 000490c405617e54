//! The coordinator is killed with pushes accepted and not delivered: each arrives, and once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use lull_proto::push::v1::{GetRequest, SendResponse};
use serde::Serialize;

use super::seat::Seat;
use super::step::Step;
use crate::failure::Failure;
use crate::fleet::Coordinator;
use crate::up::daemon::until;
use crate::up::pair::Pair;
use crate::verb::list_devices;
use crate::view::{ReceiptView, moment};
use crate::words::exact;

/// How many pushes.
const PUSHES: usize = 100;
/// Sends under way at once: enough to fill a group commit.
const AT_ONCE: usize = 20;
/// For all of them to run, one after another, each a process with commits of its own.
const ALL: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, Serialize)]
struct Sent {
    payload: String,
    push_id: String,
    accepted_at: Option<jiff::Timestamp>,
    again_push_id: String,
    again_duplicate: bool,
}

/// Runs the step; the pair's daemons are others at its end.
pub(super) async fn run(pair: &mut Pair, seat: &Seat) -> Step {
    let mut step = Step::new(
        "outage",
        "100 pushes, each sent twice, survive a killed coordinator and arrive once",
    );
    let result = work(pair, seat, &mut step).await;
    step.end(result)
}

async fn work(pair: &mut Pair, seat: &Seat, step: &mut Step) -> Result<(), Failure> {
    pair.stop_node().await?;
    let killed = pair.coordinator_process();
    let sent: Vec<Sent> = stream::iter((1..=PUSHES).map(|number| send_twice(seat, number)))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    // As soon as the last is accepted: what is accepted must be durable already.
    pair.kill_coordinator().await?;
    step.keep("pushes", &sent);
    step.keep("killed_coordinator", killed);
    let once = sent
        .iter()
        .filter(|sent| sent.push_id == sent.again_push_id && sent.again_duplicate)
        .count();
    step.claim(
        "a second send with the same key stores nothing new",
        once == PUSHES,
        format!("{once} of {PUSHES} answered with the first push's id"),
    );
    pair.start_coordinator().await?;
    let operator = pair.operator().await?;
    let waiting = list_devices(&operator)
        .await?
        .first()
        .map_or(0, |device| device.waiting);
    step.claim(
        "all are there after the coordinator was killed and started again",
        usize::try_from(waiting) == Ok(PUSHES),
        format!("{waiting} wait for the device"),
    );
    step.keep("waiting_after_restart", waiting);
    step.keep("coordinator", pair.coordinator_process());
    pair.start_node().await?;
    step.keep("node", pair.node_process());
    arrivals(pair, &operator, &sent, step).await
}

async fn send_twice(seat: &Seat, number: usize) -> Result<Sent, Failure> {
    let payload = format!("letter-{number:03}");
    let key = format!("outage-{number:03}");
    let first: SendResponse = seat.send("inbox", &payload, &key).await?;
    let again = seat.send("inbox", &payload, &key).await?;
    Ok(Sent {
        payload,
        push_id: first.push_id,
        accepted_at: moment(first.accepted_at),
        again_push_id: again.push_id,
        again_duplicate: again.duplicate,
    })
}

async fn arrivals(
    pair: &mut Pair,
    operator: &Coordinator,
    sent: &[Sent],
    step: &mut Step,
) -> Result<(), Failure> {
    let begun = crate::clock::now();
    let seat = Seat::of(pair).await?;
    let ended = until(ALL, "not all of the pushes came to their end", async || {
        all_ended(operator, sent).await
    })
    .await;
    let took = crate::clock::now().saturating_duration_since(begun);
    let log_path = seat.app_state("inbox").join("inbox.log");
    let log = std::fs::read_to_string(&log_path).unwrap_or_default();
    step.keep("inbox_log", &log_path);
    step.keep("receipts", ended.as_ref().ok());
    let mut lines: BTreeMap<&str, usize> =
        sent.iter().map(|sent| (sent.payload.as_str(), 0)).collect();
    for payload in log.lines().filter_map(|line| line.rsplit(' ').next()) {
        *lines.entry(payload).or_default() += 1;
    }
    let once = lines.values().filter(|number| **number == 1).count();
    let (lost, twice) = (
        lines.values().filter(|number| **number == 0).count(),
        lines.values().filter(|number| **number > 1).count(),
    );
    step.claim(
        format!("all {PUSHES} arrive, each once"),
        once == PUSHES && lost == 0 && twice == 0,
        format!(
            "{once} once, {lost} never, {twice} more than once; {} for all",
            exact(took)
        ),
    );
    ended.map(drop)
}

/// The receipts of every push, once each has its last.
async fn all_ended(
    operator: &Coordinator,
    sent: &[Sent],
) -> Result<Option<BTreeMap<String, Vec<ReceiptView>>>, Failure> {
    let mut all = BTreeMap::new();
    // From the last on: while something is missing it is most likely there.
    for push_id in sent
        .iter()
        .rev()
        .flat_map(|sent| [&sent.again_push_id, &sent.push_id])
    {
        if all.contains_key(push_id) {
            continue;
        }
        let request = Coordinator::request(GetRequest {
            push_id: push_id.clone(),
        });
        let answer = operator.push().get(request).await;
        let devices = answer
            .map_err(|status| operator.failure(&status))?
            .into_inner()
            .devices;
        let receipts: Vec<ReceiptView> = devices
            .into_iter()
            .flat_map(|one| {
                let device = one.device;
                one.receipts
                    .into_iter()
                    .map(move |receipt| ReceiptView::new(device.clone(), receipt))
            })
            .collect();
        if !receipts.iter().any(|receipt| receipt.terminal) {
            return Ok(None);
        }
        all.insert(push_id.clone(), receipts);
    }
    Ok(Some(all))
}
