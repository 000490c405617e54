//! Days of a device's user: screen, session, network, power, calls. Levels only, as the world has them.

use lull_policy::{Call, Level, Network, PerMille, Reading, Readings, Session, Zone};

use super::Drawing;
use crate::plan::{DAY, HOUR, Kind, MINUTE, SECOND, Step};

impl Drawing {
    /// Every day of the life; gives what it begins with.
    pub(super) fn days(&mut self) -> Readings {
        let readings = super::calm();
        for day in 0..self.length / DAY {
            self.day(day * DAY);
        }
        readings
    }

    fn set(&mut self, at: u64, readings: &[Reading]) {
        self.at(at, Step::Set(readings.to_vec()));
    }

    fn day(&mut self, from: u64) {
        let up = from + 6 * HOUR + self.random.below(3 * HOUR);
        let away = up + HOUR + self.random.below(2 * HOUR);
        let home = away + 5 * HOUR + self.random.below(5 * HOUR);
        let bed = from + 21 * HOUR + self.random.below(2 * HOUR);
        self.looks(up, 10 * MINUTE);
        self.unplugs(away, home);
        if self.random.percent(60) {
            self.leaves(away, home);
        }
        let looks = match self.kind {
            Kind::Quiet => self.random.between(0, 2),
            Kind::Busy | Kind::Faulty => self.random.between(2, 7),
        };
        for _ in 0..looks {
            let at = up + self.random.below(bed - up);
            let length = self.random.between(20, 1_800) * SECOND;
            self.looks(at, length);
        }
        if self
            .random
            .percent(if self.kind == Kind::Quiet { 10 } else { 40 })
        {
            let at = up + self.random.below(bed - up);
            self.talks(at);
        }
        if self
            .random
            .percent(if self.kind == Kind::Quiet { 5 } else { 25 })
        {
            self.flaps(away);
        }
        self.now_and_then(from);
        self.rests(bed);
    }

    /// The user is there for a while.
    fn looks(&mut self, at: u64, length: u64) {
        let yes = Level::Known(true);
        let no = Level::Known(false);
        self.set(
            at,
            &[
                Reading::UserPresent(yes),
                Reading::ScreenOn(yes),
                Reading::ScreenLocked(no),
                Reading::Standby(no),
            ],
        );
        self.set(
            at + length,
            &[Reading::UserPresent(no), Reading::ScreenOn(no)],
        );
        self.set(at + length + 30 * SECOND, &[Reading::ScreenLocked(yes)]);
    }

    /// On battery, whose charge creeps down; perhaps into Battery Saver.
    fn unplugs(&mut self, at: u64, until: u64) {
        self.set(at, &[Reading::ExternalPower(Level::Known(false))]);
        let mut charge = self.random.between(300, 1_000);
        let drop = self.random.between(20, 160);
        let mut hour = at;
        let mut saver = false;
        while hour < until {
            let level = PerMille::new(u16::try_from(charge).unwrap_or(0));
            let mut readings = vec![Reading::Battery(Level::Known(level))];
            if charge < 200 && !saver {
                saver = true;
                readings.push(Reading::BatterySaver(Level::Known(true)));
            }
            self.set(hour, &readings);
            charge = charge.saturating_sub(drop).max(10);
            hour += HOUR + self.random.below(20 * MINUTE);
        }
        let full = PerMille::percent(100);
        self.set(
            until,
            &[
                Reading::ExternalPower(Level::Known(true)),
                Reading::BatterySaver(Level::Known(false)),
                Reading::SaverManual(Level::Known(false)),
            ],
        );
        self.set(until + HOUR, &[Reading::Battery(Level::Known(full))]);
        if self.random.percent(15) {
            let by_hand = at + self.random.below(until - at);
            self.set(
                by_hand,
                &[
                    Reading::BatterySaver(Level::Known(true)),
                    Reading::SaverManual(Level::Known(true)),
                ],
            );
        }
    }

