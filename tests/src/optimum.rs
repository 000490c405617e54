//! How few wake-ups a day could have: the exact optimum of small plans, a certified bound for any plan, a judge.
//!
//! A [`Plan`] is a set of periodic agents and timers on one device. Its rules:
//!
//! - **Timer**, registered at `r` with a period of `n`: due at `r + n`, `r + 2n`, …; it starts at the first tick (a
//!   multiple of 15 minutes) at or after a due time. Two due times on one tick are one start. Nothing to choose.
//! - **Periodic agent** with last start `s` (before the first one: the instant of its Add): the next start is either
//!   *in company*, at an instant of `[s + 20 min, s + 40 min]` at which a timer or another periodic agent starts too,
//!   or *alone*, at exactly `s + 30 min`. The next window counts from the actual start.
//! - **Wake-up**: an instant of `(0, horizon]` at which anything starts.
//! - **Horizon**: a schedule is the beginning, up to and including the horizon, of one that goes on by the same rules
//!   for ever. A start may stay out only where it can legally follow later: see [`check`].
//!
//! What there is:
//!
//! - [`naive`]: the wake-ups if nothing were ever moved.
//! - [`optimum`] and [`best`]: the fewest wake-ups any schedule has, and a schedule that has so few. This is proved by
//!   exhaustion, in whole seconds, by someone who knows every Add in advance, so no engine is below it.
//! - [`lower_bound`]: a number that no schedule is below, for plans that are too large for the optimum.
//! - [`check`]: whether starts obey the rules, and how many wake-ups they cost. It shares nothing with the search but
//!   the ticks, and knows nothing of any engine.
//!
//! What is absent: removals and changes during the horizon, conditions that hold a start back, run times, limits on
//! how many run at once, and the online question (an engine does not know the Adds to come, so the optimum may be out
//! of its reach through no fault of its own). A start takes no time.
//!
//! # Why the search is exact
//!
//! **A finite set of instants suffices.** Take any schedule. Make a variable of each wake-up, and keep fixed which
//! agents start at which wake-up, and which wake-ups are ticks of timers. Everything that makes it legal is then a
//! bound on a difference of two variables, or of a variable and a fixed instant (an Add, a tick):
//!
//! - company: `20 min ≤ t - s ≤ 40 min`; alone: `t - s = 30 min`; a tick's wake-up: `t` is that tick;
//! - within the horizon: `t ≤ horizon`;
//! - at the end, for each last start `s`: `s ≥` something fixed, or `s' ≤ s + 20 min` for another last start `s'`.
//!
//! Solutions of such a system are closed under the maximum by component, and `t ≤ horizon` bounds them, so there is a
//! greatest one: every wake-up as late as it can be with all others as late as they can be. In it, each variable is
//! the least, over chains of upper bounds, of a fixed instant plus the chain's steps; and all steps (-20, ±30,
//! +40, +20 minutes) are multiples of 10 minutes. So every start lies on the grid of the instants that are congruent,
//! modulo 10 minutes, to an Add, a tick or the horizon. The greatest solution is legal: who was in company still is,
//! an agent alone is still at 30 minutes (and if it now meets another, 30 minutes is within the window), lower bounds
//! hold since every variable only grew, and an end condition that was met by a lower bound or a partner still is.
//! Wake-ups that fall together only lower the count. Hence the optimum on the grid is the optimum.
//!
//! **Decisions need no clock.** The state is the multiset of the last starts alone, agents with equal last starts
//! being interchangeable. Take an agent whose last start `s` is the least, and of those with that `s` the one that
//! starts next soonest, at `t ≤ s + 40 min`. Whoever else starts at `t` has a last start of at least `s`, and its start
//! at `t` is its next: two starts take at least 40 minutes, so a second one at `t` would need the last start `s` and
//! a first one at `s + 20 min`, sooner than the soonest. So choosing `t` and the others that share it enumerates every
//! schedule, each wake-up once and with all its company. Choices that are made apart for one and the same instant are
//! legal too, only counted twice: they invent no better schedule. If the earliest agent need not start any more, nobody
//! need: see the end of [`check`], whose conditions the others then meet by it.
//!
//! **Nothing is pruned but by proof.** The depth-first search asks for a schedule with at most `b` wake-ups beyond the
//! ticks, and raises `b` from a lower bound by what the failed search certifies. A state is given up when a lower
//! bound exceeds what is left of `b`: the one remembered from an earlier visit of the same multiset, or the greatest
//! over pairs of its agents of the pair's *free* optimum, in which a start may be anywhere in its window, company or
//! not. Leaving agents out and freeing starts from company only adds schedules, so this is a bound; it is tabulated
//! exactly by the same enumeration. What an exhausted search returns is the least over its branches, hence a bound.

mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use search::Search;

/// Seconds of a minute.
const MINUTE: u64 = 60;
/// Timers start at multiples of this.
const TICK: u64 = 15 * MINUTE;
/// The earliest start in company, counted from the last start.
const EARLIEST: u64 = 20 * MINUTE;
/// The start alone, counted from the last start.
const ALONE: u64 = 30 * MINUTE;
/// The latest start in company, counted from the last start.
const LATEST: u64 = 40 * MINUTE;
/// How many periodic agents [`optimum`] takes.
pub const MOST: usize = 6;

/// A periodic agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Periodic {
    /// The second of its Add.
    pub added: u64,
}

/// A timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// The second of its registration.
    pub registered: u64,
    /// Its period in minutes; one of 0 is never due.
    pub minutes: u64,
}

/// What is registered on a device, and for how long its wake-ups are counted. All in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Agents that the schedule may move.
    pub periodic: Vec<Periodic>,
    /// Timers, which it may not.
    pub timers: Vec<Timer>,
    /// The last second that is counted.
    pub horizon: u64,
}

impl Timer {
    /// Its due times up to and including `end`.
    fn due(self, end: u64) -> impl Iterator<Item = u64> {
        let period = self.minutes * MINUTE;
        let count = end
            .saturating_sub(self.registered)
            .checked_div(period)
            .unwrap_or(0);
        (1..=count).map(move |k| self.registered + k * period)
    }
}

impl Plan {
    /// The ticks with a timer on them, up to as far past the horizon as the last window may reach.
    fn ticks(&self) -> BTreeSet<u64> {
        let end = self.horizon + LATEST;
        let due = self.timers.iter().flat_map(|timer| timer.due(end));
        due.map(|at| at.div_ceil(TICK) * TICK).collect()
    }

    /// How many wake-ups the timers alone make: those that every schedule has.
    fn mandatory(&self) -> usize {
        self.ticks().range(..=self.horizon).count()
    }

    /// The agents that could start within the horizon at all, by index and Add.
    fn agents(&self) -> Vec<(usize, u64)> {
        let adds = self.periodic.iter().map(|agent| agent.added).enumerate();
        adds.filter(|&(_, added)| added < self.horizon).collect()
    }
}

/// The wake-ups if nothing were moved: every agent each 30 minutes from its Add, every timer at its own due times.
pub fn naive(plan: &Plan) -> usize {
    let timers = plan.timers.iter().flat_map(|timer| timer.due(plan.horizon));
    let mut instants: BTreeSet<u64> = timers.collect();
    for agent in &plan.periodic {
        let starts = (1..).map(|k| agent.added + k * ALONE);
        instants.extend(starts.take_while(|&at| at <= plan.horizon));
    }
    instants.len()
}

/// The fewest wake-ups that any schedule of the plan has.
///
/// # Panics
///
/// If more than [`MOST`] periodic agents are added before the horizon.
pub fn optimum(plan: &Plan) -> usize {
    plan.mandatory() + solve(plan).0
}

