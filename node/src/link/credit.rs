//! How many pushes the coordinator may send: credit per app, cumulative within the session.
//!
//! The engine says how many further pushes of an app it can take (`free`), as of some moment; pushes that came after it
//! are on their way to the engine. A total that counts only what the engine has committed is never too high; it is exact when
//! nothing is on its way. Pure.

use std::collections::{BTreeMap, BTreeSet};

use lull_policy::AppId;

/// The credit of one session.
#[derive(Debug, Default)]
pub(super) struct Credit {
    apps: BTreeMap<AppId, AppCredit>,
    due: BTreeSet<AppId>,
}

#[derive(Debug, Default)]
struct AppCredit {
    received: u64,
    committed: u64,
    granted: u64,
    /// An order came while pushes were on their way: the total may be too low.
    low: bool,
}

/// The apps that had nothing on its way when the engine was asked, with what had come of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked(BTreeMap<AppId, u64>);

impl Credit {
    /// The engine can take so many further pushes, as of an event before any that is on its way now.
    pub(super) fn order(&mut self, app: AppId, free: u32) {
        let credit = self.apps.entry(app.clone()).or_default();
        credit.low = !credit.is_quiet();
        let total = credit.committed.saturating_add(u64::from(free));
        if credit.grant(total) {
            self.due.insert(app);
        }
    }

    /// A push came. False if there was no credit for it.
    pub(super) fn received(&mut self, app: &AppId) -> bool {
        match self.apps.get_mut(app) {
            Some(credit) => {
                credit.received = credit.received.saturating_add(1);
                credit.received <= credit.granted
            }
            None => false,
        }
    }

    /// The engine has a push. True if the engine should be asked, for the credit may be too low and nothing is on its way any more.
    pub(super) fn committed(&mut self, app: &AppId) -> bool {
        let Some(credit) = self.apps.get_mut(app) else {
            return false;
        };
        credit.committed = credit.committed.saturating_add(1).min(credit.received);
        credit.low && credit.is_quiet()
    }

    /// To be called when the engine is asked for the credit of every app.
    pub(super) fn ask(&self) -> Asked {
        let quiet = self.apps.iter().filter(|(_, credit)| credit.is_quiet());
        Asked(
            quiet
                .map(|(app, credit)| (app.clone(), credit.received))
                .collect(),
        )
    }

    /// The engine's answer. It is exact for apps that had nothing on its way all the while; others wait for their next order
    /// or question.
    pub(super) fn answer(&mut self, asked: &Asked, free: Vec<(AppId, u32)>) {
        for (app, free) in free {
            let before = asked.0.get(&app).copied();
            let credit = self.apps.entry(app.clone()).or_default();
            let now = credit.is_quiet().then_some(credit.received);
            // An app that was not known then had no push.
            if now.is_none() || now != before.or(Some(0)) {
                continue;
            }
            credit.low = false;
            if credit.grant(credit.received.saturating_add(u64::from(free))) {
                self.due.insert(app);
            }
        }
    }

    /// A total that the coordinator has not been told.
    pub(super) fn take_due(&mut self) -> Option<(AppId, u64)> {
        let app = self.due.pop_first()?;
        let total = self.apps.get(&app).map_or(0, |credit| credit.granted);
        Some((app, total))
    }

    /// Whether there is something to tell.
    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }
}

impl AppCredit {
    /// Nothing is on its way to the engine.
    fn is_quiet(&self) -> bool {
        self.received == self.committed
    }

