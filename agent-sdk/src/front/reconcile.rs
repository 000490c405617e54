//! All that an app wants registered, in one step (ACC-32).

use lull_proto::local::v1::{ReconcileRequest, ReconcileResponse};

use crate::front::{Front, FrontError, Registration};

/// Bytes that one request may have on a node's side; 128 usual registrations have a third of them.
const REQUEST_LIMIT: usize = 64 << 10;

/// What reconciling did, each registration by its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciled {
    /// Made anew.
    pub registered: Vec<String>,
    /// Removed: they stood, and were not among the desired ones. A run of one that is under way may finish.
    pub unregistered: Vec<String>,
    /// Made anew in place of a different one of the same name.
    pub replaced: Vec<String>,
    /// Left alone: equal ones keep their id, their due time and what waits.
    pub kept: Vec<String>,
}

impl Reconciled {
    /// Whether everything stood already as it was desired.
    pub fn changed_nothing(&self) -> bool {
        self.registered.is_empty() && self.unregistered.is_empty() && self.replaced.is_empty()
    }
}

impl Front {
    /// Makes the app's registrations these, in one step: what an app does at each launch (ACC-32, MNG-01), and the first launch
    /// after an update above all (MNG-11). What is missing is registered, what differs is replaced, what is not desired is
    /// removed, and what is equal is left alone. Registrations in groups are not looked at (MNG-02).
    ///
    /// Names tell registrations apart here, so each needs its own; [`Registration::replace`] says nothing. At most 128.
    ///
    /// # Errors
    /// As of [`Front::register`]. One registration that is wrong changes nothing, and is named with its place:
    /// `desired[2].trigger`. One that is in a group is wrong.
    pub async fn reconcile(
        &self,
        desired: impl IntoIterator<Item = Registration>,
    ) -> Result<Reconciled, FrontError> {
        let desired = desired.into_iter().enumerate().map(ungrouped);
        let request = ReconcileRequest {
            app: self.app.clone(),
            desired: desired
                .map(|one| one.map(Registration::into_desired))
                .collect::<Result<_, _>>()?,
        };
        let size = prost::Message::encoded_len(&request);
        if size > REQUEST_LIMIT {
            return Err(FrontError::InvalidArgument {
                field: "desired".to_owned(),
                message: format!(
                    "{} registrations of together {size} bytes, at most {REQUEST_LIMIT} bytes are accepted; shorten their names \
                     or put some into groups, which are registered one by one",
                    request.desired.len()
                ),
            });
        }
        let mut client = self.client.clone();
        let answer = self.call("reconcile", client.reconcile(request)).await?;
        Ok(Reconciled::from(answer))
    }
}

fn ungrouped((place, registration): (usize, Registration)) -> Result<Registration, FrontError> {
    match registration.its_group() {
        None => Ok(registration),
        Some(group) => Err(FrontError::InvalidArgument {
            field: format!("desired[{place}].group"),
            message: format!(
                "{group}; registrations in groups are left alone when an app reconciles, use `register` for them (MNG-02)"
            ),
        }),
    }
}

impl From<ReconcileResponse> for Reconciled {
    fn from(answer: ReconcileResponse) -> Self {
        let ReconcileResponse {
            registered,
            unregistered,
            replaced,
            kept,
        } = answer;
        Self {
            registered,
            unregistered,
            replaced,
            kept,
        }
    }
}
