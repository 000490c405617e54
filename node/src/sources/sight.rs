//! Whether an app may see what stands at a path. The daemon sees more than the app's user does, and what it is told of a file must not
//! be more than that user could find out.
//!
//! Deliberately absent: access control lists and labels. A user who may see something only by one of them is not told.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::manifest::Owner;

/// Mode bits of one class.
const READ: u32 = 0o4;
const SEARCH: u32 = 0o1;

/// Whether a user may look at a path: search every folder on the way, and list the one that stands there.
pub(super) fn may_see(user: &Owner, path: &Path) -> bool {
    let Some(nearest) = path.ancestors().find(|path| path.exists()) else {
        return false;
    };
    let Ok(real) = nearest.canonicalize() else {
        return false;
    };
    // By its name, and where links lead.
    let mut way = nearest.ancestors().skip(1).chain(real.ancestors().skip(1));
    let needed = if nearest == path { READ } else { SEARCH };
    way.all(|folder| may(user, folder, SEARCH)) && (real.is_file() || may(user, &real, needed))
}

fn may(user: &Owner, path: &Path, needed: u32) -> bool {
    path.metadata()
        .is_ok_and(|found| class(user, &found) & needed == needed)
}

/// The bits that count for a user: those of one class only, as the kernel has it.
fn class(user: &Owner, found: &Metadata) -> u32 {
    let mode = found.mode();
    if found.uid() == user.uid {
        mode >> 6
    } else if found.gid() == user.gid || user.groups.contains(&found.gid()) {
        mode >> 3
    } else {
        mode
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_user_sees_what_its_rights_let_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mode =
            |name: &str, mode| set_permissions(path(name), Permissions::from_mode(mode)).unwrap();
        for name in ["open", "shut", "shut/in", "group"] {
            create_dir(path(name)).unwrap();
        }
        write(path("open/file"), "").unwrap();
        write(path("shut/file"), "").unwrap();
        symlink(path("shut/in"), path("open/link")).unwrap();
        mode("", 0o711);
        mode("open", 0o755);
        mode("open/file", 0o600);
        mode("shut", 0o700);
        mode("group", 0o750);
        let own = path("group").metadata().unwrap();
        let user = |uid, gid, groups: &[u32]| Owner {
            uid,
            gid,
            groups: groups.to_vec(),
            name: None,
        };
        let (stranger, member) = (
            user(54_321, 54_321, &[]),
            user(54_321, 54_321, &[own.gid()]),
        );
        let me = user(own.uid(), 54_321, &[]);
        let rows = [
            ("", false, false, true),
            ("open", true, true, true),
            ("open/file", true, true, true),
            ("open/missing", true, true, true),
            ("open/link", false, false, true),
            ("shut", false, false, true),
            ("shut/in", false, false, true),
            ("shut/file", false, false, true),
            ("shut/missing", false, false, true),
            ("group", false, true, true),
        ];
        for (name, by_stranger, by_member, by_me) in rows {
            let path = path(name);
            let seen = [&stranger, &member, &me].map(|user| may_see(user, &path));
            assert_eq!(seen, [by_stranger, by_member, by_me], "{name:?}");
        }
    }
}
