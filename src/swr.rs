//! The client of the SWR API: requests, tolerant parsing, error classes, retries, rate limit, circuit breaker.
//!
//! Belongs here: everything about a single call. Deliberately absent: what several calls mean together (`collect`), and
//! any way for a failed call to become an empty list.

pub mod error;
pub mod advice;
pub mod metrics;
pub mod throttle;
pub mod retry;
pub mod breaker;
pub mod request;
pub mod client;
#[cfg(test)]
pub(crate) mod fake_upstream;
pub mod wire;
pub mod json_array;
mod buffered;
mod project;
pub mod row_reader;
pub mod pages;
pub mod markers;
pub mod repository;
pub mod retention;
pub mod manifest;
pub mod tags;
pub mod account;
pub mod enterprise;
pub mod artifacts;

pub use client::{Client, Options, ProjectLookup};
pub use error::ApiError;
pub use metrics::{Metrics, Operation};
pub use retry::CallBudget;
