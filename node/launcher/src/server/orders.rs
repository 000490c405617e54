//! The daemon's orders, and what it is told of the runs.

use std::os::fd::OwnedFd;

use super::{Launcher, RUNS, Ready};
use crate::VERSION;
use crate::cage::{Cage, CageError, Cages};
use crate::clock;
use crate::launch::{self, Origin, chain};
use crate::run::Run;
use crate::wire::{Event, Exit, Launch, NOTE, PROTOCOL, Request};

impl Launcher {
    pub(super) fn obey(&mut self, request: Request, fd: Option<OwnedFd>) {
        if let Request::Hello { protocol: _, cages } = &request {
            return self.greet(cages);
        }
        if !self.daemon.as_ref().is_some_and(|daemon| daemon.greeted) {
            return self.refuse("say hello first".to_owned());
        }
        match request {
            Request::Hello { .. } | Request::Unknown => {}
            Request::Launch(order) => self.launch(&order, fd),
            Request::Keep { socket, note } => self.keep(socket, note, fd),
            Request::Release { socket } => drop(self.kept.remove(&socket)),
            Request::Note { run, note } => {
                if let (Some(run), true) = (self.runs.get_mut(&run), note.len() <= NOTE) {
                    run.note = note;
                }
            }
            Request::Terminate { run } => {
                self.runs.get(&run).into_iter().for_each(Run::terminate);
            }
            Request::Kill { run } => {
                let now = clock::now();
                self.runs
                    .get_mut(&run)
                    .into_iter()
                    .for_each(|run| run.kill(now));
            }
            Request::Freeze { run, frozen } => {
                self.change(run, "freeze", |cages, run| run.freeze(cages, frozen));
            }
            Request::Memory { run, cap, data } => {
                let root = self.ground.root;
                self.change(run, "change the memory cap of", |cages, run| {
                    run.set_memory(cages, root, cap, data)
                });
            }
            Request::Network { run, allowed } => {
                self.change(run, "change the network of", |cages, run| {
                    run.cage_mut()
                        .map_or(Ok(()), |cage| cages.set_network(cage, allowed))
                });
            }
            Request::Usage { run } => self.tell_usage(run),
            Request::Sample { run, network } => self.tell_sample(run, network),
            Request::Forget { run } => self.forget(run),
            Request::Quit {} if self.runs.is_empty() => self.ending = true,
            Request::Quit {} => self.refuse(format!("{} runs are held", self.runs.len())),
        }
    }

    /// Changes what holds a run that has not ended; a failure is told in words.
    fn change(
        &mut self,
        id: u64,
        what: &str,
        change: impl FnOnce(&Cages, &mut Run) -> Result<(), CageError>,
    ) {
        let (Some(ready), Some(run)) = (&self.cages, self.runs.get_mut(&id)) else {
            return;
        };
        if run.has_ended() {
            return;
        }
        if let Err(error) = change(&ready.cages, run) {
            self.refuse(format!("cannot {what} run {id}: {}", chain(&error)));
        }
    }

    pub(super) fn greet(&mut self, name: &str) {
        let cleared = match self.prepare_cages(name) {
            Ok(cleared) => cleared,
            Err(message) => {
                self.refuse(message);
                self.flush();
                return self.lose_daemon();
            }
        };
        let cages = self.cages.as_ref().map(|c| c.cannot_enforce.clone());
        let mut cannot_enforce = cages.unwrap_or_default();
        cannot_enforce.extend(self.cannot_confine.iter().cloned());
        if let Some(daemon) = &mut self.daemon {
            daemon.greeted = true;
        }
        self.tell(
            &Event::Welcome {
                protocol: PROTOCOL,
                version: VERSION.to_owned(),
                pid: std::process::id(),
                held: u32::try_from(self.runs.len()).unwrap_or(u32::MAX),
                cannot_enforce,
                cleared,
                kept: Some(self.count_kept()),
            },
            None,
        );
        let ids: Vec<u64> = self.runs.keys().copied().collect();
        for id in &ids {
            let (event, socket) = match self.runs.get(id) {
                Some(run) => (run.held(), duplicate(run)),
                None => continue,
            };
            self.tell(&event, socket);
        }
        self.tell_kept();
        for id in ids {
            self.tell_end(id);
        }
    }

