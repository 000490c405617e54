//! Installs the example apps of `lull up`, and the extra ones of the demonstration.
//!
//! A manifest is replaced by rename, as a package would do it. Most agents are this executable again; `disk-report` is a
//! shell script beside it: a plain command is a full agent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lull_examples::manifests::{self, ManifestError, Programs};

use super::folder::HeldFolder;
use super::settings::replace;
use crate::failure::Failure;
use crate::locate::StateFolder;

pub(crate) use lull_examples::manifests::CAP;

/// Which apps are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// Those of a first look.
    FirstLook,
    /// And those that misbehave, with their good neighbour.
    Demonstration,
}

/// Where the photos are that `photo-sync` copies.
pub(crate) fn photos_folder(folder: &StateFolder) -> PathBuf {
    folder.0.join("data/photos")
}

/// Writes the manifests, and the script that one names.
pub(crate) fn install(held: &HeldFolder, set: Set) -> Result<(), Failure> {
    let script = held.folder.0.join("bin/disk-report.sh");
    executable(&script, lull_examples::DISK_REPORT)?;
    let texts = texts(held, &script, set)
        .map_err(|error| Failure::internal("cannot write the manifests", &error.into()))?;
    for (app, text) in texts {
        replace(&held.folder.apps().join(format!("{app}.toml")), &text)?;
    }
    Ok(())
}

fn texts(
    held: &HeldFolder,
    script: &Path,
    set: Set,
) -> Result<Vec<(&'static str, String)>, ManifestError> {
    let programs = Programs::One {
        program: held.executable.clone(),
        arguments: vec!["__agent".to_owned()],
    };
    let photos = photos_folder(&held.folder);
    let mut texts = vec![
        ("photos", manifests::photos(&programs, &photos, None)?),
        ("reports", manifests::reports(script)?),
        ("inbox", manifests::inbox(&programs)?),
    ];
    if set == Set::Demonstration {
        texts.extend([
            ("stubborn", manifests::stubborn(&programs)?),
            ("glutton", manifests::glutton(&programs)?),
            ("neighbour", manifests::neighbour(&programs)?),
        ]);
    }
    Ok(texts)
}

fn executable(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| {
        Failure::internal(
            format!("cannot make {} executable", path.display()),
            &error.into(),
        )
    })
}
