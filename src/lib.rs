//! swr-exporter: a Prometheus exporter for Huawei Cloud SWR.
pub mod simulator;
