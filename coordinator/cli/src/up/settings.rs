//! The configuration files that `lull up` writes for its two daemons.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;
use crate::locate::{Ready, StateFolder};

#[derive(Debug, Serialize)]
struct CoordinatorSettings<'a> {
    state_dir: &'a Path,
    fleet_address: &'a str,
    door_address: &'a str,
}

#[derive(Debug, Serialize)]
struct NodeSettings<'a> {
    state_dir: &'a Path,
    run_dir: &'a Path,
    apps_dir: &'a Path,
    cgroup: CgroupSettings,
}

#[derive(Debug, Serialize)]
struct CgroupSettings {
    name: String,
}

/// Writes `coordinator.toml`. The kernel chooses the ports at the first start; they are kept from then on, so that the
/// node finds the coordinator again.
pub(super) fn coordinator(folder: &StateFolder) -> Result<std::path::PathBuf, Failure> {
    let before = Ready::read(&folder.ready());
    let any = "127.0.0.1:0".to_owned();
    let (fleet, door) = before.map_or((any.clone(), any), |ready| (ready.fleet, ready.door));
    let settings = CoordinatorSettings {
        state_dir: &folder.coordinator(),
        fleet_address: &fleet,
        door_address: &door,
    };
    let path = folder.0.join("coordinator.toml");
    write(&path, &settings)?;
    Ok(path)
}

/// Writes `node.toml`.
pub(super) fn node(folder: &StateFolder) -> Result<std::path::PathBuf, Failure> {
    let settings = NodeSettings {
        state_dir: &folder.node(),
        run_dir: &folder.run(),
        apps_dir: &folder.apps(),
        cgroup: CgroupSettings {
            name: cage(&folder.0),
        },
    };
    let path = folder.0.join("node.toml");
    write(&path, &settings)?;
    Ok(path)
}

/// The name of the cage above all cages of this state folder: two `lull up` must not share one. FNV-1a of the path, so
/// that it is the same at each start.
pub(crate) fn cage(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("lull-up-{:08x}", hash & 0xffff_ffff)
}

fn write(path: &Path, settings: &impl Serialize) -> Result<(), Failure> {
    let text = toml::to_string(settings)
        .map_err(|error| Failure::internal("cannot write settings", &error.into()))?;
    replace(
        path,
        &format!("# Written by `lull up` at each start.\n{text}"),
    )
}

/// Replaces a file by rename, so that nobody reads half of one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o644)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(|error| {
        Failure::internal(format!("cannot write {}", path.display()), &error.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_folders_have_two_cages() {
        let one = cage(Path::new("/var/lib/lull-up"));
        assert_eq!(one, cage(Path::new("/var/lib/lull-up")));
        assert_ne!(one, cage(Path::new("/var/lib/lull-up2")));
        assert!(one.starts_with("lull-up-") && one.len() == 16, "{one}");
    }

    #[test]
    fn ports_are_kept_from_the_first_start_on() {
        let state = tempfile::tempdir().unwrap();
        let folder = StateFolder(state.path().to_owned());
        fs::create_dir(folder.coordinator()).unwrap();
        let first = fs::read_to_string(coordinator(&folder).unwrap()).unwrap();
        assert!(first.contains("fleet_address = \"127.0.0.1:0\""), "{first}");
        let ready = r#"{"fleet":"127.0.0.1:4001","door":"127.0.0.1:4002","pid":7}"#;
        fs::write(folder.ready(), ready).unwrap();
        let second = fs::read_to_string(coordinator(&folder).unwrap()).unwrap();
        assert!(
            second.contains("fleet_address = \"127.0.0.1:4001\""),
            "{second}"
        );
    }
}
