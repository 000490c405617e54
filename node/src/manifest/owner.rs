//! As whom an app's agents run: a Unix user of the system, one of the configured range, or the daemon's own.

use std::io;
use std::path::{Path, PathBuf};

use crate::durable_file;

/// Most bytes of a user database that are read: some ten thousand users.
const DATABASE: u64 = 4 << 20;

/// Most supplementary groups of a user, as the kernel has it (`NGROUPS_MAX` is 65,536; nobody has more than this).
const GROUPS: usize = 1_024;

/// A Unix user as whom agents run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number; never 0 where the daemon is root.
    pub uid: u32,
    /// Its group; never 0 where the daemon is root.
    pub gid: u32,
    /// Its further groups.
    pub groups: Vec<u32>,
    /// Its name in the user database.
    pub name: Option<String>,
}

/// What the daemon may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// It can run programs as others.
    Root,
    /// It can run programs as itself only.
    Own {
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

impl Rights {
    /// Those of this process.
    pub fn here() -> Self {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if uid.is_root() {
            return Self::Root;
        }
        Self::Own {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
        }
    }
}

/// Why a user cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum OwnerError {
    /// A database cannot be read.
    #[error("reading the users in {}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is none of this name.
    #[error("user: there is no user {name:?} in {}; create it, or leave the key out", file.display())]
    Unknown {
        /// The name.
        name: String,
        /// Where it was looked for.
        file: PathBuf,
    },
    /// It is root, or in root's group.
    #[error("user: {name:?} has {what} 0, which is root's; agents never run as root, name another")]
    Root {
        /// The name.
        name: String,
        /// "uid", "gid" or "supplementary gid".
        what: &'static str,
    },
}

/// The user databases: `passwd` and `group`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Users {
    passwd: PathBuf,
    group: PathBuf,
}

impl Users {
    /// Those in a folder (`/etc`).
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            passwd: folder.join("passwd"),
            group: folder.join("group"),
        }
    }

    /// The user of this name. Never root, never in root's group.
    pub(super) fn find(&self, name: &str) -> Result<Owner, OwnerError> {
        let found = lines(&self.passwd)?.iter().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let (user, uid, gid) = (fields.first()?, fields.get(2)?, fields.get(3)?);
            let numbers = (uid.parse::<u32>().ok()?, gid.parse::<u32>().ok()?);
            (*user == name).then_some(numbers)
        });
        let (uid, gid) = found.ok_or_else(|| OwnerError::Unknown {
            name: name.to_owned(),
            file: self.passwd.clone(),
        })?;
        let groups = self.groups_of(name)?;
        let root = |what| OwnerError::Root {
            name: name.to_owned(),
            what,
        };
        match (uid, gid, groups.contains(&0)) {
            (0, _, _) => Err(root("uid")),
            (_, 0, _) => Err(root("gid")),
            (_, _, true) => Err(root("supplementary gid")),
            (uid, gid, false) => Ok(Owner {
                uid,
                gid,
                groups,
                name: Some(name.to_owned()),
            }),
        }
    }

    /// All numbers that are users of the system.
    pub(super) fn uids(&self) -> Result<Vec<u32>, OwnerError> {
        let lines = lines(&self.passwd)?;
        let uid = |line: &String| line.split(':').nth(2)?.parse().ok();
        Ok(lines.iter().filter_map(uid).collect())
    }

    fn groups_of(&self, name: &str) -> Result<Vec<u32>, OwnerError> {
        let lines = lines(&self.group)?;
        let groups = lines.iter().filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let gid: u32 = fields.next()?.parse().ok()?;
            let member = fields.next()?.split(',').any(|user| user == name);
            member.then_some(gid)
        });
        Ok(groups.take(GROUPS).collect())
    }
}

fn lines(file: &Path) -> Result<Vec<String>, OwnerError> {
    let error = |source| OwnerError::Read {
        file: file.to_owned(),
        source,
    };
    let bytes = durable_file::read(file, DATABASE).map_err(error)?;
    let bytes = bytes.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(folder: &Path) -> Users {
        std::fs::write(
            folder.join("passwd"),
            "root:x:0:0:root:/root:/bin/sh\nphotos:x:1001:1002::/:/bin/false\nbroken\nwheel:x:1003:0::/:/bin/sh\nadmin:x:1004:1004::/:/bin/sh\ntoor:x:0:1::/:/bin/sh\n",
        )
        .unwrap();
        std::fs::write(
            folder.join("group"),
            "root:x:0:admin\nvideo:x:44:other,photos\nphotos:x:1002:\naudio:x:29:photos\n",
        )
        .unwrap();
        Users::of(folder)
    }

    #[test]
    fn a_user_comes_with_its_groups_and_root_never() {
        let folder = tempfile::tempdir().unwrap();
        let users = users(folder.path());
        let photos = Owner {
            uid: 1001,
            gid: 1002,
            groups: vec![44, 29],
            name: Some("photos".into()),
        };
        assert_eq!(users.find("photos").unwrap(), photos);
        assert_eq!(users.uids().unwrap(), [0, 1001, 1003, 1004, 0]);
        for (name, what) in [
            ("root", "uid"),
            ("toor", "uid"),
            ("wheel", "gid"),
            ("admin", "supplementary gid"),
        ] {
            let error = users.find(name).unwrap_err().to_string();
            let expected = format!(
                "user: {name:?} has {what} 0, which is root's; agents never run as root, name another"
            );
            assert_eq!(error, expected);
        }
        let error = users.find("nobody").unwrap_err();
        assert!(matches!(error, OwnerError::Unknown { .. }), "{error}");
    }
}
