//! The conversation with one agent, and the reports of its run to the engine, in their order: started, what it said, ended.
//!
//! What must not be lost is committed before its line is taken from the socket. Progress may be lost, the newest wins. Stops never wait for
//! a commit. An agent that floods its socket is read a piece at a time, and otherwise waits in its own `write`.

mod handing;
mod speaking;
mod waits;

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lull_policy::{Event, Exit, HostKind, Launch, Report, RunId, ScheduledKind, bounds};
use lull_proto::agent::{FromAgent, ToAgent};
use tokio::sync::{mpsc, watch};
use tokio::time::Sleep;

use waits::{delivered, handed, heard, rung, said};

use super::Setup;
use super::agent_socket::{AgentSocket, Heard};
use super::delivery::deliver;
use super::hosted::Hosted;
use super::memory::MemoryNews;
use super::order::{self, Note, line};
use super::sabotage;
use super::seat::{Cancel, End, FromRun, ToRun};
use crate::ports::{EngineError, PortFuture};

/// After each piece of at most 16 KiB an agent's socket rests for so long: 1.6 MB/s and 100 durable reports a second at most.
const REST: Duration = Duration::from_millis(10);

/// Progress is passed on at most so often: faster than anybody reads a number.
const PROGRESS: Duration = Duration::from_millis(100);

/// Bytes that may wait for an agent that does not read; then its questions stay without answer. Invocation and cancel always fit.
const OUTBOX: usize = 32 * 1024;

/// Why a launch ends before it begins that names neither an entry point nor the app's own process.
const NO_AGENT: &str = "it names no entry point; this is a fault of the node, please report it";

/// How a conversation begins.
#[derive(Debug)]
pub(super) enum Begin {
    /// With a launch.
    Launch(Box<Launch>),
    /// With what the launcher holds from an earlier daemon.
    Adopted(Option<Box<Note>>),
    /// With the end of a run that will not be started.
    Never(&'static str),
}

/// A conversation.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts about one agent"
)]
pub(super) struct Conversation {
    pub(super) run: RunId,
    pub(super) setup: Arc<Setup>,
    to_desk: mpsc::Sender<FromRun>,
    pub(super) from_desk: mpsc::Receiver<ToRun>,
    pub(super) cancel: watch::Receiver<Option<Cancel>>,
    memory: MemoryNews,
    pub(super) note: Option<Note>,
    /// It runs in the app's own process.
    pub(super) hosted: Option<Hosted>,
    socket: Option<AgentSocket>,
    /// Nothing more can be said to the agent.
    mute: bool,
    /// Nothing more will be heard of it.
    deaf: bool,
    /// Hello was answered by this daemon.
    invoked: bool,
    /// A question about its memory is with the desk.
    asked: bool,
    outbox: Vec<u8>,
    /// Events to be committed, each with the bytes of its line.
    queue: VecDeque<(Event, usize)>,
    /// Progress not yet passed on.
    progress: Option<u32>,
    pub(super) end: Option<End>,
}

/// The waits of a conversation.
#[derive(Default)]
struct Waits {
    delivery: Option<(PortFuture<'static, Result<(), EngineError>>, usize)>,
    /// A socket is being handed over.
    handing: Option<PortFuture<'static, ToAgent>>,
    rest: Option<Pin<Box<Sleep>>>,
    progress: Option<Pin<Box<Sleep>>>,
}

/// What happened.
enum Happened {
    Delivered(Result<(), EngineError>),
    Handed(Box<ToAgent>),
    Desk(Option<ToRun>),
    Cancel,
    Memory,
    Heard(io::Result<Heard>),
    Said(io::Result<()>),
    Rested,
    ProgressDue,
}

impl Conversation {
    /// The conversation of a run. `from_desk` and `cancel` come from its seat.
    pub(super) fn new(
        run: RunId,
        setup: Arc<Setup>,
        to_desk: mpsc::Sender<FromRun>,
        from_desk: mpsc::Receiver<ToRun>,
        cancel: watch::Receiver<Option<Cancel>>,
        memory: MemoryNews,
    ) -> Self {
        Self {
            run,
            setup,
            to_desk,
            from_desk,
            cancel,
            memory,
            note: None,
            hosted: None,
            socket: None,
            mute: false,
            deaf: false,
            invoked: false,
            asked: false,
            outbox: Vec::new(),
            queue: VecDeque::new(),
            progress: None,
            end: None,
        }
    }

