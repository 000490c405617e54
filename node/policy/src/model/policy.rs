//! Every figure of the device, with its default, unit and rule id. Only the operator changes one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{AppId, Bytes, PerMille, Profile, Span};

/// How CPU and network time are rationed (RES-13 to RES-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaProfile {
    /// Each activation has its time and its memory, nothing more (RES-15).
    #[default]
    PerActivation,
    /// Windows 8's ledgers per app (RES-13, RES-14).
    Windows8,
}

/// Who decides over background access (ENT-05).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppsInBackground {
    /// 0: the app asks, whoever owns the device decides.
    #[default]
    UserInControl,
    /// 1: every app may, whatever was chosen.
    ForceAllow,
    /// 2: no app may.
    ForceDeny,
}

/// The device policy. Field names are those of scenario files and of `node.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A trigger task's life from start to kill (RES-01, AMB-01). 30 s.
    pub task_time: Span,
    /// From the cancel request to the kill (RUN-12); taken off the end of a life. 5 s.
    pub cancel_grace: Span,
    /// Life of an application or media task (TRGD-24, AMB-03). 10 min.
    pub application_time: Span,
    /// Life of a maintenance task (TRGD-09, RES-02). 10 min.
    pub maintenance_time: Span,
    /// Life of a device-use task; none on phones (TRGD-31). 10 min.
    pub device_use_time: Span,
    /// A device-use task has an I/O at least this often (TRGD-31). 5 s.
    pub device_use_idle: Span,
    /// Device-use tasks at once on a phone of more than 512 MiB (TRGD-30). 2.
    pub device_use_on_phones: u32,
    /// Life of a device-servicing task (TRGD-37). 30 min.
    pub servicing_time: Span,
    /// Servicing needs a charge above this, or external power (TRGD-37). 33 %.
    pub servicing_battery_above: PerMille,
    /// Memory cap of a trigger task; absent = none (rule book, 0a).
    pub task_memory: Option<Bytes>,
    /// Memory cap of a scheduled agent (RES-05). 20 MiB.
    pub agent_memory: Bytes,
    /// The same on a low-memory device (RES-05). 11 MiB.
    pub agent_memory_low: Bytes,
    /// Shared cap of an app's audio agents, newest runtime level (RES-06). 25 MiB.
    pub audio_memory: Bytes,
    /// The same below level 8.0.10492 (RES-06). 20 MiB.
    pub audio_memory_8: Bytes,
    /// The same below level 8 (RES-06). 15 MiB.
    pub audio_memory_7: Bytes,
    /// A task that takes a deferral and uses no CPU and no network for so long is idle (RUN-15). 5 min.
    pub idle_time: Span,
    /// CPU time within [`Policy::idle_time`] that still counts as idle (RUN-15). 10 ms.
    pub idle_cpu: Span,
    /// Shortest timer period (TRGD-01). 15 min.
    pub timer_floor: Span,
    /// The device-wide tick on which timers start (TRGD-03). 15 min.
    pub timer_tick: Span,
    /// Timer periods stay below this (TRGD-04, AMB-18). 43,200 min.
    pub timer_ceiling: Span,
    /// From start to start of a periodic agent (PER-01). 30 min.
    pub periodic_interval: Span,
    /// By how much a start may drift to meet another wake-up (PER-02, AMB-04). 10 min.
    pub periodic_drift: Span,
    /// Life of a periodic run, without grace (PER-03). 25 s.
    pub periodic_time: Span,
    /// Periodic agents scheduled at once (PER-05, AMB-21); absent = 6 on a low-memory device, else 18. Never below 6.
    pub periodic_hard_limit: Option<u32>,
    /// Beyond so many the operator is warned (PER-07, AMB-21); absent = 4 on a low-memory device, else 12.
    pub periodic_warning_limit: Option<u32>,
    /// A periodic run under way is ended when Battery Saver comes on (AMB-05). No.
    pub periodic_ends_on_saver: bool,
    /// Life of a resource-intensive run, without grace (INT-01). 10 min.
    pub intensive_time: Span,
    /// Resource-intensive agents need a charge above this (INT-04). 90 %.
    pub intensive_battery_above: PerMille,
    /// The conditions have to hold for so long before one starts (AMB-27). 10 s.
    pub intensive_settle: Span,
    /// Least time between two starts of one resource-intensive agent (AMB-28). None.
    pub intensive_gap: Span,
    /// One starts only below this CPU pressure (INT-14, AMB-25); absent = whatever the pressure.
    pub intensive_pressure_below: Option<PerMille>,
    /// A ringing call counts as a call (AMB-24). No.
    pub intensive_ringing_counts: bool,
    /// A scheduled task lives at most so long unless renewed (EXP-01). 14 days.
    pub expiry_limit: Span,
    /// So many crashes in a row unschedule an agent (CRS-01). 2.
    pub crash_limit: u32,
    /// Battery Saver acts below this charge (RES-12, AMB-34). 20 %.
    pub saver_level: PerMille,
    /// Apps with background access on a low-memory device (ACC-03, ACC-04). 20.
    pub max_background_apps: u32,
    /// Pushes of one app that may wait on the device (rule book, 0a). 64.
    pub push_queue: u32,
    /// Runs of a push that the node itself lost are tried again until this attempt (rule book, 0a, Delivery). 3.
    pub push_attempts: u32,
    /// How long an app in the foreground may take to say that it handled a push itself (PSH-10). 5 s.
    pub push_offer_time: Span,
    /// Changes of the network within this time of each other are one event (TRG-02). 2 s.
    pub network_debounce: Span,
    /// Hardware slots for control channels (TRGD-12, TRGD-13). 3.
    pub channel_hardware_slots: u32,
    /// How CPU and network time are rationed (RES-13 to RES-15).
    pub quota_profile: QuotaProfile,
    /// `windows8`: CPU time of a lock-screen app a window (RES-13). 2 s.
    pub quota_cpu_lock_screen: Span,
    /// `windows8`: CPU time of another app a window (RES-13). 1 s.
    pub quota_cpu: Span,
    /// `windows8`: the window of a lock-screen app (RES-13). 15 min.
    pub quota_window_lock_screen: Span,
    /// `windows8`: the window of another app (RES-13). 2 h.
    pub quota_window: Span,
    /// `windows8`: network of a lock-screen app a window on battery (RES-14). 469,000 bytes.
    pub quota_network_lock_screen: Bytes,
    /// `windows8`: network of another app a window on battery (RES-14). 625,000 bytes.
    pub quota_network: Bytes,
    /// Under a debugger memory and time stay limited (AMB-06). No.
    pub debugger_keeps_limits: bool,
    /// A task that has no period of its own and waits for so long without a run starves. 3 days.
    pub starvation_after: Span,
    /// Who decides over background access (ENT-05).
    pub apps_in_background: AppsInBackground,
    /// Apps that are forced to be allowed, whatever the line above says (ENT-05).
    pub always_allowed_apps: BTreeSet<AppId>,
    /// Apps that are forced to be denied; this list comes first (ENT-05).
    pub denied_apps: BTreeSet<AppId>,
}

