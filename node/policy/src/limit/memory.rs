//! The memory cap of a run (RES-04 to RES-06; rule book 0a, *Sizes*).
//!
//! The cap is enforced by the host; passing it is [`Exit::MemoryExceeded`](crate::Exit::MemoryExceeded).

use crate::limit::time::Subject;
use crate::{Bytes, HostKind, Policy, Profile, TaskType};

/// The cap of a run; absent = none. A manifest may only lower it. The app's own process has none.
pub(crate) fn cap(subject: Subject<'_>, host: HostKind) -> Option<Bytes> {
    match host {
        HostKind::InProcess => return None,
        HostKind::OutOfProcess => {}
    }
    let own = subject.agent.and_then(|agent| agent.memory);
    let of_class = if subject.kind.is_scheduled() {
        Some(subject.policy.agent_memory(subject.profile))
    } else if subject
        .agent
        .is_some_and(|agent| agent.types.contains(&TaskType::Audio))
    {
        Some(audio(subject.policy, subject.profile))
    } else {
        subject.policy.task_memory
    };
    match (of_class, own) {
        (Some(of_class), Some(own)) => Some(of_class.min(own)),
        (of_class, own) => of_class.or(own),
    }
}

/// How much of a cap lies between the layer that fails and the one that kills: an eighth, 4 MiB at least. The bound on what a process
/// asks for counts its own writable memory; its cage counts the kernel's part and the files that it reads as well.
const BETWEEN: u64 = 8;
const LEAST_BETWEEN: Bytes = Bytes::mib(4);

/// A memory cap as the host has to enforce it (RES-04, AMB-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryLayers {
    /// A process that asks for more writable memory than this is refused; absent = nobody is.
    pub failing: Option<Bytes>,
    /// A run whose whole tree has more than this is killed at once; absent = none is.
    pub killing: Option<Bytes>,
}

impl MemoryLayers {
    /// The layers of a cap. A run that is `forgiven` first sees its allocation fail; any other is killed at its cap.
    pub fn of(cap: Option<Bytes>, forgiven: bool) -> Self {
        let between = |cap: Bytes| (cap.0 / BETWEEN).max(LEAST_BETWEEN.0);
        if forgiven {
            Self {
                failing: cap,
                killing: cap.map(|cap| Bytes(cap.0.saturating_add(between(cap)))),
            }
        } else {
            Self {
                failing: None,
                killing: cap,
            }
        }
    }
}

/// How near a run is to its memory cap, with the rule book's numbers (RES-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryLevel {
    /// 0: it has used less than half of its cap, or has none.
    Low,
    /// 1: half of it, or more.
    Medium,
    /// 2: four fifths of it, or more: the time to let go of what can be had again.
    High,
    /// 3: more than it. Seen by runs whose allocations fail first only; others are dead.
    OverLimit,
}

impl MemoryLevel {
    /// The level of a run that uses so much.
    pub fn of(usage: Bytes, cap: Option<Bytes>) -> Self {
        let Some(Bytes(cap)) = cap else {
            return Self::Low;
        };
        let Bytes(usage) = usage;
        if usage > cap {
            Self::OverLimit
        } else if usage.saturating_mul(5) >= cap.saturating_mul(4) {
            Self::High
        } else if usage.saturating_mul(2) >= cap {
            Self::Medium
        } else {
            Self::Low
        }
    }

    /// The rule book's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Low => 0,
            Self::Medium => 1,
            Self::High => 2,
            Self::OverLimit => 3,
        }
    }

    /// Its name in words.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::OverLimit => "over-limit",
        }
    }
}

