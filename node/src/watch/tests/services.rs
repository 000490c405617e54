//! Every service under every fault: absent, coming, changing, killed, back with another value, silent, flooding.
//!
//! Each service has two states, `A` and `B`, that the test puts it in, and what a watcher has to say of each. Whatever the fault,
//! nothing else is ever said but that it is not known.

use zbus::Variant;

use super::stage::{MOCK, Stage, flood, flooded, put, tell};
use super::*;
use crate::watch::bus::Bus;

/// Longer than a mock takes to start on a busy machine.
const LONG: Duration = Duration::from_secs(30);

const CAME: &str = "it came";
const BACK: &str = "back with another value";

/// A service and what is to be said of it.
struct Case {
    source: Source,
    template: &'static str,
    service: &'static str,
    main: &'static str,
    /// Its object whose signals flood.
    loud: &'static str,
    /// What the watcher says while the service is absent.
    absent: Vec<Reading>,
    a: Vec<Reading>,
    b: Vec<Reading>,
}

/// `flip` puts the service in state `B`, or else `A`; its second word: it has just started.
async fn endure(case: Case, flip: impl AsyncFn(&Bus, bool, bool)) {
    let mut stage = Stage::start().await;
    let (engine, mut heard) = Recorder::engine(0);
    let mut post = post(engine);
    post.bus = Some(stage.address());
    let empty = tempfile::tempdir().unwrap();
    post.power = empty.path().into();
    post.screens = empty.path().into();
    let watchers = watchers(post);
    let (orders, receiver) = mpsc::channel(ORDERS);
    orders.send(WatchOrder::Start(case.source)).await.unwrap();
    let test = async {
        let said = &mut Said::new(&case);
        said.reach(&mut heard, "absent", &case.absent).await;

        stage.mock(case.template, case.service).await;
        let bus = stage.connect().await;
        flip(&bus, true, false).await;
        said.reach(&mut heard, CAME, &case.a).await;
        flip(&bus, false, true).await;
        said.reach(&mut heard, "it changed", &case.b).await;

        stage.kill();
        said.reach(&mut heard, "killed", &case.unknown()).await;
        stage.mock(case.template, case.service).await;
        flip(&bus, true, false).await;
        said.reach(&mut heard, BACK, &case.a).await;

        flip(&bus, false, true).await;
        stage.freeze();
        said.reach(&mut heard, "silent", &case.unknown()).await;
        stage.thaw();
        said.reach(&mut heard, "it speaks again", &case.b).await;

        flood(&bus, case.service, case.main, case.loud).await;
        let before = flooded(&bus, case.service, case.main).await;
        flip(&bus, false, false).await;
        said.reach(&mut heard, "in a flood", &case.a).await;
        let after = flooded(&bus, case.service, case.main).await;
        assert!(after > before, "the flood goes on");
        drop(orders);
    };
    tokio::join!(watchers.keep(receiver), test);
}

impl Case {
    fn unknown(&self) -> Vec<Reading> {
        let unknown = Readings::default();
        let all = unknown.of(self.source).into_iter();
        let kinds: Vec<_> = self.a.iter().map(std::mem::discriminant).collect();
        all.filter(|reading| kinds.contains(&std::mem::discriminant(reading)))
            .collect()
    }
}

/// What the machine would believe by now.
struct Said {
    now: Readings,
    allowed: Vec<Reading>,
}

impl Said {
    fn new(case: &Case) -> Self {
        let states = [&case.absent, &case.a, &case.b].into_iter().flatten();
        let allowed = states.copied().chain(case.unknown()).collect();
        let now = Readings::default();
        Self { now, allowed }
    }

