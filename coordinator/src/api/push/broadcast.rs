//! A push to a selector: places in every matching mailbox of every shard, one commit, all or nothing.
//!
//! Deliberately absent: which devices match (the shards).

use std::sync::Arc;

use lull_fleet_policy::{Labels, PushId, bounds};

use super::super::Services;
use crate::sabotage;
use crate::shard::messages::{
    Accepted, Conclude, Conclusion, Draft, Refusal, Reserve, Reserved, is_in_doubt,
};
use crate::store::{Change, NewSlot, Outcome, StoreError};

/// Accepts a push for all devices that have these labels.
pub(super) async fn accept(
    services: &Services,
    draft: &Draft,
    wanted: &Labels,
) -> Result<Accepted, Refusal> {
    let broadcast = Broadcast {
        services: services.clone(),
        draft: Arc::new(draft.clone()),
    };
    let wanted = wanted.clone();
    if sabotage::before_commit() {
        tokio::spawn(async move {
            tokio::time::sleep(sabotage::HELD).await;
            broadcast.run(wanted).await
        });
        return Ok(Accepted {
            push: draft.id,
            devices: 1,
            duplicate: false,
            accepted: draft.accepted,
        });
    }
    // A publisher that leaves must not leave places reserved.
    let accepted = tokio::spawn(async move { broadcast.run(wanted).await });
    accepted.await.unwrap_or(Err(Refusal::Busy))
}

struct Broadcast {
    services: Services,
    draft: Arc<Draft>,
}

impl Broadcast {
    async fn run(&self, wanted: Labels) -> Result<Accepted, Refusal> {
        let gate = self.services.broadcasts.lock().await;
        let mut reserved = Vec::new();
        let places = self.reserve(wanted, &mut reserved).await;
        if let Err(refusal) = places {
            self.conclude(reserved, Conclusion::NotStored).await;
            return Err(refusal);
        }
        let slots: Vec<NewSlot> = reserved.iter().flat_map(|r| r.slots.clone()).collect();
        let devices = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let fences = reserved
            .iter()
            .filter(|reserved| !reserved.slots.is_empty())
            .map(|reserved| reserved.fence)
            .collect();
        let draft = Draft::clone(&self.draft);
        let push = draft.into_push(slots, fences);
        let commit = (self.services.store).commit(vec![Change::AcceptPush(Box::new(push))]);
        // It is with the store: the next may take its places.
        drop(gate);
        let (conclusion, answer) = self.judge(commit.await, devices);
        self.conclude(reserved, conclusion).await;
        answer
    }

    async fn reserve(&self, wanted: Labels, into: &mut Vec<Reserved>) -> Result<(), Refusal> {
        let mut matched = 0;
        for shard in self.services.shards.iter() {
            let reserve = Reserve {
                wanted: wanted.clone(),
                app: self.draft.app.clone(),
                length: self.draft.payload.len() as u64,
                limit: bounds::TARGETS.saturating_sub(matched),
            };
            let reserved = shard.send(reserve).await;
            let reserved = reserved.map_err(|_gone| Refusal::Busy)?;
            let reserved = reserved.map_err(|refusal| match refusal {
                Refusal::TooMany { matched: more, .. } => Refusal::TooMany {
                    matched: matched + more,
                    limit: bounds::TARGETS,
                },
                other => other,
            })?;
            matched += reserved.slots.len();
            into.push(reserved);
        }
        for reserved in into {
            let before = (&mut reserved.before).await;
            before.map_err(|_gone| Refusal::Busy)?;
        }
        Ok(())
    }

    async fn conclude(&self, reserved: Vec<Reserved>, conclusion: Conclusion) {
        // In the order in which they were asked: the first shards are the first of the list.
        for (shard, reserved) in self.services.shards.iter().zip(reserved) {
            let conclude = Conclude {
                draft: Arc::clone(&self.draft),
                slots: reserved.slots,
                conclusion,
            };
            // Fails only where the coordinator is ending.
            shard.send(conclude).await.unwrap_or(());
        }
    }

    fn judge(
        &self,
        outcomes: Result<Vec<Outcome>, StoreError>,
        devices: u32,
    ) -> (Conclusion, Result<Accepted, Refusal>) {
        let accepted = |push: PushId, devices, duplicate, accepted| {
            Ok(Accepted {
                push,
                devices,
                duplicate,
                accepted,
            })
        };
        match outcomes.map(|outcomes| outcomes.into_iter().next()) {
            Ok(Some(Outcome::Applied(_))) => {
                let answer = accepted(self.draft.id, devices, false, self.draft.accepted);
                (Conclusion::Durable, answer)
            }
            Ok(Some(Outcome::Duplicate(earlier))) => {
                let answer = accepted(earlier.push, earlier.devices, true, earlier.accepted);
                (Conclusion::NotStored, answer)
            }
            Ok(Some(Outcome::Conflict(_) | Outcome::Withheld) | None) => {
                (Conclusion::NotStored, Err(Refusal::Again))
            }
            Err(error) => {
                let conclusion = if is_in_doubt(&error) {
                    Conclusion::Unknown
                } else {
                    Conclusion::NotStored
                };
                (conclusion, Err(Refusal::Store(error)))
            }
        }
    }
}
