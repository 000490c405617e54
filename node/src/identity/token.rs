//! The enrolment token: a secret that is good once, and the hash by which the coordinator is known at the first contact.

use zeroize::Zeroizing;

/// How it begins: the version of its form.
const PREFIX: &str = "lull1.";

/// Characters of 32 bytes in base64url without padding.
const SECRET: usize = 43;

/// Characters of a SHA-256 in hex.
const HASH: usize = 64;

/// A token that has the right form; whether it is good, the coordinator knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: Zeroizing<String>,
    root: [u8; 32],
}

/// A text that is no token. Never repeats it: the secret is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the enrolment token is incomplete or altered ({0}); copy it whole, as `lull enroll` printed it: lull1.<secret>.<hash>"
)]
pub struct TokenError(&'static str);

impl Token {
    /// Reads it as it was printed.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let rest = text.strip_prefix(PREFIX);
        let rest = rest.ok_or(TokenError("it does not begin with lull1."))?;
        let (secret, hash) = rest.split_once('.').ok_or(TokenError("it has no hash"))?;
        let base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if secret.len() != SECRET || !secret.chars().all(base64url) {
            return Err(TokenError("its secret is not 43 characters of base64url"));
        }
        let wrong = TokenError("its hash is not 64 hex digits");
        if hash.len() != HASH || !hash.is_ascii() {
            return Err(wrong);
        }
        let mut root = [0; 32];
        for (byte, digits) in root.iter_mut().zip(hash.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_no_text| wrong)?;
            // from_str_radix would take a sign.
            if digits.starts_with('+') {
                return Err(wrong);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_no_number| wrong)?;
        }
        let text = Zeroizing::new(text.to_owned());
        Ok(Self { text, root })
    }

    /// The text, for the coordinator alone.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the fleet's root certificate.
    pub(super) fn root(&self) -> [u8; 32] {
        self.root
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_whole_or_not_at_all() {
        let secret = "A".repeat(43);
        let hash = "0f".repeat(32);
        let token = Token::parse(&format!(" lull1.{secret}.{hash}\n")).unwrap();
        assert_eq!(token.root(), [0x0f; 32]);
        assert_eq!(format!("{token:?}"), "Token(…)");
        for (text, why) in [
            (String::new(), "it does not begin with lull1."),
            (
                format!("lull2.{secret}.{hash}"),
                "it does not begin with lull1.",
            ),
            (format!("lull1.{secret}"), "it has no hash"),
            (
                format!("lull1.{}.{hash}", &secret[1..]),
                "its secret is not 43 characters of base64url",
            ),
            (
                format!("lull1.{}+.{hash}", &secret[1..]),
                "its secret is not 43 characters of base64url",
            ),
            (
                format!("lull1.{secret}.{}", &hash[1..]),
                "its hash is not 64 hex digits",
            ),
            (
                format!("lull1.{secret}.{}+f", &hash[2..]),
                "its hash is not 64 hex digits",
            ),
            (
                format!("lull1.{secret}.{}zz", &hash[2..]),
                "its hash is not 64 hex digits",
            ),
            (
                format!("lull1.{secret}.{}éé", &hash[4..]),
                "its hash is not 64 hex digits",
            ),
        ] {
            let error = Token::parse(&text).unwrap_err();
            assert_eq!(error, TokenError(why), "{text}");
            assert!(!error.to_string().contains(&secret));
        }
    }
}
