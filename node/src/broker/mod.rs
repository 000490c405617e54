//! The socket broker (TRG-15) and the transports of control channels (TRG-14): sockets of apps that the node holds while nobody of
//! the app runs, and hands to the run that their activity starts.
//!
//! - here: what is held, for whom, and within which bounds;
//! - `offer` reads what an app asks for, `inspect` what a descriptor is and shows, `watch` tells the engine of it;
//! - `passing` takes a descriptor from a socket.
//!
//! A socket is in one place: here, or with a run. It moves to a run with the launch, and back only if the run hands it over again; otherwise
//! it closes with the run (TRGD-18). A second descriptor of what is held here is kept by the launcher, so that it outlives the
//! daemon; the supervisor's desk does what its errands say.
//!
//! Deliberately absent: the app's bytes, which are never read, and when something is told (`lull_policy::Vigil`).

mod inspect;
mod offer;
pub(crate) mod passing;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lull_launcher::KeptSocket;
use lull_policy::{
    AppId, Details, Elapsed, Purpose, Sight, Slot, SocketActivity, Span, Subject, Terms, Vigil,
    bounds,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};

use crate::clock::ClockRef;
use crate::ports::{EngineRef, look};
use crate::status::StatusBoard;
pub use inspect::{Kind, NoSocket};
pub use offer::{NotTaken, Offer};

/// How long a hand-over waits for the launcher to keep its part. Without that the socket is held all the same, and kept as soon as a
/// launcher is there.
const KEPT_BY: Duration = Duration::from_secs(2);

/// Counts sockets that were closed because their registration is gone.
pub const UNREGISTERED: &str = "sockets-without-registration-closed";
/// Counts sockets that came to nobody and are told of again.
pub const MISSED: &str = "socket-activity-told-again";

/// Whose a socket is, and for which registration it is held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) app: AppId,
    pub(crate) id: Subject,
    pub(crate) purpose: Purpose,
}

/// What the launcher keeps in words with a socket.
#[derive(Debug, Serialize, Deserialize)]
struct Label {
    #[serde(flatten)]
    place: Place,
    kind: Kind,
    context: Vec<u8>,
    keep_alive: Option<Span>,
}

/// A socket that is held.
#[derive(Debug)]
struct Held {
    serial: u64,
    socket: OwnedFd,
    kind: Kind,
    context: Vec<u8>,
    keep_alive: Option<Span>,
    vigil: Vigil,
    /// The launcher has its part.
    kept: bool,
    /// Waits for that.
    waiting: Option<oneshot::Sender<()>>,
}

/// A socket on its way to a run. It is held here no more.
#[derive(Debug)]
pub struct Taken {
    /// The launcher's number for it.
    pub serial: u64,
    /// The socket.
    pub socket: OwnedFd,
    /// What it is.
    pub kind: Kind,
    /// The bytes that were left with it.
    pub context: Vec<u8>,
}

/// What the launcher is to be told.
#[derive(Debug)]
pub enum Errand {
    /// Keep this.
    Keep {
        /// Its number.
        serial: u64,
        /// To be handed back with it.
        note: String,
        /// Its descriptor.
        socket: OwnedFd,
    },
    /// Close that.
    Release(u64),
}

/// What became of an offer that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// What it is.
    pub kind: Kind,
    /// Where a channel is kept; absent for sockets.
    pub slot: Option<Slot>,
}

impl Accepted {
    /// The number of the slot as the status of a channel has it (TRGD-13).
    pub const fn slot_number(self) -> Option<u8> {
        match self.slot {
            Some(Slot::Software) => Some(1),
            Some(Slot::Hardware) => Some(2),
            None => None,
        }
    }
}

/// The broker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: EngineRef,
    clock: ClockRef,
    board: Arc<StatusBoard>,
    table: Mutex<Table>,
    /// For the watch: others are held than before.
    changed: Notify,
    /// For the desk: there is an errand.
    errand: Notify,
}

