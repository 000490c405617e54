use std::collections::{BTreeMap, BTreeSet};

use super::{Periodic, Plan, Timer, best, bound_by_sets, check, lower_bound, naive, optimum};

const DAY: u64 = 86_400;

/// A generator of numbers that are the same in each run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// Adds are multiples of `step` before `until`.
    fn plan(&mut self, agents: u64, timers: u64, step: u64, until: u64, horizon: u64) -> Plan {
        let periodic = (0..agents).map(|_| Periodic {
            added: self.below(until / step) * step,
        });
        let periodic = periodic.collect();
        let timers = (0..timers).map(|_| Timer {
            registered: self.below(until / 60) * 60,
            minutes: [15, 20, 30, 40, 45, 60, 75, 240][usize::try_from(self.below(8)).unwrap()],
        });
        Plan {
            periodic,
            timers: timers.collect(),
            horizon,
        }
    }
}

fn plan(adds: &[u64], timers: &[(u64, u64)], horizon: u64) -> Plan {
    Plan {
        periodic: adds.iter().map(|&added| Periodic { added }).collect(),
        timers: timers
            .iter()
            .map(|&(registered, minutes)| Timer {
                registered,
                minutes,
            })
            .collect(),
        horizon,
    }
}

/// Every schedule whose starts are multiples of `step`, instant by instant, ten minutes on past the horizon: whoever
/// was past its 30 minutes there has started by then, in company, and all others can start alone.
fn brute(plan: &Plan, step: u64) -> usize {
    let mut ticks = BTreeSet::new();
    for timer in &plan.timers {
        let mut due = timer.registered + timer.minutes * 60;
        while due <= plan.horizon + 3600 {
            ticks.insert(due.div_ceil(900) * 900);
            due += timer.minutes * 60;
        }
    }
    let start: Vec<u64> = plan.periodic.iter().map(|agent| agent.added).collect();
    let mut states = BTreeMap::from([(start, 0)]);
    let mut now = step;
    while now <= plan.horizon + 600 {
        let mut next: BTreeMap<Vec<u64>, usize> = BTreeMap::new();
        for (lasts, cost) in states {
            for set in 0..1_usize << lasts.len() {
                let mut after = lasts.clone();
                let alone = set.is_power_of_two() && !ticks.contains(&now);
                let mut legal = true;
                for (index, last) in after.iter_mut().enumerate() {
                    if set >> index & 1 == 1 {
                        let gap = now.saturating_sub(*last);
                        legal &= if alone {
                            gap == 1800
                        } else {
                            (1200..=2400).contains(&gap)
                        };
                        *last = now;
                    }
                    legal &= *last + 2400 > now;
                }
                if legal {
                    let woken = now <= plan.horizon && (set != 0 || ticks.contains(&now));
                    let cost = cost + usize::from(woken);
                    let entry = next.entry(after).or_insert(cost);
                    *entry = cost.min(*entry);
                }
            }
        }
        states = next;
        now += step;
    }
    states.into_values().min().unwrap()
}

/// Starts by a legal but aimless engine: at each instant of a random few, whoever can start in company does so or not.
fn aimless(plan: &Plan, dice: &mut Dice) -> Vec<(usize, u64)> {
    let ticks = plan.ticks();
    let mut lasts: Vec<u64> = plan.periodic.iter().map(|agent| agent.added).collect();
    let mut starts = Vec::new();
    for now in 1..=plan.horizon {
        let due = |last: &u64| *last + 1800 == now;
        let tick = ticks.contains(&now);
        if !tick && !lasts.iter().any(due) && dice.below(60) > 0 {
            continue;
        }
        let mut set: Vec<usize> = (0..lasts.len())
            .filter(|&index| {
                let gap = now.saturating_sub(lasts[index]);
                gap == 1800 || ((1200..=1800).contains(&gap) && dice.below(3) > 0)
            })
            .collect();
        if set.len() == 1 && !tick && !due(&lasts[set[0]]) {
            set.clear();
        }
        for index in set {
            lasts[index] = now;
            starts.push((index, now));
        }
    }
    starts
}

fn agrees(plan: &Plan, step: u64) {
    let least = optimum(plan);
    assert_eq!(least, brute(plan, step), "{plan:?}");
    assert_eq!(check(plan, &best(plan)), Ok(least), "{plan:?}");
    assert_eq!(lower_bound(plan), least, "{plan:?}");
    for size in 2..plan.periodic.len() {
        assert!(bound_by_sets(plan, size) <= least, "{size} of {plan:?}");
    }
}

