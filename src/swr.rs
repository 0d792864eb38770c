//! The client of the SWR API: requests, tolerant wire structs, error classes, retry, rate limit, circuit breaker.
//!
//! Belongs here: everything that is true of one call. Deliberately absent: what calls together mean (`collect`), and
//! any route by which a failed call could become an empty list.

pub mod array;
pub mod breaker;
pub mod client;
pub mod endpoint;
pub mod error;
pub mod manifest;
pub mod metrics;
pub mod pages;
pub mod repository;
pub mod retry;
pub mod tags;
pub mod throttle;
pub mod wire;
mod whole;
pub mod markers;
mod project;
pub mod account;
pub mod enterprise;
#[cfg(test)]
mod scripted;

pub use client::{Client, Options};
pub use error::ApiError;
pub use metrics::{Metrics, Operation, Purpose};
pub use project::ProjectLookup;
pub use retry::Effort;
