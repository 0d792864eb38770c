//! SWR over real HTTP: a world that grows, faults, latency.
