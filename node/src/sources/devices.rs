//! Devices that come and go (TRG-46), from the kernel's uevents; what is there at first is read from sysfs.
//!
//! A device is called by its kind and the kernel's name for it, and where the bus has them by the numbers of maker and product:
//! `usb:046d:c52b:1-1.2`, `pci:8086:0d57:0000:00:00.0`, `block:sdb`. So a pattern names one place (`usb:046d:c52b:1-1.2`), one product
//! (`usb:046d:c52b:*`), one maker (`usb:046d:*`) or a kind (`usb:*`). Two devices of one product have two names.
//!
//! The machine remembers which devices left (TRGD-30): one of these that is there when this begins to listen has come. Nothing
//! else that happened before is told.
//!
//! Deliberately absent: parts of devices (partitions, interfaces, queues), devices that software makes (loop, tunnels, terminals), network
//! interfaces (they are renamed after they came: name the device that brings them), changes of a device that stays, and a device that went
//! and came back within one [`GAP`].

mod kinds;

use std::collections::BTreeSet;
use std::convert::Infallible;

use futures_util::FutureExt as _;
use lull_policy::{Occurrence, Subject};
use netlink_sys::protocols::NETLINK_KOBJECT_UEVENT;
use tokio::time::sleep;

use super::{Post, Source, SourceError};
use crate::watch::GAP;
use crate::watch::netlink::NetlinkBell;
pub(super) use kinds::{KINDS, kinds};

/// The multicast group in which the kernel itself speaks.
const KERNEL: u32 = 1;

/// Messages read in one go; more are read after what they say was told.
const AT_ONCE: usize = 1_024;

/// Devices kept in mind: far more than a device has. Those beyond come and go unheard.
const DEVICES: usize = 4_096;

/// Told until it is dropped.
pub(super) async fn watch(post: &Post) -> Result<Infallible, SourceError> {
    let kernel = |source| SourceError::Kernel {
        what: "listening to the kernel's uevents",
        source,
    };
    // First the ear, then the look: what comes in between is heard.
    let mut bell =
        NetlinkBell::new(NETLINK_KOBJECT_UEVENT, KERNEL, kinds::concerns).map_err(kernel)?;
    let mut here = kinds::scan();
    let mut told = here.clone();
    // What left before somebody stopped listening, and is here now, has come.
    for device in post
        .look(|device| device.unplugged().cloned().collect::<Vec<_>>())
        .await?
    {
        told.remove(&device);
    }
    post.stands(Source::Devices, "uevents of the kernel");
    loop {
        tell(post, &told, &here).await?;
        told.clone_from(&here);
        let mut heard = Some(bell.hear().await.map_err(kernel)?);
        sleep(GAP).await;
        let mut read = 0;
        while let Some(message) = heard {
            match message {
                Some(message) => apply(&mut here, &message),
                // The kernel dropped some: what is there now is what counts.
                None => here = kinds::scan(),
            }
            read += 1;
            let more = (read < AT_ONCE).then(|| bell.hear().now_or_never());
            heard = more.flatten().transpose().map_err(kernel)?;
        }
    }
}

/// A device that is there already does not come: the kernel is asked to say so anew at every start of udev.
fn apply(here: &mut BTreeSet<Subject>, message: &[u8]) {
    match kinds::read(message) {
        Some((device, true)) if here.len() < DEVICES => {
            here.insert(device);
        }
        Some((device, false)) => {
            here.remove(&device);
        }
        Some((_, true)) | None => {}
    }
}

async fn tell(
    post: &Post,
    told: &BTreeSet<Subject>,
    here: &BTreeSet<Subject>,
) -> Result<(), SourceError> {
    let gone = told.difference(here).map(|device| (device, false));
    let came = here.difference(told).map(|device| (device, true));
    for (device, present) in gone.chain(came) {
        let device = device.clone();
        post.tell(Occurrence::Device { device, present }).await?;
    }
    Ok(())
}
