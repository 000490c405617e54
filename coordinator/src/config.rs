//! The coordinator's configuration: one typed tree, checked in full before anything binds.
//!
//! `default.toml` beside this file is the documentation, the template (`lull-coordinator print-config`) and the list of
//! the keys that exist. Deliberately absent: environment variables and layers; one file says it all.

pub mod quantity;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use quantity::{Bytes, Span};

/// Every key with its default and its meaning, as TOML.
pub const DEFAULT: &str = include_str!("default.toml");

/// Most bytes of a configuration file: far more than every key with a comment.
const FILE_LIMIT: u64 = 64 << 10;
/// Most names in the server certificate.
const ADVERTISE_LIMIT: usize = 16;
/// Most bytes of a DNS name (RFC 1035).
const NAME_LIMIT: usize = 253;
/// How often a device may be asked whether it is there.
const PING: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(30);

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// Where all state lives.
    pub state_dir: PathBuf,
    /// Mutual TLS 1.3: devices, publishers, operators.
    pub fleet_address: SocketAddr,
    /// Server TLS: enrolment.
    pub door_address: SocketAddr,
    /// Names and addresses by which the coordinator is reached.
    pub advertise: Vec<String>,
    /// What is written to standard error.
    pub log: LogConfig,
    /// Bounds.
    pub limits: LimitsConfig,
    /// The device's session.
    pub session: SessionConfig,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// A level or filter as tracing-subscriber reads it.
    pub level: String,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Pushes that wait for one device.
    pub mailbox_count: u32,
    /// Bytes of payload that wait for one device.
    pub mailbox_bytes: Bytes,
    /// Devices enrolled.
    pub devices: u32,
    /// Connections of the fleet listener.
    pub connections: u32,
    /// Connections of the door.
    pub door_connections: u32,
    /// Handshakes under way in all, on each listener.
    pub handshakes: u32,
    /// Handshakes under way from one address.
    pub handshakes_per_address: u32,
    /// Followers of pushes.
    pub watchers: u32,
}

/// `[session]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// Between two pings.
    pub ping: Span,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/lull-coordinator"),
            fleet_address: SocketAddr::from(([127, 0, 0, 1], 7443)),
            door_address: SocketAddr::from(([127, 0, 0, 1], 7444)),
            advertise: Vec::new(),
            log: LogConfig::default(),
            limits: LimitsConfig::default(),
            session: SessionConfig::default(),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            mailbox_count: lull_fleet_policy::bounds::MAILBOX_COUNT,
            mailbox_bytes: Bytes(lull_fleet_policy::bounds::MAILBOX_BYTES),
            devices: 100_000,
            connections: 20_000,
            door_connections: 1_024,
            handshakes: 2_048,
            handshakes_per_address: 1_024,
            watchers: 1_000,
        }
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            ping: Span(Duration::from_secs(30)),
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// More than any configuration needs.
    #[error("{} has {size} bytes, at most {FILE_LIMIT} are read", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// A key that does not exist.
    #[error("{}:{line}: no such key `{key}`{}; every key is in `lull-coordinator print-config`",
        path.display(), nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default())]
    UnknownKey {
        /// In which file.
        path: PathBuf,
        /// On which line, from 1.
        line: usize,
        /// The key with its tables.
        key: String,
        /// The valid key that is most alike.
        nearest: Option<String>,
    },
    /// No TOML, or a value of the wrong kind.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// In which file.
        path: PathBuf,
        /// On which line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A value that is out of its range.
    #[error("{key}: {message}")]
    Value {
        /// Which key.
        key: &'static str,
        /// The value, the limit, the way out.
        message: String,
    },
}

