//! What can happen to a device, chosen without knowledge of it.

use proptest::prelude::*;
use proptest::sample::select;

use crate::test::*;

/// The apps of a random bench.
pub(super) const APPS: [&str; 3] = ["cam", "mail", "news"];

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Pass(u64),
    Deadline,
    /// Everything falls due that does within so long, as a host keeps it.
    Until(u64),
    Read(Vec<Reading>),
    ReadAnew(Vec<Reading>),
    Register(u8, Box<RegistrationRequest>),
    Reconcile(u8, Vec<RegistrationRequest>),
    Unregister(u8, bool),
    Push(u8, u8, u64, Retention, Priority, Option<u8>),
    Answered(u8, bool),
    Started(u8),
    Said(u8, Report),
    Ended(u8, Exit),
    Sampled(u8, Sample),
    Raise(u8, u8),
    Device(u8, u8, u8, bool),
    Servicing(u8, u8, Option<Span>, bool),
    Revoke(u8, u8),
    Add(u8, ScheduledKind, Option<Span>),
    Remove(u8, ScheduledKind),
    Test(u8, ScheduledKind, Span),
    DebugFire(u8),
    Card(u8),
    Choose(u8, Choice),
    Access(u8, Option<AccessChoice>),
    Ask(u8, bool),
    Wish(u8, AccessKind),
    Front(u8, FrontState),
    Occur(Occurrence),
    Spent(u8, Resource),
    Apps(u8),
    Profile(u8),
    Policy(Option<u64>, Box<Policy>),
    MemoryShort,
    Acknowledge(u8),
    LinkUp,
    Restart(u8),
    Reboot(u64),
    ShutDown(u64),
    MoveClock(u64, bool),
}

pub(super) fn app_of(n: u8) -> AppId {
    app_id(APPS[usize::from(n) % APPS.len()])
}

pub(super) fn thing(n: u8) -> Subject {
    subject(["one", "two"][usize::from(n) % 2])
}

fn any_app() -> impl Strategy<Value = AppId> {
    (0..3_u8).prop_map(app_of)
}

fn any_thing() -> impl Strategy<Value = Subject> {
    (0..2_u8).prop_map(thing)
}

fn maybe_app() -> impl Strategy<Value = Option<AppId>> {
    proptest::option::of(any_app())
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let one_shot = any::<bool>;
    let slot = select(vec![Slot::Software, Slot::Hardware]);
    prop_oneof![
        3 => (select(vec![15, 16, 20, 45]), one_shot())
            .prop_map(|(minutes, one_shot)| Trigger::Timer { minutes, one_shot }),
        2 => (select(vec![15, 30]), one_shot())
            .prop_map(|(minutes, one_shot)| Trigger::Maintenance { minutes, one_shot }),
        6 => (select(SystemEvent::ALL.to_vec()), one_shot())
            .prop_map(|(event, one_shot)| Trigger::System { event, one_shot }),
        5 => Just(Trigger::Push),
        1 => (any_thing(), slot).prop_map(|(id, slot)| Trigger::ControlChannel {
            id,
            keep_alive_minutes: 15,
            slot,
        }),
        1 => any_thing().prop_map(|id| Trigger::Socket { id }),
        1 => any_thing().prop_map(|pattern| Trigger::DeviceWatcher { pattern }),
        1 => any_thing().prop_map(|path| Trigger::Files { path }),
        1 => any_thing().prop_map(|event| Trigger::Bus { event }),
        1 => any_thing().prop_map(|name| Trigger::Reserved { name }),
        2 => Just(Trigger::Application),
        1 => Just(Trigger::Media),
        2 => Just(Trigger::DeviceUse),
        2 => Just(Trigger::DeviceServicing),
        1 => Just(Trigger::Periodic),
    ]
}

fn level<T: Clone + std::fmt::Debug + 'static>(values: Vec<T>) -> impl Strategy<Value = Level<T>> {
    let known = select(values.clone()).prop_map(Level::Known);
    prop_oneof![
        6 => known,
        1 => select(values).prop_map(Level::Assumed),
        1 => Just(Level::Unknown),
    ]
}

fn flag() -> impl Strategy<Value = Level<bool>> {
    level(vec![true, false])
}

fn charge() -> impl Strategy<Value = Level<PerMille>> {
    level(
        [0, 100, 199, 200, 330, 331, 900, 901, 1000]
            .map(PerMille::new)
            .to_vec(),
    )
}

