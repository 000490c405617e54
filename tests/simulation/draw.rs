//! Draws the life of a device from a seed. All chance is here: what comes out is a [`Plan`].

mod apps;
mod days;
mod faults;
mod traffic;

use lull_policy::{Bytes, DeviceKind, Policy, Profile, QuotaProfile, Readings, Span};

use crate::plan::{Kind, Plan, Planned, Step, WEEK};
use crate::random::Random;

/// What is drawn so far.
#[derive(Debug)]
struct Drawing {
    random: Random,
    kind: Kind,
    length: u64,
    steps: Vec<Planned>,
}

impl Drawing {
    fn at(&mut self, at: u64, step: Step) {
        self.steps.push(Planned { at, step });
    }

    /// An instant of the life, in seconds.
    fn sometime(&mut self) -> u64 {
        self.random.below(self.length / 1_000) * 1_000
    }

    /// So many a week, all weeks together.
    fn a_week(&mut self, low: u64, high: u64) -> u64 {
        let weeks = self.length.div_ceil(WEEK);
        (0..weeks).map(|_| self.random.between(low, high)).sum()
    }
}

/// 2026-03-02T00:00:00Z, a Monday.
const START: u64 = 1_772_409_600_000;

/// The life of a seed.
pub(crate) fn plan(seed: u64) -> Plan {
    let mut random = Random::new(seed);
    let kind = match random.below(100) {
        0..40 => Kind::Quiet,
        40..75 => Kind::Busy,
        _ => Kind::Faulty,
    };
    let weeks = match random.below(100) {
        0..84 => 1,
        84..94 => 2,
        _ => 3,
    };
    let profile = profile(&mut random);
    let policy = policy(&mut random);
    let mut drawing = Drawing {
        random,
        kind,
        length: weeks * WEEK,
        steps: Vec::new(),
    };
    let apps = drawing.apps(&profile);
    let readings = drawing.days();
    drawing.traffic(&apps);
    if kind == Kind::Faulty {
        drawing.faults(&apps);
    }
    drawing.steps.sort_by_key(|planned| planned.at);
    let steady = kind != Kind::Faulty;
    Plan {
        seed,
        kind,
        length: drawing.length,
        wall: START,
        profile,
        policy,
        readings,
        apps,
        steps: drawing.steps,
        prompt: steady && drawing.random.percent(70),
        commit: if steady {
            0
        } else {
            drawing.random.between(0, 40)
        },
    }
}

fn profile(random: &mut Random) -> Profile {
    Profile {
        kind: *random.pick(&[
            DeviceKind::Pc,
            DeviceKind::Pc,
            DeviceKind::Phone,
            DeviceKind::Headless,
        ]),
        memory: random.percent(30).then(|| Bytes::mib(512)),
        runtime_level: None,
        developer_mode: true,
    }
}

fn policy(random: &mut Random) -> Policy {
    let mut policy = Policy::default();
    if random.percent(15) {
        policy.quota_profile = QuotaProfile::Windows8;
    }
    if random.percent(20) {
        policy.task_memory = Some(Bytes::mib(32));
    }
    if random.percent(20) {
        policy.push_queue = 4;
    }
    if random.percent(10) {
        policy.task_time = Span::seconds(60);
        policy.cancel_grace = Span::seconds(10);
    }
    if random.percent(10) {
        policy.crash_limit = 3;
    }
    policy
}

/// Everything is well: what a life begins with, before its first day says otherwise.
fn calm() -> Readings {
    use lull_policy::{Call, Level, Network, PerMille, Session, Zone};
    Readings {
        external_power: Level::Known(true),
        battery: Level::Known(PerMille::percent(100)),
        battery_saver: Level::Known(false),
        saver_manual: Level::Known(false),
        network: Level::Known(Network::Wifi),
        internet: Level::Known(true),
        metered: Level::Known(false),
        session: Level::Known(Session::Connected),
        user_present: Level::Known(false),
        screen_locked: Level::Known(true),
        screen_on: Level::Known(false),
        standby: Level::Known(false),
        call: Level::Known(Call::None),
        zone: Level::Known(Zone { name: 0, offset: 0 }),
        cpu_pressure: Level::Known(PerMille::new(0)),
    }
}
