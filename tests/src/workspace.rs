//! The source tree as tests see it: its root, its files, its dependency graph.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The folder with the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Every tracked or new file below the root with this ending, as git sees it, relative to the root.
pub fn files(ending: &str) -> Result<Vec<PathBuf>> {
    let listing = output(Command::new("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let wanted = listing.lines().filter(|line| line.ends_with(ending));
    Ok(wanted
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect())
}

/// The names of all crates that `package` is built from, itself included, without what only its tests use.
pub fn dependencies(package: &str) -> Result<Vec<String>> {
    let tree = tree(package, "normal,build")?;
    let names = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The features with which `package` and all that it is built from are built, each as `crate/feature`.
pub fn features(package: &str) -> Result<Vec<String>> {
    let tree = tree(package, "normal,build,features")?;
    let named = tree.lines().filter_map(|line| {
        let (name, feature) = line.split_once(" feature ")?;
        Some(format!("{name}/{}", feature.split('"').nth(1)?))
    });
    let mut features: Vec<String> = named.collect();
    features.sort();
    features.dedup();
    Ok(features)
}

fn tree(package: &str, edges: &str) -> Result<String> {
    output(Command::new("cargo").args([
        "tree",
        "--offline",
        "--locked",
        "--edges",
        edges,
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--package",
        package,
    ]))
}

fn output(command: &mut Command) -> Result<String> {
    let done = command
        .current_dir(root())
        .output()
        .with_context(|| format!("start {command:?}"))?;
    let errors = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.success(),
        "{command:?} ended with {}: {errors}",
        done.status
    );
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
