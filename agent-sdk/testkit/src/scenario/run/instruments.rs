//! What the watchers of a scenario's device report: what the file says, as far as the device can tell it.

use lull_policy::{Call, Level, Network, PerMille, Reading, Readings, Source};

use crate::scenario::Hardware;

/// The device's sources of readings.
#[derive(Debug, Clone)]
pub(super) struct Instruments {
    hardware: Hardware,
    /// As the file says, whether or not there is a source for it.
    said: Readings,
}

impl Instruments {
    /// The sources of a device.
    pub(super) fn new(hardware: Hardware, said: Readings) -> Self {
        Self { hardware, said }
    }

    /// The file says something new.
    pub(super) fn set(&mut self, readings: &[Reading]) {
        for reading in readings {
            self.said.put(*reading);
        }
    }

    /// What is reported; the zone is not among it.
    pub(super) fn report(&self) -> Vec<Reading> {
        let mut reported = self.said;
        if reported.network.is(Network::None) {
            reported.internet = Level::Known(false);
        }
        let sources = Source::ALL
            .into_iter()
            .filter(|source| *source != Source::Zone);
        sources
            .flat_map(|source| reported.of(source))
            .map(|reading| self.assumed(reading))
            .collect()
    }

    /// AMB-23: where there is no source, or it is down, what the operator assumes; for hardware that is not there, what the
    /// rule book does.
    fn assumed(&self, reading: Reading) -> Reading {
        let absent = self.absent(reading);
        if absent.is_none() && !is_unknown(reading) {
            return reading;
        }
        let mut assumed = self.hardware.assume.iter().copied();
        let of_this =
            |other: &Reading| std::mem::discriminant(other) == std::mem::discriminant(&reading);
        assumed.rfind(of_this).or(absent).unwrap_or(reading)
    }

    /// What stands for a reading whose hardware is not there; absent where it is.
    fn absent(&self, reading: Reading) -> Option<Reading> {
        let hardware = &self.hardware;
        let (has, stands) = match reading {
            Reading::ExternalPower(_) => (
                hardware.has_battery,
                Reading::ExternalPower(Level::Assumed(true)),
            ),
            Reading::Battery(_) => (
                hardware.has_battery,
                Reading::Battery(Level::Assumed(PerMille::percent(100))),
            ),
            Reading::BatterySaver(_) => (
                hardware.has_battery,
                Reading::BatterySaver(Level::Assumed(false)),
            ),
            Reading::SaverManual(_) => (
                hardware.has_battery,
                Reading::SaverManual(Level::Assumed(false)),
            ),
            Reading::ScreenLocked(_) => (
                hardware.has_screen,
                Reading::ScreenLocked(Level::Assumed(true)),
            ),
            Reading::UserPresent(_) => (
                hardware.has_screen,
                Reading::UserPresent(Level::Assumed(false)),
            ),
            Reading::ScreenOn(_) => (
                hardware.has_screen,
                Reading::ScreenOn(Level::Assumed(false)),
            ),
            Reading::Call(_) => (
                hardware.has_modem,
                Reading::Call(Level::Assumed(Call::None)),
            ),
            Reading::Network(_)
            | Reading::Internet(_)
            | Reading::Metered(_)
            | Reading::Session(_)
            | Reading::Standby(_)
            | Reading::Zone(_)
            | Reading::CpuPressure(_) => return None,
        };
        (!has).then_some(stands)
    }
}

/// Whether a reading's source is down.
fn is_unknown(reading: Reading) -> bool {
    let mut none = Readings::default();
    none.put(reading);
    none == Readings::default()
}
