//! The test kit as an agent author meets it: the virtual device, and scenario files.

mod device;
mod order;
mod recordings;
mod scenarios;
mod steps;
mod told;