impl CoordinatorConfig {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let size = std::fs::metadata(path).map_err(read)?.len();
        if size > FILE_LIMIT {
            let path = path.to_owned();
            return Err(ConfigError::TooLarge { path, size });
        }
        Self::parse(&std::fs::read_to_string(path).map_err(read)?, path)
    }

    /// Reads and checks a text; the path is only told in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        };
        let table = DeTable::parse(text).map_err(syntax)?;
        let known = DeTable::parse(DEFAULT).map_err(syntax)?;
        if let Some((key, offset, nearest)) = unknown_key(table.get_ref(), known.get_ref(), "") {
            return Err(ConfigError::UnknownKey {
                path: path.to_owned(),
                line: line_of(text, offset),
                key,
                nearest,
            });
        }
        let config: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            ConfigError::Syntax {
                path: path.to_owned(),
                line: line_of(text, offset),
                message: match key_at(table.get_ref(), offset, "") {
                    Some(key) => format!("{key}: {}", error.message()),
                    None => error.message().to_owned(),
                },
            }
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the types cannot say.
    pub fn check(&self) -> Result<(), ConfigError> {
        let value = |key, message: String| Err(ConfigError::Value { key, message });
        if !self.state_dir.is_absolute() {
            let shown = self.state_dir.display();
            return value(
                "state_dir",
                format!("`{shown}` is relative, write the whole path"),
            );
        }
        self.check_advertise()?;
        if !PING.contains(&self.session.ping.0) {
            let shown = self.session.ping.0;
            return value("session.ping", format!("{shown:?} is outside of 1s to 30m"));
        }
        let limits = &self.limits;
        for (key, count) in [
            ("limits.mailbox_count", limits.mailbox_count),
            ("limits.devices", limits.devices),
            ("limits.connections", limits.connections),
            ("limits.door_connections", limits.door_connections),
            ("limits.handshakes", limits.handshakes),
            (
                "limits.handshakes_per_address",
                limits.handshakes_per_address,
            ),
            ("limits.watchers", limits.watchers),
        ] {
            if count == 0 {
                return value(
                    key,
                    "0 would let nothing through, write at least 1".to_owned(),
                );
            }
        }
        if limits.mailbox_bytes.0 < lull_fleet_policy::bounds::PAYLOAD as u64 {
            let (bytes, push) = (limits.mailbox_bytes.0, lull_fleet_policy::bounds::PAYLOAD);
            let message = format!("{bytes} bytes hold no whole push, write at least {push}");
            return value("limits.mailbox_bytes", message);
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log.level) {
            let shown = &self.log.level;
            return value(
                "log.level",
                format!("`{shown}` is no level or filter: {error}"),
            );
        }
        Ok(())
    }

    fn check_advertise(&self) -> Result<(), ConfigError> {
        let value = |message: String| {
            let key = "advertise";
            Err(ConfigError::Value { key, message })
        };
        if self.advertise.len() > ADVERTISE_LIMIT {
            let count = self.advertise.len();
            return value(format!("{count} names, at most {ADVERTISE_LIMIT}"));
        }
        if let Some(bad) = self.advertise.iter().find(|name| !is_host(name)) {
            return value(format!(
                "`{bad}` is neither a host name nor an IP address; write it without port or scheme"
            ));
        }
        let everywhere = [self.fleet_address, self.door_address]
            .into_iter()
            .find(|address| address.ip().is_unspecified());
        if let (Some(address), true) = (everywhere, self.advertise.is_empty()) {
            return value(format!(
                "a listener is bound to all addresses ({address}), so name at least one by which devices reach it"
            ));
        }
        Ok(())
    }

    /// The host that devices are told.
    pub fn host_for(&self, bound: SocketAddr) -> String {
        match self.advertise.first() {
            Some(name) => match name.parse() {
                Ok(IpAddr::V6(address)) => format!("[{address}]:{}", bound.port()),
                Ok(IpAddr::V4(_)) | Err(_) => format!("{name}:{}", bound.port()),
            },
            None => bound.to_string(),
        }
    }
}

fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= NAME_LIMIT && name.split('.').all(label))
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// The first key that the defaults do not have: its whole name, its offset, the nearest that exists.
fn unknown_key(
    table: &DeTable<'_>,
    known: &DeTable<'_>,
    tables: &str,
) -> Option<(String, usize, Option<String>)> {
    for (key, value) in table {
        let name = key.get_ref();
        let whole = format!("{tables}{name}");
        match known.get(name.as_ref()).map(toml::Spanned::get_ref) {
            None => return Some((whole, key.span().start, nearest(name, known, tables))),
            Some(DeValue::Table(known)) => {
                if let DeValue::Table(table) = value.get_ref()
                    && let Some(found) = unknown_key(table, known, &format!("{whole}."))
                {
                    return Some(found);
                }
            }
            Some(_) => {}
        }
    }
    None
}

/// The key whose value stands at an offset, with its tables.
fn key_at(table: &DeTable<'_>, offset: usize, tables: &str) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let whole = format!("{tables}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => key_at(inner, offset, &format!("{whole}.")),
            _ if value.span().contains(&offset) => Some(whole),
            _ => None,
        }
    })
}

fn nearest(name: &str, known: &DeTable<'_>, tables: &str) -> Option<String> {
    known
        .keys()
        .map(|key| (strsim::jaro_winkler(name, key.get_ref()), key.get_ref()))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(alike, _)| *alike > 0.6)
        .map(|(_, key)| format!("{tables}{key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let path = Path::new("coordinator.toml");
        CoordinatorConfig::parse(text, path)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_template_is_the_default() {
        let parsed = CoordinatorConfig::parse(DEFAULT, Path::new("default.toml")).unwrap();
        assert_eq!(parsed, CoordinatorConfig::default());
    }

    #[test]
    fn every_refusal_names_the_key_and_the_way_out() {
        for (text, needles) in [
            (
                "\nstate_dri = \"/x\"",
                vec!["coordinator.toml:2", "`state_dri`", "`state_dir`"],
            ),
            (
                "[limits]\nmailbox_cuont = 5",
                vec![":2", "`limits.mailbox_cuont`", "`limits.mailbox_count`"],
            ),
            ("[limts]\n", vec![":1", "`limits`"]),
            ("fleet_address = 7", vec![":1", "fleet"]),
            ("[session]\nping = \"30 seconds\"", vec![":2", "duration"]),
            (
                "[session]\nping = \"1ms\"",
                vec!["session.ping", "1s to 30m"],
            ),
            (
                "state_dir = \"here\"",
                vec!["state_dir", "`here`", "whole path"],
            ),
            (
                "advertise = [\"https://x\"]",
                vec!["advertise", "`https://x`"],
            ),
            (
                "fleet_address = \"0.0.0.0:7443\"",
                vec!["advertise", "0.0.0.0:7443"],
            ),
            (
                "[limits]\nwatchers = 0",
                vec!["limits.watchers", "at least 1"],
            ),
            (
                "[limits]\nmailbox_bytes = \"1 KiB\"",
                vec!["mailbox_bytes", "5000"],
            ),
            ("[log]\nlevel = \"=x=\"", vec!["log.level"]),
            ("a = ", vec!["coordinator.toml:1"]),
        ] {
            let message = refused(text);
            for needle in needles {
                assert!(
                    message.contains(needle),
                    "{text:?} gave {message:?}, without {needle:?}"
                );
            }
        }
    }

    #[test]
    fn a_device_is_told_the_first_advertised_host_and_the_bound_port() {
        let bound = SocketAddr::from(([127, 0, 0, 1], 4000));
        let mut config = CoordinatorConfig::default();
        assert_eq!(config.host_for(bound), "127.0.0.1:4000");
        config.advertise = vec!["fleet.example".to_owned()];
        assert_eq!(config.host_for(bound), "fleet.example:4000");
        config.advertise = vec!["fd00::1".to_owned()];
        assert_eq!(config.host_for(bound), "[fd00::1]:4000");
    }
}