fn reading() -> impl Strategy<Value = Reading> {
    let networks = vec![
        Network::None,
        Network::Wifi,
        Network::Ethernet,
        Network::Cellular,
    ];
    let sessions = vec![Session::Connected, Session::Disconnected, Session::None];
    let calls = vec![Call::None, Call::Ringing, Call::Active];
    let zones = [(1, 0), (1, 3_600), (2, 0)].map(|(name, offset)| Zone { name, offset });
    prop_oneof![
        3 => flag().prop_map(Reading::ExternalPower),
        2 => charge().prop_map(Reading::Battery),
        2 => flag().prop_map(Reading::BatterySaver),
        1 => flag().prop_map(Reading::SaverManual),
        2 => level(networks).prop_map(Reading::Network),
        3 => flag().prop_map(Reading::Internet),
        1 => flag().prop_map(Reading::Metered),
        1 => level(sessions).prop_map(Reading::Session),
        2 => flag().prop_map(Reading::UserPresent),
        2 => flag().prop_map(Reading::ScreenLocked),
        1 => flag().prop_map(Reading::ScreenOn),
        1 => flag().prop_map(Reading::Standby),
        1 => level(calls).prop_map(Reading::Call),
        1 => level(zones.to_vec()).prop_map(Reading::Zone),
        1 => charge().prop_map(Reading::CpuPressure),
    ]
}

/// Readings as they come: a few at random, or all that a resource-intensive agent needs.
fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let eligible = vec![
        Reading::ExternalPower(Level::Known(true)),
        Reading::Battery(Level::Known(PerMille::percent(100))),
        Reading::Network(Level::Known(Network::Wifi)),
        Reading::ScreenLocked(Level::Known(true)),
        Reading::Call(Level::Known(Call::None)),
    ];
    prop_oneof![
        4 => proptest::collection::vec(reading(), 1..4),
        1 => Just(eligible),
    ]
}

fn exit() -> impl Strategy<Value = Exit> {
    let message = || "no such file".to_owned();
    prop_oneof![
        4 => Just(Exit::Status(0)),
        1 => Just(Exit::Status(1)),
        1 => Just(Exit::Status(75)),
        2 => Just(Exit::Signal(9)),
        1 => Just(Exit::MemoryExceeded),
        1 => Just(Exit::SystemMemory),
        1 => Just(Exit::LaunchFailed { message: message() }),
        1 => Just(Exit::Lost),
    ]
}

fn report() -> impl Strategy<Value = Report> {
    let message = "no server".to_owned();
    select(vec![
        Report::Progress(1),
        Report::Progress(2),
        Report::DeferralTaken,
        Report::DeferralCompleted,
        Report::CardUpdated,
        Report::Completed,
        Report::Completed,
        Report::Aborted { message },
    ])
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let all = vec![
        Condition::UserPresent,
        Condition::UserNotPresent,
        Condition::InternetAvailable,
        Condition::InternetNotAvailable,
        Condition::SessionConnected,
        Condition::SessionDisconnected,
        Condition::FreeNetworkAvailable,
        Condition::BackgroundWorkCostNotHigh,
    ];
    prop_oneof![
        2 => Just(Vec::new()),
        1 => proptest::collection::vec(select(all), 1..3),
    ]
}

fn registration() -> impl Strategy<Value = RegistrationRequest> {
    let flags = || (any::<bool>(), any::<bool>(), any::<bool>());
    let group = proptest::option::weighted(0.2, Just(GroupId::new("g").unwrap()));
    let out = proptest::bool::weighted(0.7);
    (0..4_u8, trigger(), conditions(), flags(), group, out).prop_map(
        |(n, trigger, conditions, (loss, network, replace), group, out)| {
            let name = format!("t{n}");
            let base = if out {
                request(&name, trigger)
            } else {
                in_process(&name, trigger)
            };
            RegistrationRequest {
                conditions,
                cancel_on_condition_loss: loss,
                network_requested: network,
                replace,
                group,
                ..base
            }
        },
    )
}

fn kind() -> impl Strategy<Value = ScheduledKind> {
    select(vec![PERIODIC, INTENSIVE])
}

