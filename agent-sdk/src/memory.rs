//! What memory is used and may be used (RES-07).
//!
//! An agent asks its node, which made its cage ([`Agent::memory_usage`](crate::agent::Agent::memory_usage)). An app has no
//! cage: the kernel tells it itself, and no node is asked. Deliberately absent: caps that are not the kernel's, and
//! guesses where it does not tell.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Memory in use and the cap that it counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Bytes in use; absent = this machine cannot tell.
    pub usage: Option<u64>,
    /// The cap in bytes; absent = none.
    pub limit: Option<u64>,
}

/// Control groups have no cap above this: version 1 writes "none" as the largest number of whole pages.
const NONE: u64 = 1 << 62;

/// Bytes of a file below `/proc` that are read: some hundred lines.
const LONGEST: usize = 1 << 20;

/// The files of a control group, by its version.
#[derive(Debug, Clone, Copy)]
struct Files {
    usage: &'static str,
    limit: &'static str,
}

const V2: Files = Files {
    usage: "memory.current",
    limit: "memory.max",
};

const V1: Files = Files {
    usage: "memory.usage_in_bytes",
    limit: "memory.limit_in_bytes",
};

/// Of the calling process: the cap of its control group that is nearest to being reached, its own or one above, with what that whole
/// group uses; without one, what the process has in memory (resident), and no cap.
pub(crate) fn of_this_process() -> io::Result<MemoryUsage> {
    of(Path::new("/proc/self"))
}

fn of(process: &Path) -> io::Result<MemoryUsage> {
    let groups = read(&process.join("cgroup"))?;
    let mounts = read(&process.join("mountinfo"))?;
    let chains = [
        group(&groups, "").zip(mount(&mounts, "cgroup2", None)),
        group(&groups, "memory").zip(mount(&mounts, "cgroup", Some("memory"))),
    ];
    let capped = chains.into_iter().zip([V2, V1]).flat_map(|(chain, files)| {
        chain.map_or_else(Vec::new, |(group, mount)| capped(&mount, &group, files))
    });
    let left = |one: &MemoryUsage| {
        let (limit, usage) = (one.limit.unwrap_or(NONE), one.usage.unwrap_or_default());
        limit.saturating_sub(usage)
    };
    match capped.min_by_key(left) {
        Some(capped) => Ok(capped),
        None => Ok(MemoryUsage {
            usage: resident(&read(&process.join("status"))?),
            limit: None,
        }),
    }
}

/// The capped groups among a process's own and those above it, up to that of the mount.
fn capped(mount: &Mount, group: &str, files: Files) -> Vec<MemoryUsage> {
    let below = group.strip_prefix(mount.root.trim_end_matches('/'));
    let own = below.unwrap_or(group).trim_start_matches('/');
    let own = mount.point.join(own);
    let number = |folder: &Path, file: &str| -> Option<u64> {
        // No number: there is none.
        read(&folder.join(file)).ok()?.trim().parse().ok()
    };
    own.ancestors()
        .take_while(|folder| folder.starts_with(&mount.point))
        .filter_map(|folder| {
            let limit = number(folder, files.limit).filter(|limit| *limit < NONE)?;
            Some(MemoryUsage {
                usage: Some(number(folder, files.usage)?),
                limit: Some(limit),
            })
        })
        .collect()
}

/// The group of a process in the tree of a controller; empty = version 2.
fn group(groups: &str, controller: &str) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let found = controllers.split(',').any(|one| one == controller);
        found.then(|| path.to_owned())
    })
}

/// Where a tree of control groups is mounted, and what of it.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    root: String,
    point: PathBuf,
}

