//! The figures of the device policy by name: one table for scenario files, `lull what-if` and whoever else sets single ones.
//!
//! A figure is read into a [`FigureChange`], which can be applied to any [`Policy`]: a file that sets three figures changes
//! three, whatever policy is in force. Deliberately absent: what has to fit together (a grace shorter than a life), which
//! only a whole policy can break.

use std::collections::BTreeSet;

use lull_policy::{AppId, AppsInBackground, Bytes, PerMille, Policy, QuotaProfile, Span};

use crate::{DocumentError, Refused, Section};

/// The place of a figure in a policy.
type Access<T> = fn(&mut Policy) -> &mut T;

/// A figure: its name and what it may be.
#[derive(Debug, Clone, Copy)]
struct Figure {
    name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Time(Access<Span>, Span),
    Size(Access<Bytes>),
    Cap(Access<Option<Bytes>>),
    Charge(Access<PerMille>),
    Bound(Access<Option<PerMille>>),
    Count(Access<u32>),
    Limit(Access<Option<u32>>),
    Flag(Access<bool>),
    Quota(Access<QuotaProfile>),
    Background(Access<AppsInBackground>),
    Apps(Access<BTreeSet<AppId>>),
}

/// Windows and ticks are divided by or stepped through: below this a device would do nothing else.
const SHORTEST_STEP: Span = Span::seconds(1);
/// Longer than any device lives.
const LONGEST_TIME: Span = Span::days(36_500);
/// More than any device has of anything.
const LARGEST_COUNT: u32 = 1_000_000;

