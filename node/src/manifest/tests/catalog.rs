//! The catalog over real folders.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::NodeConfig;
use crate::manifest::owner::Users;
use crate::ports::{AppOwners as _, AppSource as _, ReloadReport};
use crate::supervisor::AgentCatalog as _;

pub(super) struct Device {
    pub(super) folder: tempfile::TempDir,
    pub(super) catalog: Arc<Catalog>,
}

impl Device {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Self::open(folder.path()));
        Self { folder, catalog }
    }

    fn open(folder: &Path) -> Catalog {
        let mut config = NodeConfig {
            state_dir: folder.join("state"),
            apps_dir: folder.join("apps"),
            ..NodeConfig::default()
        };
        config.agents.uid_count = 3;
        std::fs::write(
            folder.join("passwd"),
            "root:x:0:0::/:/bin/sh\nphotos:x:1001:1001::/:/bin/false\nsystem:x:60001:60001::/:/bin/false\n",
        )
        .unwrap();
        std::fs::write(folder.join("group"), "video:x:44:photos\n").unwrap();
        Catalog::with(&config, Rights::here(), Users::of(folder)).unwrap()
    }

    pub(super) fn put(&self, name: &str, text: &str) {
        let beside = self.folder.path().join("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.path(name)).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("apps").join(name)
    }

    fn reload(&self) -> ReloadReport {
        self.catalog.reload()
    }
}

pub(super) fn small(id: &str) -> String {
    format!(
        "id = {id:?}\nversion = \"1\"\n[[agent]]\nentry_point = \"a\"\ntypes = [\"timer\"]\ncommand = [\"/bin/true\"]\n"
    )
}

fn ids(report: &ReloadReport) -> Vec<&str> {
    report.apps.iter().map(|app| app.id.as_str()).collect()
}

fn app(id: &str) -> AppId {
    AppId::new(id).unwrap()
}

fn is_root() -> bool {
    Rights::here() == Rights::Root
}

#[test]
fn a_bad_manifest_refuses_that_file_only() {
    let device = Device::new();
    device.put("a.toml", &small("a"));
    device.put("b.toml", "id = 7");
    device.put("c.toml", &small("a"));
    device.put(".hidden.toml", "id = 7");
    device.put("notes.txt", "id = 7");
    std::fs::create_dir(device.path("folder.toml")).unwrap();
    device.put("large.toml", &"#".repeat(70_000));
    device.put("latin1.toml", "");
    std::fs::write(device.path("latin1.toml"), [0xff]).unwrap();
    device.put("open.toml", &small("open"));
    let everybody = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(device.path("open.toml"), everybody).unwrap();
    let report = device.reload();
    assert_eq!(ids(&report), ["a"]);
    let prefix = format!("{}/", device.folder.path().join("apps").display());
    let errors: Vec<String> = report
        .refused
        .iter()
        .map(|refused| refused.error.replace(&prefix, ""))
        .collect();
    assert_eq!(
        errors,
        [
            "b.toml:1:1: agent: missing; it has to be one [[agent]] at least, or a [front]",
            "c.toml: id: app a is already installed by a.toml; remove one of the two",
            "folder.toml: is no regular file; a manifest is one",
            "large.toml: has 70000 bytes, at most 65536 are accepted",
            "latin1.toml: is no UTF-8 text",
            "open.toml: it can be written by others (mode 666); what stands here runs on this device (chmod go-w)",
        ]
    );
    assert_eq!(device.catalog.last(), report);
}

