//! How a socket is handed over to the node (TRG-15, TRGD-15), the same for both who can: an agent says it as a line of its own
//! conversation ([`FromAgent::HandOver`](crate::agent::FromAgent::HandOver)), an app's front client as the one line of a
//! connection to the node's second socket, [`SOCKET`]. The descriptor rides on the first byte of the line (`SCM_RIGHTS`).
//!
//! Deliberately absent: the app's bytes. The node never reads them.

use serde::{Deserialize, Serialize};

/// The socket for front clients, beside that of the local API.
pub const SOCKET: &str = "handover.sock";

/// Most bytes of a context.
pub const CONTEXT_LIMIT: usize = 1024;

/// What is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// The id of the registration that it is for. A socket that is held for it already is closed.
    pub id: String,
    /// It is the transport of a control channel (TRG-14).
    #[serde(default)]
    pub channel: bool,
    /// Bytes for the run that gets it, at most [`CONTEXT_LIMIT`], two hexadecimal digits each.
    #[serde(default)]
    pub context: String,
    /// After so many minutes without anything to tell a keep-alive is due (15 to 1,439); absent = never. Not for channels, whose
    /// registration says it.
    #[serde(default)]
    pub keep_alive_minutes: Option<u32>,
}

/// The line of a front client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The app that it speaks for.
    pub app: String,
    /// What is handed over.
    #[serde(flatten)]
    pub hand_over: HandOver,
}

/// What became of it: the node's line to a front client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Answer {
    /// The node holds it.
    HandedOver {
        /// `listener`, `stream` or `datagram`.
        kind: String,
        /// Where a channel is kept: its number as in TRGD-13, 1 = software, 2 = hardware; absent for sockets.
        #[serde(default)]
        slot: Option<u8>,
    },
    /// The node does not, and has closed its descriptor.
    Refused {
        /// `invalid-argument`, `failed-precondition`, `resource-exhausted`, `permission-denied` or `unavailable`.
        code: String,
        /// Why, and the way out.
        message: String,
    },
    /// An answer of a newer node.
    #[serde(other)]
    Unknown,
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

/// The bytes again; none = they are not pairs of hexadecimal digits.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: &u8| u8::try_from(char::from(*digit).to_digit(16)?).ok();
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(value(high)? << 4 | value(low)?),
        _ => None,
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_as_digits() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex("0aFf"), Some(vec![10, 255]));
        for wrong in ["0", "0g", "ä", "123"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_front_clients_line_names_the_app_beside_the_rest() {
        let line = r#"{"app":"mail","id":"door","keep_alive_minutes":20,"of_a_newer_app":1}"#;
        let request: Request = serde_json::from_str(line).unwrap();
        assert_eq!(request.app, "mail");
        let hand_over = HandOver {
            id: "door".to_owned(),
            channel: false,
            context: String::new(),
            keep_alive_minutes: Some(20),
        };
        assert_eq!(request.hand_over, hand_over);
    }
}
