//! `swr-exporter report`: what could be deleted and what that would free, for people and for tickets.
//!
//! It reads the account as `scrape` does, or takes what `serve` has left in its state files. It sends nothing but reads,
//! and it deletes nothing.

use super::scrape;
use crate::base::state_file::{Persistent, VerifiedFile};
use crate::cli::ReportArgs;
use crate::collect::fetch_task::FetchKind;
use crate::collect::inventory::records;
use crate::config::environment::Environment;
use crate::config::{self, OfflineAccount, Problems, StateFiles};
use crate::logging;
use crate::model::reading::KnownRepository;
use crate::model::reclaim::{self, Reclaim, Rule};
use crate::model::{Snapshot, Timestamp};
use crate::report::{self, Format, Options, Readings, Scope};
use anyhow::{anyhow, bail};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The length of lists.
const TOP: usize = 10;

/// The longest list that can be asked for.
const MAX_TOP: usize = 100_000_000;

/// Columns of a report that is not written to a terminal.
const COLUMNS: usize = 80;

/// Reports once, also if only a part could be read.
///
/// # Errors
/// Wrong settings, an account or state that could not be read in whole or in part, or output that cannot be written.
pub fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let wanted = Wanted::of(args)?;
    if args.offline { offline(args, &wanted) } else { online(args, &wanted) }
}

/// What the flags of `report` ask for.
struct Wanted {
    rules: Option<Arc<[Rule]>>,
    only: Option<Scope>,
    top: Option<usize>,
    tags: bool,
    format: Format,
}

impl Wanted {
    fn of(args: &ReportArgs) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let rules = reclaim::parse(args.rule.iter().map(|rule| rule.trim())).unwrap_or_else(|wrong| {
            wrong.iter().for_each(|problem| problems.add(format!("--rule: {problem}")));
            Arc::default()
        });
        let top = args.top.as_ref().and_then(|text| {
            let number = text.parse().ok().filter(|number| (1..=MAX_TOP).contains(number));
            problems.value_of("--top", number.ok_or_else(|| format!("`{text}` is no number from 1 to {MAX_TOP}")))
        });
        let only = args.only.as_ref().map(|text| {
            let (namespace, repository) = match text.split_once('/') {
                Some((namespace, repository)) => (namespace, Some(Box::from(repository))),
                None => (text.as_str(), None),
            };
            if namespace.is_empty() || repository.as_deref() == Some("") {
                problems
                    .add(format!("--only: `{text}` is no organization such as team, or repository such as team/app"));
            }
            Scope { namespace: namespace.into(), repository }
        });
        if !problems.list().is_empty() {
            return Err(problems);
        }
        let format = match args.format.as_str() {
            "markdown" => Format::Markdown,
            "json" => Format::Json,
            "csv" => Format::Csv,
            _ => Format::Text { width: columns() },
        };
        Ok(Self { rules: (!args.rule.is_empty()).then_some(rules), only, top, tags: args.tags, format })
    }

    fn options(&self, account: &str, reclaim: Reclaim, is_offline: bool) -> Options {
        let rules = self.rules.clone().unwrap_or(reclaim.rules);
        Options {
            account: account.to_owned(),
            reclaim: Reclaim { rules, keep: reclaim.keep },
            // A table of tags has no other lists.
            top: self.top.unwrap_or(if self.format == Format::Csv && !self.tags { usize::MAX } else { TOP }),
            tags: self.tags.then(|| self.top.unwrap_or(usize::MAX)),
            only: self.only.clone(),
            now: Timestamp::from(SystemTime::now()),
            is_offline,
        }
    }

    /// Counts and writes.
    fn write(&self, options: &Options, listing: &Snapshot, readings: &mut Readings<'_>) -> anyhow::Result<()> {
        if let Some(only) = &options.only
            && !listing.repositories.iter().any(|row| only.contains(row.namespace, row.name))
        {
            bail!("--only: there is no {only} in this account");
        }
        let report = report::count(options, listing, readings)?;
        super::print_with(|out| report.write(self.format, out))
    }
}

/// Columns of the terminal that the report is written to.
fn columns() -> usize {
    let out = io::stdout();
    let size = if out.is_terminal() { rustix::termios::tcgetwinsize(&out).ok() } else { None };
    size.map_or(COLUMNS, |size| usize::from(size.ws_col).max(1))
}

fn online(args: &ReportArgs, wanted: &Wanted) -> anyhow::Result<()> {
    let (mut account, log) = config::resolve_account(&args.serve, &Environment::of_process(), args.account.as_deref())?;
    account.tags.collected.enabled[FetchKind::Tags] = true;
    let (name, reclaim) = (account.name.clone(), account.tags.collected.reclaim.clone());
    let _log = log.map(logging::start).transpose().map_err(anyhow::Error::msg)?;
    super::block_on(scrape::collect_once(account, |account, exposition| {
        let tags = account.tags.as_ref().expect("tags are collected");
        let mut readings = |visit: &mut dyn FnMut(KnownRepository)| {
            tags.visit(visit);
            Ok(())
        };
        wanted.write(&wanted.options(&name, reclaim, false), exposition.snapshot(), &mut readings)
    }))
}

fn offline(args: &ReportArgs, wanted: &Wanted) -> anyhow::Result<()> {
    let account = config::resolve_offline(&args.serve, &Environment::of_process(), args.account.as_deref())?;
    let OfflineAccount { name, state, reclaim } = account;
    let snapshot = state.snapshot.as_deref().expect("`serve` keeps one");
    let mut listing = open(snapshot, &state)?;
    let listing = listing.read(Snapshot::read).map_err(|error| anyhow!("{} {error}", snapshot.display()))?;
    let options = wanted.options(&name, reclaim, true);
    let mut file = open(&state.tags, &state)?;
    let mut readings = |visit: &mut dyn FnMut(KnownRepository)| {
        let read = file.read(|all| records::visit(all, options.reclaim.keep.as_ref(), visit));
        read.map_err(|error| anyhow!("{} {error}", state.tags.display()))
    };
    wanted.write(&options, &listing, &mut readings)
}

fn open(path: &Path, state: &StateFiles) -> anyhow::Result<VerifiedFile> {
    if path.exists() {
        return VerifiedFile::open(path).map_err(|error| anyhow!("{} {error}", path.display()));
    }
    let entries = state.directory().read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".snapshot")?.to_owned())).collect();
    names.sort();
    let missing = format!("there is no {}", path.display());
    if path.extension().is_some_and(|ending| ending == "tags")
        && names.iter().any(|name| path.file_stem().is_some_and(|own| own == name.as_str()))
    {
        bail!("{missing}: the exporter keeps it once it has read tags, with --collector.tags");
    }
    match names[..] {
        [] => bail!("{missing}: --cache.directory has no state; the exporter keeps it with the same flag"),
        _ => bail!("{missing}: choose another account by --account; there are {}", names.join(", ")),
    }
}
