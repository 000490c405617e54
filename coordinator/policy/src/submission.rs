//! A push as its sender wrote it, checked in every field before anything else looks at it.
//!
//! Deliberately absent: wire types (the host converts them into [`Request`]) and room in the mailboxes ([`crate::mailbox`]).

use serde::{Deserialize, Serialize};

use crate::{AppId, DeviceId, Labels, Span, Target, Wall, bounds};

/// What a sender asks for, unchecked. `B` is the host's byte container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request<B> {
    /// The app's name.
    pub app: String,
    /// One device's id, where the target is a device.
    pub device: Option<String>,
    /// The labels, where the target is a selector.
    pub selector: Option<Vec<(String, String)>>,
    /// The app's own bytes.
    pub payload: B,
    /// Absent = [`bounds::DEFAULT_LIFE`].
    pub time_to_live: Option<Span>,
    /// Empty = none.
    pub deduplication_key: String,
}

/// A push that is right in every field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission<B> {
    /// Whose registrations it fires.
    pub app: AppId,
    /// Who gets it.
    pub target: Target,
    /// 1 to [`bounds::PAYLOAD`] bytes.
    pub payload: B,
    /// When its life ends, counted from `now` of the check.
    pub expires: Wall,
    /// The sender's own key.
    pub deduplication_key: Option<DeduplicationKey>,
}

/// A sender's key against sending twice: 1 to [`bounds::DEDUPLICATION_KEY`] bytes of any text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeduplicationKey(String);

impl DeduplicationKey {
    /// Parses a key; empty means none.
    pub fn parse(text: String) -> Result<Option<Self>, Violation> {
        if text.len() > bounds::DEDUPLICATION_KEY {
            return Err(Violation::new(
                "deduplication_key",
                format!(
                    "{} bytes, at most {} are accepted",
                    text.len(),
                    bounds::DEDUPLICATION_KEY
                ),
            ));
        }
        Ok((!text.is_empty()).then_some(Self(text)))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Violation {
    /// The field's name on the wire.
    pub field: &'static str,
    /// What is wrong, the limit, and the way out.
    pub message: String,
}

impl Violation {
    /// A violation of one field.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            message: message.into(),
        }
    }
}

impl<B: AsRef<[u8]>> Submission<B> {
    /// Checks every field and reports all that are wrong.
    pub fn check(request: Request<B>, now: Wall) -> Result<Self, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut note = |violation: Violation| violations.push(violation);
        let app = AppId::new(request.app)
            .map_err(|error| note(Violation::new("app", error.to_string())))
            .ok();
        let target = target(request.device, request.selector)
            .map_err(&mut note)
            .ok();
        let length = request.payload.as_ref().len();
        if length == 0 || length > bounds::PAYLOAD {
            note(Violation::new(
                "payload",
                format!("{length} bytes, 1 to {} are accepted", bounds::PAYLOAD),
            ));
        }
        let life = life(request.time_to_live).map_err(&mut note).ok();
        let deduplication_key = DeduplicationKey::parse(request.deduplication_key)
            .map_err(&mut note)
            .unwrap_or_default();
        match (app, target, life) {
            (Some(app), Some(target), Some(life)) if violations.is_empty() => Ok(Self {
                app,
                target,
                payload: request.payload,
                expires: now.after(life),
                deduplication_key,
            }),
            _ => Err(violations),
        }
    }
}

fn target(
    device: Option<String>,
    selector: Option<Vec<(String, String)>>,
) -> Result<Target, Violation> {
    match (device, selector) {
        (Some(device), None) => DeviceId::parse(&device)
            .map(Target::Device)
            .map_err(|error| Violation::new("device", error.to_string())),
        (None, Some(labels)) => Labels::of_selector(labels)
            .map(Target::Selector)
            .map_err(|error| Violation::new("selector.labels", error.to_string())),
        (None, None) => Err(Violation::new(
            "target",
            "none given; name a device or a selector",
        )),
        (Some(_), Some(_)) => Err(Violation::new(
            "target",
            "both given; name a device or a selector, not both",
        )),
    }
}

fn life(asked: Option<Span>) -> Result<Span, Violation> {
    let life = asked.unwrap_or(bounds::DEFAULT_LIFE);
    if life < bounds::SHORTEST_LIFE || life > bounds::LONGEST_LIFE {
        return Err(Violation::new(
            "time_to_live",
            format!(
                "{} ms, 1 s to 28 days are accepted (absent = 3 days)",
                life.as_millis()
            ),
        ));
    }
    Ok(life)
}
