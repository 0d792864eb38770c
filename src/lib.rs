//! swr-exporter: a Prometheus exporter for Huawei Cloud SWR (Software Repository for Container).
//!
//! Data flows one way, and a module imports only modules declared before it:
//!
//! ```text
//! SWR API -> swr -> collect -> Snapshot -> Exposition -> cache -> web -> Prometheus
//! ```
//!
//! ARCHITECTURE.md describes the modules and walks through a scrape and a refresh.

pub mod base;
pub mod failure;
pub mod model;
pub mod catalog;
pub mod metrics;
pub mod transport;
pub mod auth;
pub mod swr;
pub mod collect;
pub mod exposition;
pub mod cache;
pub mod web;
pub mod logging;
pub mod report;
pub mod cli;
pub mod config;
pub mod app;
