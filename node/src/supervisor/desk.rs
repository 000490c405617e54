//! The one task that takes the engine's orders, speaks to the launcher, and gives every run its conversation.
//!
//! It never waits for a conversation, and for the launcher only while that is behind; stops are taken first. While the
//! launcher is away, stops are kept with their runs, and launches stay in their channel.

mod errands;
mod taking_up;

use std::collections::BTreeMap;
use std::future::pending;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use lull_launcher::wire::{Event, Process, Request};
use lull_launcher::{ClientError, HeldRun};
use lull_policy::{HostKind, Launch, RunId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::conversation::{Begin, Conversation};
use super::front_desk::{self, FrontSeat, is_front};
use super::launcher::{Launcher, reconnect};
use super::memory::{self, Held};
use super::metering::{Metered, Metering};
use super::order::Order;
use super::seat::{Cancel, End, FROM_RUNS, FromRun, Holds, Seat, Stage, TO_RUN, ToRun};
use super::{Setup, SupervisorError, sabotage};
use crate::ports::{PortFuture, RunOrder};
use crate::status::RunProcess;

/// Stops and holds that overtook the launch of their run. As many launches can wait in their channel.
const EARLY: usize = 1_024;

/// The desk.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) setup: Arc<Setup>,
    /// Absent while it is being connected to again.
    launcher: Option<Launcher>,
    held: Vec<HeldRun>,
    seats: BTreeMap<RunId, Seat>,
    early: BTreeMap<RunId, Early>,
    /// The apps' own processes that were started here.
    pub(super) fronts: BTreeMap<RunId, FrontSeat>,
    pub(super) next_front: u64,
    pub(super) conversations: JoinSet<()>,
    from_runs: mpsc::Receiver<FromRun>,
    pub(super) words: mpsc::Sender<FromRun>,
    metering: Metering,
    limits_off: bool,
}

/// Stops of a run whose launch has not come yet.
#[derive(Debug, Clone, Copy, Default)]
struct Early {
    cancel: Option<Cancel>,
    kill: bool,
    holds: Holds,
}

type Reconnection = PortFuture<'static, (Launcher, Vec<HeldRun>)>;

impl Desk {
    /// A desk over a connection.
    pub(super) fn new(setup: Setup, launcher: Launcher, held: Vec<HeldRun>) -> Self {
        let (words, from_runs) = mpsc::channel(FROM_RUNS);
        Self {
            metering: Metering::new(&setup),
            setup: Arc::new(setup),
            launcher: Some(launcher),
            held,
            seats: BTreeMap::new(),
            early: BTreeMap::new(),
            fronts: BTreeMap::new(),
            next_front: 1,
            conversations: JoinSet::new(),
            from_runs,
            words,
            limits_off: sabotage::limits_off(),
        }
    }

    pub(super) async fn serve(
        mut self,
        mut launches: mpsc::Receiver<RunOrder>,
        mut stops: mpsc::Receiver<RunOrder>,
    ) -> Result<(), SupervisorError> {
        self.adopt().await?;
        let (mut launching, mut stopping) = (true, true);
        let mut reconnection: Option<Reconnection> = None;
        let broker = self.setup.broker.clone();
        while launching || stopping {
            if self.launcher.is_none() && reconnection.is_none() {
                self.answer_questions();
                reconnection = Some(Box::pin(reconnect(Arc::clone(&self.setup))));
            }
            let connected = self.launcher.is_some();
            tokio::select! {
                biased;
                order = stops.recv(), if stopping => match order {
                    Some(order) => self.obey(order).await,
                    None => stopping = false,
                },
                Some(word) = self.from_runs.recv() => self.serve_run(word).await,
                () = broker.errand(), if connected => self.run_errands().await,
                event = receive(self.launcher.as_ref()) => match event {
                    Ok((event, socket)) => self.hear(event, socket).await,
                    Err(error) => self.lose(&error),
                },
                (launcher, held) = reconnected(&mut reconnection) => {
                    reconnection = None;
                    self.resume(launcher, held).await;
                }
                () = self.metering.due() => self.sample().await,
                Some(ended) = self.conversations.join_next() => {
                    ended.map_err(|_panicked| SupervisorError::Fault)?;
                }
                order = launches.recv(), if launching && connected => match order {
                    Some(order) => self.obey(order).await,
                    None => launching = false,
                },
            }
        }
        Ok(())
    }

