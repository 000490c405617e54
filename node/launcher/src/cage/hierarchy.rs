//! Which cgroup hierarchies this process is in, and where its own folder stands in each.
//!
//! Deliberately absent: choosing among them (in `cage`), and writing to them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The kernel's two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy a controller, or for a few of them.
    V1,
    /// One tree for all.
    V2,
}

/// One hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its interface.
    pub version: Version,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// This process's own folder in it, at or below `mount`.
    pub own: PathBuf,
    /// Its controllers; of a v2 tree those that the own folder can have.
    pub controllers: BTreeSet<String>,
}

/// All hierarchies this process is in and can see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hierarchies(pub Vec<Hierarchy>);

impl Hierarchies {
    /// Reads `/proc/self/cgroup` and `/proc/self/mountinfo`; empty where they cannot be read.
    pub fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let mut all = Self::parse(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        for hierarchy in &mut all.0 {
            if hierarchy.version == Version::V2 {
                hierarchy.controllers = words(&hierarchy.own.join("cgroup.controllers"));
            }
        }
        all
    }

    /// Finds the own folder of each hierarchy in the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`. The controllers of a
    /// v2 tree stand in neither and stay empty.
    pub fn parse(cgroup: &str, mountinfo: &str) -> Self {
        let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(Mount::parse).collect();
        let found = cgroup.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_number, names, path) = (fields.next()?, fields.next()?, fields.next()?);
            let version = if names.is_empty() {
                Version::V2
            } else {
                Version::V1
            };
            let controllers: BTreeSet<String> = names
                .split(',')
                .filter(|n| !n.is_empty())
                .map(str::to_owned)
                .collect();
            let mount = mounts.iter().find(|m| m.carries(version, &controllers))?;
            // A mount that shows only a part of the hierarchy (in a container) begins at its root.
            let below = Path::new(path).strip_prefix(mount.root).ok()?;
            Some(Hierarchy {
                version,
                mount: PathBuf::from(mount.point),
                own: Path::new(mount.point).join(below),
                controllers,
            })
        });
        Self(found.collect())
    }

    /// The v2 tree, if there is one.
    pub(crate) fn unified(&self) -> Option<&Hierarchy> {
        self.0.iter().find(|h| h.version == Version::V2)
    }

    /// The v1 hierarchy of a controller, if there is one.
    pub(crate) fn of(&self, controller: &str) -> Option<&Hierarchy> {
        let carries =
            |h: &&Hierarchy| h.version == Version::V1 && h.controllers.contains(controller);
        self.0.iter().find(carries)
    }
}

/// The words of a small file; none where it cannot be read.
pub(crate) fn words(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// One line of mountinfo, as far as cgroups go.
#[derive(Debug)]
struct Mount<'a> {
    version: Version,
    root: &'a str,
    point: &'a str,
    options: BTreeSet<&'a str>,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, point) = (place.next()?, place.next()?);
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let options = kind.nth(1)?.split(',').collect();
        Some(Self {
            version,
            root,
            point,
            options,
        })
    }

    fn carries(&self, version: Version, controllers: &BTreeSet<String>) -> bool {
        self.version == version
            && controllers
                .iter()
                .all(|c| self.options.contains(c.as_str()))
    }
}
