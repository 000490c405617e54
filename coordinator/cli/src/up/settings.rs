//! The configuration files that `lull up` writes for its two daemons.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::locate::{Ready, StateFolder};

#[derive(Debug, Serialize, Deserialize)]
struct CoordinatorSettings {
    state_dir: PathBuf,
    fleet_address: String,
    door_address: String,
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

/// Where the coordinator listens at its first start: the kernel chooses.
const ANY_PORT: &str = "127.0.0.1:0";

/// Writes `coordinator.toml` where there is none yet.
pub(super) fn coordinator(folder: &StateFolder) -> Result<PathBuf, Failure> {
    let path = coordinator_path(folder);
    let kept = fs::read_to_string(&path).ok();
    let kept = kept.and_then(|text| toml::from_str::<CoordinatorSettings>(&text).ok());
    if kept.is_none_or(|kept| kept.state_dir != folder.coordinator()) {
        write_coordinator(folder, ANY_PORT, ANY_PORT)?;
    }
    Ok(path)
}

/// Keeps the ports that the kernel chose for the next start, so that the node finds the coordinator again.
pub(super) fn keep_ports(folder: &StateFolder, ready: &Ready) -> Result<(), Failure> {
    write_coordinator(folder, &ready.fleet, &ready.door)
}

fn coordinator_path(folder: &StateFolder) -> PathBuf {
    folder.0.join("coordinator.toml")
}

fn write_coordinator(folder: &StateFolder, fleet: &str, door: &str) -> Result<(), Failure> {
    let settings = CoordinatorSettings {
        state_dir: folder.coordinator(),
        fleet_address: fleet.to_owned(),
        door_address: door.to_owned(),
    };
    write(&coordinator_path(folder), &settings)
}

/// Writes `node.toml`.
pub(super) fn node(folder: &StateFolder) -> Result<PathBuf, Failure> {
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
        let first = fs::read_to_string(coordinator(&folder).unwrap()).unwrap();
        assert!(first.contains("fleet_address = \"127.0.0.1:0\""), "{first}");
        let ready = r#"{"fleet":"127.0.0.1:4001","door":"127.0.0.1:4002","pid":7}"#;
        keep_ports(&folder, &serde_json::from_str(ready).unwrap()).unwrap();
        let second = fs::read_to_string(coordinator(&folder).unwrap()).unwrap();
        assert!(
            second.contains("fleet_address = \"127.0.0.1:4001\""),
            "{second}"
        );
    }
}