/// Below it a hard limit of periodic agents is not taken (PER-05).
const LEAST_PERIODIC_HARD_LIMIT: u32 = 6;

impl Policy {
    /// PER-05: how many periodic agents may be scheduled on this device.
    pub fn periodic_hard_limit(&self, profile: &Profile) -> u32 {
        let of_class = if profile.low_memory() { 6 } else { 18 };
        self.periodic_hard_limit
            .unwrap_or(of_class)
            .max(LEAST_PERIODIC_HARD_LIMIT)
    }

    /// PER-07: beyond how many the operator is warned; always below the hard limit (AMB-21).
    pub fn periodic_warning_limit(&self, profile: &Profile) -> u32 {
        let of_class = if profile.low_memory() { 4 } else { 12 };
        let hard = self.periodic_hard_limit(profile);
        self.periodic_warning_limit
            .unwrap_or(of_class)
            .min(hard.saturating_sub(1))
    }

    /// RES-05: the cap of scheduled agents on this device.
    pub fn agent_memory(&self, profile: &Profile) -> Bytes {
        if profile.low_memory() {
            self.agent_memory_low
        } else {
            self.agent_memory
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            task_time: Span::seconds(30),
            cancel_grace: Span::seconds(5),
            application_time: Span::minutes(10),
            maintenance_time: Span::minutes(10),
            device_use_time: Span::minutes(10),
            device_use_idle: Span::seconds(5),
            device_use_on_phones: 2,
            servicing_time: Span::minutes(30),
            servicing_battery_above: PerMille::percent(33),
            task_memory: None,
            agent_memory: Bytes::mib(20),
            agent_memory_low: Bytes::mib(11),
            audio_memory: Bytes::mib(25),
            audio_memory_8: Bytes::mib(20),
            audio_memory_7: Bytes::mib(15),
            idle_time: Span::minutes(5),
            idle_cpu: Span::millis(10),
            timer_floor: Span::minutes(15),
            timer_tick: Span::minutes(15),
            timer_ceiling: Span::minutes(43_200),
            periodic_interval: Span::minutes(30),
            periodic_drift: Span::minutes(10),
            periodic_time: Span::seconds(25),
            periodic_hard_limit: None,
            periodic_warning_limit: None,
            periodic_ends_on_saver: false,
            intensive_time: Span::minutes(10),
            intensive_battery_above: PerMille::percent(90),
            intensive_settle: Span::seconds(10),
            intensive_gap: Span::ZERO,
            intensive_pressure_below: None,
            intensive_ringing_counts: false,
            expiry_limit: Span::days(14),
            crash_limit: 2,
            saver_level: PerMille::percent(20),
            max_background_apps: 20,
            push_queue: 64,
            push_attempts: 3,
            push_offer_time: Span::seconds(5),
            network_debounce: Span::seconds(2),
            channel_hardware_slots: 3,
            quota_profile: QuotaProfile::PerActivation,
            quota_cpu_lock_screen: Span::seconds(2),
            quota_cpu: Span::seconds(1),
            quota_window_lock_screen: Span::minutes(15),
            quota_window: Span::hours(2),
            quota_network_lock_screen: Bytes(469_000),
            quota_network: Bytes(625_000),
            debugger_keeps_limits: false,
            starvation_after: Span::days(3),
            apps_in_background: AppsInBackground::UserInControl,
            always_allowed_apps: BTreeSet::new(),
            denied_apps: BTreeSet::new(),
        }
    }
}
