//! Who calls: a certificate's serial number held against the list of those that are good.
//!
//! Publishers and operators are kept in memory, for they call often; a change of any client empties that memory. Devices
//! call once for each session and are looked up. Deliberately absent: who may call what.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use lull_fleet_policy::access::Caller;
use tonic::Status;

use crate::listen::{Peer, Principal};
use crate::store::{ClientRole, Holder, Store, StoreError};

/// Clients kept in memory: more certificates than people and programs that push at one time.
const KEPT: usize = 4_096;

/// All callers.
#[derive(Debug)]
pub struct Callers {
    store: Arc<dyn Store>,
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Counts how often it was emptied, so that an old answer is not kept after a change.
    generation: u64,
    by_serial: HashMap<Vec<u8>, Arc<Caller>>,
}

impl Callers {
    /// Those of a store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let kept = RwLock::default();
        Self { store, kept }
    }

    /// A caller that is in memory.
    pub fn known(&self, peer: &Peer) -> Option<Arc<Caller>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.by_serial.get(&peer.serial).cloned()
    }

    /// A client has changed.
    pub fn forget(&self) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.generation += 1;
        kept.by_serial.clear();
    }

    /// Looks a caller up.
    pub async fn resolve(&self, peer: &Peer) -> Result<Arc<Caller>, Status> {
        let Some(principal) = &peer.principal else {
            return Ok(Arc::new(Caller::Anonymous));
        };
        let generation = {
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
            kept.generation
        };
        let caller = Arc::new(self.look_up(peer, principal).await?);
        if !matches!(principal, Principal::Device(_)) {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            if kept.by_serial.len() >= KEPT {
                kept.by_serial.clear();
            }
            if kept.generation == generation {
                kept.by_serial
                    .insert(peer.serial.clone(), Arc::clone(&caller));
            }
        }
        Ok(caller)
    }

    async fn look_up(&self, peer: &Peer, principal: &Principal) -> Result<Caller, Status> {
        let unavailable = |error: StoreError| Status::unavailable(error.to_string());
        let certificate = self.store.certificate(peer.serial.clone()).await;
        let holder = certificate.map_err(unavailable)?.map(|found| found.holder);
        match (holder, principal) {
            (Some(Holder::Device(held)), Principal::Device(named)) if held == *named => {
                Ok(Caller::Device(held))
            }
            (
                Some(Holder::Client(held)),
                Principal::Publisher(named) | Principal::Operator(named),
            ) if held == *named => {
                let client = self.store.client(held).await.map_err(unavailable)?;
                match (client.map(|client| client.role), principal) {
                    (Some(ClientRole::Publisher(apps)), Principal::Publisher(name)) => {
                        let name = name.clone();
                        Ok(Caller::Publisher { name, apps })
                    }
                    (Some(ClientRole::Operator), Principal::Operator(name)) => {
                        Ok(Caller::Operator(name.clone()))
                    }
                    _ => Err(unknown()),
                }
            }
            _ => Err(unknown()),
        }
    }
}

fn unknown() -> Status {
    Status::unauthenticated(
        "the client certificate is not one that is good here; enrol the device anew, or ask the operator for a new one",
    )
}