    /// Makes the folders of cages and clears what nobody holds; what was cleared, in words. Runs that are held keep the cages they are in.
    pub(super) fn prepare_cages(&mut self, name: &str) -> Result<Vec<String>, String> {
        if let Some(ready) = &self.cages {
            if ready.name == name || !self.runs.is_empty() {
                return Ok(Vec::new());
            }
            ready.cages.dismantle();
            self.cages = None;
        }
        let (cages, cannot) =
            Cages::probe_in(name, &self.hierarchies).map_err(|error| chain(&error))?;
        let cleared = cages.clear_leftovers();
        cages.move_in();
        self.cages = Some(Ready {
            name: name.to_owned(),
            cages,
            cannot_enforce: cannot.iter().map(ToString::to_string).collect(),
        });
        Ok(cleared)
    }

    pub(super) fn launch(&mut self, order: &Launch, descriptor: Option<OwnedFd>) {
        let id = order.run;
        if self.runs.contains_key(&id) {
            self.tell_start(id);
            return self.tell_end(id);
        }
        let Some(Ready { cages, .. }) = &self.cages else {
            return;
        };
        if self.runs.len() >= RUNS {
            return self.tell(&full(id), None);
        }
        let origin = Origin::from(order);
        let note = order.note.clone();
        // From here on it is the run's: it closes with the run unless that hands it back.
        let kept = order.socket.and_then(|socket| self.kept.remove(&socket));
        let descriptor = descriptor.or_else(|| kept.map(|kept| kept.descriptor));
        let run = match launch::start(order, descriptor.as_ref(), cages, &self.ground) {
            Ok(child) => Run::started(id, note, origin, child, clock::now()),
            Err(error) => Run::failed(id, note, origin, chain(&error)),
        };
        let failed = run.has_ended();
        self.runs.insert(id, run);
        if failed {
            self.tell_end(id);
        }
    }

    pub(super) fn forget(&mut self, id: u64) {
        let Some(run) = self.runs.get(&id).filter(|run| run.has_ended()) else {
            return;
        };
        if let (Some(cage), Some(ready)) = (run.cage(), &self.cages) {
            // A cage that cannot be removed now is empty and bounded; the next launcher's start removes it.
            drop(ready.cages.remove(cage));
        }
        self.runs.remove(&id);
        self.alone_since = clock::now();
    }

    pub(super) fn tell_start(&mut self, id: u64) {
        let Some((event, socket)) = self
            .runs
            .get(&id)
            .and_then(|run| Some((run.start()?, duplicate(run))))
        else {
            return;
        };
        self.tell(&event, socket);
    }

    pub(super) fn tell_end(&mut self, id: u64) {
        if let Some(event) = self.runs.get(&id).and_then(Run::end) {
            self.tell(&event, None);
        }
    }

    pub(super) fn tell_usage(&mut self, id: u64) {
        let cages = self.cages.as_ref().map(|ready| &ready.cages);
        let cage = self.runs.get(&id).and_then(Run::cage);
        let memory = cages
            .zip(cage)
            .and_then(|(cages, cage)| cages.memory_usage(cage));
        let limit = cage.and_then(Cage::cap);
        let event = Event::Usage {
            run: id,
            memory,
            limit,
        };
        self.tell(&event, None);
    }

    /// Of a run that lives; of another its end says all.
    fn tell_sample(&mut self, id: u64, network: bool) {
        if network {
            self.change(id, "count what goes over the network of", |cages, run| {
                run.cage_mut()
                    .map_or(Ok(()), |cage| cages.count_network(cage))
            });
        }
        let cages = self.cages.as_ref().map(|ready| &ready.cages);
        let run = self.runs.get(&id).filter(|run| !run.has_ended());
        let Some((cages, cage)) = cages.zip(run.and_then(Run::cage)) else {
            return;
        };
        let event = Event::Sampled {
            run: id,
            cpu_micros: cages.cpu_micros(cage),
            network_bytes: cage.network_bytes(),
            memory: cages.memory_usage(cage),
            limit: cage.cap(),
        };
        self.tell(&event, None);
    }
}

fn duplicate(run: &Run) -> Option<OwnedFd> {
    run.socket()?.try_clone_to_owned().ok()
}

fn full(run: u64) -> Event {
    let message = format!("{RUNS} runs are held, which is the launcher's bound");
    Event::Ended {
        run,
        exit: Exit::LaunchFailed { message },
        memory_peak: None,
        cpu_micros: None,
        network_bytes: None,
        output: String::new(),
    }
}
