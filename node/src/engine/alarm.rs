//! Wakes the engine at the machine's deadlines, and from time to time for what rides in memory.

use std::io;
use std::time::Duration;

use actix::Addr;
use lull_policy::{Deadline, Event};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::actor::{EngineActor, Message, end_process};
use crate::clock::{Alarm, Ring};

/// How long an event that changed no record may ride in memory before it is written (architecture, 5).
const RIDE: Duration = Duration::from_mins(15);

/// How long a deadline that was met and did not move rests before it rings again.
const STANDING: Duration = Duration::from_millis(100);

/// Rings until the engine is gone. Without an alarm no limit is enforced: an error of the kernel's timers ends the process.
pub(super) async fn ring(
    mut alarm: Box<dyn Alarm>,
    mut deadlines: watch::Receiver<Deadline>,
    engine: Addr<EngineActor>,
) {
    let mut rides = interval(RIDE);
    rides.set_missed_tick_behavior(MissedTickBehavior::Delay);
    rides.reset();
    let mut rung_for = None;
    loop {
        let deadline = *deadlines.borrow_and_update();
        if rung_for == Some(deadline) {
            // It was met and stands still: a defect, which must not take a whole processor.
            tokio::time::sleep(STANDING).await;
        }
        let message = tokio::select! {
            changed = deadlines.changed() => match changed {
                Ok(()) => continue,
                Err(_gone) => return,
            },
            rung = alarm.wait(deadline) => {
                let event = woken(rung);
                // Only this event brings what falls due at its very instant: after any other the same deadline may have come
                // meanwhile, and rings at once.
                rung_for = (event == Event::DeadlineReached).then_some(deadline);
                Message::Event(Box::new(event), None)
            }
            _ = rides.tick() => Message::Ride,
        };
        // Waits for room in the mailbox, and until the engine has taken it: its new deadline is in place then.
        if engine.send(message).await.is_err() {
            return;
        }
    }
}

fn woken(rung: io::Result<Ring>) -> Event {
    match rung {
        Ok(Ring::Reached) => Event::DeadlineReached,
        Ok(Ring::Stepped) => Event::ClockStepped,
        Err(error) => {
            tracing::error!(%error, "the kernel's timers fail; the daemon ends itself to be restarted");
            end_process()
        }
    }
}