    async fn obey(&mut self, order: RunOrder) {
        match order {
            RunOrder::Launch(launch) => self.launch(launch),
            RunOrder::StartFront { app } => self.start_front(app),
            RunOrder::KillFront { app } => self.kill_front(&app).await,
            RunOrder::AskToCancel { .. } | RunOrder::Kill { .. } if self.limits_off => {}
            RunOrder::AskToCancel {
                run,
                reason,
                kill_at,
            } => {
                let cancel = Cancel { reason, kill_at };
                match self.seats.get(&run) {
                    Some(seat) => drop(seat.cancel.send_replace(Some(cancel))),
                    None => self.keep_early(run, |early| early.cancel = Some(cancel)),
                }
            }
            RunOrder::Kill { run } => match self.seats.get_mut(&run) {
                Some(seat) => {
                    seat.killed = true;
                    if let Stage::Hosted(app) = &seat.stage {
                        // It is in no cage of its own: the app's whole process goes (RUN-05).
                        tell(seat, ToRun::Killed);
                        self.setup.fronts.kill(app);
                    } else {
                        self.send(&Request::Kill { run: run.0 }, None).await;
                    }
                }
                None => self.keep_early(run, |early| early.kill = true),
            },
            RunOrder::Hold { run, hold } => match self.seats.get_mut(&run) {
                Some(seat) => {
                    seat.holds.put(hold);
                    seat.announce(hold);
                    self.metering.holds(run, hold);
                    // One that is not with the launcher yet is told it right after its launch.
                    if !matches!(seat.stage, Stage::Preparing | Stage::Hosted(_)) {
                        let request = seat.holds.request(run, hold);
                        self.send(&request, None).await;
                    }
                }
                None => self.keep_early(run, |early| early.holds.put(hold)),
            },
            order @ (RunOrder::Meter { .. } | RunOrder::Sample { .. }) => self.metering.obey(order),
        }
    }

    fn keep_early(&mut self, run: RunId, keep: impl FnOnce(&mut Early)) {
        keep(self.early.entry(run).or_default());
        if self.early.len() > EARLY {
            // The lowest id: most likely a run that has ended, as ids are given in order and never again.
            self.early.pop_first();
        }
    }

    fn launch(&mut self, launch: Box<Launch>) {
        let run = launch.run;
        if self.seats.contains_key(&run) {
            return;
        }
        let mut early = self.early.remove(&run).unwrap_or_default();
        early.holds.forgiven = launch.is_forgiven();
        let metered = Metered::launch(&launch);
        let begin = if early.kill {
            Begin::Never("it was killed before it started")
        } else {
            Begin::Launch(launch)
        };
        let stage = match &begin {
            Begin::Launch(launch) if launch.host == HostKind::InProcess => {
                Stage::Hosted(launch.app.clone())
            }
            Begin::Launch(_) | Begin::Adopted(_) | Begin::Never(_) => Stage::Preparing,
        };
        self.seat(run, begin, stage, early.cancel);
        if let Some(seat) = self.seats.get_mut(&run) {
            seat.holds = early.holds;
            seat.metered = Some(metered);
        }
    }

