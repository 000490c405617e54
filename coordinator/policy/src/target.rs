//! Who gets a push: one device, or all that have the labels. And which shard a device belongs to.
//!
//! Deliberately absent: the list of devices; the host asks [`Target::matches`] for each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{DeviceId, bounds};

/// Labels of a device, or those a selector asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

/// Why labels are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// Too many, or none where one is needed.
    #[error("{count} labels, {least} to {most} are accepted")]
    Count {
        /// How many there are.
        count: usize,
        /// Least.
        least: usize,
        /// Most.
        most: usize,
    },
    /// A key or value of the wrong length.
    #[error("the {part} of label {key:?} has {length} bytes, 1 to {limit} are accepted")]
    Length {
        /// `key` or `value`.
        part: &'static str,
        /// The key, its first 64 characters.
        key: String,
        /// Bytes it has.
        length: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// A control character.
    #[error("label {key:?} has a control character in its {part}")]
    Control {
        /// `key` or `value`.
        part: &'static str,
        /// The key.
        key: String,
    },
}

impl Labels {
    /// Labels of a device: at most [`bounds::LABELS`], keys and values 1 to [`bounds::LABEL_TEXT`] bytes.
    pub fn of_device(
        pairs: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, LabelsError> {
        Self::checked(pairs, 0, bounds::LABELS)
    }

    /// Labels of a selector: 1 to [`bounds::SELECTOR_LABELS`].
    pub fn of_selector(
        pairs: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, LabelsError> {
        Self::checked(pairs, 1, bounds::SELECTOR_LABELS)
    }

    fn checked(
        pairs: impl IntoIterator<Item = (String, String)>,
        least: usize,
        most: usize,
    ) -> Result<Self, LabelsError> {
        let labels: BTreeMap<String, String> = pairs.into_iter().take(most + 1).collect();
        if labels.len() < least || labels.len() > most {
            return Err(LabelsError::Count {
                count: labels.len(),
                least,
                most,
            });
        }
        for (key, value) in &labels {
            check_text("key", key, key)?;
            check_text("value", key, value)?;
        }
        Ok(Self(labels))
    }

    /// Each key with its value, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels that count: the operator's, and the device's own where the operator said nothing.
    #[must_use]
    pub fn effective(operator: &Self, own: &Self) -> Self {
        let mut all = own.0.clone();
        all.extend(operator.0.clone());
        Self(all)
    }

    /// True where each of `wanted` is here with the same value.
    pub fn have(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|(k, v)| self.0.get(k) == Some(v))
    }

    /// The labels as a plain map, for the wire.
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}

fn check_text(part: &'static str, key: &str, text: &str) -> Result<(), LabelsError> {
    let key = || key.chars().take(64).collect::<String>();
    if text.is_empty() || text.len() > bounds::LABEL_TEXT {
        return Err(LabelsError::Length {
            part,
            key: key(),
            length: text.len(),
            limit: bounds::LABEL_TEXT,
        });
    }
    if text.chars().any(char::is_control) {
        return Err(LabelsError::Control { part, key: key() });
    }
    Ok(())
}

/// Who gets a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One device. If it is not enrolled, the sender is told.
    Device(DeviceId),
    /// Every enrolled device that has all these labels when the push is accepted; may be none.
    Selector(Labels),
}

impl Target {
    /// Whether the device with these effective labels gets it.
    pub fn matches(&self, device: DeviceId, effective: &Labels) -> bool {
        match self {
            Self::Device(wanted) => *wanted == device,
            Self::Selector(wanted) => effective.have(wanted),
        }
    }
}

/// A shard: one of the coordinator's decision makers, which owns the mailboxes of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard of a device among `count` shards (0 counts as 1). FNV-1a over the id, so that it spreads
    /// whatever the id's own order is, and stays the same in every build.
    pub fn of(device: DeviceId, count: u16) -> Self {
        let hash = device
            .as_bytes()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let place = hash % u64::from(count.max(1));
        Self(u16::try_from(place).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        pairs.iter().map(own).collect()
    }

    fn device(own: &[(&str, &str)]) -> Labels {
        Labels::of_device(pairs(own)).unwrap()
    }

    #[test]
    fn the_operators_labels_win() {
        let operator = device(&[("site", "north")]);
        let own = device(&[("site", "south"), ("os", "linux")]);
        let effective = Labels::effective(&operator, &own);
        assert_eq!(effective, device(&[("os", "linux"), ("site", "north")]));
    }

    #[test]
    fn a_selector_wants_all_its_labels() {
        let id = DeviceId::from_bytes([1; 16]);
        let labels = device(&[("site", "north"), ("os", "linux")]);
        let cases: [(&[(&str, &str)], bool); 5] = [
            (&[("site", "north")], true),
            (&[("site", "north"), ("os", "linux")], true),
            (&[("site", "south")], false),
            (&[("site", "north"), ("os", "bsd")], false),
            (&[("room", "4")], false),
        ];
        for (wanted, expected) in cases {
            let selector = Target::Selector(Labels::of_selector(pairs(wanted)).unwrap());
            assert_eq!(selector.matches(id, &labels), expected, "{wanted:?}");
        }
        assert!(Target::Device(id).matches(id, &Labels::default()));
        assert!(!Target::Device(DeviceId::from_bytes([2; 16])).matches(id, &labels));
    }

    #[test]
    fn labels_at_their_bounds() {
        let many = |n: usize| (0..n).map(|i| (format!("k{i}"), "v".to_owned()));
        assert!(Labels::of_device(many(bounds::LABELS)).is_ok());
        assert!(Labels::of_device(many(bounds::LABELS + 1)).is_err());
        assert!(Labels::of_device(many(0)).is_ok());
        assert!(Labels::of_selector(many(bounds::SELECTOR_LABELS)).is_ok());
        assert_eq!(
            Labels::of_selector(many(9)).unwrap_err().to_string(),
            "9 labels, 1 to 8 are accepted"
        );
        assert!(Labels::of_selector(many(0)).is_err());
        let long = "x".repeat(bounds::LABEL_TEXT);
        assert!(Labels::of_device(pairs(&[(&long, &long)])).is_ok());
        let longer = "x".repeat(bounds::LABEL_TEXT + 1);
        for (key, value) in [
            (longer.as_str(), "v"),
            ("k", longer.as_str()),
            ("", "v"),
            ("k", ""),
            ("k\n", "v"),
            ("k", "\u{1b}[2J"),
        ] {
            assert!(
                Labels::of_device(pairs(&[(key, value)])).is_err(),
                "{key:?}"
            );
        }
    }

    #[test]
    fn devices_spread_over_the_shards_and_stay() {
        let mut counts = [0_u32; 8];
        for n in 0..8_000_u64 {
            let mut bytes = [0; 16];
            bytes[8..].copy_from_slice(&n.to_be_bytes());
            let shard = ShardId::of(DeviceId::from_bytes(bytes), 8);
            counts[usize::from(shard.0)] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1_100).contains(count)),
            "{counts:?}"
        );
        // Written down: a build that hashed otherwise would give devices other owners.
        assert_eq!(ShardId::of(DeviceId::from_bytes([7; 16]), 16), ShardId(5));
        assert_eq!(ShardId::of(DeviceId::from_bytes([7; 16]), 0), ShardId(0));
    }
}
