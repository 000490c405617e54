//! Hears that a service said something, or came, or went. Says no more.

use std::num::NonZeroUsize;
use std::pin::pin;

use futures_util::StreamExt as _;
use futures_util::stream::SelectAll;
use zbus::{MatchRule, Message, MessageStream, OwnedMatchRule, message};

use super::{BUS, Bus};

/// Messages that one subscription holds back for its reader, who is never long away from them.
const QUEUE: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Signals that tell of a change.
#[derive(Debug, Clone, Copy)]
pub(in crate::watch) struct Signals {
    /// Of this service.
    pub(in crate::watch) service: &'static str,
    /// Of this object.
    pub(in crate::watch) at: At,
    /// Of this interface; absent = of any.
    pub(in crate::watch) interface: Option<&'static str>,
}

/// Objects of a service.
#[derive(Debug, Clone, Copy)]
pub(in crate::watch) enum At {
    /// This one.
    Object(&'static str),
    /// This one and all below it.
    Below(&'static str),
}

/// Subscriptions; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Ear {
    heard: SelectAll<MessageStream>,
}

impl Ear {
    /// Hears from now on when `owner` comes or goes, and the signals.
    pub(in crate::watch) async fn open(
        bus: &Bus,
        owner: Option<&str>,
        signals: &[Signals],
    ) -> zbus::Result<Self> {
        let mut ear = Self {
            heard: SelectAll::new(),
        };
        if let Some(owner) = owner {
            let rule = MatchRule::builder()
                .msg_type(message::Type::Signal)
                .sender(BUS)
                .interface(BUS)
                .member("NameOwnerChanged")
                .arg(0, owner);
            ear.subscribe(bus, rule.build()?.into()).await?;
        }
        for signals in signals {
            let mut rule = MatchRule::builder()
                .msg_type(message::Type::Signal)
                .sender(signals.service);
            rule = match signals.at {
                At::Object(path) => rule.path(path),
                At::Below(path) => rule.path_namespace(path),
            };
            if let Some(interface) = signals.interface {
                rule = rule.interface(interface);
            }
            ear.subscribe(bus, rule.build()?.into()).await?;
        }
        Ok(ear)
    }

    /// Hears what one rule matches from now on.
    pub(crate) async fn of(bus: &Bus, rule: OwnedMatchRule) -> zbus::Result<Self> {
        let mut ear = Self {
            heard: SelectAll::new(),
        };
        ear.subscribe(bus, rule).await?;
        Ok(ear)
    }

    /// What is heard meanwhile is thrown away: everything is read after this. Not to take it would keep the answer of the bus
    /// behind it, on the same connection.
    async fn subscribe(&mut self, bus: &Bus, rule: OwnedMatchRule) -> zbus::Result<()> {
        let stream = MessageStream::for_match_rule(rule, &bus.connection, Some(QUEUE));
        let mut stream = pin!(stream);
        let stream = loop {
            tokio::select! {
                biased;
                stream = &mut stream => break stream?,
                heard = self.heard.next(), if !self.heard.is_empty() => drop(heard.transpose()?),
            }
        };
        self.heard.push(stream);
        Ok(())
    }

    /// Resolves at the next signal.
    pub(in crate::watch) async fn ring(&mut self) -> zbus::Result<()> {
        self.next().await.map(drop)
    }

    /// The next signal, for the few whose news is what they carry.
    pub(crate) async fn next(&mut self) -> zbus::Result<Message> {
        let ended = || std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
        self.heard
            .next()
            .await
            .unwrap_or_else(|| Err(ended().into()))
    }
}
