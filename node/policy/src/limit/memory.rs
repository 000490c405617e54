//! The memory cap of a run (RES-04; rule book 0a, *Sizes*).
//!
//! The cap is enforced by the host; passing it is [`Exit::MemoryExceeded`](crate::Exit::MemoryExceeded).

use crate::{AgentDeclaration, Bytes, Policy};

/// The lower of the policy's cap and the manifest's own; absent = none.
pub(crate) fn cap(policy: &Policy, agent: Option<&AgentDeclaration>) -> Option<Bytes> {
    let own = agent.and_then(|agent| agent.memory);
    match (policy.task_memory, own) {
        (Some(policy), Some(own)) => Some(policy.min(own)),
        (policy, own) => policy.or(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EntryPoint, TaskType};

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
            let agent = AgentDeclaration {
                entry_point: EntryPoint::new("sync").unwrap(),
                types: vec![TaskType::Timer],
                memory: own.map(Bytes::mib),
                time: None,
            };
            assert_eq!(cap(&policy, Some(&agent)), expected.map(Bytes::mib));
        }
        assert_eq!(cap(&Policy::default(), None), None);
    }
}
