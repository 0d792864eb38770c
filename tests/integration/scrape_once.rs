//! `scrape`: one collection from the command line, as cron and node_exporter's textfile collector see it.

use crate::accounts::Accounts;
use crate::prometheus::free_address;
use crate::support::{
    Ended, Scrape, cache_directory, client, command, done, eventually, passes_promtool, simulator, text,
};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use swr_simulator::{Action, DEMO_PROJECT_ID, Operation, Rule, Running, Shape};
use tokio::process::Command;

fn denied() -> Action {
    Action::error(403, Shape::Current, "SVCSTG.SWR.4030170", "no permission")
}

/// `scrape` of an upstream.
fn scrape(upstream: &Running, arguments: &[&str]) -> Command {
    let mut command = command();
    command.arg("scrape").args(["--swr.endpoint", &upstream.url()]).args(arguments);
    command
}

#[tokio::test]
async fn one_collection_is_written_and_promtool_has_nothing_against_it() {
    let upstream = simulator(250, 4).await;
    let metrics = done(scrape(&upstream, &["--swr.page-size", "100"])).await.well();
    let scrape = Scrape::parse(metrics.clone());
    assert_eq!((scrape.get("swr_up"), scrape.get("swr_repositories")), (Some(1.0), Some(250.0)));
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), 250);
    assert_eq!(scrape.value("swr_collector_up", &[("collector", "repositories")]), Some(1.0));
    assert!(scrape.get("swr_snapshot_timestamp_seconds") > Some(0.0));
    let kinds: Vec<&str> = metrics.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert!(kinds.iter().all(|line| line.starts_with("# TYPE swr_") && line.ends_with(" gauge")), "{kinds:?}");
    passes_promtool(&metrics).await;
}

#[tokio::test]
async fn openmetrics_ends_as_it_must() {
    let upstream = simulator(3, 1).await;
    let metrics = done(scrape(&upstream, &["--format", "openmetrics"])).await.well();
    assert!(metrics.ends_with("\n# EOF\n") && metrics.contains("# UNIT swr_snapshot_timestamp_seconds seconds\n"));
}

#[tokio::test]
async fn a_file_is_replaced_as_a_whole_or_not_at_all() {
    let upstream = simulator(2_000, 4).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("swr.prom");
    let link = folder.path().join("link.prom");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let output = ["--output", file.to_str().unwrap()];
    assert_eq!(done(scrape(&upstream, &output)).await.well(), "");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644, "somebody else reads it");

    // A reader never sees half of it.
    let read = |path: &Path| Scrape::parse(std::fs::read_to_string(path).unwrap());
    assert_eq!(read(&file).get("swr_repositories"), Some(2_000.0));
    let watched = file.clone();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut reads = 0;
        while stopped.try_recv().is_err() {
            let scrape = Scrape::parse(std::fs::read_to_string(&watched).unwrap());
            assert!([2_000, 2_001].contains(&scrape.series("swr_repository_info").len()));
            reads += 1;
        }
        reads
    });
    upstream.handle.insert(swr_simulator::Repository::new("late", "newcomer"));
    done(scrape(&upstream, &["--output", link.to_str().unwrap()])).await.well();
    stop.send(()).unwrap();
    assert!(reader.join().unwrap() > 0);
    assert_eq!(read(&file).get("swr_repositories"), Some(2_001.0));
    assert!(link.is_symlink(), "what the link leads to was replaced");

    // And a collection that fails leaves it alone.
    upstream.handle.fault(Rule::always(denied()));
    let old = std::fs::read(&file).unwrap();
    let Ended { out, said, .. } = done(scrape(&upstream, &output)).await.with(1, &["SVCSTG.SWR.4030170"]);
    assert!(out.is_empty() && said.starts_with("swr-exporter: permission: "), "{said}");
    assert_eq!(said.lines().count(), 1, "told once: {said}");
    assert!(std::fs::read(&file).unwrap() == old);
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["link.prom", "swr.prom"], "nothing is left behind");
}

