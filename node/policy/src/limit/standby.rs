//! The network of a run in standby (RUN-30, RUN-31): trigger tasks have none unless they asked for it, at once and
//! also under way. Scheduled agents keep it.

use crate::turn::Turn;
use crate::{Effect, Observation, Readings, RunId, TriggerKind};

/// Whether a run has the network.
pub(crate) fn network(kind: TriggerKind, requested: bool, readings: &Readings) -> bool {
    requested || kind.is_scheduled() || !readings.standby.is(true)
}

impl Turn<'_> {
    /// Standby began or ended: networks are cut or given back.
    pub(crate) fn standby_may_have_changed(&mut self) {
        let device = &*self.device;
        let changed: Vec<(RunId, bool)> = device
            .runs
            .values()
            .filter(|run| {
                !device.broken(crate::Broken::StandbyKeepsNetwork) && run.state.is_alive()
            })
            .map(|run| {
                (
                    run,
                    network(run.kind, run.network_requested, &device.readings),
                )
            })
            .filter(|(run, allowed)| run.network != *allowed)
            .map(|(run, allowed)| (run.id, allowed))
            .collect();
        for (run, allowed) in changed {
            self.edit_run(run, |run| run.network = allowed);
            self.effect(Effect::Network { run, allowed });
            self.observe_run(run, |task| Observation::Network { task, run, allowed });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn who_has_the_network() {
        let rows = [
            (TriggerKind::Timer, false, Level::Known(false), true),
            (TriggerKind::Timer, false, Level::Known(true), false),
            (TriggerKind::Timer, false, Level::Unknown, true),
            (TriggerKind::Timer, true, Level::Known(true), true),
            (TriggerKind::Push, false, Level::Known(true), false),
            (TriggerKind::Periodic, false, Level::Known(true), true),
            (
                TriggerKind::ResourceIntensive,
                false,
                Level::Known(true),
                true,
            ),
        ];
        for (kind, requested, standby, expected) in rows {
            let readings = Readings {
                standby,
                ..Readings::default()
            };
            assert_eq!(network(kind, requested, &readings), expected, "{kind:?}");
        }
    }
}
