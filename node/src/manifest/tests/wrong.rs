//! Manifests that are refused, each with its exact error. A case is the base manifest with one thing changed.

use std::fmt::Write as _;

use super::*;

const BASE: &str = r#"id = "photos"
version = "1.0"
[[agent]]
entry_point = "sync"
types = ["timer", "push-notification"]
command = ["/usr/bin/sync"]
[[register]]
name = "sync"
entry_point = "sync"
trigger = { push = {} }
"#;

/// What is replaced in [`BASE`], and by what.
const CHANGES: &[(&str, &str)] = &[
    // the document
    ("id = \"photos\"", "id = "),
    ("id = \"photos\"", "id = \"photos\"\nid = \"photos\""),
    ("id = \"photos\"", "id = \"photos"),
    ("id = \"photos\"", "id \"photos\""),
    ("version", "verison"),
    ("id =", "ID ="),
    ("id = \"photos\"", "id = \"photos\"\nshell = true"),
    // id
    ("id = \"photos\"", ""),
    ("id = \"photos\"", "id = \"\""),
    ("id = \"photos\"", "id = 7"),
    ("id = \"photos\"", "id = \"..\""),
    ("id = \"photos\"", "id = \".hidden\""),
    ("id = \"photos\"", "id = \"-rf\""),
    ("id = \"photos\"", "id = \"a/b\""),
    ("id = \"photos\"", "id = \"../../etc\""),
    ("id = \"photos\"", "id = \"fö\""),
    ("id = \"photos\"", "id = \"a\\u0000b\""),
    // version
    ("version = \"1.0\"", ""),
    ("version = \"1.0\"", "version = 1.0"),
    ("version = \"1.0\"", "version = \"\""),
    ("version = \"1.0\"", "version = \"1 0\""),
    ("version = \"1.0\"", "version = \"1\\n0\""),
    // user
    ("[[agent]]", "user = \"\"\n[[agent]]"),
    ("[[agent]]", "user = \"0\"\n[[agent]]"),
    ("[[agent]]", "user = 0\n[[agent]]"),
    ("[[agent]]", "user = \"a:b\"\n[[agent]]"),
    ("[[agent]]", "user = \"../x\"\n[[agent]]"),
    // agent
    ("[[agent]]", "[agent]"),
    ("[[agent]]", "[[agents]]"),
    ("entry_point = \"sync\"\ntypes", "types"),
    (
        "entry_point = \"sync\"\ntypes",
        "entry_point = \"a b\"\ntypes",
    ),
    (
        "entry_point = \"sync\"\ntypes",
        "entrypoint = \"sync\"\ntypes",
    ),
    (
        "[[agent]]",
        "[[agent]]\nentry_point = \"sync\"\ntypes = [\"timer\"]\ncommand = [\"/bin/true\"]\n[[agent]]",
    ),
    // capabilities
    ("[[agent]]", "capabilities = [\"camera\"]\n[[agent]]"),
    ("[[agent]]", "capabilities = [\"root\"]\n[[agent]]"),
    ("[[agent]]", "capabilities = [\"internt\"]\n[[agent]]"),
    ("[[agent]]", "capabilities = [7]\n[[agent]]"),
    // paths
    ("types =", "reads = \"/srv\"\ntypes ="),
    ("types =", "reads = [\"srv\"]\ntypes ="),
    ("types =", "reads = [\"/srv/../etc\"]\ntypes ="),
    ("types =", "reads = [\"/\"]\ntypes ="),
    ("types =", "reads = [\"/dev/video0\"]\ntypes ="),
    ("types =", "reads = [\"/sys/class\"]\ntypes ="),
    ("types =", "reads = [\"/run/user/1000\"]\ntypes ="),
    ("types =", "writes = [\"/etc\"]\ntypes ="),
    ("types =", "writes = [\"/usr/share/x\"]\ntypes ="),
    ("types =", "writes = [\"/var/lib\"]\ntypes ="),
    // types
    ("types = [\"timer\", \"push-notification\"]", ""),
    ("types = [\"timer\", \"push-notification\"]", "types = []"),
    (
        "types = [\"timer\", \"push-notification\"]",
        "types = \"timer\"",
    ),
    (
        "types = [\"timer\", \"push-notification\"]",
        "types = [\"timer\", \"timer\"]",
    ),
    (
        "types = [\"timer\", \"push-notification\"]",
        "types = [\"time\"]",
    ),
    (
        "types = [\"timer\", \"push-notification\"]",
        "types = [\"xyz\"]",
    ),
    ("types = [\"timer\", \"push-notification\"]", "types = [3]"),
    (
        "types = [\"timer\", \"push-notification\"]",
        "types = [\"scheduled\"]\ncommand = [\"/bin/true\"]\n[[agent]]\nentry_point = \"other\"\ntypes = [\"scheduled\"]",
    ),
    // what runs of it share
    ("command", "multiple_instances = \"yes\"\ncommand"),
    ("command", "resource_group = \"\"\ncommand"),
    ("command", "resource_group = \"a b\"\ncommand"),
    ("command", "resource_group = \"audio\"\ncommand"),
    // capabilities
    ("[[agent]]", "capabilities = \"sms\"\n[[agent]]"),
    ("[[agent]]", "capabilities = [\"smsx\"]\n[[agent]]"),
    // command
    ("command = [\"/usr/bin/sync\"]", ""),
    (
        "command = [\"/usr/bin/sync\"]",
        "command = \"/usr/bin/sync --fast\"",
    ),
    ("command = [\"/usr/bin/sync\"]", "command = []"),
    ("command = [\"/usr/bin/sync\"]", "command = [\"sync\"]"),
    ("command = [\"/usr/bin/sync\"]", "command = [\"./sync\"]"),
    ("command = [\"/usr/bin/sync\"]", "command = [\"\"]"),
    (
        "command = [\"/usr/bin/sync\"]",
        "command = [\"/usr/../bin/sync\"]",
    ),
    (
        "command = [\"/usr/bin/sync\"]",
        "command = [\"/usr/bin/sync/..\"]",
    ),
    ("command = [\"/usr/bin/sync\"]", "command = [\"/usr/bin/\"]"),
    ("command = [\"/usr/bin/sync\"]", "command = [\"/\"]"),
    (
        "command = [\"/usr/bin/sync\"]",
        "command = [\"/usr/bin/sync\", 7]",
    ),
    (
        "command = [\"/usr/bin/sync\"]",
        "command = [\"/usr/bin/sync\", \"a\\u0000b\"]",
    ),
    // memory and time
    ("command", "memory = 32\ncommand"),
    ("command", "memory = \"32\"\ncommand"),
    ("command", "memory = \"1 KiB\"\ncommand"),
    ("command", "memory = \"2048 GiB\"\ncommand"),
    ("command", "memory = \"-1 MiB\"\ncommand"),
    ("command", "time = \"20\"\ncommand"),
    ("command", "time = \"0s\"\ncommand"),
    ("command", "time = \"2d\"\ncommand"),
    ("command", "time = \"1s1m\"\ncommand"),
    // environment
    ("command", "environment = []\ncommand"),
    ("command", "environment = { A = 1 }\ncommand"),
    ("command", "environment = { \"A=B\" = \"x\" }\ncommand"),
    ("command", "environment = { \"\" = \"x\" }\ncommand"),
    ("command", "environment = { 1A = \"x\" }\ncommand"),
    ("command", "environment = { LULL_APP = \"x\" }\ncommand"),
    (
        "command",
        "environment = { LD_PRELOAD = \"/tmp/x.so\" }\ncommand",
    ),
    ("command", "environment = { A = \"x\\u0000\" }\ncommand"),
    // register
    ("name = \"sync\"\n", ""),
    ("name = \"sync\"\n", "name = \"a\\u0007b\"\n"),
    ("name = \"sync\"\nentry_point = \"sync\"", "name = \"sync\""),
    (
        "name = \"sync\"\nentry_point = \"sync\"",
        "name = \"sync\"\nentry_point = \"snyc\"",
    ),
    ("trigger = { push = {} }", ""),
    ("trigger = { push = {} }", "trigger = \"push\""),
    ("trigger = { push = {} }", "trigger = {}"),
    (
        "trigger = { push = {} }",
        "trigger = { push = {}, timer = { minutes = 30 } }",
    ),
    ("trigger = { push = {} }", "trigger = { psuh = {} }"),
    (
        "trigger = { push = {} }",
        "trigger = { push = { app = \"other\" } }",
    ),
    ("trigger = { push = {} }", "trigger = { push = true }"),
    ("trigger = { push = {} }", "trigger = { media = {} }"),
    (
        "trigger = { push = {} }",
        "trigger = { control-channel = { id = \"chat\", keep_alive_minutes = 14 } }",
    ),
    ("trigger = { push = {} }", "trigger = { application = {} }"),
    ("trigger = { push = {} }", "trigger = { timer = {} }"),
    (
        "trigger = { push = {} }",
        "trigger = { timer = { minutes = 14 } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { timer = { minutes = 43200 } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { timer = { minutes = \"30\" } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { timer = { minutes = 30, oneshot = true } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { timer = { minutes = 30, one_shot = 1 } }",
    ),
    ("trigger = { push = {} }", "trigger = { system = {} }"),
    (
        "trigger = { push = {} }",
        "trigger = { system = { event = \"internet\" } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { system = { event = \"internet-available\" } }",
    ),
    ("trigger = { push = {} }", "trigger = { files = {} }"),
    (
        "trigger = { push = {} }",
        "trigger = { files = { path = 7 } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { files = { path = \"inbox\" } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { files = { path = \"/srv/inbox\" } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { device-watcher = { pattern = \"usb:*\" } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { device-watcher = { match = \"scale-1\" } }",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { bus = { event = \"door\" } }",
    ),
    ("trigger = { push = {} }", "trigger = { bus = {} }"),
    (
        "trigger = { push = {} }",
        "trigger = { push = {} }\nconditions = [\"internet\"]",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { push = {} }\nconditions = \"user-present\"",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { push = {} }\ncancel_on_condition_loss = \"no\"",
    ),
    (
        "trigger = { push = {} }",
        "trigger = { push = {} }\n[[register]]\nname = \"sync\"\nentry_point = \"sync\"\ntrigger = { push = {} }",
    ),
];

#[test]
fn each_wrong_manifest_is_refused_with_its_own_words() {
    assert!(parse(BASE).is_ok());
    assert!(CHANGES.len() >= 60);
    let mut seen = String::new();
    for (from, to) in CHANGES {
        assert!(BASE.contains(from), "{from:?} is not in the base");
        let text = BASE.replacen(from, to, 1);
        let error = match parse(&text) {
            Ok(manifest) => panic!("{to:?} was taken: {manifest:?}"),
            Err(error) => error.to_string(),
        };
        writeln!(seen, "{to:?}\n  {error}").unwrap();
    }
    insta::assert_snapshot!(seen);
}

/// What, its bound, and a manifest with so many of it.
type Case<'c> = (&'c str, usize, &'c dyn Fn(usize) -> String);

fn repeated(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).map(line).collect()
}

fn agent(n: usize) -> String {
    format!("[[agent]]\nentry_point = \"a{n}\"\ntypes = [\"timer\"]\ncommand = [\"/bin/true\"]\n")
}

#[test]
fn every_bound_is_enforced_at_the_bound() {
    let head = "id = \"a\"\nversion = \"1\"\n";
    let words = |n: usize| repeated(n, |_| "\"x\",".to_owned());
    let command = |n: usize| {
        let args = words(n - 1);
        format!(
            "{head}[[agent]]\nentry_point = \"a\"\ntypes = [\"timer\"]\ncommand = [\"/x\",{args}]\n"
        )
    };
    let word = |n: usize| {
        let word = "x".repeat(n);
        format!(
            "{head}[[agent]]\nentry_point = \"a\"\ntypes = [\"timer\"]\ncommand = [\"/x\",\"{word}\"]\n"
        )
    };
    let variables = |n: usize| {
        let entries = repeated(n, |n| format!("V{n} = \"x\","));
        format!("{head}{}environment = {{ {entries} }}", agent(0))
    };
    let value = |n: usize| format!("{head}{}environment.A = \"{}\"", agent(0), "x".repeat(n));
    let variable = |n: usize| format!("{head}{}environment.{} = \"\"", agent(0), "x".repeat(n));
    let agents = |n: usize| format!("{head}{}", repeated(n, agent));
    let register = |n: usize| {
        format!(
            "[[register]]\nname = \"r{n}\"\nentry_point = \"a0\"\ntrigger = {{ timer = {{ minutes = 15 }} }}\n"
        )
    };
    let registers = |n: usize| format!("{head}{}{}", agent(0), repeated(n, register));
    let conditions = |n: usize| {
        let conditions = repeated(n, |_| "\"user-present\",".to_owned());
        format!(
            "{head}{}{}conditions = [{conditions}]",
            agent(0),
            register(0)
        )
    };
    let id = |n: usize| format!("id = \"{}\"\nversion = \"1\"\n{}", "i".repeat(n), agent(0));
    let version = |n: usize| format!("id = \"a\"\nversion = \"{}\"\n{}", "1".repeat(n), agent(0));
    let user = |n: usize| format!("{head}user = \"{}\"\n{}", "u".repeat(n), agent(0));
    let cases: [Case<'_>; 12] = [
        ("words", bounds::COMMAND_WORDS, &command),
        ("word", bounds::WORD, &word),
        ("variables", bounds::VARIABLES, &variables),
        ("value", bounds::VARIABLE_VALUE, &value),
        ("variable", bounds::VARIABLE_NAME, &variable),
        ("agents", bounds::AGENTS, &agents),
        ("registrations", bounds::REGISTRATIONS, &registers),
        ("conditions", lull_policy::bounds::CONDITIONS, &conditions),
        ("id", AppId::LIMIT, &id),
        ("version", bounds::VERSION, &version),
        ("user", bounds::USER, &user),
        ("timer", 43_199, &|minutes| {
            format!(
                "{head}{}[[register]]\nname = \"r\"\nentry_point = \"a0\"\ntrigger.timer.minutes = {minutes}\n",
                agent(0)
            )
        }),
    ];
    for (what, bound, text) in cases {
        assert!(
            parse(&text(bound)).is_ok(),
            "{what} at {bound}: {:?}",
            parse(&text(bound))
        );
        assert!(parse(&text(bound + 1)).is_err(), "{what} above {bound}");
    }
}
