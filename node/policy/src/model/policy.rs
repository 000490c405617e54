//! Every figure of the device, with its default, unit and rule id. Only the operator changes one.

use serde::{Deserialize, Serialize};

use crate::{Bytes, PerMille, Span};

/// The device policy. Field names are those of scenario files and of `node.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A trigger task's life from start to kill (RES-01, AMB-01). 30 s.
    pub task_time: Span,
    /// From the cancel request to the kill (RUN-12); taken off the end of `task_time`. 5 s.
    pub cancel_grace: Span,
    /// An application-triggered task's life (TRGD-24, AMB-03). 10 min.
    pub application_time: Span,
    /// Memory cap of a trigger task; absent = none (rule book, 0a).
    pub task_memory: Option<Bytes>,
    /// Shortest timer period (TRGD-01). 15 min.
    pub timer_floor: Span,
    /// The device-wide tick on which timers start (TRGD-03). 15 min.
    pub timer_tick: Span,
    /// Timer periods stay below this (TRGD-04, AMB-18). 43,200 min.
    pub timer_ceiling: Span,
    /// Battery Saver acts below this charge (RES-12, AMB-34). 20 %.
    pub saver_level: PerMille,
    /// Pushes of one app that may wait on the device (rule book, 0a). 64.
    pub push_queue: u32,
    /// Runs of a push that the node itself lost are tried again until this attempt (rule book, 0a, Delivery). 3.
    pub push_attempts: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            task_time: Span::seconds(30),
            cancel_grace: Span::seconds(5),
            application_time: Span::minutes(10),
            task_memory: None,
            timer_floor: Span::minutes(15),
            timer_tick: Span::minutes(15),
            timer_ceiling: Span::minutes(43_200),
            saver_level: PerMille::percent(20),
            push_queue: 64,
            push_attempts: 3,
        }
    }
}
