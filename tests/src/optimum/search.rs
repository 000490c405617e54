//! The search for the fewest wake-ups off the ticks. The parent module says why it is exact.

use std::collections::{BTreeSet, HashMap};

use super::{ALONE, EARLIEST, LATEST, MOST};

/// All that instants depend on are multiples of this, counted from an Add, a tick or the horizon.
const STEP: u64 = 600;
/// No agent: sorts behind all.
const ABSENT: usize = usize::MAX;
/// Bits of an instant's index in the key of a state.
const BITS: usize = 21;

/// Last starts by index into the grid, in ascending order, [`ABSENT`] behind them.
type Lasts = [usize; MOST];

/// A wake-up of the schedule found: its instant and the last starts of those that start.
type Wake = (u64, Vec<u64>);

/// The instants that a schedule may use, and what is known of each.
#[derive(Debug)]
struct Grid {
    times: Vec<u64>,
    /// 0 if a timer starts there anyway, 1 otherwise.
    price: Vec<usize>,
    /// Of a last start: the first instant of the window, and the first one behind it or behind the horizon.
    window: Vec<(usize, usize)>,
    /// Of a last start: 30 minutes later; [`ABSENT`] if that is behind the horizon.
    alone: Vec<usize>,
    /// Of a last start: whether its window reaches behind the horizon.
    open: Vec<bool>,
    /// Of a last start: whether it can go on behind the horizon without another agent.
    free: Vec<bool>,
}

impl Grid {
    fn new(ticks: &BTreeSet<u64>, horizon: u64, adds: &[u64]) -> Self {
        let fixed = ticks.iter().chain(adds).chain([&horizon]);
        let residues: BTreeSet<u64> = fixed.map(|at| at % STEP).collect();
        let times: Vec<u64> = (0..=horizon / STEP)
            .flat_map(|k| residues.iter().map(move |residue| k * STEP + residue))
            .filter(|&at| at <= horizon)
            .collect();
        let behind = |at: u64| times.partition_point(|&time| time < at);
        let window = |at: &u64| (behind(at + EARLIEST), behind(at + LATEST + 1));
        let goes_on = |at: &u64| {
            let tick = || ticks.range(horizon + 1..=at + LATEST).next().is_some();
            at + ALONE > horizon || (at + LATEST > horizon && tick())
        };
        Self {
            price: times
                .iter()
                .map(|at| usize::from(!ticks.contains(at)))
                .collect(),
            window: times.iter().map(window).collect(),
            alone: times
                .iter()
                .map(|at| times.binary_search(&(at + ALONE)).unwrap_or(ABSENT))
                .collect(),
            open: times.iter().map(|at| at + LATEST > horizon).collect(),
            free: times.iter().map(goes_on).collect(),
            times,
        }
    }
}

/// The free optimum of every agent and of every two, from each last start on.
#[derive(Debug)]
struct Pairs {
    /// One more than how far two last starts may be apart to be in the table.
    width: usize,
    /// By the earlier last start times the width, plus how much later the other is.
    table: Vec<usize>,
}

impl Pairs {
    fn new(grid: &Grid) -> Self {
        let reach = grid
            .window
            .iter()
            .enumerate()
            .map(|(from, &(_, end))| end - from);
        let width = reach.max().unwrap_or(1).max(1);
        let count = grid.times.len();
        let mut pairs = Self {
            width,
            table: vec![0; width * count],
        };
        for early in (0..count).rev().filter(|&early| !grid.open[early]) {
            for late in early..count.min(early + width) {
                pairs.table[early * width + late - early] = pairs.least(grid, early, late);
            }
        }
        pairs
    }

    /// From what is known of later ones: the earlier agent starts at some instant, with the other or without it. One
    /// agent is two with equal last starts that never part.
    fn least(&self, grid: &Grid, early: usize, late: usize) -> usize {
        let (first, end) = grid.window[early];
        let together = |at| at >= grid.window[late].0;
        let rest = |at: usize| {
            let with = together(at).then(|| self.get(at, at));
            let without = (early != late).then(|| self.get(at.min(late), at.max(late)));
            with.into_iter().chain(without).min().unwrap_or(0)
        };
        let choices = (first..end).map(|at| grid.price[at] + rest(at));
        choices.min().unwrap_or(0)
    }

    /// The free optimum of two agents, or a bound from either alone if their last starts are far apart.
    fn get(&self, early: usize, late: usize) -> usize {
        if late - early < self.width {
            self.table[early * self.width + late - early]
        } else {
            self.table[early * self.width].max(self.table[late * self.width])
        }
    }
}

/// A search under way.
#[derive(Debug)]
pub(super) struct Search {
    grid: Grid,
    pairs: Pairs,
    /// The first instant at which an agent that is not in the search may be company.
    others: u64,
    /// Whether agents with equal last starts are one.
    merge: bool,
    root: Lasts,
    /// Of a state: a number of wake-ups off the ticks that it certainly needs.
    known: HashMap<u128, usize>,
    /// The schedule found, its last wake-up first.
    path: Vec<(usize, Vec<usize>)>,
}

impl Search {
    /// For agents added before the horizon, [`MOST`] at most; `ticks` reach beyond the horizon. From `others` on, a
    /// start needs no company: if there is anybody else, that one may be there. If that is so for all starts, agents
    /// with equal last starts are one: if they part, either may follow the other instead, and nobody misses it.
    pub(super) fn new(ticks: &BTreeSet<u64>, horizon: u64, adds: &[u64], others: u64) -> Self {
        let grid = Grid::new(ticks, horizon, adds);
        let pairs = Pairs::new(&grid);
        let merge = adds.iter().all(|added| added + EARLIEST >= others);
        let mut root = [ABSENT; MOST];
        for (last, added) in root.iter_mut().zip(adds) {
            *last = grid.times.binary_search(added).unwrap_or(ABSENT);
        }
        Self {
            grid,
            pairs,
            others,
            merge,
            root: sorted(root, merge),
            known: HashMap::new(),
            path: Vec::new(),
        }
    }

