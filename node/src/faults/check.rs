//! What was told to somebody outside, held against what a restart makes of the store.

use std::collections::BTreeMap;
use std::time::Duration;

use super::life::{Life, Said, config};
use super::{Hit, Made, Place};
use crate::clock::{self, Clock as _};
use crate::engine::rig::on_runtime;

/// How long a restart may take, from opening the store to the machine that has begun what was due.
const RESTART: Duration = Duration::from_secs(2);

/// What was told of one push.
#[derive(Debug, Default)]
struct Told {
    acked: bool,
    /// The attempt that was launched last.
    launched: u32,
    ended: bool,
}

/// Reads what was written down. Even there no push runs twice under one attempt, or after its end.
fn told(said: &[String]) -> Result<BTreeMap<String, Told>, String> {
    let mut pushes: BTreeMap<String, Told> = BTreeMap::new();
    for line in said {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["acked", id] => pushes.entry((*id).into()).or_default().acked = true,
            ["ended", id] => pushes.entry((*id).into()).or_default().ended = true,
            ["launched", id, attempt] => {
                let push = pushes.entry((*id).into()).or_default();
                let attempt: u32 = attempt.parse().unwrap();
                if push.ended || attempt <= push.launched {
                    return Err(format!(
                        "{id} was launched again as attempt {attempt}: {push:?}"
                    ));
                }
                push.launched = attempt;
            }
            ["sent", id] => drop(pushes.entry((*id).into()).or_default()),
            ["started" | "refused" | "not", ..] => {}
            other => return Err(format!("what was written down is torn: {other:?}")),
        }
    }
    Ok(pushes)
}

/// What a restart made of the store.
struct Restarted {
    /// Each push that ran, with its attempt.
    ran: Vec<(String, u32)>,
    /// The pushes that are finished in the end.
    finished: Vec<String>,
    took: Duration,
}

/// Starts the store's engine again and lets it run what it begins.
fn restart(place: &Place) -> Restarted {
    let config = config(&place.state());
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    on_runtime(async |arbiter| {
        let clock = clock::System::new().unwrap();
        let begun = clock.now().running;
        let mut life = Life::begin(&arbiter, &config, Said::nothing(), false).await;
        let took = clock.now().running.since(begun);
        let ran = life.run_all().await;
        let finished = life.finished().await;
        life.end(&config).await;
        let took = Duration::from_millis(took.as_millis());
        let restarted = Restarted {
            ran,
            finished,
            took,
        };
        drop(answer.send(restarted));
        arbiter.stop();
    });
    answered.recv().unwrap()
}

/// Nothing acknowledged is lost, nothing runs twice but as a further attempt, and a restart is quick.
pub(crate) fn nothing_is_lost(place: &Place, made: &Made) -> Result<(), String> {
    let told = told(&made.said)?;
    let Restarted {
        ran,
        finished,
        took,
    } = restart(place);
    if took > RESTART {
        return Err(format!("the restart took {took:?}"));
    }
    for (id, push) in &told {
        let times = finished.iter().filter(|finished| *finished == id).count();
        // The third attempt is the last, which the coordinator hears.
        if times > 1 || (times == 0 && push.acked && push.launched < 3) {
            return Err(format!("{id} is finished {times} times: {push:?}, {ran:?}"));
        }
        let again = ran.iter().filter(|(ran, _)| ran == id);
        let attempts: Vec<u32> = again.map(|(_, attempt)| *attempt).collect();
        match attempts.as_slice() {
            [] => {}
            [_] if push.ended => return Err(format!("{id} ran again after its end")),
            [attempt] if *attempt <= push.launched => {
                return Err(format!("{id} ran twice as attempt {attempt}: {push:?}"));
            }
            [_] => {}
            more => return Err(format!("{id} ran as {more:?}")),
        }
    }
    if let Some((id, _)) = ran.iter().find(|(id, _)| !told.contains_key(id)) {
        return Err(format!("{id} was never sent"));
    }
    not_set_aside(place)
}

pub(crate) fn not_set_aside(place: &Place) -> Result<(), String> {
    let names = std::fs::read_dir(place.state()).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let aside = names.find(|name| name.contains(".damaged"));
    aside.map_or(Ok(()), |name| {
        Err(format!("a sound store was set aside as {name}"))
    })
}

/// The process died of the kill, or was not reached by it.
pub(crate) fn killed(made: &Made) -> Result<(), String> {
    let ended = made.was_killed() || made.status.success();
    ended
        .then_some(())
        .ok_or_else(|| format!("it ended with {}: {}", made.status, made.output))
}

/// After an error the process lived on and came to its end, said what was wrong, and never used a file again whose sync had failed.
pub(crate) fn failed(made: &Made, hit: Hit, at: usize) -> Result<(), String> {
    if !made.status.success() {
        return Err(format!("it ended with {}: {}", made.status, made.output));
    }
    // A store that is being made is thrown away as a whole.
    let mut reused = made
        .calls()
        .filter(|(_, call, file)| *call == "used-after-failed-sync" && !file.contains(".new"));
    if let Some((number, _, file)) = reused.next() {
        return Err(format!(
            "{file} was used in call {number} after its sync had failed"
        ));
    }
    let failed = made.calls().find(|(_, call, _)| *call == "failed");
    let Some((number, _, file)) = failed.filter(|_| matches!(hit, Hit::Fails(_))) else {
        return Ok(());
    };
    let ending = made.calls().find(|(.., file)| *file == "/ending");
    let closing = ending.is_some_and(|(ending, ..)| number >= ending);
    let said = |what: &str| {
        made.said
            .iter()
            .any(|line| line.starts_with(what) && line.len() > what.len())
    };
    let told = said("refused ") || said("not opened ");
    // Without a tally or a reserve the store works as well; the log says it.
    // The folder is synced by the store, which says so, and once more by the database, which does not.
    // A store that is being made is read whole before it is used: an error that the database overcame is none.
    let made_anew = file.contains(".new");
    let spare =
        made_anew || file.ends_with("-tally") || file.contains("-reserve") || file.is_empty();
    if !told && !closing && !spare {
        return Err(format!(
            "nobody was told that call {at} failed; {}",
            made.said.join(", ")
        ));
    }
    Ok(())
}
