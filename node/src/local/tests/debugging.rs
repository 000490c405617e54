//! Debuggers: held by the operator over the socket, or found on a process.

use std::process::{Child, Command, Stdio};

use lull_policy::RunId;

use super::*;
use crate::debuggers::find_tracers;
use crate::ports::look;
use crate::status::RunProcess;

/// Traces a process until it is killed.
const TRACER: &str = "
import ctypes, os, sys
libc, pid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
PTRACE_ATTACH = 16
assert libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0, os.strerror(ctypes.get_errno())
os.waitpid(pid, 0)
print('attached', flush=True)
sys.stdin.read()
";

/// Killed with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A run of the app's application trigger, under way.
async fn run(served: &mut Served) -> RunId {
    let mut apps = served.apps(OWNER).await;
    let mut events = apps.attach(attach(true)).await.unwrap().into_inner();
    assert!(matches!(told(&mut events).await, Told::Attached(_)));
    apps.request_run(raise()).await.unwrap();
    let RunOrder::Launch(launch) = next(&mut served.rig.queues.launches).await else {
        panic!("not a launch");
    };
    let run = launch.run;
    served
        .rig
        .door
        .commit(Event::RunStarted { run })
        .await
        .unwrap();
    run
}

async fn is_free(served: &Served, run: RunId, free: bool) {
    until(|| async {
        let seen = look(&served.rig.door, move |device, _now| {
            let mut runs = device.runs();
            runs.find(|of| of.id == run)
                .map(|run| run.kill_at.is_none())
        });
        seen.await.unwrap() == Some(free)
    })
    .await;
}

#[test]
fn limits_are_suspended_while_the_operator_holds_a_debugger() {
    served(async |mut served| {
        let run = run(&mut served).await;
        let ask = wire::DebugRequest { run: run.0 };
        let refused = served.operators(OWNER).await.debug(ask).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        let none = wire::DebugRequest { run: 99 };
        let refused = served.operators(0).await.debug(none).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        is_free(&served, run, false).await;
        let held = served.operators(0).await.debug(ask).await.unwrap();
        let mut held = held.into_inner();
        let first = held.message().await.unwrap().unwrap().event.unwrap();
        let wire::debug_response::Event::Attached(attached) = first else {
            panic!("{first:?}");
        };
        assert_eq!(
            (attached.task.as_str(), attached.limits_kept),
            ("sync", false)
        );
        is_free(&served, run, true).await;
        let second = served.operators(0).await.debug(ask).await.unwrap();
        drop(held);
        is_free(&served, run, true).await;
        drop(second);
        is_free(&served, run, false).await;
        served
    });
}

#[test]
fn a_session_ends_with_its_run() {
    served(async |mut served| {
        let run = run(&mut served).await;
        let ask = wire::DebugRequest { run: run.0 };
        let mut held = served
            .operators(0)
            .await
            .debug(ask)
            .await
            .unwrap()
            .into_inner();
        held.message().await.unwrap().unwrap();
        served.rig.door.commit(ended(run)).await.unwrap();
        let last = held.message().await.unwrap().unwrap().event.unwrap();
        let wire::debug_response::Event::Ended(of) = last else {
            panic!("{last:?}");
        };
        assert_eq!(of.run, run.0);
        assert!(held.message().await.unwrap().is_none());
        served
    });
}

#[test]
fn a_tracer_on_a_run_suspends_its_limits() {
    served(async |mut served| {
        let run = run(&mut served).await;
        let sleeper = Process(Command::new("sleep").arg("60").spawn().unwrap());
        let pid = sleeper.0.id();
        let cgroup = String::new();
        served
            .rig
            .board
            .set_process(run, RunProcess { pid, cgroup });
        let finding = tokio::spawn(find_tracers(
            served.debuggers.clone(),
            Arc::clone(&served.rig.door),
            Arc::clone(&served.rig.board),
            served.cage.clone(),
        ));
        let tracer = Command::new("python3")
            .args(["-c", TRACER, &pid.to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let tracer = Process(tracer);
        is_free(&served, run, true).await;
        drop(tracer);
        is_free(&served, run, false).await;
        finding.abort();
        served
    });
}