#[derive(Debug, Default)]
struct Table {
    held: BTreeMap<Place, Held>,
    /// Kept by the launcher and not held here any more.
    released: Vec<u64>,
    /// The highest number given so far.
    last: u64,
    /// A launcher has said once what it keeps.
    met: bool,
    /// The launcher of now keeps sockets.
    keeps: bool,
}

impl Broker {
    /// Holds nothing yet.
    pub fn new(engine: EngineRef, clock: ClockRef, board: Arc<StatusBoard>) -> Self {
        Self(Arc::new(Shared {
            engine,
            clock,
            board,
            table: Mutex::default(),
            changed: Notify::new(),
            errand: Notify::new(),
        }))
    }

    /// Takes a socket over. One that is held in the same place is closed.
    ///
    /// # Errors
    /// Why it is not taken; it is closed then.
    pub async fn take_over(
        &self,
        app: &AppId,
        offer: Offer,
        socket: OwnedFd,
    ) -> Result<Accepted, NotTaken> {
        let kind = offer.kind_of(&socket)?;
        let (place, purpose) = (offer.place(app), offer.purpose);
        let asked = place.clone();
        let terms = look(&self.0.engine, move |device, _now| {
            device.terms(&asked.app, &asked.id, asked.purpose)
        });
        let Terms { keep_alive, slot } = terms.await??;
        let (kept, is_kept) = oneshot::channel();
        {
            let now = self.now();
            let mut table = self.lock();
            table.make_room(&place)?;
            table.last += 1;
            let keep_alive = match purpose {
                Purpose::Socket => offer.keep_alive,
                Purpose::Channel => keep_alive,
            };
            let held = Held {
                serial: table.last,
                socket,
                kind,
                context: offer.context,
                keep_alive,
                vigil: Vigil::new(keep_alive, now),
                kept: false,
                waiting: Some(kept),
            };
            let replaced = table.held.insert(place, held);
            table.release(replaced);
        }
        self.0.changed.notify_one();
        self.0.errand.notify_one();
        // Not kept in time: see `KEPT_BY`. Replaced meanwhile: there is nothing to wait for.
        drop(tokio::time::timeout(KEPT_BY, is_kept).await);
        Ok(Accepted { kind, slot })
    }

    /// Gives a socket to the run that was started for it; none = it is not held any more.
    pub fn give(&self, app: &AppId, details: &Details) -> Option<Taken> {
        let place = Place::of(app, details)?;
        let mut table = self.lock();
        let held = table.held.remove(&place)?;
        drop(table);
        self.0.changed.notify_one();
        Some(Taken {
            serial: held.serial,
            socket: held.socket,
            kind: held.kind,
            context: held.context,
        })
    }

    /// A launcher has said what it keeps; none = it keeps no sockets. What the first one keeps is held from now on; of a later one
    /// it is told what is held here.
    pub(crate) fn meet(&self, kept: Option<Vec<KeptSocket>>) {
        let now = self.now();
        let mut table = self.lock();
        table.keeps = kept.is_some();
        let first = !std::mem::replace(&mut table.met, true);
        table.released.clear();
        table.held.values_mut().for_each(|held| held.kept = false);
        for kept in kept.into_iter().flatten() {
            table.last = table.last.max(kept.socket);
            let mut all = table.held.values_mut();
            if let Some(held) = all.find(|held| held.serial == kept.socket) {
                held.mark_kept();
            } else if !(first && table.adopt(&kept, now)) {
                table.released.push(kept.socket);
            }
        }
        drop(table);
        self.0.changed.notify_one();
        self.0.errand.notify_one();
    }

    /// Resolves when there may be errands.
    pub(crate) async fn errand(&self) {
        self.0.errand.notified().await;
    }

