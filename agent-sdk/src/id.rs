//! The numbers that a device gives: once each, never again, counted from 1.
//!
//! Deliberately absent: ids of pushes, which are text from elsewhere.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A registration on this device (ACC-25).
    RegistrationId
}
id! {
    /// A run on this device (RUN-10).
    RunId
}