#[test]
fn a_manifest_of_another_user_is_refused() {
    let device = Device::new();
    device.put("a.toml", &small("a"));
    if std::os::unix::fs::chown(device.path("a.toml"), Some(12_345), None).is_err() {
        assert!(!is_root());
        return;
    }
    let report = device.reload();
    assert_eq!(report.apps, []);
    let error = &report.refused[0].error;
    let expected = "a.toml: it belongs to user 12345; what stands here runs on this device, so it has to be root's or user 0's (chown)";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn what_was_read_before_stays_while_a_file_is_wrong_and_goes_with_it() {
    let device = Device::new();
    device.put("a.toml", &small("a"));
    device.reload();
    device.put("a.toml", "id = \"a\"\nversoin = \"2\"");
    let report = device.reload();
    assert_eq!(ids(&report), ["a"]);
    let error = &report.refused[0].error;
    assert!(
        error.ends_with("did you mean \"version\"? (what was read of it before stays in force)"),
        "{error}"
    );
    // Its id was taken over by another file, in order of names: it does not stay.
    device.put("0.toml", &small("a"));
    let report = device.reload();
    assert_eq!((ids(&report), report.refused.len()), (vec!["a"], 1));
    std::fs::remove_file(device.path("0.toml")).unwrap();
    std::fs::remove_file(device.path("a.toml")).unwrap();
    assert_eq!(device.reload(), ReloadReport::default());
    assert_eq!(device.catalog.uid_of(&app("a")), None);
}

#[test]
fn a_folder_that_cannot_be_read_uninstalls_nobody() {
    let device = Device::new();
    device.put("a.toml", &small("a"));
    device.reload();
    std::fs::rename(
        device.folder.path().join("apps"),
        device.folder.path().join("gone"),
    )
    .unwrap();
    let report = device.reload();
    assert_eq!(ids(&report), ["a"]);
    assert!(
        report.refused[0]
            .error
            .contains("cannot be read: No such file"),
        "{report:?}"
    );
}

#[test]
fn each_app_has_its_own_user_folder_and_program() {
    let device = Device::new();
    for id in ["a", "b", "c"] {
        device.put(&format!("{id}.toml"), &small(id));
    }
    device.put("photos.toml", FULL);
    device.put(
        "thief.toml",
        &small("thief").replace("[[agent]]", "user = \"photos\"\n[[agent]]"),
    );
    device.put(
        "root.toml",
        &small("root").replace("[[agent]]", "user = \"root\"\n[[agent]]"),
    );
    device.put(
        "nobody.toml",
        &small("none").replace("[[agent]]", "user = \"none\"\n[[agent]]"),
    );
    let report = device.reload();
    if !is_root() {
        assert_eq!(report.refused, []);
        return;
    }
    // 60001 is a user of the system, so a range of three has two.
    assert_eq!(ids(&report), ["a", "b", "photos"]);
    let errors: Vec<&str> = report
        .refused
        .iter()
        .map(|refused| refused.error.rsplit_once(".toml: ").unwrap().1)
        .collect();
    assert_eq!(
        errors,
        [
            "all 3 users from 60000 on are given away; raise agents.uid_count in node.toml, or name a user in the manifest",
            &format!(
                "user: there is no user \"none\" in {}; create it, or leave the key out",
                device.folder.path().join("passwd").display()
            ),
            "user: \"root\" has uid 0, which is root's; agents never run as root, name another",
            "user 1001 is already the user of app photos; each app needs its own, as the user is the app",
        ]
    );
    assert_eq!(device.catalog.uid_of(&app("b")), Some(60_002));
    assert_eq!(device.catalog.user_of(&app("b")).as_deref(), Some("60002"));
    assert_eq!(
        device.catalog.user_of(&app("photos")).as_deref(),
        Some("photos")
    );
    let program = device
        .catalog
        .agent(&app("photos"), &EntryPoint::new("photo-sync").unwrap())
        .unwrap();
    assert_eq!(
        (program.uid, program.gid, program.groups),
        (1001, 1001, vec![44])
    );
    let metadata = std::fs::metadata(&program.state_dir).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o7777), (1001, 0o700));
    let above = std::fs::metadata(program.state_dir.parent().unwrap()).unwrap();
    assert_eq!((above.uid(), above.mode() & 0o7777), (0, 0o711));
    // A new daemon gives the same users, whatever the order in which apps come.
    std::fs::remove_file(device.path("a.toml")).unwrap();
    let again = Device::open(device.folder.path());
    again.reload();
    assert_eq!(again.uid_of(&app("b")), Some(60_002));
}

