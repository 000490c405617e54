//! The scenarios of the rule book: read once, run as they are or on a broken machine, a few at a time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use lull_testkit::Scenario;
use lull_testkit::scenario::Action;
use lull_tests::workspace::root;

use super::requirements::{Breach, FOLDER, Requirement};

/// Runs at a time: the machine of a test run has two cores.
const THREADS: usize = 2;

/// Every scenario of the folder, by its file's name.
#[derive(Debug)]
pub(super) struct Scenarios {
    all: BTreeMap<String, Scenario>,
    /// Whether a scenario fails under a change, by its file and the change: many rules share both.
    tried: Mutex<BTreeMap<(String, String), bool>>,
}

impl Scenarios {
    /// Reads them.
    pub(super) fn read() -> Result<Self> {
        let folder = root().join(FOLDER).join("scenarios");
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let text = std::fs::read_to_string(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            all.insert(name.into_owned(), Scenario::read(&path, &text)?);
        }
        Ok(Self {
            all,
            tried: Mutex::default(),
        })
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &Scenario)> {
        self.all.iter()
    }

    /// One of them.
    pub(super) fn get(&self, name: &str) -> Option<&Scenario> {
        self.all.get(name)
    }

    /// Whether one of a rule's scenarios fails under its change; what is wrong where none does.
    pub(super) fn notices(&self, one: &Requirement) -> Result<Option<String>> {
        let id = &one.id;
        let change = one.fails_under.as_ref();
        let change = change.with_context(|| format!("{id} has no fails_under"))?;
        let breach = change.breach().with_context(|| id.clone())?;
        let mut noticed = one.by.iter();
        let noticed = noticed.any(|name| self.fails(name, &format!("{change:?}"), &breach));
        Ok((!noticed).then(|| format!("{id}: none of its scenarios fails under {change:?}")))
    }

    fn fails(&self, name: &str, change: &str, breach: &Breach) -> bool {
        let key = (name.to_owned(), change.to_owned());
        let known = lock(&self.tried).get(&key).copied();
        known.unwrap_or_else(|| {
            let fails = self.get(name).is_some_and(|scenario| {
                let scenario = scenario.with_figures(&breach.figures);
                let run = || scenario.run_broken(None, &breach.sabotage).failures;
                // A machine so broken that it never comes to rest shows nothing.
                catch_unwind(AssertUnwindSafe(run)).is_ok_and(|failures| !failures.is_empty())
            });
            lock(&self.tried).insert(key, fails);
            fails
        })
    }
}

/// Whether anything can be wrong with a run of a scenario.
pub(super) fn expects_something(scenario: &Scenario) -> bool {
    let mut steps = scenario.steps.iter();
    let asked = steps.any(|step| match &step.action {
        Action::Call(call) => call.expect.is_some(),
        _ => false,
    });
    asked || !scenario.expectations.is_empty()
}

/// Does this to each, a few at a time; what came of it, in order.
pub(super) fn in_threads<T: Send + Sync, R: Send>(
    each: impl Iterator<Item = T>,
    act: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let each: Vec<T> = each.collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((at, one)) = take(&each, &next) {
                    let result = act(one);
                    lock(&done).insert(at, result);
                }
            });
        }
    });
    std::mem::take(&mut *lock(&done)).into_values().collect()
}

fn take<'a, T>(each: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    each.get(at).map(|one| (at, one))
}

/// Whoever panicked while he held it has failed the test already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
