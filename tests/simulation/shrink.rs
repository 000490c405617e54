//! Makes a life with a breach as short as it can be while the same rule is broken: fewer steps, plainer runs, fewer faults.
//!
//! Deliberately absent: knowledge of what broke; every shorter life is simply lived.

use crate::agents::Behaviour;
use crate::checkers::Breach;
use crate::fleet::live;
use crate::plan::{Plan, Planned, Step};
use crate::world::Options;

/// Lives at most so many: a few seconds.
const LIVES: usize = 1_500;

/// What is left.
#[derive(Debug)]
pub(crate) struct Shrunk {
    /// The life.
    pub(crate) plan: Plan,
    /// Its breach.
    pub(crate) breach: Breach,
    /// Its last turns in words.
    pub(crate) story: Vec<String>,
}

/// Shrinks a life whose breach is known.
pub(crate) fn shrink(plan: &Plan, options: Options, breach: &Breach) -> Shrunk {
    let mut search = Search {
        best: plan.clone(),
        breach: breach.clone(),
        options,
        left: LIVES,
    };
    search.cut();
    loop {
        let before = search.best.steps.len();
        search.leave_steps_out();
        search.make_plainer();
        if search.best.steps.len() == before || search.left == 0 {
            break;
        }
    }
    let told = Options {
        told: true,
        ..options
    };
    let outcome = live(&search.best, told);
    Shrunk {
        plan: search.best,
        breach: search.breach,
        story: outcome.story,
    }
}

struct Search {
    best: Plan,
    breach: Breach,
    options: Options,
    left: usize,
}

impl Search {
    /// Whether the same rule is broken still; then this is the best so far.
    fn takes(&mut self, plan: Plan) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let outcome = live(&plan, self.options);
        match outcome.breach {
            Some(breach) if breach.rule == self.breach.rule => {
                self.best = plan;
                self.breach = breach;
                self.cut();
                true
            }
            _ => false,
        }
    }

    /// What comes after the breach does not matter.
    fn cut(&mut self) {
        let at = self.breach.at;
        if at > 0 {
            self.best.length = self.best.length.min(at + 1);
            self.best.steps.retain(|planned| planned.at <= at);
        }
    }

    fn leave_steps_out(&mut self) {
        let mut size = self.best.steps.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.best.steps.len() {
                let mut plan = self.best.clone();
                let to = (from + size).min(plan.steps.len());
                plan.steps.drain(from..to);
                if !self.takes(plan) {
                    from += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn make_plainer(&mut self) {
        self.takes(Plan {
            prompt: true,
            commit: 0,
            ..self.best.clone()
        });
        for place in 0..self.best.steps.len() {
            if let Some(plain) = self.best.steps.get(place).and_then(plainer) {
                let mut plan = self.best.clone();
                if let Some(step) = plan.steps.get_mut(place) {
                    step.step = plain;
                }
                self.takes(plan);
            }
        }
        let mut app = 0;
        while app < self.best.apps.len() {
            let mut plan = self.best.clone();
            plan.apps.remove(app);
            if !self.takes(plan) {
                self.behave(app);
                app += 1;
            }
        }
    }

    /// Runs that simply succeed, one task after the other.
    fn behave(&mut self, app: usize) {
        let tasks = self
            .best
            .apps
            .get(app)
            .map(|planned| planned.behaviours.keys());
        let tasks: Vec<_> = tasks.into_iter().flatten().cloned().collect();
        for task in tasks {
            let mut plan = self.best.clone();
            let runs = plan
                .apps
                .get_mut(app)
                .and_then(|p| p.behaviours.get_mut(&task));
            if let Some(runs) = runs
                && *runs != [Behaviour::default()]
            {
                *runs = vec![Behaviour::default()];
                self.takes(plan);
            }
        }
    }
}

/// The same step with one reading less, or a shorter absence.
fn plainer(planned: &Planned) -> Option<Step> {
    match &planned.step {
        Step::Set(readings) if readings.len() > 1 => {
            let fewer = readings.get(1..).unwrap_or_default().to_vec();
            Some(Step::Set(fewer))
        }
        Step::Down { how, length } if *length > 1_000 => Some(Step::Down {
            how: *how,
            length: 1_000,
        }),
        _ => None,
    }
}
