//! Debuggers on this device (RES-22): who holds the limits of which task, and telling the machine.
//!
//! A session is held by a client of the operator's service (`lull debug attach`), or by a tracer that was found on a run. Several may
//! hold one task; the machine is told of the first that comes and the last that goes. A daemon that starts knows of none, as the machine
//! does. Deliberately absent: what a debugger suspends, which is the machine's to say.

mod tracer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lull_policy::{AppId, Event, Occurrence, TaskName};
use tokio::sync::watch;

use crate::ports::{EngineError, EngineRef};
use crate::retry::{Retry, random};
pub use tracer::find as find_tracers;

/// When something is told again that the engine had no room for.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// A task of an app.
type Task = (AppId, TaskName);

/// The sessions, shared by all who hold one.
#[derive(Debug, Clone, Default)]
pub struct Debuggers(Arc<watch::Sender<BTreeMap<Task, usize>>>);

/// One session: over when it is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    debuggers: Debuggers,
    task: Task,
}

impl Debuggers {
    /// A debugger came to a task.
    pub(crate) fn attach(&self, app: AppId, task: TaskName) -> Session {
        let task = (app, task);
        self.0
            .send_modify(|held| *held.entry(task.clone()).or_default() += 1);
        Session {
            debuggers: self.clone(),
            task,
        }
    }

    /// Tells the machine who is being debugged, the newest state of each task, until the engine ends.
    pub async fn tell(self, engine: EngineRef) {
        let mut changes = self.0.subscribe();
        let mut retry = Retry::new(RETRY.0, RETRY.1);
        let mut told: BTreeSet<Task> = BTreeSet::new();
        loop {
            let now = changes.borrow_and_update().clone();
            let came = now.keys().filter(|task| !told.contains(*task));
            let went = told.iter().filter(|task| !now.contains_key(*task));
            let news: Vec<(Task, bool)> = came
                .map(|task| (task.clone(), true))
                .chain(went.map(|task| (task.clone(), false)))
                .collect();
            let mut late = false;
            for ((app, task), attached) in news {
                let key = (app.clone(), task.clone());
                let event = Event::Occurred(Occurrence::Debugger {
                    app,
                    task,
                    attached,
                });
                match engine.commit(event).await {
                    Ok(()) if attached => drop(told.insert(key)),
                    Ok(()) => drop(told.remove(&key)),
                    Err(EngineError::Ending) => return,
                    Err(EngineError::Full(_) | EngineError::Unavailable) => late = true,
                }
            }
            if late {
                tokio::time::sleep(retry.next(random())).await;
                continue;
            }
            retry.reset();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.debuggers.0.send_modify(|held| {
            if let Some(count) = held.get_mut(&self.task) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    held.remove(&self.task);
                }
            }
        });
    }
}
