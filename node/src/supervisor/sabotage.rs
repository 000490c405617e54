//! Limits that can be switched off on purpose, so that the end-to-end check can be seen to notice. Never in a release.

/// The environment's word: no memory cap, no cancel, no kill.
#[cfg(feature = "sabotage")]
pub(super) fn limits_off() -> bool {
    let switches = std::env::var("LULL_SABOTAGE").unwrap_or_default();
    switches.split(',').any(|switch| switch == "limits")
}

/// Limits are enforced.
#[cfg(not(feature = "sabotage"))]
pub(super) const fn limits_off() -> bool {
    false
}
