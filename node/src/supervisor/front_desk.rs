//! The apps' own processes, as the desk starts and ends them (RUN-04, RUN-05).
//!
//! To the launcher each is a run like any other, of a number that the machine never gives ([`is_front`]); so it outlives the daemon, and
//! a later one takes it up again. Deliberately absent: the processes' connections and what runs in them (`fronts`).

use std::collections::BTreeSet;
use std::sync::Arc;

use lull_launcher::HeldRun;
use lull_launcher::wire::{self, Request};
use lull_policy::{AppId, Exit, RunId};

use super::desk::Desk;
use super::order;
use super::seat::{End, FromRun};

/// The machine counts runs from 1; beyond this stand processes that are no runs.
const FIRST: u64 = 1 << 63;

/// Whether a number of the launcher's names an app's own process.
pub(crate) const fn is_front(run: RunId) -> bool {
    run.0 >= FIRST
}

/// The launcher's number of the n-th process that is no run.
pub(super) const fn front_run(number: u64) -> u64 {
    FIRST | number
}

/// An app's own process.
#[derive(Debug)]
pub(super) struct FrontSeat {
    app: AppId,
    /// Its order, until the launcher tells of it.
    order: Option<Box<wire::Launch>>,
}

impl Desk {
    /// Makes the order off the runtime's threads: the catalog looks at files.
    pub(super) fn start_front(&mut self, app: AppId) {
        self.setup.fronts.starting(&app);
        let (setup, words) = (Arc::clone(&self.setup), self.words.clone());
        let number = self.next_front;
        self.next_front += 1;
        self.conversations.spawn(async move {
            let of = app.clone();
            let preparing = tokio::task::spawn_blocking(move || {
                let program = setup.catalog.front(&of)?;
                order::front(number, &of, program, &setup.local_socket)
            });
            let prepared = preparing.await.unwrap_or_else(|_panicked| {
                Err("the catalog of agents failed; its log says where".to_owned())
            });
            // A desk that is gone starts nothing.
            words.send(FromRun::Front(app, prepared)).await.ok();
        });
    }

    /// The order is made, or cannot be.
    pub(super) async fn front_ordered(
        &mut self,
        app: AppId,
        prepared: Result<Box<wire::Launch>, String>,
    ) {
        match prepared {
            Ok(order) => {
                let id = RunId(order.run);
                let request = Request::Launch(order.clone());
                let order = Some(order);
                self.fronts.insert(id, FrontSeat { app, order });
                self.send(&request, None).await;
            }
            Err(why) => {
                tracing::warn!(%app, %why, "the app's own process cannot be started");
                self.setup.fronts.failed(&app, &why);
            }
        }
    }

    /// Kills the process, whoever started it.
    pub(super) async fn kill_front(&mut self, app: &AppId) {
        self.setup.fronts.kill(app);
        let ours = self.fronts.iter().filter(|(_, seat)| seat.app == *app);
        let ours: Vec<u64> = ours.map(|(id, _)| id.0).collect();
        for run in ours {
            // With all that it started.
            self.send(&Request::Kill { run }, None).await;
        }
    }

    pub(super) fn front_started(&mut self, id: RunId, process: &wire::Process) {
        if let Some(seat) = self.fronts.get_mut(&id) {
            seat.order = None;
            self.setup.fronts.started(&seat.app, process.pid);
        }
    }

    /// It ended: its end is nobody's run, so nothing has to be durable first.
    pub(super) async fn front_ended(&mut self, id: RunId, exit: Exit) {
        if let Some(seat) = self.fronts.remove(&id) {
            tracing::info!(app = %seat.app, ?exit, "an app's own process ended");
            self.setup.fronts.ended(&seat.app, exit);
        }
        self.send(&Request::Forget { run: id.0 }, None).await;
    }

    /// Takes up a process that an earlier daemon started; that of an app which is gone is ended.
    pub(super) async fn adopt_front(&mut self, held: HeldRun) {
        let id = RunId(held.run);
        self.next_front = self.next_front.max((held.run & !FIRST) + 1);
        let app = AppId::new(held.note.as_str()).ok();
        let app = match app {
            Some(app) if self.is_installed(&app).await => app,
            Some(_) | None => return self.send(&Request::Kill { run: held.run }, None).await,
        };
        self.setup.fronts.starting(&app);
        self.fronts.insert(id, FrontSeat { app, order: None });
        if let Some(process) = &held.process {
            self.front_started(id, process);
        }
    }

    /// Whether the catalog still has a program of the app's own.
    async fn is_installed(&self, app: &AppId) -> bool {
        let (catalog, app) = (Arc::clone(&self.setup.catalog), app.clone());
        let looking = tokio::task::spawn_blocking(move || catalog.front(&app).is_ok());
        looking.await.unwrap_or(false)
    }

    /// Connected to a launcher again: what it does not hold is ordered anew if it never began, else it is gone.
    pub(super) async fn resume_fronts(&mut self, holds: &BTreeSet<RunId>) {
        let missing: Vec<RunId> = self.fronts.keys().copied().collect();
        for id in missing.into_iter().filter(|id| !holds.contains(id)) {
            let order = self.fronts.get(&id).and_then(|seat| seat.order.clone());
            match order {
                Some(order) => self.send(&Request::Launch(order), None).await,
                None => self.front_ended(id, Exit::Vanished).await,
            }
        }
    }
}

/// How a process ended, in the machine's words.
pub(super) fn exit(exit: wire::Exit) -> Exit {
    End::told(exit, None, None, "").exit
}
