//! Switches that break a promise on purpose, so that the end-to-end check can be seen to notice. They exist only with the
//! feature `sabotage`, which no release has; without it every switch is a constant `false`.

use std::time::Duration;

/// How long a commit is held back by `before-commit`.
pub(crate) const HELD: Duration = Duration::from_secs(3);

#[cfg(feature = "sabotage")]
fn is_on(switch: &str) -> bool {
    static SWITCHES: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    SWITCHES
        .get_or_init(|| {
            let list = std::env::var("LULL_SABOTAGE").unwrap_or_default();
            list.split(',').map(str::to_owned).collect()
        })
        .iter()
        .any(|on| on == switch)
}

#[cfg(not(feature = "sabotage"))]
const fn is_on(_switch: &str) -> bool {
    false
}

/// A push is answered before it is durable, and its commit is held back.
pub(crate) fn before_commit() -> bool {
    is_on("before-commit")
}

/// The sender's de-duplication key is ignored.
pub(crate) fn deduplication() -> bool {
    is_on("deduplication")
}