/// A schedule with the fewest wake-ups: the starts of the periodic agents, by index and second, in order of time.
///
/// # Panics
///
/// If more than [`MOST`] periodic agents are added before the horizon.
pub fn best(plan: &Plan) -> Vec<(usize, u64)> {
    solve(plan).1
}

/// The fewest wake-ups beyond the mandatory ones, with a schedule that has so few.
fn solve(plan: &Plan) -> (usize, Vec<(usize, u64)>) {
    let agents = plan.agents();
    assert!(
        agents.len() <= MOST,
        "{} periodic agents: the optimum is for {MOST} at most",
        agents.len()
    );
    let adds: Vec<u64> = agents.iter().map(|&(_, added)| added).collect();
    let mut search = Search::new(&plan.ticks(), plan.horizon, &adds, u64::MAX);
    let extra = search.least();
    let mut last = agents;
    let mut starts = Vec::new();
    for (at, moved) in search.wakes() {
        for from in moved {
            let agent = last.iter_mut().find(|(_, time)| *time == from);
            if let Some((index, time)) = agent {
                *time = at;
                starts.push((*index, at));
            }
        }
    }
    starts.sort_unstable_by_key(|&(index, at)| (at, index));
    (extra, starts)
}

/// A number of wake-ups that no schedule of the plan is below, for any number of agents.
///
/// It is the sum of
///
/// - the ticks with a timer on them, which every schedule has, and
/// - the greatest, over some sets of at most [`MOST`] agents, of the fewest wake-ups off those ticks that the set needs
///   if the agents that are not in it may start whenever the set likes, 20 minutes after the first one's Add or later.
///
/// Why it is a bound: take any schedule of the plan and look at the starts of one such set. Each is at 30 minutes, or
/// in its window with a timer, another agent of the set or one that is not in it; the latter starts no sooner than 20
/// minutes after its Add, nor does any of those after the horizon on whom an agent of the set waits there. So the
/// schedule, less the others, is among those over which the set's fewest is the least, and the wake-ups of the set off
/// the ticks are wake-ups of the plan, none of which was counted as a tick. That holds for each set, so also for the
/// greatest of them: which sets are tried decides how good the bound is, never whether it holds. A single agent's
/// count, and that of agents whose first windows are disjoint (each needs a start of its own), are covered by the
/// sets that contain them.
///
/// Tried are: six consecutive agents by Add, for each first one, and agents whose first windows are disjoint and
/// contain no tick, six by six, or five by five with the first agent. Of agents with one Add, one is taken. Up to
/// [`MOST`] agents are one set with nobody else, and the bound is the optimum.
pub fn lower_bound(plan: &Plan) -> usize {
    bound_by_sets(plan, MOST)
}

/// The bound by sets of at most `size` agents, 2 to [`MOST`].
fn bound_by_sets(plan: &Plan, size: usize) -> usize {
    let ticks = plan.ticks();
    let mut all: Vec<u64> = plan.agents().into_iter().map(|(_, added)| added).collect();
    all.sort_unstable();
    let mut sets = vec![all.clone()];
    if all.len() > size {
        let mut adds = all.clone();
        adds.dedup();
        let disjoint = disjoint(&adds, &ticks);
        let with_first = |rest: &[u64]| adds[..1].iter().chain(rest).copied().collect();
        sets = adds.windows(size.min(adds.len())).map(Vec::from).collect();
        sets.extend(disjoint.chunks(size).map(Vec::from));
        sets.extend(disjoint.chunks(size - 1).skip(1).map(with_first));
    }
    let least = |set: &Vec<u64>| {
        let others = other(&all, set).map_or(u64::MAX, |added| added + EARLIEST);
        Search::new(&ticks, plan.horizon, set, others).least()
    };
    plan.mandatory() + sets.iter().map(least).max().unwrap_or(0)
}

/// The first of all the sorted Adds that is not one of the set, which is sorted too.
fn other(all: &[u64], set: &[u64]) -> Option<u64> {
    let mut set = set.iter().peekable();
    let mut all = all.iter();
    all.find(|added| set.next_if_eq(added).is_none()).copied()
}

