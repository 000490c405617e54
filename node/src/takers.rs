//! Attached clients that take pushes (PSH-09, PSH-10): to whom a push is offered.
//!
//! Whoever is asked has a queue of its own, so that a client that is slow, frozen or gone holds up nobody: how long an answer is
//! waited for is the machine's to say. Deliberately absent: answers, which are calls of the machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use lull_policy::{AppId, Push};
use tokio::sync::{mpsc, watch};

/// Offers on their way to one client: as many as an app may have undelivered (64), each of 5 kB at most.
const OFFERS: usize = 64;

/// The clients that take pushes, by app. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Takers(Arc<watch::Sender<Attached>>);

#[derive(Debug, Default)]
struct Attached {
    /// In the order in which they came.
    clients: BTreeMap<AppId, Vec<Taker>>,
    /// The number of the newest.
    newest: u64,
}

#[derive(Debug)]
struct Taker {
    number: u64,
    foreground: bool,
    offers: mpsc::Sender<Push>,
}

impl Takers {
    /// A further client takes pushes, until what this returns is dropped.
    pub fn attach(&self, app: &AppId, foreground: bool) -> Taking {
        let (offers, queue) = mpsc::channel(OFFERS);
        let mut number = 0;
        self.0.send_modify(|attached| {
            attached.newest += 1;
            number = attached.newest;
            let clients = attached.clients.entry(app.clone()).or_default();
            clients.push(Taker {
                number,
                foreground,
                offers,
            });
        });
        Taking {
            takers: self.clone(),
            app: app.clone(),
            number,
            offers: queue,
        }
    }

    /// Offers a push to one client of its app: those in the foreground come first, and the newest of these. Whether one has
    /// it now.
    pub fn offer(&self, push: &Push) -> bool {
        let attached = self.0.borrow();
        let clients = attached.clients.get(&push.app);
        let newest_first = |foreground: bool| {
            let clients = clients.into_iter().flatten().rev();
            clients.filter(move |taker| taker.foreground == foreground)
        };
        newest_first(true)
            .chain(newest_first(false))
            .any(|taker| taker.offers.try_send(push.clone()).is_ok())
    }
}

/// One client's place among those that take pushes.
#[derive(Debug)]
pub struct Taking {
    takers: Takers,
    app: AppId,
    number: u64,
    offers: mpsc::Receiver<Push>,
}

impl Taking {
    /// The next push that is offered to it. Loses none when it is dropped while it waits.
    pub async fn next(&mut self) -> Option<Push> {
        self.offers.recv().await
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.takers.0.send_modify(|attached| {
            if let Some(clients) = attached.clients.get_mut(&self.app) {
                clients.retain(|taker| taker.number != self.number);
                if clients.is_empty() {
                    attached.clients.remove(&self.app);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use lull_policy::{Event, PushId};

    use super::*;
    use crate::engine::rig::{app, push};

    fn pushed(id: &str) -> Push {
        let Event::PushArrived(push) = push(id) else {
            panic!("no push");
        };
        push
    }

    fn got(taking: &mut Taking) -> Vec<PushId> {
        std::iter::from_fn(|| taking.offers.try_recv().ok())
            .map(|push| push.id)
            .collect()
    }

    #[test]
    fn the_newest_client_in_the_foreground_is_asked_and_nobody_else() {
        let takers = Takers::default();
        assert!(!takers.offer(&pushed("p0")), "nobody is there");
        let other = AppId::new("other").unwrap();
        let mut stranger = takers.attach(&other, true);
        let mut older = takers.attach(&app(), true);
        let mut newer = takers.attach(&app(), true);
        let mut behind = takers.attach(&app(), false);
        assert!(takers.offer(&pushed("p1")));
        assert_eq!(got(&mut newer), [pushed("p1").id]);
        for nobody in [&mut stranger, &mut older, &mut behind] {
            assert_eq!(got(nobody), []);
        }
        drop(newer);
        assert!(takers.offer(&pushed("p2")));
        assert_eq!(got(&mut older), [pushed("p2").id]);
        drop(older);
        assert!(takers.offer(&pushed("p3")));
        assert_eq!(got(&mut behind), [pushed("p3").id]);
        drop(behind);
        assert!(!takers.offer(&pushed("p4")), "all have left");
        assert_eq!(takers.0.borrow().clients.len(), 1, "nothing is kept");
    }

    #[test]
    fn a_client_that_reads_nothing_holds_64() {
        let takers = Takers::default();
        let mut slow = takers.attach(&app(), true);
        for n in 0..OFFERS {
            assert!(takers.offer(&pushed(&format!("p{n}"))));
        }
        assert!(!takers.offer(&pushed("one-more")));
        assert_eq!(got(&mut slow).len(), OFFERS);
    }
}