#[test]
fn the_optimum_is_that_of_all_instants_of_a_minute() {
    let mut dice = Dice(1);
    for round in 0..60 {
        let horizon = 60 * (100 + dice.below(60));
        agrees(
            &dice.plan(1 + round % 2, round / 2 % 3, 60, 3600, horizon),
            60,
        );
    }
}

#[test]
fn the_optimum_of_three_agents_is_that_of_all_instants_of_100_seconds() {
    let mut dice = Dice(2);
    for round in 0..20 {
        let horizon = 100 * (50 + dice.below(20));
        agrees(&dice.plan(3, round / 2 % 3, 100, 2400, horizon), 100);
    }
}

#[test]
fn the_optimum_of_four_agents_is_that_of_all_instants_of_five_minutes() {
    let mut dice = Dice(3);
    for round in 0..20 {
        let horizon = 300 * (20 + dice.below(10));
        agrees(&dice.plan(4, round / 2 % 3, 300, 3600, horizon), 300);
    }
}

#[test]
fn the_optimum_of_a_day_is_that_of_all_instants_of_five_minutes() {
    let mut dice = Dice(6);
    for round in 0..9 {
        let agents = if round < 6 { 2 } else { 3 };
        let plan = dice.plan(agents, round % 3, 300, DAY / 2, DAY);
        agrees(&plan, 300);
    }
}

#[test]
fn one_agent_alone_starts_each_half_hour() {
    let plan = plan(&[7], &[], DAY);
    assert_eq!(naive(&plan), 47);
    assert_eq!(optimum(&plan), 47);
    assert_eq!(lower_bound(&plan), 47);
}

#[test]
fn two_agents_keep_each_other_company_at_forty_minutes() {
    let plan = plan(&[0, 0], &[], DAY);
    assert_eq!(naive(&plan), 48);
    assert_eq!(optimum(&plan), 36);
    assert_eq!(lower_bound(&plan), 36);
}

#[test]
fn agents_ride_on_ticks() {
    let plan = plan(&[0, 60, 120, 180, 240, 300], &[(0, 30)], DAY);
    assert_eq!(optimum(&plan), 48);
    assert_eq!(lower_bound(&plan), 48);
}

#[test]
fn a_day_of_six_agents_is_exact_and_bounded() {
    let mut dice = Dice(4);
    for timers in 0..4 {
        let plan = dice.plan(6, timers, 1, 2 * 3600, DAY);
        let least = optimum(&plan);
        assert_eq!(check(&plan, &best(&plan)), Ok(least), "{plan:?}");
        assert!(lower_bound(&plan) <= least, "{plan:?}");
        assert!(least <= naive(&plan), "{plan:?}");
    }
}

#[test]
fn no_legal_schedule_is_below_the_optimum_or_the_bound() {
    let mut dice = Dice(5);
    for round in 0..12 {
        let agents = if round < 8 { 1 + round % 4 } else { 12 };
        let plan = dice.plan(agents, round % 3, 1, 3600, 6 * 3600);
        let starts = aimless(&plan, &mut dice);
        let cost = check(&plan, &starts).unwrap();
        assert!(lower_bound(&plan) <= cost, "{plan:?}");
        if agents <= 4 {
            assert!(optimum(&plan) <= cost, "{plan:?}");
        }
    }
}

#[test]
fn what_breaks_a_rule_is_refused() {
    let two = plan(&[0, 100], &[], 3600);
    assert_eq!(
        check(&two, &[(0, 1500), (1, 1500), (0, 3300), (1, 3300)]),
        Ok(2)
    );
    for starts in [
        &[(0, 1500), (0, 3300)][..],
        &[(0, 1200), (1, 1200)],
        &[(0, 2401), (1, 2401)],
        &[(0, 1799), (1, 1900)],
        &[(0, 1500), (0, 1500), (1, 1500)],
        &[(2, 1500)],
    ] {
        assert!(check(&two, starts).is_err(), "{starts:?}");
    }
}

#[test]
fn a_start_stays_out_at_the_horizon_only_with_somebody_to_wait_for() {
    assert!(check(&plan(&[0], &[], 1800), &[]).is_err());
    assert_eq!(check(&plan(&[0], &[], 1799), &[]), Ok(0));
    assert_eq!(check(&plan(&[0, 1200], &[], 1800), &[]), Ok(0));
    assert!(check(&plan(&[0, 1201], &[], 1800), &[]).is_err());
    assert_eq!(check(&plan(&[300], &[(0, 45)], 2100), &[]), Ok(0));
    assert!(check(&plan(&[299], &[(0, 45)], 2100), &[]).is_err());
}
