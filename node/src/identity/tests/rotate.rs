//! A device whose certificate has ended gets a new key and identity, and that is cut short at every call.

use std::collections::{BTreeMap, BTreeSet};

use rustix::io::Errno;

use super::*;
use crate::error_chain::chain;
use crate::faults::check::{failed, killed};
use crate::faults::life::Said;
use crate::faults::{Hit, Made, Place, tell, try_all};

fn config_of(folder: &Path) -> NodeConfig {
    let mut config = NodeConfig {
        state_dir: folder.into(),
        ..NodeConfig::default()
    };
    // By which the door knows whose requests are whose.
    config.device.name = folder
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into();
    config
}

/// Enrols anew at `door` (its address and the token), again if that failed.
pub(crate) fn make(folder: &Path, said: &mut Said, door: &str) {
    let (address, token) = door.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for _ in 0..3 {
        match runtime.block_on(enroll(&config_of(folder), token, address)) {
            Ok(_enrolled) => return said.say("enrolled"),
            Err(EnrollError::AlreadyEnrolled { .. }) => return said.say("enrolled already"),
            Err(error) => said.say(&format!("not opened {}", chain(&error))),
        }
    }
    panic!("the device is not enrolled");
}

/// The door, in threads of its own, and a state whose identity has ended.
struct Stage {
    runtime: tokio::runtime::Runtime,
    door: Door,
    base: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let door = runtime.block_on(Door::open(&["127.0.0.1"], grants()));
        let base = tempfile::tempdir().unwrap();
        let identity = base.path().join("state/identity");
        std::fs::create_dir_all(&identity).unwrap();
        door.authority.enrol(&identity, "old", "127.0.0.1:7443", -1);
        Self {
            runtime,
            door,
            base,
        }
    }

    fn journey(&self) -> String {
        format!(
            "rotate {} {}",
            self.door.address,
            self.door.authority.token('A')
        )
    }

    /// There is no half identity, and the same token with the same key leads to a whole one.
    fn a_whole_one_comes_of_it(&self, place: &Place) -> Result<(), String> {
        let config = config_of(&place.state());
        let identity = config.identity_dir();
        let load = || Identity::load(&identity).map_err(|error| chain(&error));
        let usable =
            |found: &Option<Identity>| found.as_ref().is_some_and(|i| i.client_config().is_ok());
        if !usable(&load()?) {
            let again = self.runtime.block_on(self.door.enroll(&config));
            again.map_err(|error| format!("it cannot be enrolled again: {}", chain(&error)))?;
        }
        let found = load()?;
        if !usable(&found) || found.is_none_or(|identity| identity.device != "device-1") {
            return Err("the new identity cannot be used".into());
        }
        let asked = self.door.asked.lock().unwrap();
        let own = asked
            .iter()
            .filter(|request| request.name == config.device_name());
        let keys: BTreeSet<_> = own
            .map(|request| public_key(&request.certificate_request))
            .collect();
        (keys.len() == 1)
            .then_some(())
            .ok_or_else(|| format!("the token was used with {} keys", keys.len()))
    }
}

fn public_key(request: &[u8]) -> Vec<u8> {
    use x509_parser::prelude::FromDer as _;
    let (_rest, request) =
        x509_parser::certification_request::X509CertificationRequest::from_der(request).unwrap();
    request.certification_request_info.subject_pki.raw.to_vec()
}

#[test]
fn a_rotation_that_is_cut_short_at_any_call_ends_in_one_whole_identity() {
    let stage = Stage::set();
    let judge = |place: &Place, made: &Made, _hit: Hit, _at: usize| {
        killed(made)?;
        stage.a_whole_one_comes_of_it(place)
    };
    let hits = [Hit::Kill, Hit::Torn];
    let tried = try_all(&stage.journey(), stage.base.path(), &hits, judge);
    tell("kill", BTreeMap::from([("rotate key", tried)]));
}

#[test]
fn a_rotation_with_an_error_at_any_call_is_told_and_ends_in_one_whole_identity() {
    let stage = Stage::set();
    let judge = |place: &Place, made: &Made, hit: Hit, at: usize| {
        failed(made, hit, at)?;
        stage.a_whole_one_comes_of_it(place)
    };
    let errors = [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS].map(Hit::Fails);
    let tried = try_all(&stage.journey(), stage.base.path(), &errors, judge);
    tell("error", BTreeMap::from([("rotate key", tried)]));
}
