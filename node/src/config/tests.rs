use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<NodeConfig, ConfigError> {
    NodeConfig::parse(Path::new("node.toml"), text)
}

fn error(text: &str) -> String {
    match parse(text) {
        Ok(config) => panic!("{text:?} was taken: {config:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_default_file_is_the_default() {
    assert_eq!(parse(DEFAULT).unwrap(), NodeConfig::default());
    assert_eq!(parse("").unwrap(), NodeConfig::default());
}

#[test]
fn every_figure_of_the_machine_can_be_set_and_is_in_the_default_file() {
    let figures = serde_json::to_value(Policy::default()).unwrap();
    let names: std::collections::BTreeSet<&str> = figures
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, policy::KEYS.iter().copied().collect());
    let table: toml::Table = DEFAULT.parse().unwrap();
    let written = table["policy"].as_table().unwrap();
    assert_eq!(names, written.keys().map(String::as_str).collect());
    for key in KEYS {
        assert!(table.contains_key(key), "{key} is not in default.toml");
    }
}

#[test]
fn a_full_file_is_read() {
    let config = parse(
        r#"
        state_dir = "/srv/lull"
        run_dir = "/run/other"
        device = { name = "kiosk 7", labels = { site = "berlin", "k8s.io/x" = "y" } }
        agents = { first_uid = 70000, uid_count = 2 }
        cgroup.name = "lull-test"
        log.level = "info,lull_node::link=debug"
        power.sysfs = "/tmp/power"
        [profile]
        assume = { internet = true, user_present = false, session = "connected", battery = "80 %", network = "wifi" }
        [policy]
        task_time = "250ms"
        cancel_grace = "50ms"
        task_memory = "20 MB"
        saver_level = "35%"
        "#,
    )
    .unwrap();
    assert_eq!(config.local_socket(), Path::new("/run/other/local.sock"));
    assert_eq!(
        config.launcher_command.last().unwrap(),
        "/run/other/launcher.sock"
    );
    assert_eq!(config.device_name(), "kiosk 7");
    assert_eq!(config.agents.uids(), 70_000..70_002);
    assert_eq!(config.profile.assume.internet, Some(true));
    assert_eq!(
        config.profile.assume.session,
        Some(lull_policy::Session::Connected)
    );
    assert_eq!(config.profile.assume.external_power, None);
    assert_eq!(config.policy.task_time, lull_policy::Span::millis(250));
    assert_eq!(
        config.policy.task_memory,
        Some(lull_policy::Bytes(20_000_000))
    );
    assert_eq!(
        config.policy.saver_level,
        lull_policy::PerMille::percent(35)
    );
    assert!(!NodeConfig::default().device_name().is_empty());
}

#[test]
fn a_device_is_what_its_profile_says_and_has_the_memory_that_is_built_in() {
    let config = parse(
        r#"
        [profile]
        kind = "phone"
        memory = "512 MiB"
        runtime_level = "8.0.10492"
        developer_mode = true
        assume = { metered = false, screen_locked = true, screen_on = false, standby = false, call = "none", saver_manual = false }
        "#,
    )
    .unwrap();
    let said = config.profile.device();
    assert_eq!(
        said,
        lull_policy::Profile {
            kind: lull_policy::DeviceKind::Phone,
            memory: Some(lull_policy::Bytes::mib(512)),
            runtime_level: lull_policy::RuntimeLevel::parse("8.0.10492"),
            developer_mode: true,
        }
    );
    let readings = config.profile.assume.readings();
    assert_eq!(readings.screen_locked, lull_policy::Level::Assumed(true));
    assert_eq!(
        readings.call,
        lull_policy::Level::Assumed(lull_policy::Call::None)
    );
    assert_eq!(readings.session, lull_policy::Level::Unknown);
    let here = NodeConfig::default().profile.device();
    let memory = here.memory.expect("the kernel shows its memory");
    assert!(memory.0 >= 256 << 20 && memory.0.is_multiple_of(256 << 20));
    let other = lull_policy::Profile {
        memory: None,
        ..here
    };
    assert_eq!(other, lull_policy::Profile::default());
}

const WRONG: &[(&str, &str)] = &[
    (
        "stat_dir = \"/x\"",
        "node.toml:1:1: stat_dir: there is no key \"stat_dir\"; did you mean \"state_dir\"?",
    ),
    (
        "[agents]\n  first_id = 7",
        "node.toml:2:3: agents.first_id: there is no key \"first_id\"; did you mean \"first_uid\"?",
    ),
    (
        "[cgroup]\nqqq = 1",
        "node.toml:2:1: cgroup.qqq: there is no key \"qqq\"; there are \"name\"",
    ),
    (
        "state_dir = \"var\"",
        "node.toml:1:13: state_dir: \"var\" is not an absolute path",
    ),
    (
        "state_dir = \"/var/../etc\"",
        "node.toml:1:13: state_dir: \"/var/../etc\" must not have \"..\" or NUL in it",
    ),
    (
        "state_dir = 7",
        "node.toml:1:13: state_dir: 7 is not an absolute path in quotes",
    ),
    (
        "agents = { first_uid = 0 }",
        "node.toml:1:24: agents.first_uid: 0 is not a whole number from 1 to 4294967293",
    ),
    (
        "agents = { first_uid = 4294967290, uid_count = 7 }",
        "node.toml:1:48: agents.uid_count: 7 users from 4294967290 on end above 4294967294; begin lower or ask for fewer",
    ),
    (
        "policy.task_time = \"25\"",
        "node.toml:1:20: policy.task_time: \"25\" is not a time; write a whole number with ms, s, m, h or d, such as \"25s\" or \"1h30m\"",
    ),
    (
        "policy.task_time = 25",
        "node.toml:1:20: policy.task_time: 25 is not a time from \"100ms\" to \"1d\", such as \"25s\" or \"1h30m\"",
    ),
    (
        "policy.task_time = \"4s\"",
        "node.toml:1:1: policy.cancel_grace: \"5s\" leaves no time before task_time (\"4s\") ends; make it shorter than that",
    ),
    (
        "policy.timer_floor = \"30d\"",
        "node.toml:1:22: policy.timer_floor: \"30d\" leaves no period below timer_ceiling (\"30d\"); make it shorter than that",
    ),
    (
        "policy.task_memory = \"20 mib\"",
        "node.toml:1:22: policy.task_memory: \"20 mib\" is not a size; write a whole number with B, KB, MB, GB, KiB, MiB or GiB, such as \"20 MiB\"",
    ),
    (
        "policy.task_memory = \"1 KiB\"",
        "node.toml:1:22: policy.task_memory: \"1 KiB\" is not a size from \"1 MiB\" to \"1024 GiB\", such as \"20 MiB\"",
    ),
    (
        "policy.saver_level = \"101 %\"",
        "node.toml:1:22: policy.saver_level: \"101 %\" is not a charge in tenths of a percent from 0 to 100, such as 90, 89.5 or \"20 %\"",
    ),
    (
        "policy.maintenance_time = \"5s\"",
        "node.toml:1:1: policy.cancel_grace: \"5s\" leaves no time before maintenance_time (\"5s\") ends; make it shorter than that",
    ),
    (
        "policy.agent_memory = \"1 KiB\"",
        "node.toml:1:23: policy.agent_memory: \"1 KiB\" is not a size from \"1 MiB\" to \"1024 GiB\", such as \"20 MiB\"",
    ),
    (
        "policy.crash_limit = \"two\"",
        "node.toml:1:22: policy.crash_limit: \"two\" is not a whole number from 0 to 1000000",
    ),
    (
        "policy.push_queue = 0",
        "node.toml:1:21: policy.push_queue: 0 is not a whole number from 1 to 4096",
    ),
    (
        "policy.push_queue = -1",
        "node.toml:1:21: policy.push_queue: -1 is not a whole number from 1 to 4096",
    ),
    (
        "[profile]\nassume = { sesion = \"connected\" }",
        "node.toml:2:12: profile.assume.sesion: there is no key \"sesion\"; did you mean \"session\"?",
    ),
    (
        "[profile]\nassume = { session = \"conected\" }",
        "node.toml:2:22: profile.assume.session: there is no value \"conected\"; did you mean \"connected\"?",
    ),
    (
        "profile.assume.internet = \"yes\"",
        "node.toml:1:27: profile.assume.internet: \"yes\" is not true or false",
    ),
    (
        "profile.kind = \"fridge\"",
        "node.toml:1:16: profile.kind: there is no value \"fridge\"; there are \"pc\", \"phone\", \"headless\"",
    ),
    (
        "profile.memory = \"1 MiB\"",
        "node.toml:1:18: profile.memory: \"1 MiB\" is not a size from \"16 MiB\" to \"1048576 GiB\", such as \"20 MiB\"",
    ),
    (
        "profile.runtime_level = \"eight\"",
        "node.toml:1:25: profile.runtime_level: \"eight\" is not numbers with dots in quotes, such as \"8.0.10492\" or \"newest\"",
    ),
    ("profile = 1", "node.toml:1:11: profile: 1 is not a table"),
    (
        "log.level = \"info=loud=x\"",
        "node.toml:1:13: log.level: \"info=loud=x\" is no log level; write error, warn, info, debug or trace, or a filter such as \"info,lull_node::link=debug\" of at most 256 bytes",
    ),
    (
        "cgroup.name = \"a/b\"",
        "node.toml:1:15: cgroup.name: \"a/b\" is not a cage's name: 1 to 64 letters, digits, '-', '_', '.', not beginning with '.'",
    ),
    (
        "device.labels = { a = \"\" }",
        "node.toml:1:23: device.labels.a: \"\" is not 1 to 63 letters, digits, '-', '_', '.', '/'",
    ),
];

#[test]
fn errors_name_file_line_column_key_value_and_what_is_valid() {
    for (text, expected) in WRONG {
        assert_eq!(error(text), *expected, "{text}");
    }
    assert!(error("a = ").starts_with("node.toml:1:5: this is no TOML: "));
    assert!(
        error("run_dir = \"/r\"\nrun_dir = \"/s\"").starts_with("node.toml:2:1: this is no TOML: ")
    );
    let long = format!("run_dir = \"/{}\"", "x".repeat(RUN_DIR_LIMIT));
    assert_eq!(
        error(&long),
        "node.toml:1:11: run_dir: the path has 91 bytes, at most 90 are accepted"
    );
}

fn os(text: &str) -> OsString {
    OsString::from(text)
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    std::fs::write(
        &file,
        "state_dir = \"/file\"\nrun_dir = \"/file\"\napps_dir = \"/file\"",
    )
    .unwrap();
    let variables = [
        (os("LULL_NODE_RUN_DIR"), os("/variable")),
        (os("LULL_NODE_APPS_DIR"), os("/variable")),
        (os("LULL_NODE_LOG_LEVEL"), os("debug")),
        (os("PATH"), os("/bin")),
    ];
    let flags = Overrides::flags([("apps_dir", Some(os("/flag"))), ("run_dir", None)]);
    let config = NodeConfig::load(Some(&file), variables, flags).unwrap();
    assert_eq!(config.state_dir, Path::new("/file"));
    assert_eq!(config.run_dir, Path::new("/variable"));
    assert_eq!(config.apps_dir, Path::new("/flag"));
    assert_eq!(config.log.level, "debug");
    assert_eq!(
        config.launcher_command.last().unwrap(),
        "/variable/launcher.sock"
    );
}

#[test]
fn what_is_wrong_above_the_file_is_named_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    std::fs::write(&file, "").unwrap();
    let load = |variable: &str, value: &str| {
        let error = NodeConfig::load(
            Some(&file),
            [(os(variable), os(value))],
            Overrides::default(),
        );
        error.unwrap_err().to_string()
    };
    assert_eq!(
        load("LULL_NODE_STAT_DIR", "/x"),
        "environment: LULL_NODE_STAT_DIR: there is no variable \"STAT_DIR\"; did you mean \"STATE_DIR\"?"
    );
    assert_eq!(
        load("LULL_NODE_STATE_DIR", "x"),
        "environment: state_dir: \"x\" is not an absolute path"
    );
    let absent = folder.path().join("absent.toml");
    let error = NodeConfig::load(Some(&absent), [], Overrides::default()).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }), "{error}");
    std::fs::write(&file, "#".repeat(70_000)).unwrap();
    let error = NodeConfig::load(Some(&file), [], Overrides::default()).unwrap_err();
    assert!(matches!(error, ConfigError::TooLarge { .. }), "{error}");
}
