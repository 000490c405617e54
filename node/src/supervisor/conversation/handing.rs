//! A socket that an agent hands over on its own conversation (TRGD-15): to the broker, and the answer back.

use std::os::fd::OwnedFd;

use lull_policy::AppId;
use lull_proto::agent::ToAgent;
use lull_proto::handover::HandOver;

use super::Conversation;
use crate::broker::{Broker, NotTaken, Offer};
use crate::ports::PortFuture;

/// Why nothing of an agent is taken over whose app nobody knows: its note is of another build.
const NO_NOTE: &str = "the node does not know any more whose run this is";

impl Conversation {
    /// Hands it over. While that is under way nothing further of the agent is heard.
    pub(super) fn hand_over(
        &self,
        asked: HandOver,
        descriptor: Option<OwnedFd>,
    ) -> PortFuture<'static, ToAgent> {
        let broker = self.setup.broker.clone();
        let note = self.note.as_ref();
        let app = note.and_then(|note| AppId::new(note.invocation.app.as_str()).ok());
        Box::pin(async move {
            let refused = match app {
                Some(app) => {
                    let taken = take_over(&broker, &app, &asked, descriptor).await;
                    taken.err().map(|error| error.to_string())
                }
                None => Some(NO_NOTE.to_owned()),
            };
            ToAgent::HandedOver {
                id: asked.id,
                refused,
            }
        })
    }
}

async fn take_over(
    broker: &Broker,
    app: &AppId,
    asked: &HandOver,
    descriptor: Option<OwnedFd>,
) -> Result<(), NotTaken> {
    let offer = Offer::parse(asked)?;
    let socket = descriptor.ok_or(NotTaken::Missing)?;
    broker.take_over(app, offer, socket).await.map(drop)
}
