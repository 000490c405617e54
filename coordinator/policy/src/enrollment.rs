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
        "the enrolment token was used with another key; make a new one with `lull enroll`, and if that other key was not yours, look for its device in `lull devices`"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_use_ten_minutes_one_key_three_recoveries() {
        let end = Wall::from_millis(600_000);
        let before = Wall::from_millis(599_999);
        let key = KeyFingerprint([1; 32]);
        let other = KeyFingerprint([2; 32]);
        let device = DeviceId::from_bytes([3; 16]);
        let token = |recoveries: Option<u32>| Token {
            expires: end,
            bound: recoveries.map(|recoveries| Bound {
                key,
                device,
                recoveries,
            }),
        };
        let again = Ok(Redeemed::Again { device });
        let table = [
            (None, key, before, Err(TokenRefused::Unknown)),
            (Some(token(None)), key, before, Ok(Redeemed::First)),
            (Some(token(None)), key, end, Err(TokenRefused::Expired)),
            (Some(token(Some(0))), key, before, again),
            (Some(token(Some(2))), key, before, again),
            (
                Some(token(Some(3))),
                key,
                before,
                Err(TokenRefused::Exhausted),
            ),
            (Some(token(Some(0))), key, end, Err(TokenRefused::Expired)),
            (Some(token(Some(0))), other, before, Err(TokenRefused::Used)),
            (Some(token(Some(3))), other, before, Err(TokenRefused::Used)),
        ];
        for (token, key, now, expected) in table {
            assert_eq!(redeem(token.as_ref(), key, now), expected, "{token:?}");
        }
        assert_eq!(
            TokenRefused::Expired.to_string(),
            "the enrolment token has expired (it lives 10 minutes at most); make a new one with `lull enroll`"
        );
    }

    #[test]
    fn a_token_lives_a_second_to_ten_minutes() {
        assert_eq!(token_life(None), Ok(Span::minutes(10)));
        assert_eq!(token_life(Some(Span::seconds(1))), Ok(Span::seconds(1)));
        assert!(token_life(Some(Span::millis(999))).is_err());
        assert!(token_life(Some(Span::minutes(10))).is_ok());
        let long = token_life(Some(Span::millis(600_001))).unwrap_err();
        assert_eq!(
            long.to_string(),
            "valid_for: 600001 ms, 1 s to 10 minutes are accepted (absent = 10 minutes)"
        );
    }
}
