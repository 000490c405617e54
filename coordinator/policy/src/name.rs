//! Names and ids. Each is a type of its own and cannot be wrong inside. Deliberately absent: making ids (the caller does).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or more than the bound.
    #[error("{what} must have 1 to {limit} bytes, this one has {length}")]
    Length {
        /// Which name it was to be.
        what: &'static str,
        /// Bytes it has.
        length: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// A character that names do not have.
    #[error(
        "{what} {text:?} has the character {character:?}; use letters, digits, '-', '_', '.' and ':'"
    )]
    Character {
        /// Which name it was to be.
        what: &'static str,
        /// The text.
        text: String,
        /// The first character that is not allowed.
        character: char,
    },
}

fn check(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() || text.len() > limit {
        return Err(NameError::Length {
            what,
            length: text.len(),
            limit,
        });
    }
    let bad = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'));
    match text.chars().find(bad) {
        Some(character) => Err(NameError::Character {
            what,
            text: text.to_owned(),
            character,
        }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Most bytes such a name has.
            pub const LIMIT: usize = $limit;
            /// Parses the name: 1 to [`Self::LIMIT`] ASCII letters, digits, `-`, `_`, `.`, `:`.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check($what, &text, Self::LIMIT)?;
                Ok(Self(text))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// An app, as the manifests on the devices name it.
    AppId, "app id", 64
}
name! {
    /// A person or program with a client certificate: a publisher or an operator.
    ClientName, "client name", 64
}
name! {
    /// One word of a device's: how a run ended, or why a push was dropped. Words of newer nodes pass as they are.
    Word, "word", 64
}

/// Why a text cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {text:?} is no UUID; it looks like 01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f (32 hex digits, lower case)"
)]
pub struct IdError {
    /// Which id it was to be.
    pub what: &'static str,
    /// The text, its first 64 characters.
    pub text: String,
}

/// Lower case, hyphenated: the one spelling, so that equal ids are equal texts.
fn parse_uuid(what: &'static str, text: &str) -> Result<[u8; 16], IdError> {
    let error = || IdError {
        what,
        text: text.chars().take(64).collect(),
    };
    if text.len() != 36 {
        return Err(error());
    }
    let mut bytes = [0_u8; 16];
    let mut digits = 0_usize;
    for (place, byte) in text.bytes().enumerate() {
        if matches!(place, 8 | 13 | 18 | 23) {
            if byte != b'-' {
                return Err(error());
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return Err(error()),
        };
        let slot = bytes.get_mut(digits / 2).ok_or_else(error)?;
        *slot = *slot << 4 | digit;
        digits += 1;
    }
    Ok(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id of these bytes; the caller makes them (UUID version 7).
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
            /// Parses the hyphenated lower-case form.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                parse_uuid($what, text).map(Self)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (place, byte) in self.0.iter().enumerate() {
                    if matches!(place, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id! {
    /// An enrolled device.
    DeviceId, "device id"
}
id! {
    /// An accepted push.
    PushId, "push id"
}

/// SHA-256 of a public key (its `SubjectPublicKeyInfo`, DER).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyFingerprint(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let text = "01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f";
        let id = DeviceId::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(DeviceId::from_bytes(*id.as_bytes()), id);
        for bad in [
            "",
            "01939a5c7b2e7c4d8f102a3b4c5d6e7f",
            "01939A5C-7B2E-7C4D-8F10-2A3B4C5D6E7F",
            "01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7",
            "01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7g",
            "01939a5c-7b2e-7c4d-8f10+2a3b4c5d6e7f",
            "é1939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7",
        ] {
            assert!(DeviceId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_at_their_bounds() {
        assert!(AppId::new("a").is_ok());
        assert!(AppId::new("a".repeat(64)).is_ok());
        assert_eq!(
            AppId::new("a".repeat(65)).unwrap_err().to_string(),
            "app id must have 1 to 64 bytes, this one has 65"
        );
        assert!(AppId::new("").is_err());
        assert_eq!(
            AppId::new("a b").unwrap_err().to_string(),
            "app id \"a b\" has the character ' '; use letters, digits, '-', '_', '.' and ':'"
        );
    }
}
