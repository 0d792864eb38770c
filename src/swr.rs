//! The client of the SWR API: requests, tolerant wire structs, error classes, retry, rate limit, circuit breaker.
//!
//! Belongs here: everything that is true of one call. Deliberately absent: what calls together mean (`collect`), and
//! any route by which a failed call could become an empty list.

pub mod error;
pub mod metrics;
pub mod endpoint;
pub mod retry;
pub mod throttle;
pub mod tag_rate_limiter;
pub mod breaker;
mod project;
pub mod client;
#[cfg(test)]
mod scripted;
pub mod wire;
pub mod json_array;
mod buffered;
pub mod pages;
pub mod markers;
pub mod repository;
pub mod manifest;
pub mod tags;
pub mod account;
pub mod enterprise;

pub use client::{Client, Options};
pub use error::ApiError;
pub use metrics::{Metrics, Operation};
pub use project::ProjectLookup;
pub use retry::CallBudget;
