//! Who is at the other end of a connection, as its certificate says.
//!
//! Deliberately absent: whether a device is enrolled and what a publisher's scope is (the store knows), and who may call
//! what (the fleet policy decides).

use std::net::SocketAddr;

use lull_fleet_policy::access::Role;
use lull_fleet_policy::{ClientName, DeviceId};
use rustls_pki_types::CertificateDer;

use crate::authority::Facts;

/// The other end of a connection; an extension of each of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where it calls from.
    pub address: SocketAddr,
    /// Whom its certificate names; `None` without a certificate (the door), or where it names nobody we know of.
    pub principal: Option<Principal>,
    /// Its certificate's serial number; empty without one.
    pub serial: Vec<u8>,
    /// The end of its certificate, wall milliseconds; 0 without one.
    pub expires_at: u64,
}

/// Whom a certificate names: the SAN URI `lull://<role>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A device.
    Device(DeviceId),
    /// A publisher.
    Publisher(ClientName),
    /// An operator.
    Operator(ClientName),
}

impl Principal {
    /// Reads the URI.
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (role, name) = uri.strip_prefix("lull://")?.split_once('/')?;
        match role {
            "device" => DeviceId::parse(name).ok().map(Self::Device),
            "publisher" => ClientName::new(name).ok().map(Self::Publisher),
            "operator" => ClientName::new(name).ok().map(Self::Operator),
            _ => None,
        }
    }

    /// Its role.
    pub fn role(&self) -> Role {
        match self {
            Self::Device(_) => Role::Device,
            Self::Publisher(_) => Role::Publisher,
            Self::Operator(_) => Role::Operator,
        }
    }
}

impl Peer {
    /// The peer of a connection whose certificate chain was verified, or that showed none.
    pub fn of(address: SocketAddr, chain: Option<&[CertificateDer<'_>]>) -> Self {
        let facts = chain.and_then(<[_]>::first).and_then(Facts::of);
        let principal = match facts.as_ref().map(|facts| facts.names.as_slice()) {
            // Our certificates have one name; two would leave open which one speaks.
            Some([uri]) => Principal::from_uri(uri),
            Some(_) | None => None,
        };
        let (serial, expires_at) =
            facts.map_or_else(Default::default, |facts| (facts.serial, facts.expires_at));
        Self {
            address,
            principal,
            serial,
            expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_name_someone() {
        let device = "01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f";
        assert_eq!(
            Principal::from_uri(&format!("lull://device/{device}")),
            Some(Principal::Device(DeviceId::parse(device).unwrap()))
        );
        let role = |uri| Principal::from_uri(uri).map(|principal| principal.role());
        assert_eq!(role("lull://publisher/shop"), Some(Role::Publisher));
        assert_eq!(role("lull://operator/local"), Some(Role::Operator));
        for uri in [
            "lull://device/x",
            "lull://auditor/x",
            "lull://operator/",
            "lull://operator/a/b",
            "lull://operator/a b",
            "http://operator/a",
            "",
        ] {
            assert_eq!(role(uri), None, "{uri}");
        }
    }
}
