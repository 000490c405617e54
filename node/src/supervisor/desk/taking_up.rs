//! What a desk takes up that was there before it: the runs that the launcher holds, and those whose connection was lost under way.

use std::collections::{BTreeMap, BTreeSet};

use lull_launcher::HeldRun;
use lull_launcher::wire::Request;
use lull_policy::RunId;

use super::super::SupervisorError;
use super::super::conversation::Begin;
use super::super::front_desk::is_front;
use super::super::launcher::{Launcher, retry};
use super::super::metering::Metered;
use super::super::order::Note;
use super::super::seat::{End, Stage};
use super::{Desk, end};
use crate::ports::{EngineError, look};
use crate::retry::random;

impl Desk {
    /// Takes up the runs that the launcher holds. One that the machine does not know (its store began anew, or its end is durable
    /// already) is killed and forgotten.
    pub(super) async fn adopt(&mut self) -> Result<(), SupervisorError> {
        let known = self.known().await.map_err(SupervisorError::Engine)?;
        for held in std::mem::take(&mut self.held) {
            let run = RunId(held.run);
            if is_front(run) {
                self.adopt_front(held).await;
                continue;
            }
            let Some(metered) = known.get(&run) else {
                tracing::warn!(
                    run = run.0,
                    "the launcher holds a run that the store does not know; it is ended"
                );
                self.send(&Request::Kill { run: run.0 }, None).await;
                continue;
            };
            self.metering.begins(run, metered.clone(), false);
            let note = Note::decode(&held.note).map(Box::new);
            if note.as_ref().is_some_and(|note| note.follows_memory) {
                self.metering.follows_memory(run);
            }
            let forgiven = note.as_ref().is_some_and(|note| note.forgiven);
            self.seat(
                run,
                Begin::Adopted(note),
                Stage::Known { started: false },
                None,
            );
            if let Some(seat) = self.seats.get_mut(&run) {
                seat.holds.forgiven = forgiven;
            }
            if let Some(process) = held.process {
                self.started(run, &process, held.socket);
            }
        }
        Ok(())
    }

    async fn known(&self) -> Result<BTreeMap<RunId, Metered>, EngineError> {
        let mut retry = retry();
        loop {
            let runs = look(&self.setup.engine, |device, _now| {
                let runs = device.runs();
                runs.map(|run| (run.id, Metered::run(run))).collect()
            });
            match runs.await {
                Err(EngineError::Full(_) | EngineError::Unavailable) => {
                    tokio::time::sleep(retry.next(random())).await;
                }
                done => return done,
            }
        }
    }

    /// Connected again: to the same launcher, or to a new one that holds nothing.
    pub(super) async fn resume(&mut self, launcher: Launcher, held: Vec<HeldRun>) {
        let pid = launcher.pid();
        self.launcher = Some(launcher);
        self.metering.unanswered();
        let holds: BTreeSet<RunId> = held.iter().map(|run| RunId(run.run)).collect();
        for run in held {
            let id = RunId(run.run);
            if !self.seats.contains_key(&id) && !self.fronts.contains_key(&id) {
                self.send(&Request::Kill { run: run.run }, None).await;
            } else if let Some(process) = run.process {
                self.started(id, &process, run.socket);
            }
        }
        let mut again = Vec::new();
        for (run, seat) in &mut self.seats {
            match &seat.stage {
                Stage::Preparing | Stage::Hosted(_) | Stage::Ended => {}
                _ if holds.contains(run) => again.push(*run),
                Stage::Ordered { sent_to, .. } if sent_to.is_none_or(|sent| sent == pid) => {
                    again.push(*run);
                }
                Stage::Ordered { .. } | Stage::Known { .. } => end(seat, End::lost()),
            }
        }
        for run in again {
            self.repeat(run).await;
        }
        self.resume_fronts(&holds).await;
    }

    /// Says again what a lost connection may have swallowed.
    async fn repeat(&mut self, run: RunId) {
        // The launcher starts a run once, however often it is told.
        self.send_order(run).await;
        let Some(seat) = self.seats.get(&run) else {
            return;
        };
        let (killed, terminated, note) = (seat.killed, seat.terminated, seat.note.clone());
        let holds = seat.holds.requests(run);
        let run = run.0;
        for request in holds {
            self.send(&request, None).await;
        }
        if let Some(note) = note {
            self.send(&Request::Note { run, note }, None).await;
        }
        if terminated {
            self.send(&Request::Terminate { run }, None).await;
        }
        if killed {
            self.send(&Request::Kill { run }, None).await;
        }
    }
}