    /// Waits until all of it is believed; on the way nothing may be said that never was so.
    async fn reach(&mut self, heard: &mut mpsc::Receiver<Event>, when: &str, expected: &[Reading]) {
        // A service that has just started says what a mock begins with.
        let fresh = ["absent", CAME, BACK].contains(&when);
        let waiting = async {
            while !expected
                .iter()
                .all(|reading| self.now.of(reading.source()).contains(reading))
            {
                let event = heard.recv().await.expect("the watcher is gone");
                let Event::Readings(readings) = event else {
                    panic!("{when}: a watcher told {event:?}");
                };
                for reading in readings {
                    let ours = self
                        .allowed
                        .iter()
                        .any(|one| std::mem::discriminant(one) == std::mem::discriminant(&reading));
                    let ever = self.allowed.contains(&reading);
                    assert!(ever || !ours || fresh, "{when}: {reading:?} never was so");
                    self.now.put(reading);
                }
            }
        };
        let waited = tokio::time::timeout(LONG, waiting).await;
        waited.unwrap_or_else(|_late| {
            panic!("{when}: expected {expected:?}, believed {:?}", self.now)
        });
    }
}

fn known<T>(value: T) -> Level<T> {
    Level::Known(value)
}

const UPOWER: (&str, &str) = ("org.freedesktop.UPower", "/org/freedesktop/UPower");

#[tokio::test]
async fn upower() {
    let (service, main) = UPOWER;
    let case = Case {
        source: Source::Power,
        template: "upower",
        service,
        main,
        loud: main,
        absent: vec![
            Reading::ExternalPower(Level::Assumed(true)),
            Reading::Battery(Level::Unknown),
        ],
        a: vec![
            Reading::ExternalPower(known(true)),
            Reading::Battery(known(PerMille::new(900))),
        ],
        b: vec![
            Reading::ExternalPower(known(false)),
            Reading::Battery(known(PerMille::new(150))),
        ],
    };
    endure(case, async |bus: &Bus, fresh, b| {
        if fresh {
            let battery = ("mock_BAT", "Mock Battery", 90.0, 3_600_i64);
            tell(
                bus,
                service,
                main,
                (MOCK, "AddDischargingBattery"),
                &battery,
            )
            .await;
        }
        let (percent, level) = if b { (15.0, 3_u32) } else { (90.0, 1_u32) };
        // Eleven signals, one a property.
        let display = (
            2_u32, 2_u32, percent, percent, 100.0, 10.0, 540_i64, 0_i64, true, "battery", level,
        );
        tell(bus, service, main, (MOCK, "SetupDisplayDevice"), &display).await;
        put(
            bus,
            service,
            main,
            service,
            &[("OnBattery", Variant::from(b))],
        )
        .await;
    })
    .await;
}

