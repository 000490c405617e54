//! Sockets that apps hand over to be held (TRG-14, TRG-15, TRGD-10 to TRGD-19): for which registration one is, and when something
//! is told of it. The sockets themselves are the host's, which says what they show.
//!
//! Of one socket at most one thing is told until a run has got it; what came of that is looked for among the records, and
//! told again where nothing did.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::{
    AppId, ChannelActivity, Details, Device, Elapsed, Occurrence, Refusal, RunState, Slot,
    SocketActivity, Span, Subject, Trigger,
};

/// The keep-alive time of a socket in minutes: no oftener than a timer (TRG-12), no longer than that of a channel (TRGD-12).
pub const KEEP_ALIVE_MINUTES: RangeInclusive<u32> = 15..=1_439;

/// What was told and came to nothing is told again after so long, twice as long each time, and never after more than the last: no
/// oftener than a timer.
const AGAIN: (Span, Span) = (Span::seconds(1), Span::minutes(15));

/// What a socket is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Its activity fires the registration of its id (TRG-15).
    Socket,
    /// It is the transport of the control channel of that id (TRG-14).
    Channel,
}

impl Purpose {
    /// What the registration's trigger is called.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Channel => "control-channel",
        }
    }

    /// What the machine is told of an activity. A channel's broken transport is its reset.
    pub fn occurrence(self, app: AppId, id: Subject, activity: SocketActivity) -> Occurrence {
        match self {
            Self::Socket => Occurrence::Socket { app, id, activity },
            Self::Channel => Occurrence::Channel {
                app,
                id,
                activity: match activity {
                    SocketActivity::Activity | SocketActivity::Accepted => ChannelActivity::Message,
                    SocketActivity::KeepAlive => ChannelActivity::KeepAlive,
                    SocketActivity::Closed => ChannelActivity::Reset,
                },
            },
        }
    }

    /// Whether details are about a socket of that id held for this.
    pub fn is_told_by(self, details: &Details, about: &Subject) -> bool {
        match details {
            Details::Socket { id, .. } => self == Self::Socket && id == about,
            Details::Channel { id, .. } => self == Self::Channel && id == about,
            Details::Sms | Details::Device { .. } | Details::Files { .. } | Details::Bus { .. } => {
                false
            }
        }
    }
}

/// What the registration says of a socket that is held for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long it may be quiet until a keep-alive is due; absent = none is.
    pub keep_alive: Option<Span>,
    /// Where a channel is kept; absent for sockets.
    pub slot: Option<Slot>,
}

/// What a socket shows, without a byte of it being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing.
    Quiet,
    /// Something can be read.
    Data,
    /// A connection can be accepted.
    Connection,
    /// Nothing more will come: the other side has closed, or it failed.
    Closed,
}

/// When something is told of a held socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vigil {
    keep_alive: Option<Span>,
    since: Elapsed,
    stand: Stand,
    /// How often what was told came to nothing.
    vain: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Watching,
    Told,
    Resting { until: Elapsed },
}

impl Vigil {
    /// Begins when the socket is handed over.
    pub const fn new(keep_alive: Option<Span>, now: Elapsed) -> Self {
        Self {
            keep_alive,
            since: now,
            stand: Stand::Watching,
            vain: 0,
        }
    }

    /// What to tell of what the socket shows now, if anything (TRGD-16). Once told, nothing more is until [`Self::missed`].
    pub fn look(&mut self, sight: Sight, now: Elapsed) -> Option<SocketActivity> {
        if !self.is_watching(now) {
            return None;
        }
        self.stand = Stand::Watching;
        let activity = match sight {
            Sight::Data => SocketActivity::Activity,
            Sight::Connection => SocketActivity::Accepted,
            Sight::Closed => SocketActivity::Closed,
            Sight::Quiet if self.is_due(now) => SocketActivity::KeepAlive,
            Sight::Quiet => return None,
        };
        self.stand = Stand::Told;
        Some(activity)
    }

    /// Whether what it shows matters now.
    pub fn is_watching(&self, now: Elapsed) -> bool {
        match self.stand {
            Stand::Watching => true,
            Stand::Told => false,
            Stand::Resting { until } => now >= until,
        }
    }

