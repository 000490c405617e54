//! What carries the default route, whether the Internet answers and whether it costs, as NetworkManager has it.
//!
//! NetworkManager's primary connection already is the one below a VPN of its own; below a tunnel that it treats as a plain
//! connection (WireGuard) stands the first connection that is up and has hardware.

use lull_policy::{Level, Network, Reading};

use crate::config::Assumed;
use crate::watch::bus::{At, Bus, Properties, Signals, Subject, is_gone};
use crate::watch::{Post, Report, assumed};

const SERVICE: &str = "org.freedesktop.NetworkManager";
const MANAGER: &str = "/org/freedesktop/NetworkManager";
const ACTIVE: &str = "org.freedesktop.NetworkManager.Connection.Active";

/// Connections that are looked at below a tunnel.
const CONNECTIONS: usize = 64;

/// `NM_CONNECTIVITY_FULL` and its siblings.
const CONNECTIVITY_UNKNOWN: u32 = 0;
const CONNECTIVITY_FULL: u32 = 4;
/// `NM_STATE_CONNECTED_GLOBAL`.
const CONNECTED_GLOBAL: u32 = 70;
/// `NM_ACTIVE_CONNECTION_STATE_ACTIVATED`.
const ACTIVATED: u32 = 2;

pub(super) struct NetworkManager {
    assume: Assumed,
}

impl NetworkManager {
    pub(super) fn of(post: &Post) -> Self {
        Self {
            assume: post.assume,
        }
    }
}

impl Subject for NetworkManager {
    const LABEL: &'static str = "NetworkManager";
    const SERVICE: &'static str = SERVICE;
    const SIGNALS: &'static [Signals] = &[
        // Access points tell of their strength every few seconds; they are other objects.
        Signals {
            service: SERVICE,
            at: At::Object(MANAGER),
            interface: None,
        },
        Signals {
            service: SERVICE,
            at: At::Below("/org/freedesktop/NetworkManager/ActiveConnection"),
            interface: None,
        },
    ];

    async fn read(&mut self, bus: &Bus) -> zbus::Result<Report> {
        let manager = bus.properties(SERVICE, MANAGER, SERVICE).await?;
        let kind = manager.text("PrimaryConnectionType").unwrap_or_default();
        let network = match network(kind) {
            Some(network) => network,
            None => below(bus, &manager).await?.unwrap_or(Network::Ethernet),
        };
        Ok(report(self.assume, &manager, network))
    }

    fn unknown() -> Vec<Reading> {
        vec![
            Reading::Network(Level::Unknown),
            Reading::Internet(Level::Unknown),
            Reading::Metered(Level::Unknown),
        ]
    }
}

/// The network of a connection's type; absent for a type that lies over another connection.
fn network(kind: &str) -> Option<Network> {
    match kind {
        "" => Some(Network::None),
        "802-11-wireless" => Some(Network::Wifi),
        "gsm" | "cdma" => Some(Network::Cellular),
        // A telephone that shares its network over Bluetooth shares a mobile one.
        "bluetooth" => Some(Network::Cellular),
        "wireguard" | "tun" | "vpn" | "ip-tunnel" | "macsec" | "vxlan" => None,
        _ => Some(Network::Ethernet),
    }
}

/// What lies below a tunnel.
async fn below(bus: &Bus, manager: &Properties) -> zbus::Result<Option<Network>> {
    for path in manager
        .objects("ActiveConnections")
        .into_iter()
        .take(CONNECTIONS)
    {
        let connection = match bus.properties(SERVICE, path.as_str(), ACTIVE).await {
            Ok(connection) => connection,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(error),
        };
        let kind = connection.text("Type").unwrap_or_default();
        let up = connection.number("State") == Some(ACTIVATED) && kind != "loopback";
        if let Some(found) = network(kind).filter(|_| up && !kind.is_empty()) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn report(assume: Assumed, manager: &Properties, network: Network) -> Report {
    let source = "NetworkManager";
    let mut report = Report::default();
    report.add(Reading::Network(Level::Known(network)), source);
    report.add(Reading::Internet(internet(manager)), source);
    match manager.number("Metered") {
        // Yes, and guessed yes.
        Some(1 | 3) => report.add(Reading::Metered(Level::Known(true)), source),
        Some(2 | 4) => report.add(Reading::Metered(Level::Known(false)), source),
        Some(_) | None => {
            let (metered, source) = assumed::profile(assume.metered);
            report.add(Reading::Metered(metered), source);
        }
    }
    report
}

/// CND-22. Where NetworkManager does not check, it counts that it believes to be connected.
fn internet(manager: &Properties) -> Level<bool> {
    match (manager.number("Connectivity"), manager.number("State")) {
        (Some(CONNECTIVITY_UNKNOWN) | None, Some(state)) => Level::Known(state >= CONNECTED_GLOBAL),
        (Some(CONNECTIVITY_UNKNOWN) | None, None) => Level::Unknown,
        (Some(connectivity), _) => Level::Known(connectivity == CONNECTIVITY_FULL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_networks_and_tunnels_are_none() {
        let rows = [
            ("", Some(Network::None)),
            ("802-3-ethernet", Some(Network::Ethernet)),
            ("802-11-wireless", Some(Network::Wifi)),
            ("gsm", Some(Network::Cellular)),
            ("bridge", Some(Network::Ethernet)),
            ("wireguard", None),
            ("vpn", None),
        ];
        for (kind, expected) in rows {
            assert_eq!(network(kind), expected, "{kind}");
        }
    }
}
