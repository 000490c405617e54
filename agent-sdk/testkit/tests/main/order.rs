//! What comes first at one instant: steps in file order, ends of runs, limits, starts.

use crate::told::{device, register, step, timeline};

const USER_AWAY: &str = r#"system = { event = "user-away" }"#;

#[test]
fn a_call_is_told_before_what_follows_from_it() {
    let raises = step(
        "1m",
        "app = \"a\"\ncall = \"request-run\"\nargs = { name = \"now\" }",
    );
    let file = device(
        "",
        "front = \"foreground\"",
        &(register("now", "application = {}") + &raises),
    );
    assert_eq!(
        timeline(&file),
        [
            "60 call a request-run now allowed",
            "60 triggered a now application",
            "60 started a now 1",
            "61 ended a now 1 completed 1000ms",
            "61 completion a now 1 completed",
        ]
    );
}

#[test]
fn steps_of_one_instant_are_taken_one_by_one_before_any_deadline() {
    // The timer is due at the very moment at which it is removed and the user leaves.
    let steps = [
        register("timer", "timer = { minutes = 15 }"),
        register("away", USER_AWAY),
        step("15m", "set = { user_present = false }"),
        step("15m", "set = { user_present = true }"),
        step("15m", "set = { user_present = false }"),
        step(
            "15m",
            "app = \"a\"\ncall = \"unregister\"\nargs = { name = \"timer\" }",
        ),
    ];
    assert_eq!(
        timeline(&device("", "", &steps.concat())),
        [
            "900 triggered a away user-away",
            "900 started a away 1",
            "900 triggered a away user-away",
            "900 waiting a away [slot]",
            "900 call a unregister timer ok",
            "901 ended a away 1 completed 1000ms",
            "901 started a away 2",
            "902 ended a away 2 completed 1000ms",
        ]
    );
}

#[test]
fn a_run_that_ends_at_its_limit_ends_by_itself() {
    let behaviour = "[[app.behaviour]]\ntask = \"away\"\nruns = [{ takes = \"25s\" }, { takes = \"30s\", on_cancel = \"ignore\" }]\n";
    let steps = [
        behaviour.to_owned(),
        register("away", USER_AWAY),
        step("1m", "set = { user_present = false }"),
        step("2m", "set = { user_present = true }"),
        step("3m", "set = { user_present = false }"),
    ];
    assert_eq!(
        timeline(&device("", "", &steps.concat())),
        [
            "60 triggered a away user-away",
            "60 started a away 1",
            "85 ended a away 1 completed 25000ms",
            "180 triggered a away user-away",
            "180 started a away 2",
            "205 cancel-requested a away 2 execution-time-exceeded",
            "210 ended a away 2 cancelled execution-time-exceeded 30000ms",
        ]
    );
}

#[test]
fn a_run_ends_before_the_timer_of_that_instant_starts() {
    let behaviour = "[[app.behaviour]]\ntask = \"away\"\nruns = [{ takes = \"20s\" }]\n";
    let steps = [
        behaviour.to_owned(),
        register("timer", "timer = { minutes = 15, one_shot = true }"),
        register("away", USER_AWAY),
        step("14m40s", "set = { user_present = false }"),
    ];
    assert_eq!(
        timeline(&device("", "", &steps.concat())),
        [
            "880 triggered a away user-away",
            "880 started a away 1",
            "900 ended a away 1 completed 20000ms",
            "900 triggered a timer timer",
            "900 started a timer 1",
            "901 ended a timer 1 completed 1000ms",
        ]
    );
}

#[test]
fn a_run_that_takes_no_time_ends_at_its_start() {
    let behaviour = "[[app.behaviour]]\ntask = \"away\"\nruns = [{ takes = \"0s\", progress = [[\"0s\", 7]] }]\n";
    let steps = [
        behaviour.to_owned(),
        register("away", USER_AWAY),
        step("1m", "set = { user_present = false }"),
    ];
    assert_eq!(
        timeline(&device("", "front = \"foreground\"", &steps.concat())),
        [
            "60 triggered a away user-away",
            "60 started a away 1",
            "60 progress a away 1 7",
            "60 ended a away 1 completed 0ms",
            "60 completion a away 1 completed",
        ]
    );
}

#[test]
fn the_end_of_the_file_is_still_lived_through() {
    let behaviour = "[[app.behaviour]]\ntask = \"away\"\nruns = [{ takes = \"10s\" }]\n";
    let steps = [
        behaviour.to_owned(),
        register("away", USER_AWAY),
        register("timer", "timer = { minutes = 120, one_shot = true }"),
        step("1h59m50s", "set = { user_present = false }"),
        step("2h", "set = { user_present = true }"),
        step("2h1s", "set = { user_present = false }"),
    ];
    assert_eq!(
        timeline(&device("", "", &steps.concat())),
        [
            "7190 triggered a away user-away",
            "7190 started a away 1",
            "7200 ended a away 1 completed 10000ms",
            "7200 triggered a timer timer",
            "7200 started a timer 1",
        ]
    );
}