/// Of the sorted Adds, those whose first windows contain no tick and, taken greedily, do not touch.
fn disjoint(adds: &[u64], ticks: &BTreeSet<u64>) -> Vec<u64> {
    let mut end = 0;
    let mut chosen = Vec::new();
    for &added in adds {
        let window = added + EARLIEST..=added + LATEST;
        if *window.start() > end && ticks.range(window.clone()).next().is_none() {
            end = *window.end();
            chosen.push(added);
        }
    }
    chosen
}

/// Judges a schedule: the starts of the periodic agents, by index and second, in any order; the timers' own are added.
/// Returns the number of wake-ups.
///
/// Starts after the horizon are not looked at. Each other start must be in its window if anything else starts at the
/// same instant, and exactly 30 minutes after the last one if nothing does. At the horizon, each agent must be able to
/// go on: its 30 minutes end later, or they have passed, its window ends later, and after the horizon something can
/// still start with it within the window: a timer, or another agent, whose own window opens by then.
///
/// # Errors
///
/// What is wrong, for people: the agent, the second and the rule.
pub fn check(plan: &Plan, starts: &[(usize, u64)]) -> Result<usize, String> {
    let ticks = plan.ticks();
    let mut of_agent: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); plan.periodic.len()];
    let mut company: BTreeMap<u64, usize> = BTreeMap::new();
    for &(index, at) in starts.iter().filter(|&&(_, at)| at <= plan.horizon) {
        let own = of_agent
            .get_mut(index)
            .ok_or_else(|| format!("no agent {index} in the plan"))?;
        if !own.insert(at) {
            return Err(format!("agent {index} starts twice at {at}"));
        }
        *company.entry(at).or_default() += 1;
    }
    for &tick in ticks.range(..=plan.horizon) {
        *company.entry(tick).or_default() += 1;
    }
    let mut lasts = Vec::new();
    for (index, (agent, own)) in plan.periodic.iter().zip(&of_agent).enumerate() {
        let mut last = agent.added;
        for &at in own {
            let alone = company.get(&at) == Some(&1);
            obeys(last, at, alone).map_err(|rule| format!("agent {index} at {at}: {rule}"))?;
            last = at;
        }
        lasts.push(last);
    }
    for (index, &last) in lasts.iter().enumerate() {
        let others = lasts.iter().enumerate();
        let partner = others
            .filter(|&(other, _)| other != index)
            .map(|(_, &at)| at)
            .min();
        goes_on(last, partner, &ticks, plan.horizon)
            .map_err(|rule| format!("agent {index} after {last}: {rule}"))?;
    }
    Ok(company.len())
}

/// Whether a start at `at` is legal after one at `last`.
fn obeys(last: u64, at: u64, alone: bool) -> Result<(), String> {
    if at <= last {
        return Err(format!("not after {last}"));
    }
    let gap = at - last;
    if alone && gap != ALONE {
        return Err(format!("alone, but {gap} s after {last}"));
    }
    if !(EARLIEST..=LATEST).contains(&gap) {
        return Err(format!("in company, but {gap} s after {last}"));
    }
    Ok(())
}

/// Whether an agent that last started at `last` can go on legally after the horizon. `partner` is the earliest last
/// start of the others, all of which can still start after the horizon or are refused themselves.
fn goes_on(
    last: u64,
    partner: Option<u64>,
    ticks: &BTreeSet<u64>,
    horizon: u64,
) -> Result<(), &'static str> {
    if last + ALONE > horizon {
        return Ok(());
    }
    if last + LATEST <= horizon {
        return Err("no start until the end of its window");
    }
    let tick = ticks.range(horizon + 1..=last + LATEST).next().is_some();
    let agent = partner.is_some_and(|other| other + EARLIEST <= last + LATEST);
    if tick || agent {
        Ok(())
    } else {
        Err("no start after 30 minutes, and nothing left to start with")
    }
}
