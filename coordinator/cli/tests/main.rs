//! The command as a shell meets it: exit statuses, what goes to which stream, and that no message leaves the reader
//! without a way out.

use assert_cmd::Command;

fn lull(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("lull").expect("cargo built it");
    for name in [
        "LULL_STATE",
        "LULL_COORDINATOR",
        "LULL_IDENTITY",
        "LULL_LOCAL_SOCKET",
    ] {
        command.env_remove(name);
    }
    let output = command.args(arguments).output().expect("it can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn help_goes_to_the_standard_output() {
    let (status, out, err) = lull(&["--help"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.contains("Exit status:"));
}

#[test]
fn a_wrong_command_line_is_status_2() {
    for arguments in [
        &["frobnicate"][..],
        &["push", "photos"],
        &[
            "push",
            "photos",
            "--device",
            "d",
            "--payload",
            "x",
            "--ttl",
            "soon",
        ],
        &["runs", "--limit", "0"],
    ] {
        let (status, out, err) = lull(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(!err.is_empty());
    }
}

#[test]
fn a_daemon_that_is_not_there_is_status_4_and_named() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    for verb in [
        &["devices"][..],
        &["enroll"],
        &["apps"],
        &["tasks"],
        &["runs"],
        &["why", "photos"],
    ] {
        let arguments = [&["--state", folder], verb].concat();
        let (status, out, err) = lull(&arguments);
        assert_eq!((status, out.as_str()), (4, ""), "{verb:?}: {err}");
        assert!(
            err.contains(folder) && err.contains("lull up"),
            "{verb:?}: {err}"
        );
    }
}

#[test]
fn an_identity_that_is_not_there_is_status_2_and_named() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let (status, _, err) = lull(&[
        "--coordinator",
        "127.0.0.1:1",
        "--identity",
        folder,
        "devices",
    ]);
    assert_eq!(status, 2, "{err}");
    assert!(
        err.contains("root.pem") && err.contains("lull client-certificate"),
        "{err}"
    );
}

#[test]
fn the_demonstration_wants_a_fresh_state() {
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("something"), "").unwrap();
    let (status, _, err) = lull(&["--state", state.path().to_str().unwrap(), "up", "--demo"]);
    assert_eq!(status, 2, "{err}");
    assert!(err.contains("fresh state"), "{err}");
}

#[test]
fn an_oversized_body_is_refused_before_anything_is_sent() {
    let state = tempfile::tempdir().unwrap();
    let body = state.path().join("body");
    std::fs::write(&body, vec![b'x'; 5_001]).unwrap();
    let (status, _, err) = lull(&[
        "push",
        "photos",
        "--device",
        "d",
        "--payload-file",
        body.to_str().unwrap(),
    ]);
    assert_eq!(status, 2, "{err}");
    assert!(err.contains("5000"), "{err}");
}
