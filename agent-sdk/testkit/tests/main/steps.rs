//! Each kind of step does what the page says.

use crate::told::{device, register, step, timeline};

const ZONE: &str = r#"system = { event = "time-zone-change" }"#;
const TO_TOKYO: &str = "set = { zone = \"Asia/Tokyo\" }";
const TO_UTC: &str = "set = { zone = \"UTC\" }";

/// Runs of `t` take 20 s and leave 3 s after they are asked to.
fn long() -> String {
    behave(r#"{ takes = "20s", on_cancel = "3s" }"#)
}

fn behave(runs: &str) -> String {
    format!("[[app.behaviour]]\ntask = \"t\"\nruns = [{runs}]\n")
}

fn seen(steps: &[String], lines: &[&str]) {
    assert_eq!(timeline(&device("", "", &steps.concat())), lines);
}

/// Something happens at 1 minute that starts the one task.
fn starts_once(trigger: &str, what: &str, more: &str) {
    let word = trigger.split(" =").next().unwrap_or_default();
    let steps = [register("t", trigger), step("1m", what), step("2m", more)];
    let lines = [
        format!("60 triggered a t {word}"),
        "60 started a t 1".to_owned(),
        "61 ended a t 1 completed 1000ms".to_owned(),
    ];
    assert_eq!(timeline(&device("", "", &steps.concat())), lines);
}

#[test]
fn what_comes_from_outside_starts_what_listens_for_it() {
    starts_once(
        "socket = { id = \"s\" }",
        "socket = { app = \"a\", id = \"s\", what = \"activity\" }",
        "socket = { app = \"a\", id = \"another\", what = \"activity\" }",
    );
    starts_once(
        "control-channel = { id = \"c\", keep_alive_minutes = 15 }",
        "channel = { app = \"a\", id = \"c\", what = \"message\" }",
        "channel = { app = \"a\", id = \"another\", what = \"message\" }",
    );
    starts_once(
        "device-watcher = { match = \"cam*\" }",
        "plug = { device = \"cam-1\", present = true }",
        "plug = { device = \"microphone\", present = true }",
    );
    starts_once(
        "files = { path = \"/data\" }",
        "files = { app = \"a\", path = \"/data\" }",
        "files = { app = \"a\", path = \"/other\" }",
    );
    starts_once(
        "bus = { event = \"docked\" }",
        "bus = { app = \"a\", event = \"docked\" }",
        "bus = { app = \"a\", event = \"undocked\" }",
    );
}

#[test]
fn a_message_starts_and_a_log_off_asks_to_cancel() {
    seen(
        &[
            long(),
            register("t", "system = { event = \"sms-received\" }"),
            step("1m", "event = \"sms-received\"\napp = \"a\""),
            step("1m5s", "event = \"log-off\""),
        ],
        &[
            "60 triggered a t sms-received",
            "60 started a t 1",
            "65 cancel-requested a t 1 logging-off",
            "68 ended a t 1 cancelled logging-off 8000ms",
        ],
    );
}

#[test]
fn pushes_without_an_id_are_numbered_and_one_runs_after_the_other() {
    seen(
        &[
            register("t", "push = {}"),
            step("1m", "push = { app = \"a\" }"),
            step("1m", "push = { app = \"a\", id = \"x\" }"),
            step("2m", "push = { app = \"a\", id = \"x\" }"),
        ],
        &[
            "60 triggered a t push",
            "60 started a t 1 push-1",
            "60 push a push-1 started t 1",
            "60 triggered a t push",
            "60 waiting a t [slot]",
            "60 push a x queued",
            "61 ended a t 1 completed 1000ms",
            "61 started a t 2 x",
            "61 push a x started t 2",
            "62 ended a t 2 completed 1000ms",
            "120 push a x dropped duplicate",
        ],
    );
}

#[test]
fn a_front_client_hears_on_resume_of_what_it_missed() {
    seen(
        &[
            behave(r#"{ takes = "20s", progress = [["5s", 25], ["10s", 50]] }"#),
            register("t", ZONE),
            step("1m", "app = \"a\"\nfront = \"suspended\""),
            step("1m", TO_TOKYO),
            step("2m", "app = \"a\"\nfront = \"foreground\""),
            step("3m", "app = \"a\"\nfront = \"exited\""),
        ],
        &[
            "60 front a suspended step",
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "80 ended a t 1 completed 20000ms",
            "120 front a foreground step",
            "120 progress a t 1 50",
            "120 completion a t 1 completed",
            "180 front a exited step",
        ],
    );
}

#[test]
fn an_update_and_an_uninstall_ask_to_cancel() {
    seen(
        &[
            long(),
            register("t", ZONE),
            step("1m", TO_TOKYO),
            step("1m5s", "update = { app = \"a\", version = \"2\" }"),
            step("2m", TO_UTC),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "65 cancel-requested a t 1 servicing-update",
            "68 ended a t 1 cancelled servicing-update 8000ms",
            "120 triggered a t time-zone-change",
            "120 dropped a t time-zone-change access",
        ],
    );
    seen(
        &[
            long(),
            register("t", ZONE),
            step("1m", TO_TOKYO),
            step("1m5s", "uninstall = { app = \"a\" }"),
            step("2m", TO_UTC),
            step("2m", "push = { app = \"a\" }"),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "65 cancel-requested a t 1 uninstall",
            "68 ended a t 1 cancelled uninstall 8000ms",
            "120 push a push-1 dropped no-handler",
        ],
    );
}

#[test]
fn the_operator_decides_over_access() {
    seen(
        &[
            long(),
            register("t", ZONE),
            step("1m", TO_TOKYO),
            step(
                "1m5s",
                "operator = { app = \"a\", access = \"denied-by-user\" }",
            ),
            step("2m", TO_UTC),
            step("3m", "operator = { app = \"a\", access = \"allowed\" }"),
            step(
                "3m",
                "app = \"a\"\ncall = \"access-status\"\nexpect = \"allowed\"",
            ),
            step("4m", TO_TOKYO),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "65 cancel-requested a t 1 resource-revocation",
            "68 ended a t 1 cancelled resource-revocation 8000ms",
            "120 triggered a t time-zone-change",
            "120 dropped a t time-zone-change access",
            "180 call a access-status allowed",
            "240 triggered a t time-zone-change",
            "240 started a t 2",
            "260 ended a t 2 completed 20000ms",
        ],
    );
}

#[test]
fn a_choice_at_the_start_is_no_event_and_a_later_one_is() {
    let steps = [
        register(
            "t",
            "system = { event = \"lock-screen-application-added\" }",
        ),
        step("1m", "operator = { app = \"a\", lock_screen = false }"),
        step(
            "2m",
            "operator = { app = \"a\", lock_screen = true, pinned = true }",
        ),
    ];
    let file = device("", "lock_screen = true", &steps.concat());
    assert_eq!(
        timeline(&file),
        [
            "120 triggered a t lock-screen-application-added",
            "120 started a t 1",
            "121 ended a t 1 completed 1000ms",
        ]
    );
}

#[test]
fn a_policy_step_changes_what_it_names() {
    seen(
        &[
            behave(r#"{ takes = "20s" }, { takes = "20s", on_cancel = "ignore" }"#),
            register("t", ZONE),
            step("1m", "policy = { task_time = \"10s\" }"),
            step("2m", TO_TOKYO),
            step("3m", "policy = { cancel_grace = \"2s\" }"),
            step("4m", TO_UTC),
        ],
        &[
            "120 triggered a t time-zone-change",
            "120 started a t 1",
            "125 cancel-requested a t 1 execution-time-exceeded",
            "125 ended a t 1 cancelled execution-time-exceeded 5000ms",
            "240 triggered a t time-zone-change",
            "240 started a t 2",
            "248 cancel-requested a t 2 execution-time-exceeded",
            "250 ended a t 2 hung execution-time-exceeded 10000ms",
        ],
    );
}

#[test]
fn over_a_restart_runs_go_on_calls_fail_and_pushes_wait() {
    seen(
        &[
            long(),
            register("t", ZONE),
            register("p", "push = {}"),
            step("1m", TO_TOKYO),
            step("1m5s", "device = \"restart\"\ndown = \"10s\""),
            step("1m6s", TO_UTC),
            step("1m7s", "push = { app = \"a\" }"),
            step(
                "1m8s",
                "app = \"a\"\ncall = \"list\"\nexpect = \"unavailable\"",
            ),
            step(
                "1m15s",
                "app = \"a\"\ncall = \"access-status\"\nexpect = \"allowed\"",
            ),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "68 call a list unavailable",
            "75 triggered a p push",
            "75 started a p 1 push-1",
            "75 push a push-1 started p 1",
            "75 call a access-status allowed",
            "76 ended a p 1 completed 1000ms",
            "80 ended a t 1 completed 20000ms",
        ],
    );
}

#[test]
fn a_reboot_asks_and_a_power_cut_does_not() {
    let ignores = behave(r#"{ takes = "20s", on_cancel = "ignore" }"#);
    seen(
        &[
            ignores.clone(),
            register("t", ZONE),
            step("1m", TO_TOKYO),
            step("1m5s", "device = \"reboot\"\ndown = \"1m\""),
            step("1m20s", TO_UTC),
            step("3m", TO_TOKYO),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "65 cancel-requested a t 1 terminating",
            "70 ended a t 1 terminated shutdown 10000ms",
            "180 triggered a t time-zone-change",
            "180 started a t 2",
            "200 ended a t 2 completed 20000ms",
        ],
    );
    seen(
        &[
            ignores,
            register("t", ZONE),
            step("1m", TO_TOKYO),
            step("1m5s", "device = \"power-cut\"\ndown = \"1m\""),
            step("1m20s", TO_UTC),
            step("3m", TO_TOKYO),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "125 ended a t 1 lost 0ms",
            "180 triggered a t time-zone-change",
            "180 started a t 2",
            "200 ended a t 2 completed 20000ms",
        ],
    );
}

#[test]
fn in_suspend_a_run_stands_still_and_a_timer_does_not() {
    seen(
        &[
            long(),
            register("t", ZONE),
            register("q", "timer = { minutes = 15, one_shot = true }"),
            step("1m", TO_TOKYO),
            step("1m5s", "device = \"suspend\"\ndown = \"19m\""),
            step(
                "6m",
                "app = \"a\"\ncall = \"list\"\nexpect = \"unavailable\"",
            ),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "360 call a list unavailable",
            "1220 ended a t 1 completed 20000ms",
            "1800 triggered a q timer",
            "1800 started a q 1",
            "1801 ended a q 1 completed 1000ms",
        ],
    );
}

#[test]
fn a_step_of_the_clock_moves_the_wall_and_no_timer() {
    let steps = [
        register("q", "timer = { minutes = 15, one_shot = true }"),
        step("1m", "clock = \"+1h\""),
        step("2m", "app = \"a\"\ncall = \"access-status\""),
        step("3m", "clock = \"-2h30m\""),
    ];
    let file = device("", "", &steps.concat());
    let scenario = lull_testkit::Scenario::read(std::path::Path::new("test.toml"), &file)
        .unwrap_or_else(|error| panic!("{error}"));
    let lines: Vec<String> = scenario
        .run(None)
        .timeline
        .iter()
        .skip(1)
        .map(|line| line.to_json().chars().take(40).collect())
        .collect();
    assert_eq!(
        lines,
        [
            r#"{"t":120,"at":"2026-03-02T09:02:00Z","ev"#,
            r#"{"t":900,"at":"2026-03-02T06:45:00Z","ev"#,
            r#"{"t":900,"at":"2026-03-02T06:45:00Z","ev"#,
            r#"{"t":901,"at":"2026-03-02T06:45:01Z","ev"#,
        ]
    );
}

#[test]
fn a_debugger_lifts_the_limits_of_its_task() {
    seen(
        &[
            behave(r#"{ takes = "2m" }"#),
            register("t", ZONE),
            step(
                "30s",
                "debugger = { app = \"a\", task = \"t\", attached = true }",
            ),
            step("1m", TO_TOKYO),
            step(
                "3m",
                "debugger = { app = \"a\", task = \"t\", attached = false }",
            ),
            step("4m", TO_UTC),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "180 ended a t 1 completed 120000ms",
            "240 triggered a t time-zone-change",
            "240 started a t 2",
            "265 cancel-requested a t 2 execution-time-exceeded",
            "265 ended a t 2 cancelled execution-time-exceeded 25000ms",
        ],
    );
}

#[test]
fn a_run_in_the_apps_own_process_starts_it_and_takes_it_down() {
    let runs = behave(
        r#"{ takes = "2s" }, { takes = "2s", ends = "crash" }, { takes = "forever", on_cancel = "ignore" }"#,
    );
    seen(
        &[
            runs,
            register("t", ZONE).replace("entry_point = \"w\", ", ""),
            step("1m", TO_TOKYO),
            step("2m", TO_UTC),
            step("3m", TO_TOKYO),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 front a background started-for-task",
            "60 started a t 1",
            "62 ended a t 1 completed 2000ms",
            "120 triggered a t time-zone-change",
            "120 started a t 2",
            "122 ended a t 2 unhandled-exception 2000ms",
            "122 front a exited crashed",
            "180 triggered a t time-zone-change",
            "180 front a background started-for-task",
            "180 started a t 3",
            "205 cancel-requested a t 3 execution-time-exceeded",
            "210 front a exited killed",
            "210 ended a t 3 hung execution-time-exceeded 30000ms",
        ],
    );
}

#[test]
fn what_a_run_does_on_the_way_is_told_at_its_moment() {
    let runs = behave(
        r#"{ takes = "9s", binds = [["5s", "cellular"]], adds_scheduled = true, memory = "3 MiB" }"#,
    );
    seen(
        &[
            runs,
            register("t", ZONE),
            step("1m", TO_TOKYO),
            step(
                "1m3s",
                "app = \"a\"\nfrom = \"agent\"\ncall = \"memory-usage\"",
            ),
            step("1m5s", "set = { standby = true }"),
            step("1m7s", "set = { standby = false }"),
            step("2m", "app = \"a\"\ncall = \"outcomes\""),
            step("2m", "app = \"a\"\ncall = \"list\""),
            step("2m", "app = \"a\"\nfrom = \"agent\"\ncall = \"list\""),
        ],
        &[
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "60 call a add-scheduled agent periodic permission-denied",
            "63 call a memory-usage agent ok 3145728 null",
            "65 network a t 1 false",
            "65 bind a t 1 cellular ok",
            "67 network a t 1 true",
            "69 ended a t 1 completed 9000ms",
            "120 call a outcomes ok [(t 1 completed)]",
            "120 call a list ok [(t 1 null time-zone-change idle)]",
            "120 call a list agent failed-precondition",
        ],
    );
}

#[test]
fn a_quota_freezes_a_run_at_the_very_moment() {
    // 1 CPU-second in 2 hours (RES-13): half of what the run uses.
    let steps = [
        behave(r#"{ takes = "20s", cpu = "2s", on_cancel = "ignore" }"#),
        register("t", ZONE),
        step("1m", TO_TOKYO),
    ];
    let file = device(
        "[policy]\nquota_profile = \"windows8\"",
        "",
        &steps.concat(),
    );
    assert_eq!(
        timeline(&file),
        [
            "60 triggered a t time-zone-change",
            "60 started a t 1",
            "70 suspended a t 1 quota",
            "85 cancel-requested a t 1 execution-time-exceeded",
            "90 ended a t 1 hung execution-time-exceeded 30000ms",
        ]
    );
}

#[test]
fn what_a_device_cannot_tell_is_assumed() {
    let steps = [
        register("t", "system = { event = \"user-away\" }"),
        register("u", "system = { event = \"internet-available\" }"),
        step("1m", "set = { user_present = false }"),
        step("2m", "set = { network = \"none\" }"),
        step("3m", "set = { network = \"wifi\" }"),
    ];
    let file = device("[profile]\nhas_screen = false", "", &steps.concat());
    assert_eq!(
        timeline(&file),
        [
            "180 triggered a u internet-available",
            "180 started a u 1",
            "181 ended a u 1 completed 1000ms",
        ]
    );
}