    /// Out of the house: on a mobile network, or none for a while.
    fn leaves(&mut self, at: u64, until: u64) {
        let network = |network, internet, metered| {
            [
                Reading::Network(Level::Known(network)),
                Reading::Internet(Level::Known(internet)),
                Reading::Metered(Level::Known(metered)),
            ]
        };
        self.set(at, &network(Network::Cellular, true, true));
        if self.random.percent(50) {
            let tunnel = at + self.random.below(until - at);
            self.set(tunnel, &network(Network::None, false, true));
            let out = tunnel + self.random.between(5, 1_200) * SECOND;
            self.set(out.min(until), &network(Network::Cellular, true, true));
        }
        self.set(until, &network(Network::Wifi, true, false));
    }

    fn talks(&mut self, at: u64) {
        let call = |call| Reading::Call(Level::Known(call));
        self.set(at, &[call(Call::Ringing)]);
        self.set(at + 10 * SECOND, &[call(Call::Active)]);
        let length = self.random.between(10, 1_800) * SECOND;
        self.set(at + 10 * SECOND + length, &[call(Call::None)]);
    }

    /// A level that goes up and down within seconds.
    fn flaps(&mut self, at: u64) {
        let yes = Level::Known(true);
        let (high, low) = *self.random.pick(&[
            (
                Reading::Internet(yes),
                Reading::Internet(Level::Known(false)),
            ),
            (
                Reading::ExternalPower(yes),
                Reading::ExternalPower(Level::Known(false)),
            ),
            (
                Reading::UserPresent(yes),
                Reading::UserPresent(Level::Known(false)),
            ),
            (
                Reading::ScreenOn(yes),
                Reading::ScreenOn(Level::Known(false)),
            ),
            (
                Reading::Session(Level::Known(Session::Disconnected)),
                Reading::Session(Level::Known(Session::Connected)),
            ),
            (Reading::Internet(Level::Unknown), Reading::Internet(yes)),
            (
                Reading::ExternalPower(Level::Unknown),
                Reading::ExternalPower(yes),
            ),
        ]);
        let mut at = at + self.random.below(2 * HOUR);
        for _ in 0..self.random.between(3, 12) {
            self.set(at, &[high]);
            at += self.random.between(20, 9_000);
            self.set(at, &[low]);
            at += self.random.between(20, 9_000);
        }
    }

    /// A plug that sits badly, while what needs it may be running.
    fn wobbles(&mut self, at: u64) {
        let mut at = at + self.random.below(30 * SECOND);
        for _ in 0..self.random.between(1, 6) {
            self.set(at, &[Reading::ExternalPower(Level::Known(false))]);
            at += self.random.between(1, 4_000);
            self.set(at, &[Reading::ExternalPower(Level::Known(true))]);
            at += self.random.between(1, 30_000);
        }
    }

    fn now_and_then(&mut self, from: u64) {
        if self.random.percent(8) {
            let offset = *self.random.pick(&[0, 3_600, 7_200, -18_000]);
            let zone = Zone { name: 1, offset };
            let at = from + self.random.below(DAY);
            self.set(at, &[Reading::Zone(Level::Known(zone))]);
        }
        if self.random.percent(10) {
            let gone = *self.random.pick(&[Session::Disconnected, Session::None]);
            let at = from + self.random.below(DAY);
            self.set(at, &[Reading::Session(Level::Known(gone))]);
            let back = at + self.random.between(1, 120) * MINUTE;
            self.set(back, &[Reading::Session(Level::Known(Session::Connected))]);
        }
    }

    /// Night: mostly plugged in; sometimes in standby on battery.
    fn rests(&mut self, at: u64) {
        self.set(at, &[Reading::ScreenLocked(Level::Known(true))]);
        if self.kind != Kind::Quiet && self.random.percent(20) {
            self.wobbles(at);
        }
        if self.random.percent(15) {
            self.set(
                at,
                &[
                    Reading::ExternalPower(Level::Known(false)),
                    Reading::Standby(Level::Known(true)),
                ],
            );
            let back = at + self.random.between(10, 360) * MINUTE;
            self.set(
                back,
                &[
                    Reading::ExternalPower(Level::Known(true)),
                    Reading::Standby(Level::Known(false)),
                ],
            );
        }
    }
}
