//! What an app asks for when it hands a socket over, and why it is not taken.

use std::os::fd::AsFd;

use lull_policy::{AppId, KEEP_ALIVE_MINUTES, NameError, Purpose, Refusal, Span, Subject, bounds};
use lull_proto::handover::{HandOver, unhex};

use super::Place;
use super::inspect::{self, Kind, NoSocket};
use crate::ports::EngineError;

/// What is asked for, in its right form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The registration's id.
    pub id: Subject,
    /// What for.
    pub purpose: Purpose,
    /// Bytes for the run that gets it.
    pub context: Vec<u8>,
    /// When a keep-alive is due; absent = never, or as the channel's registration says.
    pub keep_alive: Option<Span>,
}

/// Why a socket is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It would have no name.
    #[error("id: {0}")]
    Id(#[from] NameError),
    /// Not bytes, or too many.
    #[error(
        "context: not pairs of hexadecimal digits of at most {} bytes; leave less with the socket",
        bounds::SOCKET_CONTEXT
    )]
    Context,
    /// Too soon or too late.
    #[error(
        "keep_alive_minutes: {minutes} min are not within {} and {}",
        KEEP_ALIVE_MINUTES.start(),
        KEEP_ALIVE_MINUTES.end()
    )]
    KeepAlive {
        /// As asked for.
        minutes: u32,
    },
    /// It would be said twice.
    #[error(
        "keep_alive_minutes: that of a control channel stands in its registration; leave it out here"
    )]
    ChannelKeepAlive,
    /// No descriptor.
    #[error("no descriptor came with the first byte of the line; send it as SCM_RIGHTS")]
    Missing,
    /// Of the wrong kind.
    #[error(transparent)]
    Descriptor(#[from] NoSocket),
    /// The machine has no registration for it (TRGD-19).
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A bound.
    #[error(
        "the node holds {} sockets of this app, which is its bound; take one back first",
        bounds::SOCKETS_PER_APP
    )]
    App,
    /// A bound.
    #[error(
        "the node holds {} sockets, which is its bound; try again later",
        bounds::SOCKETS
    )]
    Device,
    /// Not now.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl NotTaken {
    /// Its code on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Id(_)
            | Self::Context
            | Self::KeepAlive { .. }
            | Self::ChannelKeepAlive
            | Self::Missing
            | Self::Descriptor(_) => "invalid-argument",
            Self::Refused(_) => "failed-precondition",
            Self::App | Self::Device => "resource-exhausted",
            Self::Engine(_) => "unavailable",
        }
    }
}

impl Offer {
    /// Reads what came over the wire.
    pub fn parse(wire: &HandOver) -> Result<Self, NotTaken> {
        let purpose = if wire.channel {
            Purpose::Channel
        } else {
            Purpose::Socket
        };
        let context =
            unhex(&wire.context).filter(|context| context.len() <= bounds::SOCKET_CONTEXT);
        let keep_alive = match (wire.keep_alive_minutes, purpose) {
            (None, _) => None,
            (Some(_), Purpose::Channel) => return Err(NotTaken::ChannelKeepAlive),
            (Some(minutes), Purpose::Socket) if KEEP_ALIVE_MINUTES.contains(&minutes) => {
                Some(Span::minutes(u64::from(minutes)))
            }
            (Some(minutes), Purpose::Socket) => return Err(NotTaken::KeepAlive { minutes }),
        };
        Ok(Self {
            id: Subject::new(wire.id.as_str())?,
            purpose,
            context: context.ok_or(NotTaken::Context)?,
            keep_alive,
        })
    }

    pub(super) fn place(&self, app: &AppId) -> Place {
        Place {
            app: app.clone(),
            id: self.id.clone(),
            purpose: self.purpose,
        }
    }

    pub(super) fn kind_of(&self, descriptor: impl AsFd) -> Result<Kind, NoSocket> {
        match self.purpose {
            Purpose::Socket => inspect::kind(descriptor),
            Purpose::Channel => inspect::transport(descriptor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> HandOver {
        HandOver {
            id: "door".to_owned(),
            channel: false,
            context: "00ff".to_owned(),
            keep_alive_minutes: Some(15),
        }
    }

    #[test]
    fn an_offer_is_read_within_its_bounds() {
        let offer = Offer::parse(&wire()).unwrap();
        assert_eq!(offer.context, [0, 255]);
        assert_eq!(offer.keep_alive, Some(Span::minutes(15)));
        for (minutes, ok) in [(14, false), (15, true), (1_439, true), (1_440, false)] {
            let mut wire = wire();
            wire.keep_alive_minutes = Some(minutes);
            assert_eq!(Offer::parse(&wire).is_ok(), ok, "{minutes}");
        }
        for (bytes, ok) in [
            (bounds::SOCKET_CONTEXT, true),
            (bounds::SOCKET_CONTEXT + 1, false),
        ] {
            let mut wire = wire();
            wire.context = "ab".repeat(bytes);
            assert_eq!(Offer::parse(&wire).is_ok(), ok, "TRGD-15: {bytes}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut nameless = wire();
        nameless.id = String::new();
        let refused = Offer::parse(&nameless).unwrap_err();
        assert!(refused.to_string().starts_with("id: "), "{refused}");
        let mut channel = wire();
        channel.channel = true;
        assert_eq!(Offer::parse(&channel), Err(NotTaken::ChannelKeepAlive));
        let mut digits = wire();
        digits.context = "0x".to_owned();
        assert_eq!(Offer::parse(&digits), Err(NotTaken::Context));
    }
}