macro_rules! figures {
    ($($name:ident: $kind:ident $(($least:expr))?),* $(,)?) => {
        /// Every figure.
        const FIGURES: &[Figure] = &[$(Figure {
            name: stringify!($name),
            kind: Kind::$kind(|policy| &mut policy.$name $(, $least)?),
        }),*];

        /// The names of all figures, as `[policy]` and policy steps have them.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

figures! {
    task_time: Time(Span::ZERO),
    cancel_grace: Time(Span::ZERO),
    application_time: Time(Span::ZERO),
    maintenance_time: Time(Span::ZERO),
    device_use_time: Time(Span::ZERO),
    device_use_idle: Time(Span::ZERO),
    device_use_on_phones: Count,
    servicing_time: Time(Span::ZERO),
    servicing_battery_above: Charge,
    task_memory: Cap,
    agent_memory: Size,
    agent_memory_low: Size,
    audio_memory: Size,
    audio_memory_8: Size,
    audio_memory_7: Size,
    idle_time: Time(Span::ZERO),
    idle_cpu: Time(Span::ZERO),
    timer_floor: Time(Span::ZERO),
    timer_tick: Time(SHORTEST_STEP),
    timer_ceiling: Time(Span::ZERO),
    periodic_interval: Time(SHORTEST_STEP),
    periodic_drift: Time(Span::ZERO),
    periodic_time: Time(Span::ZERO),
    periodic_hard_limit: Limit,
    periodic_warning_limit: Limit,
    periodic_ends_on_saver: Flag,
    intensive_time: Time(Span::ZERO),
    intensive_battery_above: Charge,
    intensive_settle: Time(Span::ZERO),
    intensive_gap: Time(Span::ZERO),
    intensive_pressure_below: Bound,
    intensive_ringing_counts: Flag,
    expiry_limit: Time(Span::ZERO),
    crash_limit: Count,
    saver_level: Charge,
    max_background_apps: Count,
    push_queue: Count,
    push_attempts: Count,
    push_offer_time: Time(Span::ZERO),
    network_debounce: Time(Span::ZERO),
    channel_hardware_slots: Count,
    quota_profile: Quota,
    quota_cpu_lock_screen: Time(Span::ZERO),
    quota_cpu: Time(Span::ZERO),
    quota_window_lock_screen: Time(SHORTEST_STEP),
    quota_window: Time(SHORTEST_STEP),
    quota_network_lock_screen: Size,
    quota_network: Size,
    debugger_keeps_limits: Flag,
    starvation_after: Time(SHORTEST_STEP),
    apps_in_background: Background,
    always_allowed_apps: Apps,
    denied_apps: Apps,
}

/// A figure that a file sets, and to what.
#[derive(Debug, Clone)]
pub struct FigureChange {
    name: &'static str,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    Time(Access<Span>, Span),
    Size(Access<Bytes>, Bytes),
    Cap(Access<Option<Bytes>>, Option<Bytes>),
    Charge(Access<PerMille>, PerMille),
    Bound(Access<Option<PerMille>>, Option<PerMille>),
    Count(Access<u32>, u32),
    Limit(Access<Option<u32>>, Option<u32>),
    Flag(Access<bool>, bool),
    Quota(Access<QuotaProfile>, QuotaProfile),
    Background(Access<AppsInBackground>, AppsInBackground),
    Apps(Access<BTreeSet<AppId>>, BTreeSet<AppId>),
}

impl FigureChange {
    /// The figure's name: that of the policy's field.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Puts the figure into a policy; the others stay.
    pub fn apply(&self, policy: &mut Policy) {
        match &self.value {
            Value::Time(place, span) => *place(policy) = *span,
            Value::Size(place, bytes) => *place(policy) = *bytes,
            Value::Cap(place, bytes) => *place(policy) = *bytes,
            Value::Charge(place, level) => *place(policy) = *level,
            Value::Bound(place, level) => *place(policy) = *level,
            Value::Count(place, count) => *place(policy) = *count,
            Value::Limit(place, count) => *place(policy) = *count,
            Value::Flag(place, flag) => *place(policy) = *flag,
            Value::Quota(place, profile) => *place(policy) = *profile,
            Value::Background(place, who) => *place(policy) = *who,
            Value::Apps(place, apps) => place(policy).clone_from(apps),
        }
    }
}

/// Reads the figures of a table that was opened with [`NAMES`]; those left out do not change.
pub fn read(section: &Section<'_>) -> Result<Vec<FigureChange>, DocumentError> {
    let change = |figure: &Figure| {
        let value = value(section, figure)?;
        Ok(value.map(|value| FigureChange {
            name: figure.name,
            value,
        }))
    };
    FIGURES
        .iter()
        .filter_map(|figure| change(figure).transpose())
        .collect()
}

fn value(section: &Section<'_>, figure: &Figure) -> Result<Option<Value>, DocumentError> {
    let key = figure.name;
    Ok(match figure.kind {
        Kind::Time(place, least) => {
            let span = section.span(key, least..=LONGEST_TIME)?;
            span.map(|span| Value::Time(place, span))
        }
        Kind::Size(place) => section.bytes(key)?.map(|bytes| Value::Size(place, bytes)),
        Kind::Cap(place) => {
            let read = || section.bytes(key);
            unless_none(section, key, read, |bytes| Value::Cap(place, bytes))?
        }
        Kind::Charge(place) => section
            .charge(key)?
            .map(|level| Value::Charge(place, level)),
        Kind::Bound(place) => {
            let read = || section.charge(key);
            unless_none(section, key, read, |level| Value::Bound(place, level))?
        }
        Kind::Count(place) => count(section, key)?.map(|count| Value::Count(place, count)),
        Kind::Limit(place) => {
            let read = || count(section, key);
            unless_none(section, key, read, |count| Value::Limit(place, count))?
        }
        Kind::Flag(place) => section.flag(key)?.map(|flag| Value::Flag(place, flag)),
        Kind::Quota(place) => {
            let profile = section.word(key, &QUOTAS)?;
            profile.map(|profile| Value::Quota(place, profile))
        }
        Kind::Background(place) => {
            let who = section.word(key, &BACKGROUND)?;
            who.map(|who| Value::Background(place, who))
        }
        Kind::Apps(place) => apps(section, key)?.map(|apps| Value::Apps(place, apps)),
    })
}

const QUOTAS: [(&str, QuotaProfile); 2] = [
    ("per-activation", QuotaProfile::PerActivation),
    ("windows8", QuotaProfile::Windows8),
];

const BACKGROUND: [(&str, AppsInBackground); 3] = [
    ("user-in-control", AppsInBackground::UserInControl),
    ("force-allow", AppsInBackground::ForceAllow),
    ("force-deny", AppsInBackground::ForceDeny),
];

fn count(section: &Section<'_>, key: &'static str) -> Result<Option<u32>, DocumentError> {
    section.whole32(key, 0..=LARGEST_COUNT)
}

/// A figure that may be absent: "none" takes it away. `value` makes one of what was read.
fn unless_none<T>(
    section: &Section<'_>,
    key: &'static str,
    read: impl FnOnce() -> Result<Option<T>, DocumentError>,
    value: impl FnOnce(Option<T>) -> Value,
) -> Result<Option<Value>, DocumentError> {
    let none = section.value(key, "", |value| Ok(value.as_str() == Some("none")))?;
    if none == Some(true) {
        return Ok(Some(value(None)));
    }
    Ok(read()?.map(|read| value(Some(read))))
}

fn apps(
    section: &Section<'_>,
    key: &'static str,
) -> Result<Option<BTreeSet<AppId>>, DocumentError> {
    let apps = section.items(key, "a list of app ids", "the id of an app", |item| {
        let text = item.as_str().ok_or(Refused::Type)?;
        AppId::new(text).map_err(|error| Refused::Because(error.to_string()))
    })?;
    Ok(apps.map(BTreeSet::from_iter))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Origin;

    fn read_text(text: &str) -> Result<Vec<FigureChange>, String> {
        let origin = Origin::new(Path::new("new.toml"), text);
        origin.read(NAMES, read).map_err(|error| error.to_string())
    }

    /// The policy and the table cannot drift apart.
    #[test]
    fn every_field_of_the_policy_is_a_figure() {
        let policy = serde_json::to_value(Policy::default()).unwrap();
        let mut fields: Vec<&String> = policy.as_object().unwrap().keys().collect();
        let mut names = NAMES.to_vec();
        fields.sort_unstable();
        names.sort_unstable();
        assert_eq!(fields, names);
    }

    #[test]
    fn figures_change_alone() {
        let text = "timer_tick = \"1m\"\nsaver_level = \"30 %\"\nintensive_battery_above = 89.5\ntask_memory = \"none\"\n\
            periodic_hard_limit = 7\nquota_profile = \"windows8\"\ndenied_apps = [\"b\", \"a\"]\nagent_memory = \"1 MB\"\n\
            intensive_pressure_below = 50\nperiodic_ends_on_saver = true\napps_in_background = \"force-deny\"\ncrash_limit = 3";
        let mut policy = Policy {
            task_time: Span::seconds(7),
            task_memory: Some(Bytes(9)),
            ..Policy::default()
        };
        let changes = read_text(text).unwrap();
        for change in &changes {
            change.apply(&mut policy);
        }
        let expected = Policy {
            task_time: Span::seconds(7),
            timer_tick: Span::minutes(1),
            saver_level: PerMille::percent(30),
            intensive_battery_above: PerMille::new(895),
            task_memory: None,
            periodic_hard_limit: Some(7),
            quota_profile: QuotaProfile::Windows8,
            denied_apps: ["a", "b"].map(|id| AppId::new(id).unwrap()).into(),
            agent_memory: Bytes::mb(1),
            intensive_pressure_below: Some(PerMille::percent(50)),
            periodic_ends_on_saver: true,
            apps_in_background: AppsInBackground::ForceDeny,
            crash_limit: 3,
            ..Policy::default()
        };
        assert_eq!(policy, expected);
        assert_eq!(changes.len(), 12);
    }

    #[test]
    fn what_a_figure_cannot_be_is_refused() {
        for (text, error) in [
            (
                "timer_tik = \"1m\"",
                "new.toml:1:1: timer_tik: there is no key \"timer_tik\"; did you mean \"timer_tick\"?",
            ),
            (
                "timer_tick = \"0s\"",
                "new.toml:1:14: timer_tick: \"0s\" is not a time from \"1s\" to \"36500d\", such as \"25s\" or \"1h30m\"",
            ),
            (
                "saver_level = 20.55",
                "new.toml:1:15: saver_level: 20.55 is not a charge in tenths of a percent from 0 to 100, such as 90, 89.5 or \"20 %\"",
            ),
            (
                "saver_level = \"20\"",
                "new.toml:1:15: saver_level: \"20\" is not a charge in tenths of a percent from 0 to 100, such as 90, 89.5 or \"20 %\"",
            ),
            (
                "task_memory = \"all\"",
                "new.toml:1:15: task_memory: \"all\" is not a size; write a whole number with B, KB, MB, GB, KiB, MiB or GiB, such as \"20 MiB\"",
            ),
            (
                "crash_limit = -1",
                "new.toml:1:15: crash_limit: -1 is not a whole number from 0 to 1000000",
            ),
            (
                "quota_profile = \"windows-8\"",
                "new.toml:1:17: quota_profile: there is no value \"windows-8\"; did you mean \"windows8\"?",
            ),
            (
                "denied_apps = [\"a b\"]",
                "new.toml:1:16: denied_apps[0]: app id \"a b\" has the character ' '; use letters, digits, '-', '_', '.' and ':'",
            ),
        ] {
            assert_eq!(read_text(text).unwrap_err(), error);
        }
    }
}
