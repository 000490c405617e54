//! Network and Internet from the kernel's routing tables (rtnetlink).
//!
//! The Internet counts as available while a default route stands whose device carries (CND-22); whether packets come
//! back is not probed, and whether they are paid for by use is only assumed. Below a tunnel lies the best default route over
//! a device with hardware of its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use futures_util::{Stream, TryStreamExt as _};
use lull_policy::{Level, Network, Reading, Source};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteNextHopFlags, RouteType,
};
use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::constants::{RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE, RTMGRP_LINK};
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::config::Assumed;
use crate::watch::netlink::NetlinkBell;
use crate::watch::{GAP, Post, Report, Reporter, SUPERSEDED, WatchError, assumed};

/// Where the kernel shows what a device is.
pub(in crate::watch) const SYSFS: &str = "/sys/class/net";

/// How long one whole dump may take; a full routing table of the Internet takes about one second.
const DUMP: Duration = Duration::from_secs(20);

/// Most links that are looked at; a host of containers has some hundreds.
const LINKS: usize = 16_384;

/// Most default routes that are compared.
const ROUTES: usize = 256;

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    let groups = RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    let mut reporter = Reporter::new(post);
    let mut bell = match NetlinkBell::new(NETLINK_ROUTE, groups, |_any| true) {
        Ok(bell) => bell,
        Err(error) if is_absent(&error) => return silent(post).await,
        Err(error) => return Err(failed("listening for routes", error)),
    };
    loop {
        let superseded = bell
            .drain()
            .map_err(|error| failed("listening for routes", error))?;
        post.board.add(SUPERSEDED, superseded);
        let dump = tokio::time::timeout(DUMP, read(&post.net)).await;
        let late = |_elapsed| io::Error::from(io::ErrorKind::TimedOut);
        let dump = dump.map_err(late).and_then(|dump| dump);
        let found = dump.map_err(|error| failed("reading the routes", error))?;
        let pause = reporter.report(found.report(post.assume))?;
        tokio::time::sleep(pause.unwrap_or(GAP)).await;
        if pause.is_none() {
            let rung = bell.ring().await;
            rung.map_err(|error| failed("listening for routes", error))?;
        }
    }
}

fn failed(what: &'static str, source: io::Error) -> WatchError {
    WatchError::Source { what, source }
}

/// The kernel, or the sandbox around this process, has no such socket.
fn is_absent(error: &io::Error) -> bool {
    let absent = [
        libc::EAFNOSUPPORT,
        libc::EPROTONOSUPPORT,
        libc::EPERM,
        libc::EACCES,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| absent.contains(&code))
}

/// Without a source: what the profile says.
async fn silent(post: &Post) -> Result<(), WatchError> {
    let readings = post.assume.readings().of(Source::Network);
    assumed::watch(post, readings).await
}

/// What carries the default route now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    network: Network,
    device: Option<String>,
}

impl Found {
    fn report(&self, assume: Assumed) -> Report {
        let internet = self.network != Network::None;
        let source = match &self.device {
            Some(device) => format!("rtnetlink: default route over {device}"),
            None => "rtnetlink: no default route over a device that carries".to_owned(),
        };
        let mut report = Report::default();
        report.add(Reading::Network(Level::Known(self.network)), source.clone());
        report.add(Reading::Internet(Level::Known(internet)), source);
        let (metered, source) = assumed::profile(assume.metered);
        report.add(Reading::Metered(metered), source);
        report
    }
}

/// A device that can carry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Carrier {
    name: String,
}

/// A default route, or one of its next hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct DefaultRoute {
    /// IPv4 first: what most peers are reached by.
    six: bool,
    /// The kernel prefers the lower one.
    metric: u32,
    device: u32,
}

/// One complete dump of links and routes, over a connection of its own.
async fn read(sysfs: &Path) -> io::Result<Found> {
    let (connection, handle, _unused) = rtnetlink::new_connection()?;
    let (carriers, routes) = tokio::select! {
        biased;
        dump = dump(handle) => dump.map_err(io::Error::other)?,
        () = connection => return Err(io::Error::other("the netlink connection ended")),
    };
    let mut routes: Vec<&DefaultRoute> = routes
        .iter()
        .filter(|r| carriers.contains_key(&r.device))
        .collect();
    routes.sort();
    let device = carrying(sysfs, routes.iter().filter_map(|r| carriers.get(&r.device)));
    Ok(Found {
        network: device.map_or(Network::None, |device| kind(sysfs, &device.name)),
        device: device.map(|device| device.name.clone()),
    })
}

type Dump = (BTreeMap<u32, Carrier>, Vec<DefaultRoute>);

