//! What holds runs back or ends them: time, memory, Battery Saver, the interval of timers, places.

pub(crate) mod battery_saver;
pub(crate) mod interval;
pub(crate) mod memory;
pub(crate) mod slot;
pub(crate) mod time;