fn choice() -> impl Strategy<Value = Choice> {
    let some = || proptest::option::of(any::<bool>());
    (some(), some(), some(), some()).prop_map(|(pinned, lock_screen, auto_upload, agents)| Choice {
        pinned,
        lock_screen,
        auto_upload,
        agents_disabled: agents,
    })
}

fn occurrence() -> impl Strategy<Value = Occurrence> {
    use Occurrence as O;
    let sockets = vec![SocketActivity::Activity, SocketActivity::Closed];
    let channels = vec![
        ChannelActivity::Message,
        ChannelActivity::KeepAlive,
        ChannelActivity::Reset,
    ];
    let names = vec!["t0", "t1", "periodic", "resource-intensive"];
    prop_oneof![
        maybe_app().prop_map(|app| O::SmsReceived { app }),
        maybe_app().prop_map(|app| O::ControlChannelReset { app }),
        Just(O::OnlineIdChanged),
        maybe_app().prop_map(|app| O::LogOff { app }),
        (any_app(), any_thing(), select(sockets)).prop_map(|(app, id, activity)| O::Socket {
            app,
            id,
            activity
        }),
        (any_app(), any_thing(), select(channels)).prop_map(|(app, id, activity)| O::Channel {
            app,
            id,
            activity
        }),
        (any_thing(), any::<bool>()).prop_map(|(device, present)| O::Device { device, present }),
        (any_app(), any_thing()).prop_map(|(app, path)| O::FilesChanged { app, path }),
        (any_app(), any_thing()).prop_map(|(app, event)| O::Bus { app, event }),
        (any_app(), select(names), any::<bool>()).prop_map(|(app, name, attached)| O::Debugger {
            app,
            task: task(name),
            attached,
        }),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let background = select(vec![
        AppsInBackground::UserInControl,
        AppsInBackground::UserInControl,
        AppsInBackground::ForceAllow,
        AppsInBackground::ForceDeny,
    ]);
    let denied = proptest::collection::btree_set(any_app(), 0..2);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0..4_u32, flags, background, denied).prop_map(
        |(n, (windows8, ends, keeps), apps_in_background, denied_apps)| Policy {
            push_queue: 64 >> n,
            push_attempts: n,
            crash_limit: n.max(1),
            periodic_warning_limit: Some(n),
            saver_level: PerMille::percent(if ends { 20 } else { 95 }),
            periodic_ends_on_saver: ends,
            debugger_keeps_limits: keeps,
            intensive_ringing_counts: keeps,
            intensive_gap: Span::hours(u64::from(n)),
            intensive_pressure_below: ends.then(|| PerMille::percent(33)),
            task_memory: keeps.then(|| Bytes::mib(32)),
            quota_profile: if windows8 {
                QuotaProfile::Windows8
            } else {
                QuotaProfile::PerActivation
            },
            apps_in_background,
            denied_apps,
            ..Policy::default()
        },
    )
}

fn sample() -> impl Strategy<Value = Sample> {
    let amount = || select(vec![0_u64, 1, 20_000]);
    (amount(), amount(), amount()).prop_map(|(cpu_micros, network_bytes, device_ios)| Sample {
        cpu_micros,
        network_bytes,
        device_ios,
    })
}

fn span() -> impl Strategy<Value = u64> {
    select(vec![
        1,
        999,
        5 * SECOND,
        10 * SECOND,
        25 * SECOND,
        30 * SECOND,
        5 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        3 * DAY,
    ])
}

/// Time, and what runs say of themselves.
fn course() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    prop_oneof![
        4 => span().prop_map(Step::Pass),
        3 => Just(Step::Deadline),
        4 => select(vec![5 * SECOND, 15 * MINUTE, HOUR]).prop_map(Step::Until),
        5 => n().prop_map(Step::Started),
        4 => (n(), report()).prop_map(|(n, report)| Step::Said(n, report)),
        7 => (n(), exit()).prop_map(|(n, exit)| Step::Ended(n, exit)),
        1 => (n(), sample()).prop_map(|(n, sample)| Step::Sampled(n, sample)),
    ]
}

fn pushed() -> impl Strategy<Value = Step> {
    let retention = select(vec![Retention::None, Retention::Latest, Retention::Queue]);
    let priority = select(vec![
        Priority::High,
        Priority::Medium,
        Priority::Low,
        Priority::VeryLow,
    ]);
    let life = select(vec![0, 1_000, 10 * MINUTE, 4_000 * MINUTE]);
    let key = proptest::option::weighted(0.3, 0..2_u8);
    prop_oneof![
        4 => (any::<u8>(), 0..40_u8, life, retention, priority, key)
            .prop_map(|(app, n, life, r, p, key)| Step::Push(app, n, life, r, p, key)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(n, handled)| Step::Answered(n, handled)),
    ]
}