    /// Goes on until the end of the run is durable, or the daemon ends.
    pub(super) async fn run(mut self, begin: Begin) {
        match begin {
            Begin::Launch(launch) if launch.host == HostKind::InProcess => {
                self.activate(launch).await;
            }
            Begin::Launch(launch) => self.prepare(launch).await,
            Begin::Adopted(note) => self.note = note.map(|note| *note),
            Begin::Never(message) => self.end = Some(End::never(message)),
        }
        if self.converse().await.is_ok() {
            self.tell_desk(FromRun::Done(self.run)).await;
        }
    }

    /// Makes the launch order, off the runtime's threads: the catalog looks at files.
    async fn prepare(&mut self, launch: Box<Launch>) {
        let setup = Arc::clone(&self.setup);
        let preparing = tokio::task::spawn_blocking(move || {
            let entry_point = launch.entry_point.as_ref().ok_or(NO_AGENT)?;
            let program = setup.catalog.agent(&launch.app, entry_point)?;
            // Last, so that what fails before leaves it where it is.
            let details = launch.details.as_ref();
            let taken = details.and_then(|details| setup.broker.give(&launch.app, details));
            order::order(
                &launch,
                program,
                taken,
                setup.clock.now(),
                sabotage::limits_off(),
            )
        });
        let prepared = preparing.await.unwrap_or_else(|_panicked| {
            Err("the catalog of agents failed; its log says where".to_owned())
        });
        match prepared {
            Ok((order, note)) => {
                self.note = Some(note);
                self.tell_desk(FromRun::Ordered(self.run, order)).await;
            }
            Err(message) => self.end = Some(End::never(&message)),
        }
    }

    async fn converse(&mut self) -> Result<(), EngineError> {
        let mut waits = Waits::default();
        loop {
            let handing = waits.handing.is_some();
            if waits.delivery.is_none() && !handing && self.queue.is_empty() && self.end.is_some() {
                // Nobody writes any more: what is in the socket is all there is.
                match self.left() {
                    Some(lines) => self.take_lines(&lines, &mut waits).await,
                    None => return self.finish().await,
                }
            }
            if waits.delivery.is_none()
                && let Some((event, length)) = self.queue.pop_front()
            {
                let delivery = deliver(Arc::clone(&self.setup.engine), event);
                waits.delivery = Some((Box::pin(delivery), length));
            }
            if waits.delivery.is_none() && waits.handing.is_none() && self.end.is_some() {
                continue;
            }
            match self.wait(&mut waits).await {
                Happened::Delivered(result) => {
                    let length = waits
                        .delivery
                        .take()
                        .map_or(0, |(_delivery, length)| length);
                    result?;
                    drop(self.take(length));
                }
                Happened::Handed(answer) => {
                    waits.handing = None;
                    self.answer(&answer);
                }
                // The desk is gone: so is the daemon.
                Happened::Desk(None) => return Err(EngineError::Ending),
                Happened::Desk(Some(word)) => self.obey(word),
                Happened::Cancel => self.pass_on_cancel().await,
                Happened::Memory => self.tell_memory(),
                Happened::Heard(heard) => self.hear(heard, &mut waits).await,
                Happened::Said(Ok(())) => {}
                Happened::Said(Err(_gone)) => self.fall_silent().await,
                Happened::Rested => waits.rest = None,
                Happened::ProgressDue => {
                    waits.progress = None;
                    self.pass_on_progress(&mut waits);
                }
            }
        }
    }

