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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall::from_millis(1_000_000);
    const DEVICE: &str = "01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f";

    fn good() -> Request<Vec<u8>> {
        Request {
            app: "photos".to_owned(),
            device: Some(DEVICE.to_owned()),
            selector: None,
            payload: vec![1],
            time_to_live: None,
            deduplication_key: String::new(),
        }
    }

    fn fields(request: Request<Vec<u8>>) -> Vec<&'static str> {
        match Submission::check(request, NOW) {
            Ok(_) => Vec::new(),
            Err(violations) => violations.iter().map(|violation| violation.field).collect(),
        }
    }

    #[test]
    fn a_good_push_passes_with_the_defaults() {
        let submission = Submission::check(good(), NOW).unwrap();
        assert_eq!(submission.expires, NOW.after(Span::days(3)));
        assert_eq!(submission.deduplication_key, None);
        let device = DeviceId::parse(DEVICE).unwrap();
        assert_eq!(submission.target, Target::Device(device));
    }

    #[test]
    fn every_field_at_its_bounds() {
        type Edit = fn(&mut Request<Vec<u8>>);
        let table: [(Edit, &[&str]); 20] = [
            (|r| r.payload = vec![0; 5_000], &[]),
            (|r| r.payload = vec![0; 5_001], &["payload"]),
            (|r| r.payload.clear(), &["payload"]),
            (|r| r.app = "a".repeat(64), &[]),
            (|r| r.app = "a".repeat(65), &["app"]),
            (|r| r.app.clear(), &["app"]),
            (|r| r.app = "a/b".to_owned(), &["app"]),
            (|r| r.time_to_live = Some(Span::seconds(1)), &[]),
            (
                |r| r.time_to_live = Some(Span::millis(999)),
                &["time_to_live"],
            ),
            (|r| r.time_to_live = Some(Span::days(28)), &[]),
            (
                |r| r.time_to_live = Some(Span::millis(28 * 86_400_000 + 1)),
                &["time_to_live"],
            ),
            (|r| r.deduplication_key = "k".repeat(64), &[]),
            (
                |r| r.deduplication_key = "k".repeat(65),
                &["deduplication_key"],
            ),
            (|r| r.device = None, &["target"]),
            (|r| r.device = Some("photos".to_owned()), &["device"]),
            (|r| r.selector = Some(Vec::new()), &["target"]),
            (
                |r| (r.device, r.selector) = (None, Some(Vec::new())),
                &["selector.labels"],
            ),
            (
                |r| {
                    r.device = None;
                    r.selector = Some(vec![("site".to_owned(), "north".to_owned())]);
                },
                &[],
            ),
            (
                |r| {
                    r.payload.clear();
                    r.app.clear();
                },
                &["app", "payload"],
            ),
            (|r| *r = Request::default(), &["app", "target", "payload"]),
        ];
        for (place, (edit, expected)) in table.iter().enumerate() {
            let mut request = good();
            edit(&mut request);
            assert_eq!(fields(request), *expected, "case {place}");
        }
    }

    #[test]
    fn a_refusal_names_the_value_and_the_limit() {
        let mut request = good();
        request.payload = vec![0; 5_001];
        let violations = Submission::check(request, NOW).unwrap_err();
        assert_eq!(
            violations[0].to_string(),
            "payload: 5001 bytes, 1 to 5000 are accepted"
        );
    }
}