    fn seat(&mut self, run: RunId, begin: Begin, stage: Stage, cancelled: Option<Cancel>) {
        let (to_run, from_desk) = mpsc::channel(TO_RUN);
        let (cancel, mut asked) = watch::channel(None);
        if cancelled.is_some() {
            cancel.send_replace(cancelled);
        } else {
            asked.mark_unchanged();
        }
        let (memory, memory_news) = memory::channel();
        let conversation = Conversation::new(
            run,
            Arc::clone(&self.setup),
            self.words.clone(),
            from_desk,
            asked,
            memory_news,
        );
        self.conversations.spawn(conversation.run(begin));
        let seat = Seat {
            to_run,
            cancel,
            memory,
            stage,
            killed: false,
            terminated: false,
            note: None,
            asked: false,
            holds: Holds::default(),
            metered: None,
        };
        self.seats.insert(run, seat);
    }

    async fn serve_run(&mut self, word: FromRun) {
        match word {
            FromRun::Ordered(run, order) => self.order(run, order).await,
            FromRun::Front(app, prepared) => self.front_ordered(app, prepared).await,
            FromRun::Note(run, note) => {
                if let Some(seat) = self.seats.get_mut(&run) {
                    seat.note = Some(note.clone());
                    self.send(&Request::Note { run: run.0, note }, None).await;
                }
            }
            FromRun::Memory(run) => {
                if let Some(seat) = self.seats.get_mut(&run) {
                    seat.asked = true;
                    self.send(&Request::Usage { run: run.0 }, None).await;
                    self.answer_questions();
                }
            }
            FromRun::FollowMemory(run) => self.metering.follows_memory(run),
            FromRun::Terminate(run) => {
                if let Some(seat) = self.seats.get_mut(&run) {
                    seat.terminated = true;
                    self.send(&Request::Terminate { run: run.0 }, None).await;
                }
            }
            FromRun::Done(run) => {
                let seat = self.seats.remove(&run);
                // Told already, unless it was lost with its launcher.
                self.metering.ended(run, None, None);
                self.setup.board.remove_process(run);
                if !seat.is_some_and(|seat| matches!(seat.stage, Stage::Hosted(_))) {
                    self.send(&Request::Forget { run: run.0 }, None).await;
                }
            }
        }
    }

    async fn order(&mut self, run: RunId, order: Order) {
        let Some(seat) = self.seats.get_mut(&run) else {
            return;
        };
        if seat.killed {
            errands::let_go(&self.setup.broker, &order);
            return end(seat, End::never("it was killed before it started"));
        }
        seat.stage = Stage::Ordered {
            order,
            sent_to: None,
        };
        self.send_order(run).await;
    }

    async fn send_order(&mut self, run: RunId) {
        let Some(launcher) = &self.launcher else {
            return;
        };
        let Some(seat) = self.seats.get_mut(&run) else {
            return;
        };
        let Stage::Ordered { order, sent_to } = &mut seat.stage else {
            return;
        };
        if order.launch.socket.is_some() && !self.setup.broker.can_hand() {
            return end(seat, End::never(errands::OLD_LAUNCHER));
        }
        let request = Request::Launch(order.launch.clone());
        match launcher
            .send(&request, order.descriptor.as_ref().map(AsFd::as_fd))
            .await
        {
            Ok(()) => {
                *sent_to = Some(launcher.pid());
                if let Some(metered) = seat.metered.take() {
                    self.metering.begins(run, metered, true);
                }
                for request in seat.holds.requests(run) {
                    self.send(&request, None).await;
                }
            }
            Err(ClientError::Channel(error @ lull_launcher::ChannelError::TooLong { .. })) => {
                let message = format!("{error}; shorten the agent's arguments or environment");
                errands::let_go(&self.setup.broker, order);
                end(seat, End::never(&message));
            }
            Err(error) => {
                // It may have been taken or not.
                *sent_to = Some(launcher.pid());
                self.lose(&error);
            }
        }
    }

    pub(super) async fn send(
        &mut self,
        request: &Request,
        fd: Option<std::os::fd::BorrowedFd<'_>>,
    ) {
        if let Some(launcher) = &self.launcher
            && let Err(error) = launcher.send(request, fd).await
        {
            self.lose(&error);
        }
    }

