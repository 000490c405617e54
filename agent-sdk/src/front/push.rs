//! Pushes that come to the app itself before its task (PSH-09, PSH-10).
//!
//! Deliberately absent: a time limit of the SDK's own. How long the node waits for an answer is the device's policy, 5 s as
//! a rule; without one the app's task gets the push.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use lull_proto::local::v1::{AnswerPushRequest, PushOffered};
use tokio::runtime::Handle;

use crate::front::{Events, Front, FrontError, Presence, wire};

/// A push that the app itself may deal with. Clones are the same push.
///
/// The last one that is dropped without an answer passes the push on, so an app that does not look at pushes loses none.
#[derive(Clone)]
pub struct OfferedPush(Arc<Offer>);

struct Offer {
    id: String,
    body: Vec<u8>,
    expires: Option<SystemTime>,
    front: Front,
    /// The node has an answer.
    answered: AtomicBool,
}

impl OfferedPush {
    pub(super) fn new(offered: PushOffered, front: &Front) -> Result<Self, FrontError> {
        Ok(Self(Arc::new(Offer {
            expires: wire::moment("expires", offered.expires)?,
            id: offered.id,
            body: offered.body.into(),
            front: front.clone(),
            answered: AtomicBool::new(false),
        })))
    }

    /// Its id, the one that its sender was told.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What was sent: 1 to 5,000 bytes. A push is delivered at least once; tell doubles by [`id`](Self::id).
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// After this moment nobody gets it any more (PSH-16).
    pub fn expires(&self) -> Option<SystemTime> {
        self.0.expires
    }

    /// The app did with it what there was to do: no task runs, and the sender's receipt says `shown-to-app`. Say so only
    /// when it is done.
    ///
    /// # Errors
    /// [`FrontError::NotFound`] when the answer came too late: the app's task has the push, or it expired. After any other
    /// error the node may be asked again.
    pub async fn handled(&self) -> Result<(), FrontError> {
        self.0.answer(true).await
    }

    /// The app's task is to have it, at once.
    ///
    /// # Errors
    /// Of the connection. One that came too late is none: the task has the push by then.
    pub async fn pass_on(&self) -> Result<(), FrontError> {
        match self.0.answer(false).await {
            Err(FrontError::NotFound { .. }) => Ok(()),
            answered => answered,
        }
    }
}

impl Offer {
    async fn answer(&self, handled: bool) -> Result<(), FrontError> {
        let answered = answer(&self.front, &self.id, handled).await;
        if matches!(answered, Ok(()) | Err(FrontError::NotFound { .. })) {
            self.answered.store(true, Ordering::Relaxed);
        }
        answered
    }
}

async fn answer(front: &Front, push: &str, handled: bool) -> Result<(), FrontError> {
    let request = AnswerPushRequest {
        app: front.app.clone(),
        push: push.to_owned(),
        handled,
    };
    let mut client = front.client.clone();
    front
        .call("answer a push", client.answer_push(request))
        .await?;
    Ok(())
}

/// Without an answer its task gets it. Outside of a runtime nobody can say so, and the node's own time decides.
impl Drop for Offer {
    fn drop(&mut self) {
        if *self.answered.get_mut() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let (front, push) = (self.front.clone(), std::mem::take(&mut self.id));
            // Whatever comes of it: the node passes it on by itself when its time is over.
            runtime.spawn(async move { answer(&front, &push, false).await.ok() });
        }
    }
}

impl PartialEq for OfferedPush {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for OfferedPush {}

impl fmt::Debug for OfferedPush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfferedPush")
            .field("id", &self.0.id)
            .field("bytes", &self.0.body.len())
            .field("expires", &self.0.expires)
            .finish_non_exhaustive()
    }
}

impl Front {
    /// Attaches as [`attach`](Self::attach) does, and pushes come to this client first, as
    /// [`Event::Push`](super::Event::Push): those for an app in the foreground (PSH-10), and those for an app that runs and
    /// has no task for them (PSH-09). Of several such clients of one app one is asked: in the foreground before the
    /// background, the newest first.
    pub async fn attach_taking_pushes(&self, presence: Presence) -> Result<Events, FrontError> {
        self.attach_as(presence, true).await
    }
}
