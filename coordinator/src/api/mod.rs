//! The gRPC services: each parses a request, asks a shard or the store, and answers.
//!
//! Deliberately absent: decisions (the fleet policy) and connections (`listen`).

pub mod authorise;