    /// Whether something was told of it that may still come to a run.
    pub const fn is_told(&self) -> bool {
        matches!(self.stand, Stand::Told)
    }

    /// It was told of by an earlier daemon, and that waits.
    pub const fn tell(&mut self) {
        self.stand = Stand::Told;
    }

    /// What was told is with nobody: neither does it wait, nor is a run of it beginning.
    pub fn missed(&mut self, now: Elapsed) {
        let (first, last) = (AGAIN.0.as_millis(), AGAIN.1.as_millis());
        let wait = first.checked_shl(self.vain).unwrap_or(last).min(last);
        self.vain = self.vain.saturating_add(1).min(31);
        self.stand = Stand::Resting {
            until: now.after(Span::millis(wait)),
        };
    }

    /// When it must be looked at even if it shows nothing new.
    pub fn deadline(&self) -> Option<Elapsed> {
        match self.stand {
            Stand::Told => None,
            Stand::Resting { until } => Some(until),
            Stand::Watching => self.keep_alive.map(|span| self.since.after(span)),
        }
    }

    fn is_due(&self, now: Elapsed) -> bool {
        self.keep_alive
            .is_some_and(|span| now.since(self.since) >= span)
    }
}

impl Device {
    /// The terms on which a socket is held for an app: those of the registration of that id (TRGD-19).
    ///
    /// # Errors
    /// The registration does not exist, or is of another kind.
    pub fn terms(&self, app: &AppId, id: &Subject, purpose: Purpose) -> Result<Terms, Refusal> {
        let own = || self.registrations().filter(|r| r.app == *app);
        if let Some(terms) = own().find_map(|r| terms(&r.trigger, id, purpose)) {
            return Ok(terms);
        }
        let other = match purpose {
            Purpose::Socket => Purpose::Channel,
            Purpose::Channel => Purpose::Socket,
        };
        let wanted = purpose.word();
        let message = if own().any(|r| terms_of(&r.trigger, id, other)) {
            format!(
                "the registration of {id} is for a {}, not for a {wanted}; hand it over as that",
                other.word()
            )
        } else {
            format!(
                "{app} has no registration of a {wanted} {id}; register one first, with that trigger and id"
            )
        };
        Err(Refusal::FailedPrecondition { message })
    }

    /// Whether something that was told of a held socket is on its way to a run.
    pub fn awaits(&self, app: &AppId, id: &Subject, purpose: Purpose) -> bool {
        let told = |details: &Details| purpose.is_told_by(details, id);
        let waits = self
            .registrations()
            .filter(|r| r.app == *app)
            .any(|r| r.arrivals.iter().any(|arrived| told(&arrived.details)));
        let begins = self.runs().any(|run| {
            run.app == *app
                && run.state == RunState::Starting
                && run.details.as_ref().is_some_and(told)
        });
        waits || begins
    }
}

fn terms_of(trigger: &Trigger, id: &Subject, purpose: Purpose) -> bool {
    terms(trigger, id, purpose).is_some()
}

fn terms(trigger: &Trigger, about: &Subject, purpose: Purpose) -> Option<Terms> {
    match (trigger, purpose) {
        (Trigger::Socket { id }, Purpose::Socket) if id == about => Some(Terms {
            keep_alive: None,
            slot: None,
        }),
        (
            Trigger::ControlChannel {
                id,
                keep_alive_minutes,
                slot,
            },
            Purpose::Channel,
        ) if id == about => Some(Terms {
            keep_alive: Some(Span::minutes(u64::from(*keep_alive_minutes))),
            slot: Some(*slot),
        }),
        (
            Trigger::Socket { .. }
            | Trigger::ControlChannel { .. }
            | Trigger::Timer { .. }
            | Trigger::Maintenance { .. }
            | Trigger::System { .. }
            | Trigger::Push
            | Trigger::Application
            | Trigger::Media
            | Trigger::DeviceUse
            | Trigger::DeviceServicing
            | Trigger::DeviceWatcher { .. }
            | Trigger::Files { .. }
            | Trigger::Bus { .. }
            | Trigger::Reserved { .. }
            | Trigger::Periodic
            | Trigger::ResourceIntensive
            | Trigger::UpdateTask,
            Purpose::Socket | Purpose::Channel,
        ) => None,
    }
}