/// RES-06: the cap that an app's audio agents share, by the device's runtime level.
fn audio(policy: &Policy, profile: &Profile) -> Bytes {
    const UPDATE_3: [u32; 3] = [8, 0, 10_492];
    const EIGHT: [u32; 1] = [8];
    match &profile.runtime_level {
        None => policy.audio_memory,
        Some(level) if level.0.as_slice() >= UPDATE_3.as_slice() => policy.audio_memory,
        Some(level) if level.0.as_slice() >= EIGHT.as_slice() => policy.audio_memory_8,
        Some(_) => policy.audio_memory_7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AgentDeclaration, EntryPoint, RuntimeLevel, TriggerKind};

    fn agent(own: Option<Bytes>, types: &[TaskType]) -> AgentDeclaration {
        AgentDeclaration {
            entry_point: EntryPoint::new("sync").unwrap(),
            types: types.to_vec(),
            memory: own,
            time: None,
            multiple_instances: false,
            resource_group: None,
        }
    }

    fn found(
        kind: TriggerKind,
        policy: &Policy,
        profile: &Profile,
        agent: &AgentDeclaration,
    ) -> Option<Bytes> {
        let subject = Subject {
            kind,
            policy,
            profile,
            app: None,
            agent: Some(agent),
        };
        cap(subject, HostKind::OutOfProcess)
    }

    #[test]
    fn the_lower_cap_counts() {
        let rows = [
            (None, None, None),
            (Some(20), None, Some(20)),
            (None, Some(32), Some(32)),
            (Some(20), Some(19), Some(19)),
            (Some(20), Some(20), Some(20)),
            (Some(20), Some(21), Some(20)),
        ];
        for (policy, own, expected) in rows {
            let policy = Policy {
                task_memory: policy.map(Bytes::mib),
                ..Policy::default()
            };
            let agent = agent(own.map(Bytes::mib), &[TaskType::Timer]);
            let cap = found(TriggerKind::Timer, &policy, &Profile::default(), &agent);
            assert_eq!(cap, expected.map(Bytes::mib));
        }
    }

    #[test]
    fn a_task_is_forgiven_an_agent_is_killed() {
        let mib = |n| Some(Bytes::mib(n));
        let rows = [
            (None, true, None, None),
            (mib(16), true, mib(16), mib(20)),
            (mib(64), true, mib(64), mib(72)),
            (mib(20), false, None, mib(20)),
        ];
        for (cap, forgiven, failing, killing) in rows {
            let expected = MemoryLayers { failing, killing };
            assert_eq!(MemoryLayers::of(cap, forgiven), expected, "AMB-15: {cap:?}");
        }
    }

    #[test]
    fn levels_have_their_numbers_and_bounds() {
        let rows = [
            (0, Some(100), 0, "low"),
            (49, Some(100), 0, "low"),
            (50, Some(100), 1, "medium"),
            (79, Some(100), 1, "medium"),
            (80, Some(100), 2, "high"),
            (100, Some(100), 2, "high"),
            (101, Some(100), 3, "over-limit"),
            (101, None, 0, "low"),
        ];
        for (usage, cap, number, word) in rows {
            let level = MemoryLevel::of(Bytes(usage), cap.map(Bytes));
            let found = (level.number(), level.word());
            assert_eq!(found, (number, word), "RES-08: {usage} of {cap:?}");
        }
    }

    #[test]
    fn agents_are_capped_by_the_memory_class() {
        let rows = [(999_999_999, 11), (1_000_000_000, 20), (1_000_000_001, 20)];
        for (memory, mib) in rows {
            let profile = Profile {
                memory: Some(Bytes(memory)),
                ..Profile::default()
            };
            let agent = agent(None, &[TaskType::Scheduled]);
            for kind in [TriggerKind::Periodic, TriggerKind::ResourceIntensive] {
                let cap = found(kind, &Policy::default(), &profile, &agent);
                assert_eq!(cap, Some(Bytes::mib(mib)), "{memory} {kind:?}");
            }
        }
    }

    #[test]
    fn audio_agents_are_capped_by_the_runtime_level() {
        let rows = [
            (None, 25),
            (Some("8.0.10492"), 25),
            (Some("8.0.10493"), 25),
            (Some("8.1"), 25),
            (Some("10.0"), 25),
            (Some("8.0.10491"), 20),
            (Some("8.0.9903"), 20),
            (Some("8"), 20),
            (Some("7.1"), 15),
        ];
        for (level, mib) in rows {
            let profile = Profile {
                runtime_level: level.map(|text| RuntimeLevel::parse(text).unwrap()),
                ..Profile::default()
            };
            let agent = agent(None, &[TaskType::Audio, TaskType::Timer]);
            let cap = found(TriggerKind::Timer, &Policy::default(), &profile, &agent);
            assert_eq!(cap, Some(Bytes::mib(mib)), "{level:?}");
        }
    }
}
