//! The text of an enrolment token: `lull1.<secret, base64url>.<SHA-256 of the root certificate, hex>`.
//!
//! Deliberately absent: whether a token is still good (the store keeps only the secret's hash; the fleet policy judges).

use std::fmt;

use zeroize::Zeroizing;

use super::{AuthorityError, sha256};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// A token's text has about 115 bytes.
const TEXT_LIMIT: usize = 256;

/// The secret of a token. Never shown, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentSecret(Zeroizing<[u8; 32]>);

impl fmt::Debug for EnrollmentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrollmentSecret(…)")
    }
}

/// A text that is no token. Says nothing of the text, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token is not as `lull enroll` prints it: lull1.<secret>.<root hash>")]
pub struct TokenError;

impl EnrollmentSecret {
    /// A new one, 256 bits of the system's randomness.
    pub fn generate() -> Result<Self, AuthorityError> {
        let mut secret = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(secret.as_mut_slice()).map_err(|_none| AuthorityError::Randomness)?;
        Ok(Self(secret))
    }

    /// What is stored in its place.
    pub fn hash(&self) -> [u8; 32] {
        sha256(self.0.as_slice())
    }

    /// The token's text.
    pub fn token(&self, root_hash: &[u8; 32]) -> String {
        let mut text = String::with_capacity(128);
        text.push_str("lull1.");
        encode(self.0.as_slice(), &mut text);
        text.push('.');
        text.push_str(&crate::authority::hex(root_hash));
        text
    }

    /// Reads a token's text; the root's hash is the device's to check, not ours.
    pub fn from_token(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.split('.');
        let (kind, secret, root) = (parts.next(), parts.next(), parts.next());
        match (kind, secret, root, parts.next()) {
            (Some("lull1"), Some(secret), Some(root), None)
                if text.len() <= TEXT_LIMIT && root.len() == 64 =>
            {
                decode(secret).map(Self).ok_or(TokenError)
            }
            _ => Err(TokenError),
        }
    }
}

/// Base64url without padding (RFC 4648, section 5).
fn encode(bytes: &[u8], text: &mut String) {
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for position in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * position)) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
}

/// 32 bytes from their 43 characters; `None` for anything else, also where unused bits are set.
fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 43 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 33]);
    for (position, character) in text.bytes().enumerate() {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        for bit in 0..6 {
            if value >> (5 - bit) & 1 == 1 {
                let at = position * 6 + bit;
                bytes[at / 8] |= 0x80 >> (at % 8);
            }
        }
    }
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&bytes[..32]);
    (bytes[32] == 0).then_some(secret)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_read_back() {
        let secret = EnrollmentSecret::generate().unwrap();
        let text = secret.token(&[7; 32]);
        assert!(text.starts_with("lull1.") && text.ends_with(&"07".repeat(32)));
        assert_eq!(EnrollmentSecret::from_token(&text).unwrap(), secret);
        assert!(!format!("{secret:?}").contains(&text[6..20]));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = EnrollmentSecret::generate().unwrap().token(&[7; 32]);
        let secret = &good[6..49];
        for text in [
            String::new(),
            "lull1".to_owned(),
            good.replace("lull1", "lull2"),
            format!("{good}.x"),
            good[..good.len() - 1].to_owned(),
            good.replace(secret, &secret[..42]),
            good.replace(secret, &format!("{}*", &secret[..42])),
            "x".repeat(10_000),
        ] {
            assert_eq!(
                EnrollmentSecret::from_token(&text),
                Err(TokenError),
                "{text}"
            );
        }
    }

    #[test]
    fn the_encoding_is_that_of_the_standard() {
        let mut text = String::new();
        encode(&[0xfb, 0xff, 0xbf, 0x00, 0x10], &mut text);
        assert_eq!(text, "-_-_ABA");
    }

    proptest! {
        #[test]
        fn any_secret_survives(bytes: [u8; 32]) {
            let mut text = String::new();
            encode(&bytes, &mut text);
            prop_assert_eq!(*decode(&text).unwrap(), bytes);
        }
    }
}
