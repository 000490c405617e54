//! Debuggers on this device (RES-22): who holds the limits of which task, and telling the machine.
//!
//! A session is held by a client of the operator's service (`lull debug attach`), or by a tracer that was found on a run. Several may
//! hold one task; the machine is told of the first that comes and the last that goes. A daemon that starts knows of none, as the machine
//! does. Deliberately absent: what a debugger suspends, which is the machine's to say.

mod tracer;

use std::collections::BTreeMap;
use std::sync::Arc;

use lull_policy::{AppId, Event, Occurrence, TaskName};
use tokio::sync::watch;

use crate::newest;
use crate::ports::EngineRef;
pub use tracer::find as find_tracers;

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
        let event = |(app, task), attached| {
            Event::Occurred(Occurrence::Debugger {
                app,
                task,
                attached,
            })
        };
        let attached = |sessions: &usize| *sessions > 0;
        newest::tell(engine, self.0.subscribe(), BTreeMap::new(), attached, event).await;
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
