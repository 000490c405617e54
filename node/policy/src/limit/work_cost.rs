//! What background work costs now (RES-20): a hint to tasks, an event (TRG-31) and a condition (CND-27).

use crate::Readings;

/// The rule book's classes, 0 to 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkCost {
    /// On external power.
    Low,
    /// On battery, with the screen on.
    Medium,
    /// On battery, with the screen off: a task should do nothing.
    High,
}

/// The class, where it can be told.
pub(crate) fn cost(readings: &Readings) -> Option<WorkCost> {
    match (readings.external_power.value(), readings.screen_on.value()) {
        (Some(true), _) => Some(WorkCost::Low),
        (Some(false), Some(true)) => Some(WorkCost::Medium),
        (Some(false), Some(false)) => Some(WorkCost::High),
        (Some(false), None) | (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn classes() {
        let (yes, no, unknown) = (Level::Known(true), Level::Known(false), Level::Unknown);
        let rows = [
            (yes, no, Some(WorkCost::Low)),
            (yes, unknown, Some(WorkCost::Low)),
            (no, yes, Some(WorkCost::Medium)),
            (no, no, Some(WorkCost::High)),
            (no, Level::Assumed(false), Some(WorkCost::High)),
            (no, unknown, None),
            (unknown, yes, None),
        ];
        for (external_power, screen_on, expected) in rows {
            let readings = Readings {
                external_power,
                screen_on,
                ..Readings::default()
            };
            assert_eq!(cost(&readings), expected, "{readings:?}");
        }
    }
}