/// Calls of apps.
fn called() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    let yes = any::<bool>;
    let expires = proptest::option::of(select(vec![Span::ZERO, Span::hours(1), Span::days(14)]));
    let expected = proptest::option::of(select(vec![Span::ZERO, Span::minutes(30)]));
    let delay = select(vec![Span::ZERO, Span::seconds(10), Span::minutes(40)]);
    let desired = proptest::collection::vec(registration(), 0..4);
    prop_oneof![
        8 => (n(), registration()).prop_map(|(n, r)| Step::Register(n, Box::new(r))),
        1 => (n(), desired).prop_map(|(n, desired)| Step::Reconcile(n, desired)),
        2 => (n(), yes()).prop_map(|(n, cancel)| Step::Unregister(n, cancel)),
        3 => (n(), 0..4_u8).prop_map(|(app, n)| Step::Raise(app, n)),
        2 => (n(), 0..4_u8, n(), yes()).prop_map(|(app, n, d, yes)| Step::Device(app, n, d, yes)),
        2 => (n(), 0..4_u8, expected, yes())
            .prop_map(|(app, n, expected, yes)| Step::Servicing(app, n, expected, yes)),
        1 => (n(), n()).prop_map(|(app, d)| Step::Revoke(app, d)),
        5 => (n(), kind(), expires).prop_map(|(app, kind, e)| Step::Add(app, kind, e)),
        1 => (n(), kind()).prop_map(|(app, kind)| Step::Remove(app, kind)),
        2 => (n(), kind(), delay).prop_map(|(app, kind, d)| Step::Test(app, kind, d)),
        1 => n().prop_map(Step::DebugFire),
        1 => n().prop_map(Step::Card),
        2 => (n(), yes()).prop_map(|(app, yes)| Step::Ask(app, yes)),
        1 => (n(), select(vec![AccessKind::AlwaysAllowed, AccessKind::AllowedSubjectToSystemPolicy]))
            .prop_map(|(app, kind)| Step::Wish(app, kind)),
        3 => (n(), select(vec![
            FrontState::None,
            FrontState::Foreground,
            FrontState::Background,
            FrontState::Suspended,
        ])).prop_map(|(app, state)| Step::Front(app, state)),
    ]
}

/// What befalls the device, and what its operator does.
fn befallen() -> impl Strategy<Value = Step> {
    let n = any::<u8>;
    let access = vec![
        None,
        Some(AccessChoice::Always),
        Some(AccessChoice::Never),
        Some(AccessChoice::DeniedBySystem),
    ];
    let generation = proptest::option::of(0..5_u64);
    let down = || select(vec![0, 1_000, 20 * MINUTE, 16 * DAY]);
    prop_oneof![
        6 => occurrence().prop_map(Step::Occur),
        2 => (n(), choice()).prop_map(|(app, choice)| Step::Choose(app, choice)),
        1 => (n(), select(access)).prop_map(|(app, choice)| Step::Access(app, choice)),
        2 => (n(), select(vec![Resource::Cpu, Resource::Network]))
            .prop_map(|(app, resource)| Step::Spent(app, resource)),
        1 => (0..7_u8).prop_map(Step::Apps),
        1 => (0..4_u8).prop_map(Step::Profile),
        2 => (generation, policy()).prop_map(|(g, policy)| Step::Policy(g, Box::new(policy))),
        1 => Just(Step::MemoryShort),
        1 => n().prop_map(Step::Acknowledge),
        1 => Just(Step::LinkUp),
        1 => n().prop_map(Step::Restart),
        1 => down().prop_map(Step::Reboot),
        1 => down().prop_map(Step::ShutDown),
        1 => (select(vec![1_000, 60 * MINUTE, 15 * DAY]), any::<bool>())
            .prop_map(|(by, back)| Step::MoveClock(by, back)),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => course(),
        3 => readings().prop_map(Step::Read),
        1 => readings().prop_map(Step::ReadAnew),
        4 => pushed(),
        10 => called(),
        6 => befallen(),
    ]
}
