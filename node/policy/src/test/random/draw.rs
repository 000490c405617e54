//! What a random step is made of: triggers, readings, registrations, policies.

use proptest::prelude::*;
use proptest::sample::select;

use super::steps::{app_of, thing};
use crate::test::*;

pub(super) fn any_app() -> impl Strategy<Value = AppId> {
    (0..3_u8).prop_map(app_of)
}

pub(super) fn any_thing() -> impl Strategy<Value = Subject> {
    (0..2_u8).prop_map(thing)
}

pub(super) fn maybe_app() -> impl Strategy<Value = Option<AppId>> {
    proptest::option::of(any_app())
}

pub(super) fn trigger() -> impl Strategy<Value = Trigger> {
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

pub(super) fn level<T: Clone + std::fmt::Debug + 'static>(
    values: Vec<T>,
) -> impl Strategy<Value = Level<T>> {
    let known = select(values.clone()).prop_map(Level::Known);
    prop_oneof![
        6 => known,
        1 => select(values).prop_map(Level::Assumed),
        1 => Just(Level::Unknown),
    ]
}

pub(super) fn flag() -> impl Strategy<Value = Level<bool>> {
    level(vec![true, false])
}

pub(super) fn charge() -> impl Strategy<Value = Level<PerMille>> {
    level(
        [0, 100, 199, 200, 330, 331, 900, 901, 1000]
            .map(PerMille::new)
            .to_vec(),
    )
}

pub(super) fn reading() -> impl Strategy<Value = Reading> {
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
pub(super) fn readings() -> impl Strategy<Value = Vec<Reading>> {
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

pub(super) fn exit() -> impl Strategy<Value = Exit> {
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
        1 => Just(Exit::Vanished),
    ]
}

pub(super) fn report() -> impl Strategy<Value = Report> {
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

pub(super) fn conditions() -> impl Strategy<Value = Vec<Condition>> {
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

pub(super) fn registration() -> impl Strategy<Value = RegistrationRequest> {
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

pub(super) fn kind() -> impl Strategy<Value = ScheduledKind> {
    select(vec![PERIODIC, INTENSIVE])
}

pub(super) fn choice() -> impl Strategy<Value = Choice> {
    let some = || proptest::option::of(any::<bool>());
    (some(), some(), some(), some()).prop_map(|(pinned, lock_screen, auto_upload, agents)| Choice {
        pinned,
        lock_screen,
        auto_upload,
        agents_disabled: agents,
    })
}

pub(super) fn occurrence() -> impl Strategy<Value = Occurrence> {
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

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let background = select(vec![
        AppsInBackground::UserInControl,
        AppsInBackground::UserInControl,
        AppsInBackground::UserInControl,
        AppsInBackground::UserInControl,
        AppsInBackground::ForceAllow,
        AppsInBackground::ForceDeny,
    ]);
    let denied = proptest::option::weighted(0.2, any_app());
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0..4_u32, flags, background, denied).prop_map(
        |(n, (windows8, ends, keeps), apps_in_background, denied)| Policy {
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
            denied_apps: denied.into_iter().collect(),
            ..Policy::default()
        },
    )
}

pub(super) fn sample() -> impl Strategy<Value = Sample> {
    let amount = || select(vec![0_u64, 1, 20_000]);
    (amount(), amount(), amount()).prop_map(|(cpu_micros, network_bytes, device_ios)| Sample {
        cpu_micros,
        network_bytes,
        device_ios,
    })
}

pub(super) fn span() -> impl Strategy<Value = u64> {
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
