//! Lull's wire: what devices, coordinators, apps and agents say to each other.
//!
//! - [`device`], [`push`], [`fleet`], [`local`]: generated from `lull/<area>/v1/*.proto`, services included.
//! - [`agent`]: the line protocol between a node and a running agent (JSON, one message a line).
//! - [`host`]: the packets between a node and an app's own process that runs tasks.
//! - [`handover`]: sockets that apps and agents hand over to the node (JSON, a descriptor with it).
//! - [`time`]: timestamps and durations, which the wire may get wrong, into numbers that cannot be.
//! - [`problem`]: rich gRPC errors that name the field.
//!
//! Deliberately absent: decisions, and conversions into the policy crates' types (those stand where both sides
//! are known, in the daemons).

pub mod agent;
pub mod handover;
pub mod host;
pub mod problem;
pub mod time;

macro_rules! generated {
    ($(#[$doc:meta])* $area:ident, $package:tt $(, $lint:path)?) => {
        $(#[$doc])*
        pub mod $area {
            /// Version 1.
            $(#[expect($lint, reason = "generated: a run is told whole when it ends")])?
            #[expect(
                missing_docs,
                unused_qualifications,
                clippy::pedantic,
                clippy::allow_attributes,
                reason = "generated from the protos, which carry the documentation"
            )]
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    };
}

generated! {
    /// `lull.device.v1`: enrolment and the device's session.
    device, "lull.device.v1"
}
generated! {
    /// `lull.push.v1`: sending pushes and following their receipts.
    push, "lull.push.v1"
}
generated! {
    /// `lull.fleet.v1`: the fleet as its operator sees it.
    fleet, "lull.fleet.v1"
}
generated! {
    /// `lull.local.v1`: the node's own Unix socket.
    local, "lull.local.v1", clippy::large_enum_variant
}

/// The compiled descriptors of all areas, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lull_descriptor.bin"));

/// The session protocol spoken by this build, both ends of the range.
pub const SESSION_PROTOCOL: std::ops::RangeInclusive<u32> = 1..=1;

/// Most bytes of a push's payload (PSH-08).
pub const PUSH_LIMIT: usize = 5_000;

/// Most bytes of one gRPC message that any of our servers reads.
pub const MESSAGE_LIMIT: usize = 1 << 20;
