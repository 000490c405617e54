//! What holds runs back or ends them: time, memory, power, places, quotas, debuggers, the operator.

pub(crate) mod battery_level;
pub(crate) mod battery_saver;
pub(crate) mod call;
pub(crate) mod cpu_pressure;
pub(crate) mod debugger;
pub(crate) mod external_power;
pub(crate) mod idle;
pub(crate) mod interval;
pub(crate) mod memory;
pub(crate) mod network_type;
pub(crate) mod operator;
pub(crate) mod quota;
pub(crate) mod screen_locked;
pub(crate) mod settling;
pub(crate) mod slot;
pub(crate) mod standby;
pub(crate) mod time;
pub(crate) mod work_cost;