    /// What the launcher is to be told now; of what it is to keep, until [`kept`](Self::kept) says that it was told.
    pub(crate) fn errands(&self) -> Vec<Errand> {
        let mut table = self.lock();
        if !table.keeps {
            table.released.clear();
            return Vec::new();
        }
        let released = std::mem::take(&mut table.released);
        let mut errands: Vec<Errand> = released.into_iter().map(Errand::Release).collect();
        for (place, held) in &table.held {
            if !held.kept
                && let Ok(socket) = held.socket.try_clone()
            {
                errands.push(Errand::Keep {
                    serial: held.serial,
                    note: held.label(place),
                    socket,
                });
            }
        }
        errands
    }

    /// The launcher was told to keep it.
    pub(crate) fn kept(&self, serial: u64) {
        let mut table = self.lock();
        let mut all = table.held.values_mut();
        if let Some(held) = all.find(|held| held.serial == serial) {
            held.mark_kept();
        }
    }

    /// Whether a launcher of this or a newer build is there, which can hand sockets to runs.
    pub(crate) fn can_hand(&self) -> bool {
        self.lock().keeps
    }

    /// A run that was to get it never began: the launcher need not keep it.
    pub(crate) fn let_go(&self, serial: u64) {
        self.lock().released.push(serial);
        self.0.errand.notify_one();
    }

    fn now(&self) -> Elapsed {
        self.0.clock.now().elapsed
    }

    /// Every change of the table is made in one step, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn make_room(&self, place: &Place) -> Result<(), NotTaken> {
        if self.held.contains_key(place) {
            return Ok(());
        }
        let own = self.held.keys().filter(|held| held.app == place.app);
        if own.count() >= bounds::SOCKETS_PER_APP {
            return Err(NotTaken::App);
        }
        if self.held.len() >= bounds::SOCKETS {
            return Err(NotTaken::Device);
        }
        Ok(())
    }

    fn release(&mut self, held: Option<Held>) {
        if let Some(held) = held.filter(|held| held.kept) {
            self.released.push(held.serial);
        }
    }

    /// Holds what an earlier daemon left with the launcher; false = nobody can tell what it is.
    fn adopt(&mut self, kept: &KeptSocket, now: Elapsed) -> bool {
        let label: Option<Label> = serde_json::from_str(&kept.note).ok();
        let (Some(label), Ok(socket)) = (label, kept.descriptor.as_fd().try_clone_to_owned())
        else {
            return false;
        };
        if self.make_room(&label.place).is_err() {
            return false;
        }
        let held = Held {
            serial: kept.socket,
            socket,
            kind: label.kind,
            context: label.context,
            keep_alive: label.keep_alive,
            vigil: Vigil::new(label.keep_alive, now),
            kept: true,
            waiting: None,
        };
        let replaced = self.held.insert(label.place, held);
        self.release(replaced);
        true
    }
}

impl Held {
    fn mark_kept(&mut self) {
        self.kept = true;
        if let Some(waiting) = self.waiting.take() {
            // Who no longer waits need not know.
            waiting.send(()).ok();
        }
    }

    fn label(&self, place: &Place) -> String {
        let label = Label {
            place: place.clone(),
            kind: self.kind,
            context: self.context.clone(),
            keep_alive: self.keep_alive,
        };
        // Numbers and texts: there is nothing in it that JSON cannot say.
        serde_json::to_string(&label).unwrap_or_default()
    }

    fn look(&mut self, sight: Sight, now: Elapsed) -> Option<SocketActivity> {
        self.vigil.look(sight, now)
    }
}

impl Place {
    fn of(app: &AppId, details: &Details) -> Option<Self> {
        let (id, purpose) = match details {
            Details::Socket { id, .. } => (id, Purpose::Socket),
            Details::Channel { id, .. } => (id, Purpose::Channel),
            Details::Sms | Details::Device { .. } | Details::Files { .. } | Details::Bus { .. } => {
                return None;
            }
        };
        Some(Self {
            app: app.clone(),
            id: id.clone(),
            purpose,
        })
    }
}
