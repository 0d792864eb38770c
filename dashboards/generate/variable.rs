//! What a reader chooses at the top of a dashboard.

use serde_json::{Map, Value};

/// A choice at the top of a dashboard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    Namespace,
    Repository,
    Instance,
    /// How far back growth and downloads are counted.
    Period,
    /// How long nobody has pushed to a stale repository, in seconds.
    StaleAfter,
    /// The clean-up rule.
    Rule,
}

/// The chosen Prometheus.
pub fn source() -> Value {
    let pairs = [("type", "prometheus"), ("uid", "${datasource}")];
    Value::Object(Map::from_iter(pairs.map(|(key, value)| (key.to_owned(), value.into()))))
}