    async fn wait(&mut self, waits: &mut Waits) -> Happened {
        let socket = self.socket.as_ref();
        let busy = waits.delivery.is_some() || waits.handing.is_some() || waits.rest.is_some();
        let listening = !self.deaf && !busy && self.queue.is_empty();
        let speaking = !self.mute && !self.outbox.is_empty();
        tokio::select! {
            biased;
            result = delivered(&mut waits.delivery) => Happened::Delivered(result),
            answer = handed(&mut waits.handing) => Happened::Handed(Box::new(answer)),
            word = self.from_desk.recv() => Happened::Desk(word),
            Ok(()) = self.cancel.changed() => Happened::Cancel,
            () = self.memory.changed() => Happened::Memory,
            heard = heard(socket, listening) => Happened::Heard(heard),
            said = said(socket, &mut self.outbox, speaking) => Happened::Said(said),
            () = rung(&mut waits.rest) => Happened::Rested,
            () = rung(&mut waits.progress) => Happened::ProgressDue,
        }
    }

    pub(super) fn obey(&mut self, word: ToRun) {
        match word {
            ToRun::Started(socket) => {
                let socket = socket.map(AgentSocket::new).transpose();
                self.socket = socket.unwrap_or_else(|error| {
                    tracing::error!(run = self.run.0, %error, "the agent's socket cannot be watched; it is treated as a plain command");
                    None
                });
                self.queue
                    .push_back((Event::RunStarted { run: self.run }, 0));
            }
            ToRun::Memory { usage, limit } => {
                self.asked = false;
                self.answer(&ToAgent::MemoryUsage { usage, limit });
            }
            // Its process was killed: the socket says so next.
            ToRun::Killed => {}
            ToRun::Ended(end) => self.end = Some(end),
        }
    }

    async fn hear(&mut self, heard: io::Result<Heard>, waits: &mut Waits) {
        match heard {
            Ok(Heard::Lines(lines)) => {
                waits.rest = Some(Box::pin(tokio::time::sleep(REST)));
                self.take_lines(&lines, waits).await;
            }
            Ok(Heard::Closed) => {
                self.deaf = true;
                self.left_by_its_host().await;
            }
            Ok(Heard::TooLong) => {
                tracing::warn!(
                    run = self.run.0,
                    "the agent sent a line beyond the protocol's bound; it is not listened to any more"
                );
                self.socket.iter().for_each(AgentSocket::hang_up);
                self.deaf = true;
                self.fall_silent().await;
            }
            Err(error) => {
                // For a run in the app's process: it went with something unread.
                if self.hosted.is_none() {
                    tracing::warn!(run = self.run.0, %error, "the agent's socket failed");
                }
                self.deaf = true;
                self.fall_silent().await;
                self.left_by_its_host().await;
            }
        }
    }

    /// Lines that are left in the socket of a run that has ended.
    fn left(&self) -> Option<Vec<u8>> {
        match self.socket.as_ref().filter(|_| !self.deaf)?.look() {
            Ok(Some(Heard::Lines(lines))) => Some(lines),
            Ok(Some(Heard::Closed | Heard::TooLong) | None) | Err(_) => None,
        }
    }

    /// Takes lines up to the first that must be durable; that one and what follows it stay in the socket until it is.
    async fn take_lines(&mut self, lines: &[u8], waits: &mut Waits) {
        let mut taken = 0;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let Ok(message) = serde_json::from_slice(line) else {
                self.setup.board.count("agent-lines-skipped");
                taken += line.len();
                continue;
            };
            if let FromAgent::HandOver(asked) = message {
                drop(self.take(std::mem::take(&mut taken)));
                let descriptor = self.take(line.len());
                waits.handing = Some(self.hand_over(asked, descriptor));
                break;
            }
            if let Some(report) = self.take_message(message).await {
                self.pass_on_progress(waits);
                let run = self.run;
                self.queue
                    .push_back((Event::RunReported { run, report }, line.len()));
                break;
            }
            taken += line.len();
        }
        drop(self.take(taken));
        if waits.progress.is_none() {
            self.pass_on_progress(waits);
        }
    }

