//! Enrolment tokens: one use, ten minutes at most, bound to the first key that shows one, three recoveries.
//!
//! Deliberately absent: the secret (only its hash is known, and to the store), certificates, and the clock.

use serde::{Deserialize, Serialize};

use crate::{DeviceId, KeyFingerprint, Span, Violation, Wall, bounds};

/// A token as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// When it ends.
    pub expires: Wall,
    /// Who has used it.
    pub bound: Option<Bound>,
}

/// The first use of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The key that showed it.
    pub key: KeyFingerprint,
    /// The device it became.
    pub device: DeviceId,
    /// Answers given to the same key after the first.
    pub recoveries: u32,
}

/// A token that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redeemed {
    /// The first use: the caller makes the device.
    First,
    /// The same key again, its answer was lost: the same device is answered.
    Again {
        /// The device of the first use.
        device: DeviceId,
    },
}

/// A token that is not. The door answers all of them alike (UNAUTHENTICATED), so that nothing is learnt by guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// No such token.
    #[error("the enrolment token is not known; make a new one with `lull enroll`")]
    Unknown,
    /// Its time is over.
    #[error("the enrolment token has expired (it lives {} minutes at most); make a new one with `lull enroll`", bounds::TOKEN_LIFE.as_millis() / 60_000)]
    Expired,
    /// Another key has used it.
    #[error(
        "the enrolment token was used by another key; if that was not yours, remove that device, and make a new token with `lull enroll`"
    )]
    Used,
    /// The same key has used it too often.
    #[error(
        "the enrolment token was answered {} times again; make a new one with `lull enroll`",
        bounds::TOKEN_RECOVERIES
    )]
    Exhausted,
}

/// Whether this key may enrol with this token now.
pub fn redeem(
    token: Option<&Token>,
    key: KeyFingerprint,
    now: Wall,
) -> Result<Redeemed, TokenRefused> {
    let token = token.ok_or(TokenRefused::Unknown)?;
    if now >= token.expires {
        return Err(TokenRefused::Expired);
    }
    match &token.bound {
        None => Ok(Redeemed::First),
        Some(bound) if bound.key != key => Err(TokenRefused::Used),
        Some(bound) if bound.recoveries >= bounds::TOKEN_RECOVERIES => Err(TokenRefused::Exhausted),
        Some(bound) => Ok(Redeemed::Again {
            device: bound.device,
        }),
    }
}

/// How long a new token lives: what was asked for, at most [`bounds::TOKEN_LIFE`].
pub fn token_life(asked: Option<Span>) -> Result<Span, Violation> {
    let life = asked.unwrap_or(bounds::TOKEN_LIFE);
    if life < Span::seconds(1) || life > bounds::TOKEN_LIFE {
        return Err(Violation::new(
            "valid_for",
            format!(
                "{} ms, 1 s to 10 minutes are accepted (absent = 10 minutes)",
                life.as_millis()
            ),
        ));
    }
    Ok(life)
}