    /// A total is cumulative: it never falls.
    fn grant(&mut self, total: u64) -> bool {
        let higher = total > self.granted;
        self.granted = self.granted.max(total);
        higher
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn app() -> AppId {
        AppId::new("photos").unwrap()
    }

    #[test]
    fn the_total_counts_what_is_committed_and_what_is_free() {
        let mut credit = Credit::default();
        assert!(!credit.received(&app()), "nothing was granted");
        let asked = Credit::default().ask();
        let mut credit = Credit::default();
        credit.answer(&asked, vec![(app(), 2)]);
        assert_eq!(credit.take_due(), Some((app(), 2)));
        assert_eq!(credit.take_due(), None);
        assert!(credit.received(&app()) && credit.received(&app()));
        assert!(!credit.received(&app()), "one too many");
        // One of three is committed; the engine has room for none.
        assert!(!credit.committed(&app()));
        credit.order(app(), 0);
        assert!(!credit.is_due());
        assert!(!credit.committed(&app()));
        assert!(credit.committed(&app()), "nothing is on its way: ask");
        let asked = credit.ask();
        credit.answer(&asked, vec![(app(), 1)]);
        assert_eq!(credit.take_due(), Some((app(), 4)));
    }

    #[test]
    fn an_answer_that_a_push_overtook_is_not_believed() {
        let mut credit = Credit::default();
        let asked = credit.ask();
        credit.answer(&asked, vec![(app(), 4)]);
        assert_eq!(credit.take_due(), Some((app(), 4)));
        // Asked while a push is on its way, which is there before the answer: the engine may have looked before it.
        assert!(credit.received(&app()));
        let asked = credit.ask();
        credit.committed(&app());
        credit.answer(&asked, vec![(app(), 4)]);
        assert_eq!(credit.take_due(), None);
        // Asked before a push came.
        let asked = credit.ask();
        assert!(credit.received(&app()));
        credit.answer(&asked, vec![(app(), 4)]);
        assert_eq!(credit.take_due(), None);
        credit.committed(&app());
        credit.answer(&asked, vec![(app(), 4)]);
        assert_eq!(credit.take_due(), None);
        let asked = credit.ask();
        credit.answer(&asked, vec![(app(), 3)]);
        assert_eq!(credit.take_due(), Some((app(), 5)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// An engine with a queue of 4, whose orders and commits come late: it never gets a push that it has no room for, and
        /// at rest the coordinator can fill it.
        #[test]
        fn the_queue_never_overflows_and_never_starves(steps in prop::collection::vec(0..5_u8, 1..200)) {
            const ROOM: u64 = 4;
            let mut credit = Credit::default();
            let (mut sent, mut told) = (0_u64, 0_u64);
            // In the engine: handled and not yet run; told to the link in this order.
            let (mut queued, mut handled) = (0_u64, 0_u64);
            let mut on_the_way = 0_u64;
            let mut orders: Vec<Result<u64, ()>> = Vec::new();
            let deliver = |credit: &mut Credit, orders: &mut Vec<Result<u64, ()>>| {
                let mut ask = false;
                for order in orders.drain(..) {
                    match order {
                        Ok(free) => credit.order(app(), u32::try_from(free).unwrap()),
                        Err(()) => ask |= credit.committed(&app()),
                    }
                }
                ask
            };
            let asked = credit.ask();
            credit.answer(&asked, vec![(app(), 4)]);
            for step in steps {
                while let Some((_, total)) = credit.take_due() {
                    told = total;
                }
                match step {
                    0 | 1 if sent < told => {
                        sent += 1;
                        prop_assert!(credit.received(&app()));
                        on_the_way += 1;
                    }
                    2 if on_the_way > 0 => {
                        on_the_way -= 1;
                        handled += 1;
                        queued += 1;
                        prop_assert!(queued <= ROOM, "the queue overflowed");
                        // The order of this event, then its commit.
                        orders.push(Ok(ROOM - queued));
                        orders.push(Err(()));
                    }
                    3 if queued > 0 => {
                        queued -= 1;
                        orders.push(Ok(ROOM - queued));
                    }
                    4 if deliver(&mut credit, &mut orders) => {
                        let asked = credit.ask();
                        credit.answer(&asked, vec![(app(), u32::try_from(ROOM - queued).unwrap())]);
                    }
                    _ => {}
                }
            }
            // At rest.
            for _ in 0..on_the_way {
                handled += 1;
                queued += 1;
                prop_assert!(queued <= ROOM, "the queue overflowed");
                orders.push(Ok(ROOM - queued));
                orders.push(Err(()));
            }
            if deliver(&mut credit, &mut orders) {
                let asked = credit.ask();
                credit.answer(&asked, vec![(app(), u32::try_from(ROOM - queued).unwrap())]);
            }
            while let Some((_, total)) = credit.take_due() {
                told = total;
            }
            prop_assert_eq!(handled, sent);
            prop_assert_eq!(told - sent, ROOM - queued, "the queue starves");
        }
    }
}
