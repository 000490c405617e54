//! The examples as processes of their own, at the far end of a socketpair whose near end plays the node.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod disk_report;
#[cfg(test)]
mod node_end;
