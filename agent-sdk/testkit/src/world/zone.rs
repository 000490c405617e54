//! The time zone in force: its distance from UTC, and when that changes next by the wall clock.

use jiff::Timestamp;
use lull_policy::{Level, Reading, Wall, Zone};

use super::World;
use crate::scenario::ZoneName;

/// A time zone and what is known of it now.
#[derive(Debug, Clone)]
pub(crate) struct ZoneWatch {
    zone: ZoneName,
    /// The next change of its distance from UTC.
    next: Option<Wall>,
}

impl ZoneWatch {
    /// Watches a zone.
    pub(crate) fn new(zone: ZoneName) -> Self {
        Self { zone, next: None }
    }

    /// When its distance from UTC changes next.
    pub(crate) fn due(&self) -> Option<Wall> {
        self.next
    }

    /// The reading at a wall time; looks up when it is to be read again.
    fn read(&mut self, wall: Wall) -> Option<Zone> {
        let at = moment(wall)?;
        let rules = self.zone.rules();
        let mut following = rules.following(at);
        self.next = following.next().and_then(|turn| {
            let millis = u64::try_from(turn.timestamp().as_millisecond()).ok()?;
            Some(Wall::from_millis(millis))
        });
        let offset = rules.to_offset(at).seconds();
        Some(Zone::named(self.zone.as_str(), offset))
    }
}

/// A wall time as a calendar knows it.
pub(crate) fn moment(wall: Wall) -> Option<Timestamp> {
    let millis = i64::try_from(wall.as_millis()).ok()?;
    Timestamp::from_millisecond(millis).ok()
}

impl World {
    /// Another zone is in force from now on; absent = its source is down.
    pub(crate) fn set_zone(&mut self, zone: Option<ZoneName>) {
        self.zone = zone.map(ZoneWatch::new);
        self.read_zone();
    }

    /// Reads the zone by the wall clock, without telling.
    pub(super) fn read_zone(&mut self) {
        let wall = self.clock.now.wall;
        let level = self.zone.as_mut().and_then(|zone| zone.read(wall));
        let level = level.map_or(Level::Unknown, Level::Known);
        self.readings.put(Reading::Zone(level));
    }

    /// Tells of a change of the offset that is due; whether there was one.
    pub(super) fn turn_zone(&mut self) -> bool {
        let due = self.zone.as_ref().and_then(ZoneWatch::due);
        let due = due.is_some_and(|at| at <= self.clock.now.wall);
        if due {
            self.read_zone();
            self.set([]);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daylight_saving_is_found_ahead() {
        let mut watch = ZoneWatch::new(ZoneName::new("Europe/Berlin").unwrap());
        let at: Timestamp = "2026-03-28T12:00:00Z".parse().unwrap();
        let wall = Wall::from_millis(u64::try_from(at.as_millisecond()).unwrap());
        assert_eq!(watch.read(wall).unwrap().offset, 3_600);
        let turn = watch.due().unwrap();
        assert_eq!(moment(turn).unwrap().to_string(), "2026-03-29T01:00:00Z");
        assert_eq!(watch.read(turn).unwrap().offset, 7_200);
        let mut utc = ZoneWatch::new(ZoneName::new("UTC").unwrap());
        assert_eq!(utc.read(wall).unwrap().offset, 0);
        assert_eq!(utc.due(), None);
    }
}
