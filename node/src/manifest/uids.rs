//! The book of users given to apps: one of the configured range each, the same for as long as the state folder lives.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use lull_policy::AppId;
use serde::{Deserialize, Serialize};

use crate::durable_file;

/// Most bytes of the book: every uid of the largest range with the longest app id.
const LIMIT: u64 = 8 << 20;

/// Why no user can be given.
#[derive(Debug, thiserror::Error)]
pub enum UidError {
    /// The range is used up.
    #[error(
        "all {count} users from {first} on are given away; raise agents.uid_count in node.toml, or name a user in the manifest"
    )]
    Exhausted {
        /// The first of the range.
        first: u32,
        /// How many there are.
        count: u32,
    },
    /// The book cannot be read or written.
    #[error("keeping the users of apps in {}", file.display())]
    Book {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Which app has which user.
#[derive(Debug)]
pub(super) struct UidBook {
    file: PathBuf,
    range: Range<u32>,
    given: Given,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    apps: BTreeMap<AppId, u32>,
    /// Over the apps and their users: one altered digit would be another app's files. Absent in what release 0.1 wrote.
    sum: Option<u64>,
}

impl Given {
    fn sum(&self) -> u64 {
        let text = |(app, uid): (&AppId, &u32)| format!("{app} {uid}\n").into_bytes();
        durable_file::sum(self.apps.iter().flat_map(text))
    }
}

impl UidBook {
    /// Opens the book. One that cannot be understood is set aside under a name that the log tells; the folders of the apps
    /// then say who they belong to ([`UidBook::give`]).
    pub(super) fn open(file: &Path, range: Range<u32>) -> Result<Self, UidError> {
        let error = |source| UidError::Book {
            file: file.to_owned(),
            source,
        };
        let bytes = durable_file::read(file, LIMIT).map_err(error)?;
        let given = match bytes.as_deref().map(understand) {
            None => Given::default(),
            Some(Ok(given)) => given,
            Some(Err(problem)) => {
                let aside = file.with_extension("json.damaged");
                std::fs::rename(file, &aside).map_err(error)?;
                tracing::error!(file = %file.display(), aside = %aside.display(), %problem,
                    "the users of apps cannot be understood; set aside, and read from the apps' folders");
                Given::default()
            }
        };
        Ok(Self {
            file: file.to_owned(),
            range,
            given,
        })
    }

    /// The user of an app: the one it has, else the owner of its folder if that is free, else the first free one. `taken` are
    /// users of the system. Durable when it returns.
    pub(super) fn give(
        &mut self,
        app: &AppId,
        folder_owner: Option<u32>,
        taken: &BTreeSet<u32>,
    ) -> Result<u32, UidError> {
        if let Some(uid) = self.given.apps.get(app) {
            return Ok(*uid);
        }
        let used: BTreeSet<u32> = self.given.apps.values().copied().collect();
        let free = |uid: &u32| *uid != 0 && !used.contains(uid) && !taken.contains(uid);
        let known = folder_owner.filter(|uid| self.range.contains(uid) && free(uid));
        let uid = known.or_else(|| self.range.clone().find(free));
        let uid = uid.ok_or_else(|| UidError::Exhausted {
            first: self.range.start,
            count: self.range.end - self.range.start,
        })?;
        let mut given = self.given.clone();
        given.apps.insert(app.clone(), uid);
        given.sum = Some(given.sum());
        self.write(&given)?;
        self.given = given;
        Ok(uid)
    }

    fn write(&self, given: &Given) -> Result<(), UidError> {
        let written = serde_json::to_vec_pretty(given)
            .map_err(io::Error::from)
            .and_then(|bytes| durable_file::replace(&self.file, &bytes, 0o600));
        written.map_err(|source| UidError::Book {
            file: self.file.clone(),
            source,
        })
    }
}

/// The content of the book; root is never in it, and no user is there twice.
fn understand(bytes: &[u8]) -> Result<Given, String> {
    let given: Given = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if given.sum.is_some_and(|sum| sum != given.sum()) {
        return Err("it is not what was written".into());
    }
    let mut uids = BTreeSet::new();
    for (app, uid) in &given.apps {
        if *uid == 0 || !uids.insert(*uid) {
            return Err(format!("app {app} cannot have user {uid}"));
        }
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: &str) -> AppId {
        AppId::new(id).unwrap()
    }

    #[test]
    fn an_app_keeps_its_user_and_no_two_share_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("uids.json");
        let taken = BTreeSet::from([60_001]);
        let mut book = UidBook::open(&file, 60_000..60_004).unwrap();
        assert_eq!(book.give(&app("a"), None, &taken).unwrap(), 60_000);
        assert_eq!(book.give(&app("b"), None, &taken).unwrap(), 60_002);
        assert_eq!(book.give(&app("c"), Some(60_003), &taken).unwrap(), 60_003);
        assert_eq!(
            book.give(&app("d"), None, &taken).unwrap_err().to_string(),
            "all 4 users from 60000 on are given away; raise agents.uid_count in node.toml, or name a user in the manifest"
        );
        let mut again = UidBook::open(&file, 60_000..60_004).unwrap();
        assert_eq!(again.give(&app("b"), Some(60_000), &taken).unwrap(), 60_002);
    }

    #[test]
    fn no_altered_book_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("uids.json");
        let mut book = UidBook::open(&file, 60_000..60_004).unwrap();
        for name in ["a", "b"] {
            book.give(&app(name), None, &BTreeSet::new()).unwrap();
        }
        let sound = std::fs::read(&file).unwrap();
        let given = understand(&sound).unwrap();
        for bit in 0..8 * sound.len() {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // A blank may become another one.
            assert!(
                understand(&bytes).is_ok_and(|read| read == given) || understand(&bytes).is_err()
            );
        }
        for length in 0..sound.len() {
            assert!(understand(&sound[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_damaged_book_is_set_aside_and_folders_tell_the_user() {
        for damage in [
            "",
            "{",
            "{\"apps\":{\"a\":0}}",
            "{\"apps\":{\"a\":7,\"b\":7}}",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("uids.json");
            std::fs::write(&file, damage).unwrap();
            let mut book = UidBook::open(&file, 60_000..60_004).unwrap();
            assert_eq!(
                book.give(&app("a"), Some(60_002), &BTreeSet::new())
                    .unwrap(),
                60_002
            );
            // Root's folder, or one outside of the range, tells nothing.
            assert_eq!(
                book.give(&app("b"), Some(0), &BTreeSet::new()).unwrap(),
                60_000
            );
            let aside = folder.path().join("uids.json.damaged");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), damage);
        }
    }
}
