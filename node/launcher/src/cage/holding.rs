//! What changes of a cage while its run goes on: its memory cap, its network and whether that is counted, whether anybody moves in it.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::Pid;

use super::{Cage, CageError, Cages, failed};
use crate::bpf::{self, Closed};
use crate::sys::{self, Identity};
use crate::wire::{CLOSED, Launch};

/// Rounds of bounding what the processes of a run may ask for: each meets those that the last one's members had forked meanwhile.
const ROUNDS: usize = 16;

/// Whose cage it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process<'a> {
    /// Its main process.
    pub(crate) main: Option<Pid>,
    /// As whom it runs; absent = as the launcher's own user.
    pub(crate) identity: Option<Identity<'a>>,
}

impl Cages {
    /// Another memory cap, or none, and another bound beyond which asking for memory fails.
    pub(crate) fn set_memory(
        &self,
        cage: &mut Cage,
        of: Process<'_>,
        cap: Option<u64>,
        data: Option<u64>,
    ) -> Result<(), CageError> {
        // Both are tried: one that cannot be lifted does not keep the other.
        let bounded = if cage.data == data {
            Ok(())
        } else {
            self.set_data(cage, of, data)
        };
        self.set_cap(cage, cap).and(bounded)
    }

    fn set_data(
        &self,
        cage: &mut Cage,
        of: Process<'_>,
        data: Option<u64>,
    ) -> Result<(), CageError> {
        let tree = self.tree(cage, of.main, &[]);
        let mut met = Vec::new();
        for _round in 0..ROUNDS {
            let members = self.kill.members(tree);
            let members = members.map_err(failed("list the processes of", tree.folder))?;
            if members == met {
                break;
            }
            sys::bound_data(&members, data, of.identity)
                .map_err(failed("bound the memory of the processes in", tree.folder))?;
            met = members;
        }
        cage.data = data;
        Ok(())
    }

    fn set_cap(&self, cage: &mut Cage, cap: Option<u64>) -> Result<(), CageError> {
        let Some((index, memory)) = &self.memory else {
            return Ok(());
        };
        let Some(folder) = cage.folder(Some(*index)).map(Path::to_path_buf) else {
            return Ok(());
        };
        memory
            .set(&folder, cap)
            .map_err(failed("set the memory cap in", &folder))?;
        cage.cap = cap;
        if cage.oom.is_none() {
            self.watch_memory(cage)?;
        }
        Ok(())
    }

    /// What an order says of the network, before anybody is in the cage. Where it cannot be had, nothing is done: that was said
    /// when the cages were made.
    pub(crate) fn wall_in(&self, cage: &mut Cage, order: &Launch) -> Result<(), CageError> {
        if order.offline {
            self.set_network(cage, false)?;
        }
        let closed: Vec<Closed> = order
            .closed
            .iter()
            .filter_map(|name| device(name))
            .collect();
        if let (true, false, Some(folder)) =
            (self.network, closed.is_empty(), cage.folder(self.unified))
        {
            let closed = closed.get(..CLOSED).unwrap_or(&closed);
            let opened = File::open(folder);
            let attached = opened.and_then(|open| bpf::close(open.as_fd(), closed));
            cage.closed = Some(attached.map_err(failed("close network devices to", folder))?);
        }
        Ok(())
    }

    /// Cuts a cage off the network, the loopback excepted, or gives it back.
    pub(crate) fn set_network(&self, cage: &mut Cage, allowed: bool) -> Result<(), CageError> {
        if allowed {
            cage.cut = None;
            return Ok(());
        }
        let (true, None, Some(folder)) = (self.network, &cage.cut, cage.folder(self.unified))
        else {
            return Ok(());
        };
        let opened = File::open(folder);
        let attached = opened.and_then(|open| bpf::cut(open.as_fd()));
        cage.cut = Some(attached.map_err(failed("cut the network of", folder))?);
        Ok(())
    }

    /// Counts the bytes of a cage from now on, where that can be had.
    pub(crate) fn count_network(&self, cage: &mut Cage) -> Result<(), CageError> {
        let wanted = self.network && !cage.counted;
        let (true, Some(folder)) = (wanted, cage.folder(self.unified).map(Path::to_path_buf))
        else {
            return Ok(());
        };
        cage.counted = true;
        let opened = File::open(&folder);
        let counter = opened.and_then(|open| bpf::count(open.as_fd()));
        cage.counter = Some(counter.map_err(failed("count the network of", &folder))?);
        Ok(())
    }

    /// Stops everybody in the cage, or lets them go on.
    pub(crate) fn freeze(
        &self,
        cage: &Cage,
        main: Option<Pid>,
        frozen: bool,
    ) -> Result<(), CageError> {
        let tree = self.tree(cage, main, &[]);
        let what = if frozen { "freeze" } else { "thaw" };
        self.kill
            .freeze(tree, frozen)
            .map_err(failed(what, tree.folder))
    }
}

impl Cage {
    /// Bytes sent and received since they are counted.
    pub(crate) fn network_bytes(&self) -> Option<u64> {
        self.counter.as_ref()?.bytes().ok()
    }
}

/// A network device of this name; absent = there is none now, and nothing to close.
fn device(name: &str) -> Option<Closed> {
    let any = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    let index = name_to_index(any, name).ok()?;
    Some(Closed {
        name: name.to_owned(),
        index: i32::try_from(index).ok()?,
    })
}