async fn profiles(template: &'static str, service: &'static str, main: &'static str) {
    let case = Case {
        source: Source::Power,
        template,
        service,
        main,
        loud: main,
        absent: vec![
            Reading::BatterySaver(Level::Unknown),
            Reading::SaverManual(Level::Unknown),
        ],
        a: vec![
            Reading::BatterySaver(known(false)),
            Reading::SaverManual(known(false)),
        ],
        b: vec![
            Reading::BatterySaver(known(true)),
            Reading::SaverManual(known(true)),
        ],
    };
    endure(case, async |bus: &Bus, _fresh, b| {
        let profile = if b { "power-saver" } else { "balanced" };
        put(
            bus,
            service,
            main,
            service,
            &[("ActiveProfile", profile.into())],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn power_profiles_by_the_new_name() {
    let (service, main) = (
        "org.freedesktop.UPower.PowerProfiles",
        "/org/freedesktop/UPower/PowerProfiles",
    );
    profiles("upower_power_profiles_daemon", service, main).await;
}

#[tokio::test]
async fn power_profiles_by_the_old_name() {
    let (service, main) = ("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles");
    profiles("power_profiles_daemon", service, main).await;
}

#[tokio::test]
async fn logind_tells_who_is_present() {
    let (service, main) = ("org.freedesktop.login1", "/org/freedesktop/login1");
    let session = "/org/freedesktop/login1/session/c1";
    let case = Case {
        source: Source::Session,
        template: "logind",
        service,
        main,
        loud: session,
        absent: vec![
            Reading::Session(Level::Assumed(lull_policy::Session::None)),
            Reading::UserPresent(Level::Assumed(false)),
        ],
        a: vec![
            Reading::Session(known(lull_policy::Session::Connected)),
            Reading::UserPresent(known(true)),
        ],
        b: vec![
            Reading::Session(known(lull_policy::Session::Disconnected)),
            Reading::UserPresent(known(false)),
        ],
    };
    endure(case, async |bus: &Bus, fresh, b| {
        let interface = "org.freedesktop.login1.Session";
        if fresh {
            let alice = ("c1", "seat0", 1_000_u32, "alice", true);
            tell(bus, service, main, (MOCK, "AddSession"), &alice).await;
        }
        let state = if b { "online" } else { "active" };
        let properties = [("Active", Variant::from(!b)), ("State", state.into())];
        put(bus, service, session, interface, &properties).await;
    })
    .await;
}

#[tokio::test]
async fn logind_tells_of_the_lock() {
    let (service, main) = ("org.freedesktop.login1", "/org/freedesktop/login1");
    let session = "/org/freedesktop/login1/session/c1";
    let case = Case {
        source: Source::Screen,
        template: "logind",
        service,
        main,
        loud: session,
        absent: vec![Reading::ScreenLocked(Level::Assumed(true))],
        a: vec![Reading::ScreenLocked(known(false))],
        b: vec![Reading::ScreenLocked(known(true))],
    };
    endure(case, async |bus: &Bus, fresh, b| {
        let interface = "org.freedesktop.login1.Session";
        if fresh {
            let alice = ("c1", "seat0", 1_000_u32, "alice", true);
            tell(bus, service, main, (MOCK, "AddSession"), &alice).await;
        }
        let properties = [("Type", "wayland".into()), ("LockedHint", Variant::from(b))];
        put(bus, service, session, interface, &properties).await;
    })
    .await;
}

#[tokio::test]
async fn network_manager() {
    let service = "org.freedesktop.NetworkManager";
    let manager = "/org/freedesktop/NetworkManager";
    let case = Case {
        source: Source::Network,
        template: "networkmanager",
        service,
        main: "/org/freedesktop",
        loud: manager,
        // The kernel of the machine that this runs on has its own answer.
        absent: vec![Reading::Metered(Level::Unknown)],
        a: vec![
            Reading::Network(known(Network::Wifi)),
            Reading::Internet(known(true)),
            Reading::Metered(known(false)),
        ],
        b: vec![
            Reading::Network(known(Network::Cellular)),
            Reading::Internet(known(false)),
            Reading::Metered(known(true)),
        ],
    };
    endure(case, async |bus: &Bus, fresh, b| {
        let kind = if b { "gsm" } else { "802-11-wireless" };
        let (connectivity, metered) = if b { (3_u32, 1_u32) } else { (4, 2) };
        let all = [
            ("PrimaryConnectionType", kind.into()),
            ("Connectivity", Variant::from(connectivity)),
            ("Metered", Variant::from(metered)),
        ];
        if fresh {
            let missing = std::collections::HashMap::from([
                ("Metered", Variant::from(metered)),
                ("PrimaryConnectionType", kind.into()),
            ]);
            tell(
                bus,
                service,
                manager,
                (MOCK, "AddProperties"),
                &(service, missing),
            )
            .await;
        }
        put(bus, service, manager, service, &all).await;
    })
    .await;
}

#[tokio::test]
async fn modem_manager() {
    let (service, main) = (
        "org.freedesktop.ModemManager1",
        "/org/freedesktop/ModemManager1",
    );
    let call = "/org/freedesktop/ModemManager1/Call/0";
    let case = Case {
        source: Source::Telephony,
        template: "modemmanager",
        service,
        main,
        loud: call,
        absent: vec![Reading::Call(Level::Assumed(lull_policy::Call::None))],
        a: vec![Reading::Call(known(lull_policy::Call::Ringing))],
        b: vec![Reading::Call(known(lull_policy::Call::Active))],
    };
    endure(case, async |bus: &Bus, fresh, b| {
        let state = if b { 4_i32 } else { 3 };
        let interface = "org.freedesktop.ModemManager1.Call";
        if fresh {
            tell(bus, service, main, (MOCK, "AddSimpleModem"), &()).await;
            let properties = std::collections::HashMap::from([
                ("State", Variant::from(state)),
                ("Direction", Variant::from(1_i32)),
            ]);
            let methods: Vec<(&str, &str, &str, &str)> = Vec::new();
            let object = (call, interface, properties, methods);
            tell(bus, service, main, (MOCK, "AddObject"), &object).await;
            let modem = "/org/freedesktop/ModemManager1/Modems/8";
            let voice = "org.freedesktop.ModemManager1.Modem.Voice";
            let calls = vec![zbus::ObjectPath::try_from(call).unwrap()];
            put(
                bus,
                service,
                modem,
                voice,
                &[("Calls", Variant::from(calls))],
            )
            .await;
        }
        put(
            bus,
            service,
            call,
            interface,
            &[("State", Variant::from(state))],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn timedate1() {
    let (service, main) = ("org.freedesktop.timedate1", "/org/freedesktop/timedate1");
    let zone = |name: &str| {
        let clock: ClockRef = Arc::new(crate::clock::System::new().unwrap());
        zone::level(jiff::tz::TimeZone::get(name).ok().as_ref(), &clock)
    };
    let case = Case {
        source: Source::Zone,
        template: "timedated",
        service,
        main,
        loud: main,
        // `/etc/localtime` of the machine that this runs on.
        absent: vec![],
        a: vec![Reading::Zone(zone("Asia/Kolkata"))],
        b: vec![Reading::Zone(zone("Pacific/Chatham"))],
    };
    endure(case, async |bus: &Bus, _fresh, b| {
        let name = if b { "Pacific/Chatham" } else { "Asia/Kolkata" };
        put(bus, service, main, service, &[("Timezone", name.into())]).await;
    })
    .await;
}

/// It tells of a shortage when the kernel is about to kill, not when programs are only asked to be modest; also after it was
/// killed and came back.
#[tokio::test]
async fn low_memory_monitor() {
    let service = "org.freedesktop.LowMemoryMonitor";
    let main = "/org/freedesktop/LowMemoryMonitor";
    let mut stage = Stage::start().await;
    let (engine, mut heard) = Recorder::engine(0);
    let mut post = post(engine);
    post.bus = Some(stage.address());
    let test = async {
        for _life in 0..2 {
            stage.mock("low_memory_monitor", service).await;
            let bus = stage.connect().await;
            let warned = async {
                for level in [100_u8, 255].into_iter().cycle() {
                    tell(&bus, service, main, (MOCK, "EmitWarning"), &level).await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let told = tokio::time::timeout(LONG, heard.recv());
            tokio::select! {
                told = told => assert_eq!(told.unwrap(), Some(Event::MemoryShort)),
                () = warned => {}
            }
            stage.kill();
            while heard.try_recv().is_ok() {}
        }
    };
    tokio::select! {
        () = memory::watch(&post) => panic!("it ended"),
        () = test => {}
    }
}

/// Not every kernel counts pressure; one that does takes the trigger.
#[test]
fn the_kernel_takes_the_trigger_for_memory_pressure() {
    let pressure = std::path::Path::new(memory::MEMORY);
    let counts = pressure.exists();
    let armed = memory::trigger(pressure);
    assert_eq!(armed.is_ok(), counts, "{armed:?}");
}
