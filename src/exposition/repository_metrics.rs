//! The set of families with a series per repository that are written.

use std::fmt;
use std::str::FromStr;
use strum::IntoStaticStr;

/// A family with one series per repository. They are written in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RepositoryMetric {
    /// `swr_repository_size_bytes`
    Size,
    /// `swr_repository_images`
    Images,
    /// `swr_repository_downloads`
    Downloads,
    /// `swr_repository_created_timestamp_seconds`
    Created,
    /// `swr_repository_updated_timestamp_seconds`
    Updated,
    /// `swr_repository_info`
    Info,
}

impl RepositoryMetric {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Size, Self::Images, Self::Downloads, Self::Created, Self::Updated, Self::Info];

    /// The word that selects it in settings.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A set of [`RepositoryMetric`]; all by default. An empty text is the empty set: only sums by organization are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepositoryMetrics([bool; RepositoryMetric::ALL.len()]);

impl RepositoryMetrics {
    /// Every metric.
    pub const ALL: Self = Self([true; RepositoryMetric::ALL.len()]);
    /// None.
    pub const NONE: Self = Self([false; RepositoryMetric::ALL.len()]);

    /// Whether the metric is in the set.
    pub const fn contains(self, metric: RepositoryMetric) -> bool {
        self.0[metric as usize]
    }

    /// The set with one metric more.
    pub const fn with(mut self, metric: RepositoryMetric) -> Self {
        self.0[metric as usize] = true;
        self
    }

    /// The members in the order in which they are written.
    pub fn iter(self) -> impl Iterator<Item = RepositoryMetric> {
        RepositoryMetric::ALL.into_iter().filter(move |metric| self.contains(*metric))
    }
}

impl Default for RepositoryMetrics {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromStr for RepositoryMetrics {
    type Err = String;

    /// Parses a list such as `size,images`. Spaces around names and repeated names are allowed.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut set = Self::NONE;
        let mut unknown = Vec::new();
        for name in text.split(',').map(str::trim) {
            match RepositoryMetric::ALL.into_iter().find(|metric| metric.name() == name) {
                Some(metric) => set = set.with(metric),
                None if text.trim().is_empty() => {}
                None => unknown.push(format!("`{name}`")),
            }
        }
        if unknown.is_empty() {
            return Ok(set);
        }
        Err(format!("unknown metrics {} (known: {})", unknown.join(", "), Self::ALL))
    }
}

impl fmt::Display for RepositoryMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(RepositoryMetric::name).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_any_order_and_printed_in_the_order_of_writing() {
        let set: RepositoryMetrics = " info, size,images ,size".parse().unwrap();
        assert_eq!(set.to_string(), "size,images,info");
        assert!(set.contains(RepositoryMetric::Info) && !set.contains(RepositoryMetric::Created));
        assert_eq!(RepositoryMetrics::default().to_string().parse(), Ok(RepositoryMetrics::ALL));
        assert_eq!("".parse(), Ok(RepositoryMetrics::NONE));
    }

    #[test]
    fn every_unknown_name_is_reported_with_the_known_ones() {
        let message = |text: &str| text.parse::<RepositoryMetrics>().unwrap_err();
        let known = "known: size,images,downloads,created,updated,info";
        assert_eq!(message("size,tags,Info"), format!("unknown metrics `tags`, `Info` ({known})"));
        assert_eq!(message("size,"), format!("unknown metrics `` ({known})"));
    }
}