/// Whoever may write to the directory must not choose what is overwritten.
#[tokio::test]
async fn neither_a_planted_link_nor_a_planted_temporary_file_is_followed() {
    let upstream = simulator(3, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let (file, precious) = (folder.path().join("swr.prom"), folder.path().join("precious"));
    std::fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, &file).unwrap();
    // Only root can plant a link of another user.
    if std::os::unix::fs::lchown(&file, Some(65534), Some(65534)).is_ok() {
        let ended = done(scrape(&upstream, &["--output", file.to_str().unwrap()])).await;
        ended.with(1, &["it is a symbolic link of another user"]);
    }
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "precious");
}

#[tokio::test]
async fn what_cannot_be_written_to_is_a_failure() {
    let upstream = simulator(3, 1).await;
    let folder = tempfile::tempdir().unwrap();
    for (output, problem) in [
        (folder.path().to_owned(), "it exists and is not a file"),
        ("/dev/null".into(), "it exists and is not a file"),
        (folder.path().join("none/swr.prom"), "No such file or directory"),
    ] {
        let output = output.to_str().unwrap();
        done(scrape(&upstream, &["--output", output])).await.with(1, &[problem, output]);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

/// `/dev/stdout` is such a link, and root may replace it.
#[tokio::test]
async fn a_link_to_a_pipe_is_left_alone() {
    let upstream = simulator(3, 1).await;
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("stdout");
    std::os::unix::fs::symlink("/proc/self/fd/1", &link).unwrap();
    let ended = done(scrape(&upstream, &["--output", link.to_str().unwrap()])).await;
    ended.with(1, &["it exists and is not a file; without --output"]);
    assert!(link.is_symlink());
}

#[tokio::test]
async fn a_dash_is_standard_output() {
    let upstream = simulator(3, 1).await;
    let metrics = done(scrape(&upstream, &["--output", "-"])).await.well();
    assert_eq!(Scrape::parse(metrics).get("swr_repositories"), Some(3.0));
}

#[tokio::test]
async fn what_could_be_read_is_written_and_what_could_not_is_told() {
    let upstream = simulator(30, 2).await;
    let names = upstream.handle.with_world(|world| world.namespaces());
    upstream.handle.fault(Rule::always(denied()).query("namespace", &names[1]));
    let ended = done(scrape(&upstream, &["--swr.namespace", &names.join(",")])).await;
    let scrape = Scrape::parse(ended.with(1, &["1 of 2 organizations could not be listed"]).out);
    assert_eq!(scrape.get("swr_up"), Some(0.0));
    assert_eq!(scrape.value("swr_namespace_up", &[("namespace", &names[0])]), Some(1.0));
    assert_eq!(scrape.value("swr_namespace_up", &[("namespace", &names[1])]), Some(0.0));
}

#[tokio::test]
async fn of_several_accounts_one_is_named() {
    let (one, two) = (simulator(3, 1).await, simulator(5, 1).await);
    let accounts = Accounts::new(&format!(
        "accounts:\n  one: {{ endpoint: {} }}\n  two: {{ endpoint: {} }}\n",
        one.url(),
        two.url()
    ));
    let run = async |arguments: &[&str]| {
        let mut command = command();
        command.args(["scrape", "--config.file"]).arg(accounts.path()).args(arguments);
        done(command).await
    };
    let metrics = run(&["--account", "two"]).await.well();
    assert_eq!(Scrape::parse(metrics).value("swr_repositories", &[("account", "two")]), Some(5.0));
    assert_eq!(one.handle.total(), 0);
    for (arguments, problem) in [
        (&[][..], "--account: required, because the file has several accounts: one, two"),
        (&["--account", "three"], "--account: unknown account `three` (known: one, two)"),
        (&["--account", "two", "--cache.window", "soon"], "--cache.window: invalid duration `soon`"),
    ] {
        assert_eq!(run(arguments).await.with(2, &[problem]).out, "");
    }
}

fn tag_calls(upstream: &Running) -> usize {
    crate::support::calls(upstream, "/tags").len()
}

#[tokio::test]
async fn tags_and_details_are_waited_for_because_there_is_no_later_page() {
    let upstream = simulator(200, 4).await;
    // Some five seconds of calls: a scrape of a server would not wait for them.
    let flags = ["--collector.tags", "--collector.details", "--collector.tags.rate-limit=60", "--swr.rate-limit=1000"];
    let scrape = Scrape::parse(done(scrape(&upstream, &flags)).await.well());
    assert_eq!(scrape.series("swr_repository_tags_read").len(), 200);
    assert_eq!(scrape.series("swr_repository_priority").len(), 200);
    assert_eq!(scrape.get("swr_tags_pending"), Some(0.0));
    assert_eq!((scrape.collector_up("tags"), scrape.collector_up("details")), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn figures_are_waited_for_and_a_collector_that_is_down_is_told() {
    let upstream = simulator(3, 1).await;
    upstream.handle.configure(|options| options.latency = Duration::from_millis(700));
    let flags = ["--collector.account", "--collector.enterprise", "--swr.project-id", DEMO_PROJECT_ID];
    let scrape_of = Scrape::parse(done(scrape(&upstream, &flags)).await.well());
    assert!(scrape_of.get("swr_account_repositories").is_some() && !scrape_of.series("swr_instance_info").is_empty());
    assert_eq!((scrape_of.collector_up("account"), scrape_of.collector_up("enterprise")), (Some(1.0), Some(1.0)));

    upstream.handle.configure(|options| {
        options.latency = Duration::ZERO;
        options.denied = vec![Operation::Overview];
    });
    let ended = done(scrape(&upstream, &flags)).await;
    let Ended { out, said, .. } = ended.with(1, &["the collector `account` could not read everything"]);
    assert!(!said.contains("enterprise") && said.lines().count() == 1, "{said}");
    let scrape = Scrape::parse(out);
    assert_eq!((scrape.get("swr_up"), scrape.collector_up("account")), (Some(1.0), Some(0.0)));
    assert!(!scrape.series("swr_instance_info").is_empty(), "the rest is written");
}

#[tokio::test]
async fn what_is_left_at_the_deadline_is_told_and_the_next_run_goes_on_from_there() {
    let upstream = simulator(60, 4).await;
    let (folder, cache) = cache_directory();
    let run = async |more: &[&str]| done(scrape(&upstream, &[&["--collector.tags", &cache], more].concat())).await;
    let read = |metrics: &str| Scrape::parse(metrics.to_owned()).series("swr_repository_tags_read").len();
    let ended = run(&["--swr.refresh-timeout=2s"]).await;
    let first = read(&ended.out);
    assert!((10..40).contains(&first), "{first}");
    let pending = Scrape::parse(ended.out.clone()).get("swr_tags_pending").unwrap();
    assert!(pending > 0.0 && pending <= (60 - first) as f64, "{pending}");
    let ended = ended.with(1, &[&format!("the tags of {pending} repositories"), "--swr.refresh-timeout"]);
    assert_eq!(ended.said.lines().count(), 1, "{ended:?}");

    let calls = tag_calls(&upstream);
    assert_eq!(read(&run(&["--collector.tags.rate-limit=1000"]).await.well()), 60);
    // A call that was cut off is made again.
    let again = tag_calls(&upstream) - (60 - first);
    assert!(again <= calls + 3 && tag_calls(&upstream) <= 60 + 10, "{calls} and then {}", tag_calls(&upstream));
    let calls = tag_calls(&upstream);
    run(&[]).await.well();
    assert_eq!(tag_calls(&upstream), calls, "nothing has changed");
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["default.scrape-lock", "default.scrape-tags"],
        "no snapshot, and nothing that belongs to `serve`"
    );
}

/// Well before the deadline, which is minutes away.
#[tokio::test]
async fn what_would_be_refused_again_is_not_waited_for() {
    let flags =
        ["--collector.tags", "--collector.details", "--collector.tags.rate-limit=1000", "--swr.rate-limit=1000"];
    let upstream = simulator(60, 4).await;
    upstream.handle.configure(|options| options.denied = vec![Operation::ListTags]);
    let unread = "the tags of 60 repositories could not be read";
    let Ended { out, said, .. } = done(scrape(&upstream, &flags)).await.with(1, &[unread]);
    assert!(!said.contains("details"), "{said}");
    let scrape_of = Scrape::parse(out);
    assert_eq!((scrape_of.collector_up("tags"), scrape_of.collector_up("details")), (Some(0.0), Some(1.0)));
    assert_eq!(scrape_of.series("swr_repository_priority").len(), 60);
    let ended = done(scrape(&upstream, &[&flags[..], &["--log.level=warn"]].concat())).await;
    ended.with(1, &["SVCSTG.SWR.4030170"]);

    // A credential that is refused would be refused for details, too.
    upstream.handle.configure(|options| options.denied.clear());
    let refused = Action::error(401, Shape::Gateway, "APIGW.0301", "Incorrect IAM authentication information");
    upstream.handle.fault(Rule::always(refused).path("/v2/manage/namespaces/"));
    let metrics = done(scrape(&upstream, &flags)).await.with(1, &[unread]).out;
    assert_eq!(Scrape::parse(metrics).get("swr_repositories"), Some(60.0));
}

#[tokio::test]
async fn a_cache_that_cannot_be_kept_is_told() {
    let upstream = simulator(3, 1).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let cache = format!("--cache.directory={}/file/below", folder.path().display());
    let ended = done(scrape(&upstream, &["--collector.tags", &cache])).await;
    let metrics = ended.with(1, &["--cache.directory", "Not a directory"]).out;
    assert_eq!(Scrape::parse(metrics).get("swr_tags_pending"), Some(0.0));
}

#[tokio::test]
async fn what_is_not_about_the_account_does_not_matter() {
    let upstream = simulator(3, 1).await;
    let accounts = Accounts::new(&format!(
        "accounts:\n  one: {{ endpoint: {} }}\n  two: {{ endpoint: http://127.0.0.1:1, credentials: {{ token: \"${{NOT_SET}}\" }}, \
         window: 3 }}\n",
        upstream.url(),
    ));
    let run = async |name: &str| {
        let mut command = command();
        command.args(["scrape", "--web.config.file=/nowhere/web.yml", "--web.max-requests=many"]);
        command.args(["--config.file", accounts.path().to_str().unwrap(), "--account", name]);
        done(command).await
    };
    assert_eq!(Scrape::parse(run("one").await.well()).get("swr_repositories"), Some(3.0));
    let said = run("two").await.with(2, &["NOT_SET is not set"]).said;
    assert!(!said.contains("--web."), "{said}");
}

/// `scrape` of an upstream on a terminal, which `script` gives it: its exit code and what is shown there.
async fn done_on_a_terminal(upstream: &Running, arguments: &str) -> (Option<i32>, String) {
    let line = format!("{} scrape --swr.endpoint {} {arguments}", env!("CARGO_BIN_EXE_swr-exporter"), upstream.url());
    let mut script = Command::new("script");
    let prepared = command();
    script.envs(prepared.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.args(["-q", "-e", "-c", &line, "/dev/null"]).stdin(Stdio::null());
    let ended = done(script).await;
    (ended.code, ended.out)
}

#[tokio::test]
async fn progress_is_shown_on_a_terminal_and_nowhere_else() {
    let upstream = simulator(300, 2).await;
    upstream.handle.configure(|options| options.latency = Duration::from_millis(300));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("swr.prom");
    let (code, shown) =
        done_on_a_terminal(&upstream, &format!("--swr.page-size 100 --output {}", file.display())).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains(" of 300 repositories, ") && shown.contains("[##"), "{shown:?}");
    assert!(!shown.contains("tags"), "{shown:?}");
    let (_, end) = shown.rsplit_once("\r\u{1b}[K").expect("the line is cleared");
    let wrote = format!(" of 300 repositories to {} in ", file.display());
    assert!(end.starts_with("wrote ") && end.contains(&wrote), "{shown:?}");
    assert!(Scrape::parse(std::fs::read_to_string(&file).unwrap()).is_up());
    assert_eq!(done(scrape(&upstream, &["--output", file.to_str().unwrap()])).await.well(), "");
}

#[tokio::test]
async fn progress_goes_on_while_tags_are_read() {
    let upstream = simulator(60, 2).await;
    let arguments = "--collector.tags --collector.tags.rate-limit 20 --output /dev/null/none";
    let (_, shown) = done_on_a_terminal(&upstream, arguments).await;
    let read: Vec<u64> = shown
        .split("] ")
        .filter_map(|rest| rest.split_once(" of 60 reads of repositories"))
        .map(|(number, _)| number.parse().unwrap())
        .collect();
    assert!(read.is_sorted() && read.iter().any(|number| (1..60).contains(number)), "{read:?} in {shown:?}");
}

/// What node_exporter shows of the files in a directory, and its log.
async fn node_exporter(directory: &Path) -> (Scrape, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    // It cannot be given a port that is free for certain.
    for _ in 0..5 {
        let free = free_address();
        let mut node_exporter = Command::new("prometheus-node-exporter")
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .arg(format!("--collector.textfile.directory={}", directory.display()))
            .arg(format!("--web.listen-address={free}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .expect("node_exporter is installed (Debian and Ubuntu: apt-get install prometheus-node-exporter)");
        let said = || std::fs::read_to_string(&log).unwrap();
        eventually("node_exporter listens or has ended", || {
            said().contains("Listening on") || !matches!(node_exporter.try_wait(), Ok(None))
        })
        .await;
        if matches!(node_exporter.try_wait(), Ok(None)) {
            let answer = client().get(format!("http://{free}/metrics")).send().await.unwrap();
            return (Scrape::parse(text(answer).await), said());
        }
    }
    panic!("node_exporter does not run:\n{}", std::fs::read_to_string(&log).unwrap());
}

#[tokio::test]
async fn node_exporter_takes_the_file_beside_its_own_metrics() {
    let upstream = simulator(40, 2).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("swr.prom");
    done(scrape(&upstream, &["--output", file.to_str().unwrap()])).await.well();
    let (scrape, _) = node_exporter(folder.path()).await;
    assert_eq!(scrape.get("node_textfile_scrape_error"), Some(0.0));
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), 40);
    assert_eq!(scrape.series("process_resident_memory_bytes").len(), 1, "its own");
}

#[tokio::test]
async fn two_accounts_stand_side_by_side_in_one_textfile_directory() {
    let (production, test) = (simulator(30, 2).await, simulator(20, 2).await);
    // The same organizations and repositories in both.
    let accounts = Accounts::new(&format!(
        "defaults: {{ collectors: [account, tags], tags_rate_limit: 1000, rate_limit: 1000 }}\naccounts:\n  \
         production: {{ endpoint: \"{}\" }}\n  test: {{ endpoint: \"{}\", labels: {{ cloud: otc }} }}\n",
        production.url(),
        test.url()
    ));
    let folder = tempfile::tempdir().unwrap();
    for name in ["production", "test"] {
        let mut command = command();
        command.args(["scrape", "--config.file"]).arg(accounts.path()).args(["--swr.project-id", DEMO_PROJECT_ID]);
        command.args(["--account", name, "--output"]).arg(folder.path().join(format!("swr_{name}.prom")));
        done(command).await.well();
    }
    let (scrape, log) = node_exporter(folder.path()).await;
    assert!(!log.contains("error") && !log.contains("inconsistent"), "{log}");
    assert_eq!(scrape.get("node_textfile_scrape_error"), Some(0.0));
    assert_eq!(scrape.series("swr_up").len(), 2);
    for (name, repositories) in [("production", 30.0), ("test", 20.0)] {
        assert_eq!(scrape.value("swr_up", &[("account", name)]), Some(1.0));
        assert_eq!(scrape.value("swr_repositories", &[("account", name)]), Some(repositories));
    }
    assert_eq!(scrape.value("swr_up", &[("account", "test"), ("cloud", "otc")]), Some(1.0));
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), 50);
    assert_eq!(scrape.series("swr_repository_unique_layer_bytes").len(), 50);
    // Every series of the files has the label, and none of the process is in them.
    for name in ["production", "test"] {
        let file = std::fs::read_to_string(folder.path().join(format!("swr_{name}.prom"))).unwrap();
        passes_promtool(&file).await;
        for line in file.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.contains(&format!("account=\"{name}\"")), "{line}");
            assert!(!line.starts_with("process_") && !line.starts_with("swr_exporter_build_info"), "{line}");
        }
    }
}
