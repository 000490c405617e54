//! The journeys of the engine: a push is accepted, started, finished; the state is compacted; a store is made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lull_policy::{Request, Trigger};
use rustix::io::Errno;
use tempfile::TempDir;

use super::check::{failed, killed, nothing_is_lost};
use super::life::{Life, Said, config};
use super::{Hit, JOURNEY, Made, Place, SAID, Tried, UNDER, tell, try_all};
use crate::engine::rig::{app, on_runtime, register};
use crate::identity::tests::rotate;
use crate::store::tests::upgrade;

/// Each from a state of its own.
const JOURNEYS: [&str; 5] = ["make", "accept", "start", "finish", "compact"];

/// Makes one journey over the store in `folder`.
fn make(journey: &str, folder: &Path, said: &Path) {
    let config = config(folder);
    on_runtime(async |arbiter| {
        let held = journey == "finish";
        let mut life = Life::begin(&arbiter, &config, Said::to(said), held).await;
        match journey {
            "make" => {}
            "accept" => {
                for id in ["a", "b", "c"] {
                    life.accept(id).await;
                }
            }
            "start" => drop(life.start().await),
            "finish" => {
                let runs = life.runs().await;
                let (id, run) = runs.first_key_value().unwrap();
                life.finish(*run, id).await;
                let next = life.start().await;
                life.finish(next.run, &super::life::id(&next)).await;
            }
            "compact" => {
                for n in 0..6 {
                    let id = format!("c{n}");
                    life.accept(&id).await;
                    let launch = life.start().await;
                    life.finish(launch.run, &id).await;
                }
                life.accept("last").await;
            }
            other => panic!("no journey {other:?}"),
        }
        // Where the closing begins, in the list of calls.
        std::fs::File::create(folder.join("ending")).ok();
        life.end(&config).await;
        arbiter.stop();
    });
}

/// A folder from which a journey begins: the store's, and what was written down so far.
fn base(journey: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (state, said) = (folder.path().join("state"), folder.path().join("said"));
    std::fs::create_dir(&state).unwrap();
    std::fs::write(&said, "").unwrap();
    if journey == "make" {
        return folder;
    }
    let config = config(&state);
    on_runtime(async |arbiter| {
        let mut life = Life::begin(&arbiter, &config, Said::to(&said), false).await;
        life.call(Request::RequestAccess { app: app() }).await;
        life.call(register("pushed", Trigger::Push)).await;
        if matches!(journey, "start" | "finish") {
            life.accept("before").await;
            life.accept("behind").await;
        }
        if journey == "finish" {
            life.start().await;
        }
        life.end(&config).await;
        arbiter.stop();
    });
    folder
}

/// Runs a second time as the process that makes a journey.
#[test]
fn a_journey_without_faults() {
    if let Ok(journey) = std::env::var(JOURNEY) {
        let place = |name| PathBuf::from(std::env::var_os(name).unwrap());
        let (folder, said) = (place(UNDER), place(SAID));
        return match journey.split_once(' ') {
            Some(("rotate", door)) => rotate::make(&folder, &mut Said::to(&said), door),
            _ if journey == "upgrade" => upgrade::make(&folder, &mut Said::to(&said)),
            _ => make(&journey, &folder, &said),
        };
    }
    for journey in JOURNEYS {
        let base = base(journey);
        let place = Place::with(base.path());
        let made = place.make(journey, 0, Hit::Kill);
        killed(&made).unwrap();
        nothing_is_lost(&place, &made).unwrap();
        assert!(made.calls().count() > 3, "{:?}", made.log);
    }
}

fn each(
    hits: &[Hit],
    judge: impl Fn(&Place, &Made, Hit, usize) -> Result<(), String> + Sync,
) -> BTreeMap<&'static str, Tried> {
    let journey = |journey| {
        let base = base(journey);
        (journey, try_all(journey, base.path(), hits, &judge))
    };
    JOURNEYS.into_iter().map(journey).collect()
}

#[test]
fn a_kill_at_any_durable_call_loses_nothing_and_doubles_nothing() {
    let tried = each(&[Hit::Kill, Hit::Torn], |place, made, _hit, _at| {
        killed(made)?;
        nothing_is_lost(place, made)
    });
    tell("kill", tried);
}

#[test]
fn an_error_at_any_durable_call_is_told_and_loses_nothing() {
    let errors = [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS].map(Hit::Fails);
    let tried = each(&errors, |place, made, hit, at| {
        failed(made, hit, at)?;
        nothing_is_lost(place, made)
    });
    tell("error", tried);
}