/// The last mount of a file system, with an option of it.
fn mount(mounts: &str, kind: &str, option: Option<&str>) -> Option<Mount> {
    mounts.lines().rev().find_map(|line| {
        let (own, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let found = system.next()? == kind;
        let options = system.nth(1)?;
        let fits = option.is_none_or(|wanted| options.split(',').any(|one| one == wanted));
        let mut own = own.split(' ').skip(3);
        let (root, point) = (own.next()?, own.next()?);
        (found && fits).then(|| Mount {
            root: root.to_owned(),
            point: PathBuf::from(point),
        })
    })
}

/// Bytes that a process has in memory, from its `status`.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

/// A file of the kernel, at most a mebibyte of it.
fn read(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    fs::File::open(path)?.take(most).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use super::*;

    /// A process and trees of control groups as a kernel shows them.
    struct Shown(tempfile::TempDir);

    impl Shown {
        fn new(cgroup: &str, mounts: &[(&str, &str, &str)], files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            let lines = mounts.iter().map(|(kind, root, options)| {
                let point = at("trees").join(kind);
                format!(
                    "31 23 0:28 {root} {} rw - {kind} {kind} {options}\n",
                    point.display()
                )
            });
            fs::write(at("mountinfo"), lines.collect::<String>()).unwrap();
            fs::write(at("cgroup"), cgroup).unwrap();
            fs::write(at("status"), "Name:\tapp\nVmRSS:\t    2048 kB\n").unwrap();
            for (name, text) in files {
                fs::create_dir_all(at("trees").join(name).parent().unwrap()).unwrap();
                fs::write(at("trees").join(name), text).unwrap();
            }
            Self(folder)
        }

        fn usage(&self) -> (Option<u64>, Option<u64>) {
            let MemoryUsage { usage, limit } = of(self.0.path()).unwrap();
            (usage, limit)
        }
    }

    const UNIFIED: [(&str, &str, &str); 1] = [("cgroup2", "/", "rw")];

    #[test]
    fn without_a_cap_it_is_what_the_process_has_in_memory() {
        let free = [
            ("cgroup2/a/memory.max", "max\n"),
            ("cgroup2/a/memory.current", "900\n"),
        ];
        for shown in [
            Shown::new("0::/a\n", &UNIFIED, &free),
            Shown::new("0::/a\n", &[], &[]),
            Shown::new("", &UNIFIED, &free),
        ] {
            assert_eq!(
                shown.usage(),
                (Some(2 << 20), None),
                "RES-07: no cap is absent"
            );
        }
    }

    #[test]
    fn the_cap_that_is_nearest_counts_with_its_own_groups_usage() {
        let files = [
            ("cgroup2/a/memory.max", "1000\n"),
            ("cgroup2/a/memory.current", "900\n"),
            ("cgroup2/a/b/memory.max", "500\n"),
            ("cgroup2/a/b/memory.current", "100\n"),
            ("cgroup2/a/b/c/memory.max", "max\n"),
            ("cgroup2/a/b/c/memory.current", "90\n"),
        ];
        let shown = Shown::new("0::/a/b/c\n", &UNIFIED, &files);
        assert_eq!(shown.usage(), (Some(900), Some(1000)));
        let inside = [("cgroup2", "/a", "rw")];
        let inner = [
            ("cgroup2/memory.max", "700\n"),
            ("cgroup2/memory.current", "30\n"),
        ];
        let container = Shown::new("0::/a/b\n", &inside, &inner);
        assert_eq!(
            container.usage(),
            (Some(30), Some(700)),
            "a mount of a part"
        );
    }

    #[test]
    fn the_older_version_is_read_where_it_has_memory() {
        let mounts = [("cgroup2", "/", "rw"), ("cgroup", "/", "rw,memory")];
        let files = [
            ("cgroup/a/memory.limit_in_bytes", "4096\n"),
            ("cgroup/a/memory.usage_in_bytes", "1024\n"),
            ("cgroup/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cgroup/memory.usage_in_bytes", "8192\n"),
        ];
        let shown = Shown::new("8:pids:/\n4:memory:/a\n0::/\n", &mounts, &files);
        assert_eq!(shown.usage(), (Some(1024), Some(4096)));
    }

    /// Runs a second time in a control group of this test's own.
    #[test]
    fn a_process_is_told_of_the_cap_that_the_kernel_holds_it_to() {
        const ROLE: &str = "LULL_TEST_MEMORY";
        const CAP: u64 = 256 << 20;
        if std::env::var_os(ROLE).is_some() {
            let told = of_this_process().unwrap();
            let (usage, limit) = (told.usage.unwrap(), told.limit.unwrap());
            writeln!(io::stdout(), "told {usage} {limit}").unwrap();
            return;
        }
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (tree, limit) = if v1.exists() {
            (v1, V1.limit)
        } else {
            (Path::new("/sys/fs/cgroup"), V2.limit)
        };
        let group = tree.join(format!("lull-sdk-{}", std::process::id()));
        let inner = group.join("inner");
        fs::create_dir_all(&inner).expect("this test needs root and a memory controller");
        fs::write(group.join(limit), CAP.to_string()).unwrap();
        let script = r#"echo $$ > "$1/cgroup.procs" && shift && exec "$@""#;
        let test = "memory::tests::a_process_is_told_of_the_cap_that_the_kernel_holds_it_to";
        let ended = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&inner)
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, "1")
            .output()
            .unwrap();
        for folder in [&inner, &group] {
            let gone = (0..100_000).any(|_| fs::remove_dir(folder).is_ok());
            assert!(gone, "{} is still in use", folder.display());
        }
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        let told = said.lines().find_map(|line| line.split("told ").nth(1));
        let told: Vec<u64> = told
            .unwrap_or_else(|| panic!("{ended:?}"))
            .split(' ')
            .map(|number| number.parse().unwrap())
            .collect();
        assert_eq!(told[1], CAP, "the group above caps it");
        assert!(told[0] > 64 << 10 && told[0] < CAP, "{told:?}");
    }
}