    async fn hear(&mut self, event: Event, socket: Option<OwnedFd>) {
        match event {
            Event::Started { run, process } => self.started(RunId(run), &process, socket),
            Event::Ended { run, exit, .. } if is_front(RunId(run)) => {
                self.front_ended(RunId(run), front_desk::exit(exit)).await;
            }
            Event::Ended {
                run,
                exit,
                memory_peak,
                cpu_micros,
                network_bytes,
                output,
            } => {
                self.metering.ended(RunId(run), cpu_micros, network_bytes);
                match self.seats.get_mut(&RunId(run)) {
                    Some(seat) => end(seat, End::told(exit, memory_peak, cpu_micros, &output)),
                    None => self.send(&Request::Forget { run }, None).await,
                }
            }
            Event::Sampled {
                run,
                cpu_micros,
                network_bytes,
                memory,
                limit,
            } => {
                let run = RunId(run);
                let held = memory.map(|usage| Held { usage, limit });
                if let (true, Some(seat)) = (self.metering.follows(run), self.seats.get(&run)) {
                    seat.memory.send_replace(held);
                }
                self.metering.sampled(run, cpu_micros, network_bytes);
            }
            Event::Usage { run, memory, limit } => {
                if let Some(seat) = self.seats.get_mut(&RunId(run)) {
                    seat.asked = false;
                    let usage = memory;
                    tell(seat, ToRun::Memory { usage, limit });
                }
            }
            Event::Refused { message } => {
                tracing::error!(%message, "the launcher refused a request");
            }
            Event::Welcome { .. } | Event::Held { .. } | Event::Kept { .. } | Event::Unknown => {}
        }
    }

    /// Asks for what the runs have used that are to be read now.
    async fn sample(&mut self) {
        for request in self.metering.looks() {
            self.send(&request, None).await;
        }
    }

    fn started(&mut self, run: RunId, process: &Process, socket: Option<OwnedFd>) {
        if is_front(run) {
            return self.front_started(run, process);
        }
        let Some(seat) = self.seats.get_mut(&run) else {
            return;
        };
        if matches!(seat.stage, Stage::Known { started: true } | Stage::Ended) {
            return;
        }
        seat.stage = Stage::Known { started: true };
        tell(seat, ToRun::Started(socket));
        let process = RunProcess {
            pid: process.pid,
            cgroup: process.cage.clone(),
        };
        self.setup.board.set_process(run, process);
    }

    fn lose(&mut self, error: &ClientError) {
        if let Some(launcher) = self.launcher.take() {
            let error: &dyn std::error::Error = error;
            tracing::warn!(
                pid = launcher.pid(),
                error,
                "the connection to the launcher is lost"
            );
            self.setup.board.count("launcher-losses");
        }
    }

    /// Without a launcher nobody knows what a cage holds.
    fn answer_questions(&mut self) {
        if self.launcher.is_some() {
            return;
        }
        for seat in self.seats.values_mut().filter(|seat| seat.asked) {
            seat.asked = false;
            let (usage, limit) = (None, None);
            tell(seat, ToRun::Memory { usage, limit });
        }
    }
}

/// Tells a conversation of its run's end, once.
fn end(seat: &mut Seat, end: End) {
    if !matches!(seat.stage, Stage::Ended) {
        seat.stage = Stage::Ended;
        tell(seat, ToRun::Ended(end));
    }
}

/// The channel has room for all that is ever said; a conversation that is over needs no telling.
fn tell(seat: &Seat, word: ToRun) {
    if let Err(mpsc::error::TrySendError::Full(_word)) = seat.to_run.try_send(word) {
        tracing::error!("a conversation has more to hear than there is to say");
    }
}

async fn receive(launcher: Option<&Launcher>) -> Result<(Event, Option<OwnedFd>), ClientError> {
    match launcher {
        Some(launcher) => launcher.receive().await,
        None => pending().await,
    }
}

async fn reconnected(reconnection: &mut Option<Reconnection>) -> (Launcher, Vec<HeldRun>) {
    match reconnection {
        Some(reconnection) => reconnection.await,
        None => pending().await,
    }
}