async fn dump(handle: Handle) -> Result<Dump, rtnetlink::Error> {
    let carriers = carriers(handle.link().get().execute()).await?;
    let mut routes = Vec::new();
    let four = RouteMessageBuilder::<Ipv4Addr>::new().build();
    default_routes(handle.route().get(four).execute(), false, &mut routes).await?;
    let six = RouteMessageBuilder::<Ipv6Addr>::new().build();
    default_routes(handle.route().get(six).execute(), true, &mut routes).await?;
    Ok((carriers, routes))
}

async fn carriers(
    links: impl Stream<Item = Result<LinkMessage, rtnetlink::Error>>,
) -> Result<BTreeMap<u32, Carrier>, rtnetlink::Error> {
    let mut links = std::pin::pin!(links);
    let mut carriers = BTreeMap::new();
    while let Some(link) = links.try_next().await? {
        let flags = link.header.flags;
        let carries = flags.contains(LinkFlags::Up | LinkFlags::Running);
        if carries && !flags.contains(LinkFlags::Loopback) && carriers.len() < LINKS {
            let name = link
                .attributes
                .into_iter()
                .find_map(|attribute| match attribute {
                    LinkAttribute::IfName(name) => Some(name),
                    _ => None,
                });
            let name = name.unwrap_or_default();
            carriers.insert(link.header.index, Carrier { name });
        }
    }
    Ok(carriers)
}

async fn default_routes(
    messages: impl Stream<Item = Result<RouteMessage, rtnetlink::Error>>,
    six: bool,
    routes: &mut Vec<DefaultRoute>,
) -> Result<(), rtnetlink::Error> {
    let mut messages = std::pin::pin!(messages);
    while let Some(message) = messages.try_next().await? {
        if is_default(&message.header) && routes.len() < ROUTES {
            next_hops(&message, six, routes);
        }
    }
    Ok(())
}

/// A unicast default route of the main table; policy routing's own tables say nothing of the device as a whole.
fn is_default(header: &RouteHeader) -> bool {
    header.destination_prefix_length == 0
        && header.kind == RouteType::Unicast
        && header.table == RouteHeader::RT_TABLE_MAIN
}

fn next_hops(message: &RouteMessage, six: bool, routes: &mut Vec<DefaultRoute>) {
    let metric = message
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Priority(metric) => Some(*metric),
            _ => None,
        });
    let metric = metric.unwrap_or(0);
    let mut add = |device| {
        routes.push(DefaultRoute {
            six,
            metric,
            device,
        });
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(device) => add(*device),
            RouteAttribute::MultiPath(hops) => {
                let down = RouteNextHopFlags::Dead | RouteNextHopFlags::Linkdown;
                let alive = hops.iter().filter(|hop| !hop.flags.intersects(down));
                alive.for_each(|hop| add(hop.interface_index));
            }
            _ => {}
        }
    }
}

/// The device that carries the best route: below a tunnel the best one with hardware, if there is any.
fn carrying<'c>(
    sysfs: &Path,
    mut best_first: impl Iterator<Item = &'c Carrier> + Clone,
) -> Option<&'c Carrier> {
    let hardware = |carrier: &&Carrier| sysfs.join(&carrier.name).join("device").exists();
    let below = best_first.clone().find(hardware);
    let best = best_first.next()?;
    if is_tunnel(sysfs, &best.name) {
        return below.or(Some(best));
    }
    Some(best)
}

/// Whether what a device carries goes out over another one.
fn is_tunnel(sysfs: &Path, device: &str) -> bool {
    let folder = sysfs.join(device);
    let uevent = std::fs::read_to_string(folder.join("uevent")).unwrap_or_default();
    folder.join("tun_flags").exists() || uevent.lines().any(|line| line == "DEVTYPE=wireguard")
}

/// The names of the devices of mobile networks, in their order.
pub(in crate::watch) fn mobile(sysfs: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(sysfs).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut mobile: Vec<String> = names
        .take(LINKS)
        .filter(|name| kind(sysfs, name) == Network::Cellular)
        .collect();
    mobile.sort();
    mobile
}

/// What a device is, as sysfs has it.
fn kind(sysfs: &Path, device: &str) -> Network {
    let folder = sysfs.join(device);
    if folder.join("wireless").exists() || folder.join("phy80211").exists() {
        return Network::Wifi;
    }
    let uevent = std::fs::read_to_string(folder.join("uevent")).unwrap_or_default();
    if uevent.lines().any(|line| line == "DEVTYPE=wwan") {
        return Network::Cellular;
    }
    Network::Ethernet
}

#[cfg(test)]
mod tests;
