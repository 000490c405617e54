//! The store of a release is taken to the schema of the next, and that is cut short at every call.

use std::collections::BTreeMap;

use super::*;
use crate::error_chain::chain;
use crate::faults::check::{failed, killed, not_set_aside};
use crate::faults::life::Said;
use crate::faults::{Hit, Made, Place, tell, try_all};

/// The next release's steps: a table more, and records that are others than before.
const NEXT: [&str; 2] = [
    STEPS[0],
    "CREATE TABLE later (n INTEGER) STRICT; INSERT INTO later VALUES (7);
     DELETE FROM records WHERE key LIKE '%push-3%'",
];

fn config_of(folder: &Path) -> StoreConfig {
    StoreConfig::at(folder.join("store.sqlite3"))
}

/// Opens the store as the next release does, again if it could not.
pub(crate) fn make(folder: &Path, said: &mut Said) {
    for _ in 0..3 {
        match File::open_with(&config_of(folder), WALL, &NEXT) {
            Ok((file, _contents)) => {
                std::fs::File::create(folder.join("ending")).ok();
                drop(file);
                return said.say("opened");
            }
            Err(error) => said.say(&format!("not opened {}", chain(&error))),
        }
    }
    panic!("the store does not open");
}

fn base() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let (mut file, _) = File::open(&config_of(&state), WALL).unwrap();
    for n in 0..6 {
        let mut batch = put([seen(n)]);
        batch.journal = vec![format!("entry {n}")];
        file.commit(&batch).unwrap();
    }
    // As a kill leaves it: with a log.
    file.abandon();
    folder
}

fn either_release_reads_it(place: &Place) -> Result<(), String> {
    let config = config_of(&place.state());
    match File::open(&config, WALL) {
        Err(StoreError::Newer { found: 2, .. }) => {}
        Err(error) => return Err(format!("the older release: {error:?}")),
        Ok((file, contents)) => {
            file.abandon();
            if contents.records.len() != 6 {
                return Err(format!("the older release reads {:?}", contents.records));
            }
        }
    }
    let (file, contents) = File::open_with(&config, WALL, &NEXT)
        .map_err(|error| format!("the next release: {error:?}"))?;
    drop(file);
    let expected: Vec<Record> = [0, 1, 2, 4, 5].map(seen).into();
    if contents.records != expected {
        return Err(format!("the next release reads {:?}", contents.records));
    }
    not_set_aside(place)
}

#[test]
fn an_upgrade_that_is_cut_short_at_any_call_is_not_begun_or_done() {
    let base = base();
    let judge = |place: &Place, made: &Made, _hit: Hit, _at: usize| {
        killed(made)?;
        either_release_reads_it(place)
    };
    let tried = try_all("upgrade", base.path(), &[Hit::Kill, Hit::Torn], judge);
    tell("kill", BTreeMap::from([("upgrade", tried)]));
}

#[test]
fn an_upgrade_with_an_error_at_any_call_is_told_and_not_begun_or_done() {
    use rustix::io::Errno;
    let base = base();
    let errors = [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS].map(Hit::Fails);
    let judge = |place: &Place, made: &Made, hit: Hit, at: usize| {
        failed(made, hit, at)?;
        either_release_reads_it(place)
    };
    let tried = try_all("upgrade", base.path(), &errors, judge);
    tell("error", BTreeMap::from([("upgrade", tried)]));
}
