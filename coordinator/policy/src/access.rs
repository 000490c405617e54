//! Who may call what: one table, deny by default.
//!
//! Deliberately absent: certificates (the host turns one into a [`Caller`]) and listeners.

use std::collections::BTreeSet;

use crate::{AppId, ClientName, DeviceId};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// No client certificate (the door).
    Anonymous,
    /// An enrolled device.
    Device(DeviceId),
    /// A publisher, and the apps it may push to.
    Publisher {
        /// Its name.
        name: ClientName,
        /// Its scope.
        apps: BTreeSet<AppId>,
    },
    /// An operator.
    Operator(ClientName),
}

/// The role of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// No client certificate.
    Anonymous,
    /// An enrolled device.
    Device,
    /// May push, to its apps.
    Publisher,
    /// May do all that people do.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [
        Self::Anonymous,
        Self::Device,
        Self::Publisher,
        Self::Operator,
    ];
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "anonymous",
            Self::Device => "device",
            Self::Publisher => "publisher",
            Self::Operator => "operator",
        })
    }
}

impl Caller {
    /// Its role.
    pub fn role(&self) -> Role {
        match self {
            Self::Anonymous => Role::Anonymous,
            Self::Device(_) => Role::Device,
            Self::Publisher { .. } => Role::Publisher,
            Self::Operator(_) => Role::Operator,
        }
    }

    /// Whether it may send to this app and see its pushes.
    pub fn may_use(&self, app: &AppId) -> bool {
        match self {
            Self::Anonymous | Self::Device(_) => false,
            Self::Publisher { apps, .. } => apps.contains(app),
            Self::Operator(_) => true,
        }
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $path:literal: $($role:ident)*;)*) => {
        /// Every method of the coordinator.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Method {
            $($(#[$doc])* $name,)*
        }

        impl Method {
            /// All methods.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The method's path on the wire.
            pub fn path(self) -> &'static str {
                match self {
                    $(Self::$name => $path,)*
                }
            }

            /// The roles that may call it.
            pub fn roles(self) -> &'static [Role] {
                match self {
                    $(Self::$name => &[$(Role::$role),*],)*
                }
            }
        }
    };
}

methods! {
    /// Trades a token for a device identity.
    Enroll = "/lull.device.v1.EnrollmentService/Enroll": Anonymous;
    /// The device's stream.
    Session = "/lull.device.v1.DeviceService/Session": Device;
    /// Sends a push.
    Send = "/lull.push.v1.PushService/Send": Publisher Operator;
    /// What became of a push.
    Get = "/lull.push.v1.PushService/Get": Publisher Operator;
    /// The receipts of a push as they come.
    Watch = "/lull.push.v1.PushService/Watch": Publisher Operator;
    /// Makes an enrolment token.
    CreateEnrollmentToken = "/lull.fleet.v1.FleetService/CreateEnrollmentToken": Operator;
    /// Lists the devices.
    ListDevices = "/lull.fleet.v1.FleetService/ListDevices": Operator;
    /// Makes a client certificate.
    IssueClientCertificate = "/lull.fleet.v1.FleetService/IssueClientCertificate": Operator;
    /// Standard health: says nothing that an open port does not.
    HealthCheck = "/grpc.health.v1.Health/Check": Anonymous Device Publisher Operator;
    /// Standard health as a stream: holds a stream open, so for known callers.
    HealthWatch = "/grpc.health.v1.Health/Watch": Device Publisher Operator;
    /// Standard reflection.
    Reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Publisher Operator;
    /// Standard reflection, as older tools ask for it.
    ReflectionAlpha = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Publisher Operator;
}

/// A call that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No such method: nobody may call it.
    #[error("no such method {path:?}")]
    Unknown {
        /// The path.
        path: String,
    },
    /// The role may not.
    #[error("{role} may not call {path}; it is for {}", list(.allowed))]
    Role {
        /// The caller's role.
        role: Role,
        /// The method.
        path: &'static str,
        /// Who may.
        allowed: &'static [Role],
    },
    /// The publisher's scope has not this app.
    #[error(
        "publisher {name} may not use app {app}; ask the operator for a certificate whose apps include it"
    )]
    App {
        /// The publisher.
        name: ClientName,
        /// The app.
        app: AppId,
    },
}

fn list(roles: &[Role]) -> String {
    let names: Vec<String> = roles.iter().map(ToString::to_string).collect();
    names.join(" and ")
}

/// Whether the role may call the method of this path.
pub fn allowed(role: Role, path: &str) -> Result<Method, Denied> {
    let method = Method::ALL
        .iter()
        .copied()
        .find(|method| method.path() == path)
        .ok_or_else(|| Denied::Unknown {
            path: path.chars().take(128).collect(),
        })?;
    if method.roles().contains(&role) {
        return Ok(method);
    }
    Err(Denied::Role {
        role,
        path: method.path(),
        allowed: method.roles(),
    })
}

/// Whether the caller may send to the app. (Asking after a push of another app answers "not found" instead.)
pub fn allowed_app(caller: &Caller, app: &AppId) -> Result<(), Denied> {
    match caller {
        Caller::Publisher { name, apps } if !apps.contains(app) => Err(Denied::App {
            name: name.clone(),
            app: app.clone(),
        }),
        Caller::Publisher { .. } | Caller::Operator(_) => Ok(()),
        Caller::Anonymous | Caller::Device(_) => Err(Denied::Role {
            role: caller.role(),
            path: Method::Send.path(),
            allowed: Method::Send.roles(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_method_by_every_role() {
        let mut table = String::new();
        for method in Method::ALL {
            write!(table, "{}:", method.path()).unwrap();
            for role in Role::ALL {
                let may = allowed(role, method.path()).is_ok();
                assert_eq!(may, method.roles().contains(&role));
                write!(table, " {role} {}", if may { "may" } else { "-" }).unwrap();
            }
            table.push('\n');
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn what_is_not_listed_is_nobodys() {
        for path in [
            "",
            "/",
            "/lull.push.v1.PushService/send",
            "/lull.push.v1.PushService/Send/",
        ] {
            for role in Role::ALL {
                assert!(matches!(allowed(role, path), Err(Denied::Unknown { .. })));
            }
        }
    }

    #[test]
    fn a_publisher_keeps_to_its_apps() {
        let app = |name: &str| AppId::new(name).unwrap();
        let publisher = Caller::Publisher {
            name: ClientName::new("ci").unwrap(),
            apps: BTreeSet::from([app("photos")]),
        };
        assert_eq!(allowed_app(&publisher, &app("photos")), Ok(()));
        assert_eq!(
            allowed_app(&publisher, &app("mail"))
                .unwrap_err()
                .to_string(),
            "publisher ci may not use app mail; ask the operator for a certificate whose apps include it"
        );
        let operator = Caller::Operator(ClientName::new("root").unwrap());
        assert_eq!(allowed_app(&operator, &app("mail")), Ok(()));
        let device = Caller::Device(DeviceId::from_bytes([1; 16]));
        for nobody in [device, Caller::Anonymous] {
            assert!(allowed_app(&nobody, &app("photos")).is_err());
            assert!(!nobody.may_use(&app("photos")));
        }
        assert!(publisher.may_use(&app("photos")) && !publisher.may_use(&app("mail")));
    }

    #[test]
    fn a_denial_says_who_may() {
        let denied = allowed(Role::Device, Method::Send.path()).unwrap_err();
        assert_eq!(
            denied.to_string(),
            "device may not call /lull.push.v1.PushService/Send; it is for publisher and operator"
        );
    }
}
