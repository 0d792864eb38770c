//! Small mechanisms that every layer shares. Each exists once, here, and knows nothing of registries or metrics.

pub mod backoff;
pub mod blocking;
pub mod clock;
pub mod deadline;
pub mod digest;
pub mod file;
pub mod file_stamp;
pub mod file_watcher;
pub mod log_limiter;
pub mod rate_limit;
pub mod secret;
pub mod state_file;
pub mod state_lock;
pub mod words;
