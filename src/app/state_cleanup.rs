//! Removes the state files of accounts that are gone.

use crate::base::state_lock::StateLock;
use crate::config::StateFiles;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tracing::info;

/// How long state is kept after its last change. Other processes may keep state of other accounts in the same directory;
/// they write it at every refresh.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The time between two looks.
pub(super) const INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Removes the files in `directory` of accounts other than `accounts` whose state has not changed for [`MAX_AGE`] and is
/// not locked by another process.
pub(super) fn remove_abandoned(directory: &Path, accounts: &[String], now: SystemTime) {
    // The time of the latest change, by account.
    let mut changed: BTreeMap<String, SystemTime> = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let parts = name.to_str().and_then(|name| name.rsplit_once('.'));
        let Some((account, _)) = parts.filter(|(_, ending)| StateFiles::ENDINGS.contains(ending)) else { continue };
        let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
        let latest = changed.entry(account.to_owned()).or_insert(modified);
        *latest = modified.max(*latest);
    }
    let is_old = |modified: SystemTime| now.duration_since(modified).is_ok_and(|age| age > MAX_AGE);
    for (account, _) in changed.into_iter().filter(|(account, at)| !accounts.contains(account) && is_old(*at)) {
        let [.., lock] = StateFiles::ENDINGS;
        let file = |ending: &str| -> PathBuf { directory.join(format!("{account}.{ending}")) };
        // Held until its file is removed.
        let lock = StateLock::new(file(lock));
        if lock.is_ours() {
            // Best effort: what is left is tried again at the next look.
            StateFiles::ENDINGS.iter().for_each(|ending| drop(std::fs::remove_file(file(ending))));
            let path = directory.display();
            info!(account, "removed the state of account `{account}`, which is no longer configured, from {path}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs::{self, File};

    #[test]
    fn only_old_state_of_unknown_accounts_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let file = |name: &str, age: Duration| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(now - age).unwrap();
        };
        let (old, young) = (MAX_AGE + Duration::from_secs(60), MAX_AGE - Duration::from_secs(60));
        let kept = [
            "here.snapshot",
            "here.lock",
            "young.snapshot",
            "young.lock",
            "busy.tags",
            "busy.lock",
            "notes.txt",
            "a.scrape-tags",
        ];
        for name in ["gone.snapshot", "gone.tags", "gone.lock"].iter().chain(&kept) {
            file(name, if *name == "young.snapshot" { young } else { old });
        }
        let busy = File::open(folder.path().join("busy.lock")).unwrap();
        busy.lock().unwrap();
        remove_abandoned(folder.path(), &["here".to_owned()], now);
        let left: BTreeSet<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, kept.map(str::to_owned).into());
    }
}
