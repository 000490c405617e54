//! Follows one signal of one service of the system bus. It is told at once, and then once in a gap while more come.
//!
//! Unlike a reading, a signal that was not heard is news that is lost: so it is heard through the gap, and what came in it is told at its
//! end. Of a flood so many are heard; then the subscription ends until the gap is over, and what came meanwhile is
//! told with the rest. Whoever does not own the service's name is not believed: anybody can send a signal to this process alone.

use std::convert::Infallible;
use std::pin::pin;

use lull_policy::Occurrence;
use tokio::time::sleep;
use zbus::names::UniqueName;
use zbus::{MatchRule, Message, message};

use super::subject::Signal;
use super::{FLOODED, Post, SourceError};
use crate::watch::GAP;
use crate::watch::bus::{Bus, Ear};

/// Signals heard in one gap.
const FLOOD: usize = 64;

/// Two connections: a question is not kept waiting behind signals that nobody has taken yet.
#[derive(Debug, Clone)]
pub(super) struct Line {
    ears: Bus,
    questions: Bus,
}

impl Line {
    pub(super) async fn open(post: &Post) -> Result<Self, SourceError> {
        let connect = async || Bus::at(post.bus.as_deref()).await.map_err(SourceError::Bus);
        Ok(Self {
            ears: connect().await?,
            questions: connect().await?,
        })
    }
}

/// Follows a signal until the connection fails.
pub(super) struct Follower<'a> {
    post: &'a Post,
    line: &'a Line,
    signal: &'a Signal,
    /// Which of its messages matter.
    counts: fn(&Message) -> bool,
    ear: Option<Ear>,
    /// The connection that owned the service's name when that was last asked.
    owner: Option<String>,
}

impl<'a> Follower<'a> {
    /// Hears from now on.
    pub(super) async fn open(
        post: &'a Post,
        line: &'a Line,
        signal: &'a Signal,
        counts: fn(&Message) -> bool,
    ) -> Result<Self, SourceError> {
        let mut follower = Self {
            post,
            line,
            signal,
            counts,
            ear: None,
            owner: None,
        };
        follower.listen().await?;
        Ok(follower)
    }

    /// Tells `news` at each ring.
    pub(super) async fn run(
        mut self,
        news: impl Fn() -> Vec<Occurrence>,
    ) -> Result<Infallible, SourceError> {
        loop {
            self.wait().await?;
            while self.gap(news()).await? {}
        }
    }

    /// Resolves at the next message that matters.
    async fn wait(&mut self) -> Result<(), SourceError> {
        let mut others = 0;
        loop {
            let message = heard(&mut self.ear).await?;
            if self.matters(&message).await? {
                return Ok(());
            }
            others += 1;
            if others == FLOOD {
                // Whoever sends what does not matter is not read faster than this.
                others = 0;
                sleep(GAP).await;
            }
        }
    }

    /// Through a gap, and for as long as telling takes; whether there is more to tell.
    async fn gap(&mut self, news: Vec<Occurrence>) -> Result<bool, SourceError> {
        let post = self.post;
        let mut tell = pin!(async {
            for occurrence in news {
                post.tell(occurrence).await?;
            }
            Ok::<(), SourceError>(())
        });
        let mut end = pin!(sleep(GAP));
        let (mut told, mut over) = (false, false);
        let (mut more, mut count) = (false, 0);
        while !(told && over) {
            tokio::select! {
                done = &mut tell, if !told => {
                    done?;
                    told = true;
                }
                () = &mut end, if !over => over = true,
                message = heard(&mut self.ear) => {
                    let message = message?;
                    more = more || self.matters(&message).await?;
                    count += 1;
                    if count == FLOOD {
                        self.post.board.count(FLOODED);
                        self.ear = None;
                    }
                }
            }
        }
        self.listen().await?;
        Ok(more)
    }

    /// Hears again, if it does not.
    async fn listen(&mut self) -> Result<(), SourceError> {
        if self.ear.is_none() {
            let rule = MatchRule::builder()
                .msg_type(message::Type::Signal)
                .sender(self.signal.service.as_str())
                .interface(self.signal.interface.as_str())
                .member(self.signal.member.as_str())
                .build()
                .map_err(SourceError::Bus)?;
            let ear = Ear::of(&self.line.ears, rule.to_owned().into()).await;
            self.ear = Some(ear.map_err(SourceError::Bus)?);
        }
        Ok(())
    }

    /// Whether it is one of those that count and comes from the service.
    async fn matters(&mut self, message: &Message) -> Result<bool, SourceError> {
        if !(self.counts)(message) {
            return Ok(false);
        }
        let header = message.header();
        let sender = header.sender().map(UniqueName::as_str);
        if sender.is_some() && sender == self.owner.as_deref() {
            return Ok(true);
        }
        let owner = self.line.questions.owner(&self.signal.service).await;
        self.owner = owner.map_err(SourceError::Bus)?;
        Ok(sender.is_some() && sender == self.owner.as_deref())
    }
}

/// The next message; never, where nothing is listened to.
async fn heard(ear: &mut Option<Ear>) -> Result<Message, SourceError> {
    match ear {
        Some(ear) => ear.next().await.map_err(SourceError::Bus),
        None => std::future::pending().await,
    }
}
