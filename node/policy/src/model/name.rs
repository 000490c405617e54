//! Names and numbers that identify things. Each is a type of its own and cannot be wrong inside.

use std::sync::Arc;

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
    /// A character that such a name does not have.
    #[error("{what} {text:?} has the character {character:?}; use {allowed}")]
    Character {
        /// Which name it was to be.
        what: &'static str,
        /// The text.
        text: String,
        /// The first character that is not allowed.
        character: char,
        /// What is allowed.
        allowed: &'static str,
    },
}

/// The characters of a kind of names.
#[derive(Debug, Clone, Copy)]
struct Alphabet {
    has: fn(char) -> bool,
    words: &'static str,
}

/// For what stands in file names, keys and URLs.
const PLAIN: Alphabet = Alphabet {
    has: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'),
    words: "letters, digits, '-', '_', '.' and ':'",
};

/// For what people read (ACC-24): anything that prints.
const FREE: Alphabet = Alphabet {
    has: |c| !c.is_control(),
    words: "characters that print",
};

fn check(
    what: &'static str,
    text: &str,
    limit: usize,
    alphabet: Alphabet,
) -> Result<(), NameError> {
    if text.is_empty() || text.len() > limit {
        return Err(NameError::Length {
            what,
            length: text.len(),
            limit,
        });
    }
    match text.chars().find(|c| !(alphabet.has)(*c)) {
        Some(character) => Err(NameError::Character {
            what,
            text: text.to_owned(),
            character,
            allowed: alphabet.words,
        }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:literal, $allowed:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Most bytes such a name has.
            pub const LIMIT: usize = $limit;
            /// Parses the name: 1 to [`Self::LIMIT`] bytes of the alphabet that its type has.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check($what, &text, Self::LIMIT, $allowed)?;
                Ok(Self(text.into()))
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
                name.0.as_ref().to_owned()
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// An app (package) on this device, as its manifest names it.
    AppId, "app id", 64, PLAIN
}
name! {
    /// An entry point: the agent program a manifest lists. Compared byte for byte (ACC-21).
    EntryPoint, "entry point", 128, PLAIN
}
name! {
    /// A registration's own name, free text within the alphabet; need not be unique (ACC-24, AMB-10).
    TaskName, "task name", 128, FREE
}
name! {
    /// A push, by the id it was accepted under.
    PushId, "push id", 64, PLAIN
}
name! {
    /// One boot of the device's kernel.
    BootId, "boot id", 64, PLAIN
}
name! {
    /// A group of registrations: a GUID or a domain-style name (MNG-03).
    GroupId, "group id", 128, FREE
}
name! {
    /// Something outside that a trigger names: a channel, a socket, a device, a path, an event of the bus.
    Subject, "name", 1024, FREE
}

/// A registration on this device (ACC-25). Given once, never reused; counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistrationId(pub u64);

/// A run on this device (RUN-10). Given once, never reused; counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

/// A call waiting for its answer; the host's own number, echoed in [`Effect::Reply`](crate::Effect::Reply).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub u64);

/// A receipt in the order in which the device wrote it; acknowledged cumulatively. Counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceiptSeq(pub u64);

/// A size in bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// A size of `n` MB (10^6 bytes).
    pub const fn mb(n: u64) -> Self {
        Self(n.saturating_mul(1_000_000))
    }
    /// A size of `n` MiB (2^20 bytes).
    pub const fn mib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 20))
    }
}

/// A charge in tenths of a percent, 0 to 1000, so that 90.5 % needs no float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PerMille(u16);

impl PerMille {
    /// The charge; what lies above 100 % is cut to it.
    pub const fn new(tenths: u16) -> Self {
        Self(if tenths > 1000 { 1000 } else { tenths })
    }
    /// A whole percentage.
    pub const fn percent(n: u16) -> Self {
        Self::new(n.saturating_mul(10))
    }
    /// Tenths of a percent.
    pub const fn as_tenths(self) -> u16 {
        self.0
    }
}