#[test]
fn what_cannot_be_started_is_said() {
    let device = Device::new();
    device.put("a.toml", &small("a"));
    device.reload();
    let entry_point = EntryPoint::new("b").unwrap();
    let error = device.catalog.agent(&app("b"), &entry_point).unwrap_err();
    assert!(
        error.starts_with("app b is not installed: no manifest in "),
        "{error}"
    );
    let error = device.catalog.agent(&app("a"), &entry_point).unwrap_err();
    assert!(
        error.starts_with("entry point b is not declared in "),
        "{error}"
    );
    let entry_point = EntryPoint::new("a").unwrap();
    let state = device.folder.path().join("state/apps/a");
    std::fs::remove_dir(&state).unwrap();
    // A link to somebody else's folder is not followed: neither its owner nor its mode changes.
    let other = device.folder.path().join("somebody-else");
    std::fs::create_dir(&other).unwrap();
    let before = std::fs::metadata(&other).unwrap();
    std::os::unix::fs::symlink(&other, &state).unwrap();
    let error = device.catalog.agent(&app("a"), &entry_point).unwrap_err();
    assert!(error.starts_with("making the app's folder "), "{error}");
    let after = std::fs::metadata(&other).unwrap();
    let owner_and_mode = |found: &std::fs::Metadata| (found.uid(), found.gid(), found.mode());
    assert_eq!(owner_and_mode(&after), owner_and_mode(&before));
}

#[test]
fn who_listens_hears_the_apps_once_per_change() {
    let device = Device::new();
    let mut heard = device.catalog.subscribe();
    device.put("a.toml", &small("a"));
    device.reload();
    assert_eq!(heard.borrow_and_update().len(), 1);
    device.reload();
    assert!(!heard.has_changed().unwrap());
    assert!(Arc::strong_count(&heard.borrow()) >= 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written into a manifest: what is taken never runs as root, and never leads outside of its folder.
    #[test]
    fn nothing_taken_is_root_or_leads_outside(
        id in "[a-z./:\\-_]{0,6}|\\.\\.|photos",
        user in proptest::option::of("root|photos|0|system|[a-z0-9]{1,4}"),
        program in "(/|\\./|\\.\\./)?([a-z.]{0,3}/){0,3}[a-z.]{0,3}",
    ) {
        let device = Device::new();
        let user = user.map_or(String::new(), |user| format!("user = {user:?}\n"));
        let text = format!("id = {id:?}\nversion = \"1\"\n{user}[[agent]]\nentry_point = \"a\"\ntypes = [\"timer\"]\ncommand = [{program:?}]\n");
        device.put("a.toml", &text);
        let report = device.reload();
        prop_assert_eq!(report.apps.len() + report.refused.len(), 1);
        for taken in &report.apps {
            let entry_point = EntryPoint::new("a").unwrap();
            let agent = device.catalog.agent(&taken.id, &entry_point).unwrap();
            if is_root() {
                prop_assert_ne!(agent.uid, 0);
                prop_assert_ne!(agent.gid, 0);
                prop_assert!(!agent.groups.contains(&0));
            }
            prop_assert!(agent.program.is_absolute());
            prop_assert!(agent.program.components().all(|part| part != std::path::Component::ParentDir));
            let states = device.folder.path().join("state/apps");
            let real = std::fs::canonicalize(&agent.state_dir).unwrap();
            prop_assert_eq!(real.parent().unwrap(), std::fs::canonicalize(&states).unwrap());
        }
    }
}

#[test]
fn what_a_manifest_declares_is_the_sandbox_of_its_agents() {
    use lull_launcher::sandbox::{Grant, Sandbox};
    let device = Device::new();
    let reads = "reads = [\"/srv/in\"]\nwrites = [\"/srv/out\"]\n";
    device.put("usual.toml", &format!("{}{reads}", small("usual")));
    let bare = small("bare").replace("[[agent]]", "capabilities = []\n[[agent]]");
    device.put("bare.toml", &bare);
    assert_eq!(ids(&device.reload()), ["bare", "usual"]);
    let sandbox = |id: &str| {
        let entry_point = EntryPoint::new("a").unwrap();
        device
            .catalog
            .agent(&app(id), &entry_point)
            .unwrap()
            .sandbox
    };
    let usual = Sandbox {
        grants: [Grant::Internet].into(),
        reads: vec!["/srv/in".to_owned()],
        writes: vec!["/srv/out".to_owned()],
        devices: Vec::new(),
    };
    assert_eq!(
        (sandbox("usual"), sandbox("bare")),
        (usual, Sandbox::default())
    );
}