    /// The fewest wake-ups off the ticks.
    pub(super) fn least(&mut self) -> usize {
        let mut budget = self.bound(&self.root);
        loop {
            let needed = self.within(self.root, budget);
            if needed <= budget {
                return needed;
            }
            budget = needed;
        }
    }

    /// The schedule that [`Search::least`] found, in the order of its decisions.
    pub(super) fn wakes(&self) -> impl Iterator<Item = Wake> {
        let time = |&at: &usize| self.grid.times[at];
        let wakes = self.path.iter().rev();
        wakes.map(move |(at, moved)| (time(at), moved.iter().map(time).collect()))
    }

    /// What the state needs if that is within the budget, with the path to it; otherwise something more than the
    /// budget that it needs at least.
    fn within(&mut self, lasts: Lasts, budget: usize) -> usize {
        if self.ends(&lasts) {
            return 0;
        }
        let key = key(&lasts);
        let bound = match self.known.get(&key) {
            Some(&needed) => needed,
            None => self.bound(&lasts),
        };
        if bound > budget {
            return bound;
        }
        let (first, end) = self.grid.window[lasts[0]];
        let mut needed = usize::MAX;
        for at in (first..end).rev() {
            let price = self.grid.price[at];
            for mask in masks(&lasts, self.sharing(&lasts, at)) {
                if mask == 1 && !self.alone(lasts[0], at) {
                    continue;
                }
                let next = self.moved(&lasts, mask, at);
                let rest = match budget.checked_sub(price) {
                    Some(left) => self.within(next, left),
                    None => self.bound(&next),
                };
                if price + rest <= budget {
                    self.path.push((at, chosen(&lasts, mask)));
                    return price + rest;
                }
                needed = needed.min(price + rest);
            }
        }
        self.known.insert(key, needed);
        needed
    }

    /// Whether all may stay out until the horizon. The earliest decides: with its window open so are the others', and
    /// whoever of them is past its 30 minutes can start with it behind the horizon.
    fn ends(&self, lasts: &Lasts) -> bool {
        let Some(&open) = self.grid.open.get(lasts[0]) else {
            return true;
        };
        let end = self.grid.times[lasts[0]] + LATEST;
        let partner = self.grid.times.get(lasts[1]);
        let company = || self.others <= end || partner.is_some_and(|late| late + EARLIEST <= end);
        open && (self.grid.free[lasts[0]] || company())
    }

    /// The greatest free optimum of two of the agents.
    fn bound(&self, lasts: &Lasts) -> usize {
        let present = lasts.iter().position(|&last| last == ABSENT);
        let lasts = &lasts[..present.unwrap_or(MOST)];
        let with = |(index, &early): (usize, &usize)| {
            let later = lasts[index..].iter();
            later
                .map(|&late| self.pairs.get(early, late))
                .max()
                .unwrap_or(0)
        };
        lasts.iter().enumerate().map(with).max().unwrap_or(0)
    }

    /// How many of the earliest agents could start at `at`, which the first can.
    fn sharing(&self, lasts: &Lasts, at: usize) -> usize {
        let can = |&&last: &&usize| self.grid.window.get(last).is_some_and(|w| w.0 <= at);
        lasts.iter().take_while(can).count()
    }

    /// Whether an agent may start at `at` with no other one of the search.
    fn alone(&self, last: usize, at: usize) -> bool {
        self.grid.times[at] >= self.others
            || self.grid.price[at] == 0
            || self.grid.alone[last] == at
    }

    /// The state after those in the mask have started at `at`.
    fn moved(&self, lasts: &Lasts, mask: usize, at: usize) -> Lasts {
        let mut next = *lasts;
        for (index, last) in next.iter_mut().enumerate() {
            if mask >> index & 1 == 1 {
                *last = at;
            }
        }
        sorted(next, self.merge)
    }
}

/// In order, and with `merge` each last start once.
fn sorted(mut lasts: Lasts, merge: bool) -> Lasts {
    lasts.sort_unstable();
    if merge {
        for index in 1..MOST {
            if lasts[index] == lasts[index - 1] {
                lasts[index - 1] = ABSENT;
            }
        }
        lasts.sort_unstable();
    }
    lasts
}

/// The sets of the first `count` agents that contain the first one, as bits, the largest first; of agents with
/// equal last starts, only the front ones.
fn masks(lasts: &Lasts, count: usize) -> impl Iterator<Item = usize> {
    let lasts = *lasts;
    let front = move |mask: &usize| {
        (1..count).all(|index| {
            lasts[index] != lasts[index - 1] || mask >> (index - 1) & 1 >= mask >> index & 1
        })
    };
    (0..1_usize << (count - 1))
        .rev()
        .map(|rest| rest << 1 | 1)
        .filter(front)
}

/// The last starts of those in the mask.
fn chosen(lasts: &Lasts, mask: usize) -> Vec<usize> {
    let in_mask = |&(index, _): &(usize, &usize)| mask >> index & 1 == 1;
    lasts
        .iter()
        .enumerate()
        .filter(in_mask)
        .map(|(_, &last)| last)
        .collect()
}

/// The state as one number: the grid has far fewer than 2^21 instants.
fn key(lasts: &Lasts) -> u128 {
    lasts.iter().fold(0, |key, &last| {
        let short = last & ((1 << BITS) - 1);
        key << BITS | short as u128
    })
}
