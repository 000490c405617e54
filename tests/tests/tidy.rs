//! What can be checked by a test is not left to review: purity, unsafe code, wire names, forbidden words.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use lull_tests::workspace::{dependencies, features, files, root};

/// All that the policy crates may be built from: data types, derive macros, error texts.
const PURE: [&str; 12] = [
    "lull-policy",
    "lull-fleet-policy",
    "serde",
    "serde_core",
    "serde_derive",
    "thiserror",
    "thiserror-impl",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
    "serde_json",
];

#[test]
fn policy_crates_are_built_from_data_types_only() -> Result<()> {
    for package in ["lull-policy", "lull-fleet-policy"] {
        let impure: Vec<_> = dependencies(package)?
            .into_iter()
            .filter(|name| !PURE.contains(&name.as_str()))
            .collect();
        assert!(
            impure.is_empty(),
            "{package} depends on {impure:?}: decisions need no such thing"
        );
    }
    Ok(())
}

#[test]
fn dependencies_point_inwards_only() -> Result<()> {
    let outward = [
        (
            "lull-proto",
            ["lull-node", "lull-coordinator", "lull-agent"].as_slice(),
        ),
        (
            "lull-launcher",
            ["lull-node", "lull-policy", "lull-proto", "tokio", "actix"].as_slice(),
        ),
        (
            "lull-node",
            ["lull-coordinator", "lull-fleet-policy", "lull-agent"].as_slice(),
        ),
        (
            "lull-coordinator",
            ["lull-node", "lull-policy", "lull-launcher", "lull-agent"].as_slice(),
        ),
        (
            "lull-agent",
            ["lull-node", "lull-policy", "lull-coordinator"].as_slice(),
        ),
    ];
    for (package, forbidden) in outward {
        let has: BTreeSet<_> = dependencies(package)?.into_iter().collect();
        let found: Vec<_> = forbidden
            .iter()
            .filter(|name| has.contains(**name))
            .collect();
        assert!(found.is_empty(), "{package} depends on {found:?}");
    }
    Ok(())
}

#[test]
fn nothing_that_is_released_can_be_broken_on_purpose() -> Result<()> {
    let sabotage = |feature: &String| feature.ends_with("/sabotage");
    for package in [
        "lull",
        "lull-node",
        "lull-coordinator",
        "lull-launcher",
        "lull-agent",
        "lull-testkit",
    ] {
        let found: Vec<_> = features(package)?.into_iter().filter(sabotage).collect();
        assert!(found.is_empty(), "{package} is built with {found:?}");
    }
    // What is looked for can be found.
    assert!(features("lull-tests")?.iter().any(sabotage));
    Ok(())
}

/// The only modules with unsafe code: Linux calls that have no safe form.
const UNSAFE: [&str; 2] = ["agent-sdk/src/inherited.rs", "node/launcher/src/sys.rs"];

#[test]
fn unsafe_code_stands_in_the_named_modules_only() -> Result<()> {
    let mut found = BTreeSet::new();
    for file in files(".rs")? {
        let text = std::fs::read_to_string(root().join(&file))
            .with_context(|| file.display().to_string())?;
        let name = file.to_string_lossy().into_owned();
        let unsafe_code = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
        if name != "tests/tests/tidy.rs" && unsafe_code.iter().any(|word| text.contains(word)) {
            found.insert(name);
        }
    }
    assert_eq!(found, UNSAFE.iter().map(ToString::to_string).collect());
    Ok(())
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() -> Result<()> {
    for file in UNSAFE {
        let text = std::fs::read_to_string(root().join(file))?;
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let opens = line.contains("unsafe {") || line.contains("unsafe impl");
            let above = lines.get(at.saturating_sub(8)..=at).unwrap_or_default();
            let said = above.iter().any(|l| l.contains("SAFETY:"));
            assert!(
                !opens || said,
                "{file}:{}: unsafe without a SAFETY note above it",
                at + 1
            );
        }
    }
    Ok(())
}

#[test]
fn wire_enums_have_an_unspecified_zero_and_services_end_in_service() -> Result<()> {
    for file in files(".proto")? {
        let text = std::fs::read_to_string(root().join(&file))?;
        let mut in_enum = false;
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("service ") {
                let name = rest.trim_end_matches([' ', '{']);
                assert!(
                    name.ends_with("Service"),
                    "{}: service {name}",
                    file.display()
                );
            }
            if in_enum && line.ends_with(';') {
                assert!(
                    line.ends_with("_UNSPECIFIED = 0;"),
                    "{}: {line}",
                    file.display()
                );
                in_enum = false;
            }
            in_enum |= line.starts_with("enum ");
        }
    }
    Ok(())
}

#[test]
fn no_stub_and_no_skipped_test_is_in_the_tree() -> Result<()> {
    let banned = [
        "todo!(",
        "unimplemented!(",
        "#[ignore",
        "#[should_panic",
        "assert!(true)",
        "unbounded_channel(",
    ];
    for file in files(".rs")? {
        if file.ends_with("tests/tests/tidy.rs") || file.starts_with("tests/tests") {
            continue;
        }
        let text = std::fs::read_to_string(root().join(&file))?;
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let found = banned.iter().find(|word| code.contains(**word));
            assert!(found.is_none(), "{}:{}: {line}", file.display(), number + 1);
        }
    }
    Ok(())
}
