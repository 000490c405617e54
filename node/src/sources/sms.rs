//! Text messages (TRG-04): ModemManager says that one was added, and that it was received rather than written here.
//!
//! Messages of one gap are told as one. Deliberately absent: what a message says, and from whom; the agent reads that, under the rights
//! that it has.

use std::convert::Infallible;

use lull_policy::Occurrence;
use zbus::{Message, OwnedObjectPath};

use super::follow::{Follower, Line};
use super::subject::Signal;
use super::{Post, Source, SourceError};

/// Told until it is dropped.
pub(super) async fn watch(post: &Post) -> Result<Infallible, SourceError> {
    let signal = Signal {
        service: "org.freedesktop.ModemManager1".to_owned(),
        interface: "org.freedesktop.ModemManager1.Modem.Messaging".to_owned(),
        member: "Added".to_owned(),
    };
    let line = Line::open(post).await?;
    let follower = Follower::open(post, &line, &signal, is_received).await?;
    post.stands(Source::Sms, "ModemManager");
    let news = || vec![Occurrence::SmsReceived { app: None }];
    follower.run(news).await
}

fn is_received(message: &Message) -> bool {
    let body = message.body();
    let added: zbus::Result<(OwnedObjectPath, bool)> = body.deserialize();
    added.is_ok_and(|(_message, received)| received)
}
