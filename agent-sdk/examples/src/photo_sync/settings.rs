//! What photo-sync is told by its environment.
//!
//! Deliberately absent: a default for the folder it reads; it copies nothing that nobody named.

use std::env::VarError;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

const FROM: &str = "PHOTOS_FROM";
const TO: &str = "PHOTOS_TO";
const RATE: &str = "PHOTOS_BYTES_PER_SECOND";

/// The folder of the app's own that receives the copies where none is named.
pub const TARGET: &str = "photos";

/// What to copy where, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder whose files are copied.
    pub from: PathBuf,
    /// The folder that receives the copies.
    pub to: PathBuf,
    /// Bytes a second; absent = as fast as it goes.
    pub bytes_per_second: Option<u64>,
}

/// What is wrong with the environment. For who wrote the manifest.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A folder is not named.
    #[error("{variable} is not set; name the folder in the agent's `environment` in the manifest")]
    Absent {
        /// Which variable.
        variable: &'static str,
    },
    /// A folder cannot be used.
    #[error("{variable}={} cannot be used; it must be a folder that the app's user may open", path.display())]
    Folder {
        /// Which variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// One lies in the other.
    #[error(
        "{} and {} lie one in the other, so that copies would be copied; name two folders apart",
        from.display(),
        to.display()
    )]
    Nested {
        /// The folder whose files are copied.
        from: PathBuf,
        /// The folder that receives them.
        to: PathBuf,
    },
    /// The rate is no rate.
    #[error("{RATE}={value:?} is no rate; give whole bytes a second, 1 or more, or leave it out")]
    Rate {
        /// Its value.
        value: String,
    },
}

impl Settings {
    /// Reads the environment. Where it names no folder to copy to, that is [`TARGET`] in the app's own.
    pub fn from_env(state: &Path) -> Result<Self, SettingsError> {
        let rate = match std::env::var(RATE) {
            Ok(rate) => Some(rate),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
        };
        let to = match std::env::var_os(TO) {
            Some(to) => Some(to),
            None => Some(own(state.join(TARGET))?.into_os_string()),
        };
        Self::parse(std::env::var_os(FROM), to, rate)
    }

    fn parse(
        from: Option<OsString>,
        to: Option<OsString>,
        rate: Option<String>,
    ) -> Result<Self, SettingsError> {
        let from = folder(FROM, from)?;
        let to = folder(TO, to)?;
        if from.starts_with(&to) || to.starts_with(&from) {
            return Err(SettingsError::Nested { from, to });
        }
        let parse = |value: String| match value.parse() {
            Ok(rate) if rate > 0 => Ok(rate),
            Ok(_) | Err(_) => Err(SettingsError::Rate { value }),
        };
        Ok(Self {
            from,
            to,
            bytes_per_second: rate.map(parse).transpose()?,
        })
    }
}

/// Makes the app's own folder for copies.
fn own(path: PathBuf) -> Result<PathBuf, SettingsError> {
    match std::fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(SettingsError::Folder {
            variable: TO,
            path,
            source,
        }),
    }
}

fn folder(variable: &'static str, value: Option<OsString>) -> Result<PathBuf, SettingsError> {
    let value = value.filter(|value| !value.is_empty());
    let path = PathBuf::from(value.ok_or(SettingsError::Absent { variable })?);
    std::fs::canonicalize(&path).map_err(|source| SettingsError::Folder {
        variable,
        path,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        let both = tempfile::tempdir().unwrap();
        let made = |name: &str| {
            let path = both.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Some(path.into_os_string())
        };
        let told = |from, to, rate: Option<&str>| {
            let parsed = Settings::parse(from, to, rate.map(str::to_owned));
            parsed.unwrap_err().to_string()
        };
        assert!(told(None, made("b"), None).starts_with("PHOTOS_FROM is not set"));
        assert!(told(made("a"), Some("/no/such".into()), None).contains("PHOTOS_TO=/no/such"));
        assert!(told(made("a"), made("a/b"), None).contains("one in the other"));
        assert!(told(made("a"), made("a"), None).contains("one in the other"));
        for rate in ["0", "fast", "-1", "1.5"] {
            assert!(told(made("a"), made("b"), Some(rate)).contains(rate));
        }
        let good = Settings::parse(made("a"), made("ab"), Some("65536".to_owned()));
        assert_eq!(good.unwrap().bytes_per_second, Some(65_536));
    }
}
