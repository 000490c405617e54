//! What can happen to a device, chosen without knowledge of it.

use proptest::prelude::*;
use proptest::sample::select;

use super::draw::*;
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
    /// Everything is as it should be: apps, access, policy, power.
    Recover,
    /// An app registers one task for every trigger.
    Furnish(u8),
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
        1 => Just(Step::Recover),
        1 => any::<u8>().prop_map(Step::Furnish),
        3 => readings().prop_map(Step::Read),
        1 => readings().prop_map(Step::ReadAnew),
        4 => pushed(),
        10 => called(),
        8 => befallen(),
    ]
}
