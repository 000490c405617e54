//! The launcher as a process, with real agents in real cages. Every test starts a launcher of its own, with a folder of cages of its
//! own, and ends it. Tests that need root say so where they fail.

#[cfg(test)]
mod cages;
#[cfg(test)]
mod confinement;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod drill;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod hierarchies;
#[cfg(test)]
mod holding;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod metering;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod unprivileged;
