//! Random event sequences: whatever comes, the invariants hold and the records say what the state says (the bench
//! checks both after every event), what was promised is kept, and who only hears the timeline finds no fault in it.

mod draw;
mod steps;
mod take;
mod witness;

use std::collections::BTreeMap;

use proptest::prelude::*;

use self::steps::step;
use self::witness::Witness;
use super::*;

/// Whether a run may go on without end: under a debugger, as a use of a device on a phone, or of the app that the operator
/// signed.
fn may_be_unlimited(run: &Run) -> bool {
    let signed = run.app == app_id("news") && !run.kind.is_scheduled();
    run.debugged || run.kind == TriggerKind::DeviceUse || signed
}

/// Pushes decided more than once, over the whole life of a bench.
fn decided_twice(bench: &Bench) -> Option<PushId> {
    let mut terminals = BTreeMap::new();
    let decided = bench
        .sent
        .iter()
        .filter(|receipt| receipt.hop.is_terminal());
    for receipt in decided {
        // A receipt sent again is the same receipt.
        let first = terminals.entry(&receipt.push).or_insert(receipt.seq);
        if *first != receipt.seq {
            return Some(receipt.push.clone());
        }
    }
    None
}

proptest! {
    #[test]
    fn whatever_comes(steps in proptest::collection::vec(step(), 1..120)) {
        let mut bench = Bench::random();
        let mut witness = Witness::default();
        for step in steps {
            bench.take(step);
            witness.hear(&bench);
            let endless = |run: &&Run| run.kill_at.is_none() && !may_be_unlimited(run);
            prop_assert_eq!(bench.device.runs().find(endless), None, "every run has a limit");
        }
        prop_assert_eq!(decided_twice(&bench), None, "one terminal receipt for each push");
    }

    /// Rule 3 of the contract: the same inputs give the same state and effects, bit for bit.
    #[test]
    fn twice_the_same(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut one, mut other) = (Bench::random(), Bench::random());
        for step in steps {
            one.take(step.clone());
            other.take(step);
            prop_assert_eq!(&one.effects, &other.effects);
        }
        prop_assert_eq!(one.device, other.device);
    }

    /// Rule 10: within a boot a restored device whose runs are all held and whose watchers report the same goes on
    /// as the live one.
    #[test]
    fn restored_goes_on_as_live(steps in proptest::collection::vec(step(), 1..60)) {
        let mut live = Bench::random();
        for step in steps {
            live.take(step);
        }
        live.calm_down();
        live.read_all(*live.device.readings());
        live.send(Event::DeadlineReached);
        let held: Vec<_> = live.device.runs().map(|run| run.id).collect();
        for run in &held {
            live.start(run.0);
        }
        let clock = live.device.clock.boot.clone().unwrap();
        let mut restored = live.clone();
        restored.device = live.restored();
        restored.boot(clock.as_str());
        prop_assert_eq!(restored.launched(), Vec::<u64>::new());
        restored.send(Event::RunsHeld { runs: held });
        restored.read_all(*live.device.readings());
        prop_assert_eq!(restored.device.runs().count(), live.device.runs().count());
        prop_assert_eq!(restored.device.registrations().cloned().collect::<Vec<_>>(),
                        live.device.registrations().cloned().collect::<Vec<_>>());
        prop_assert_eq!(restored.device.interests(), live.device.interests());
        prop_assert_eq!(restored.device.deadline().running, live.device.deadline().running);
    }
}