    /// Deals with a message, unless it must be durable first.
    async fn take_message(&mut self, message: FromAgent) -> Option<Report> {
        match message {
            FromAgent::Hello { protocol } => self.invoke(protocol).await,
            FromAgent::Progress { value } => self.progress = Some(value),
            FromAgent::MemoryUsage {} => {
                if self.hosted.is_some() {
                    self.outbox.extend(line(&ToAgent::MemoryUsage {
                        usage: None,
                        limit: None,
                    }));
                } else if !self.asked {
                    self.asked = true;
                    self.tell_desk(FromRun::Memory(self.run)).await;
                }
            }
            FromAgent::FollowMemory {} => self.follow_memory().await,
            FromAgent::DeferralTaken {} => return Some(Report::DeferralTaken),
            FromAgent::DeferralCompleted {} => return Some(Report::DeferralCompleted),
            FromAgent::UpdateCard {} => return Some(Report::CardUpdated),
            FromAgent::Complete {} => {
                self.last_word();
                return Some(Report::Completed);
            }
            FromAgent::Abort { mut message } => {
                self.last_word();
                message.truncate(message.floor_char_boundary(bounds::MESSAGE));
                return Some(Report::Aborted { message });
            }
            // Taken with its descriptor before.
            FromAgent::HandOver(_) => {}
            FromAgent::Unknown => self.setup.board.count("agent-lines-skipped"),
        }
        None
    }

    /// Passes the newest progress on, and rests.
    fn pass_on_progress(&mut self, waits: &mut Waits) {
        let Some(value) = self.progress.take() else {
            return;
        };
        let event = Event::RunReported {
            run: self.run,
            report: Report::Progress(value),
        };
        if self.setup.engine.tell(event).is_err() {
            self.setup.board.count("progress-dropped");
        }
        waits.progress = Some(Box::pin(tokio::time::sleep(PROGRESS)));
    }

    /// Commits the end.
    async fn finish(&mut self) -> Result<(), EngineError> {
        self.pass_on_progress(&mut Waits::default());
        let Some(End {
            exit,
            usage,
            output,
        }) = self.end.take()
        else {
            return Ok(());
        };
        if self.is_done_by_exit(&exit) {
            let event = Event::RunReported {
                run: self.run,
                report: Report::Completed,
            };
            deliver(Arc::clone(&self.setup.engine), event).await?;
        }
        let event = Event::RunEnded {
            run: self.run,
            exit,
            usage,
            output,
        };
        deliver(Arc::clone(&self.setup.engine), event).await
    }

    /// A scheduled agent has to say that its work is done (RUN-43); a plain command says it by its exit. The machine takes a
    /// silent end for a crash.
    fn is_done_by_exit(&self, exit: &Exit) -> bool {
        let plain = self.note.as_ref().filter(|note| !note.spoke);
        let scheduled = plain.is_some_and(|note| {
            let kinds = [ScheduledKind::Periodic, ScheduledKind::ResourceIntensive];
            kinds
                .iter()
                .any(|kind| note.invocation.trigger == kind.word())
        });
        scheduled && *exit == Exit::Status(0)
    }

    /// Takes bytes that were looked at, and the descriptor that came with them.
    fn take(&mut self, length: usize) -> Option<OwnedFd> {
        let socket = self.socket.as_ref().filter(|_| length > 0)?;
        socket.take(length).unwrap_or_else(|error| {
            tracing::warn!(run = self.run.0, %error, "the agent's socket failed");
            self.deaf = true;
            None
        })
    }

    async fn tell_desk(&self, word: FromRun) {
        // A desk that is gone needs no telling.
        self.to_desk.send(word).await.ok();
    }
}
