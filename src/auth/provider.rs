//! Which source is used: the one that is named, or the first that is configured.

use super::CredentialProvider;

/// A source that may be used.
#[derive(Debug)]
pub struct Candidate {
    /// Its name.
    pub name: &'static str,
    /// The source, or why it is not configured.
    pub found: Result<CredentialProvider, String>,
}

/// The source in use.
#[derive(Debug)]
pub struct ResolvedProvider {
    /// The source.
    pub source: CredentialProvider,
    /// Those that come before it, and why they are not used.
    pub passed_over: Vec<(&'static str, String)>,
}

impl ResolvedProvider {
    /// A source that was named.
    pub fn named(source: CredentialProvider) -> Self {
        Self { source, passed_over: Vec::new() }
    }

    /// The first candidate that is configured.
    pub fn first(candidates: Vec<Candidate>) -> Option<Self> {
        let mut passed_over = Vec::new();
        for Candidate { name, found } in candidates {
            match found {
                Ok(source) => return Some(Self { source, passed_over }),
                Err(why) => passed_over.push((name, why)),
            }
        }
        None
    }
}

/// For the log: which source it is and why not another.
impl std::fmt::Display for ResolvedProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.source.name())?;
        for (index, (name, why)) in self.passed_over.iter().enumerate() {
            f.write_str(if index == 0 { "; not " } else { ", not " })?;
            write!(f, "{name} ({why})")?;
        }
        Ok(())
    }
}
