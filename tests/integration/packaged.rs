//! The program as it is shipped in an image: what its file says of itself, and how it does where there is nothing else.
//!
//! `SHIPPED_EXECUTABLE` names the executable that the image holds, as `deploy/static` builds it. Where it is not set, the
//! one that the other tests use stands in, with the libraries it needs.

use crate::support::{Ended, Exporter, Scrape, bare, done, exporter, simulator, start_as_it_is};
use crate::upstream_support::failures;
use crate::upstream_tls::{HERE, as_it_is, authority, certified, guarded};
use crate::web_support::Folder;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use swr_simulator::{DEMO_ACCESS_KEY, DEMO_SECRET_KEY};
use tokio::process::Command;

const KEYS: [(&str, &str); 2] =
    [("SWR_EXPORTER_ACCESS_KEY", DEMO_ACCESS_KEY), ("SWR_EXPORTER_SECRET_KEY", DEMO_SECRET_KEY)];

/// What is in the image, in bytes, at most.
const LARGEST: u64 = 15_000_000;

/// The executable of the image, if it has been built.
fn shipped() -> Option<PathBuf> {
    std::env::var_os("SHIPPED_EXECUTABLE").map(PathBuf::from)
}

fn executable() -> PathBuf {
    shipped().unwrap_or_else(|| env!("CARGO_BIN_EXE_swr-exporter").into())
}

/// How a check ends.
async fn healthcheck(address: &str) -> Ended {
    let mut command = bare();
    command.args(["healthcheck", "--web.listen-address", address, "--timeout", "10s"]);
    done(command).await
}

#[tokio::test]
async fn healthcheck_tells_a_working_exporter_from_none() {
    let upstream = simulator(3, 1).await;
    let mut exporter = exporter(&upstream.url(), &[]).await;
    let address = exporter.address().to_owned();
    healthcheck(&address).await.well();
    // The address is found where `serve` finds it, too.
    let mut command = bare();
    command.arg("healthcheck").env("SWR_EXPORTER_WEB_LISTEN_ADDRESS", &address);
    done(command).await.well();

    exporter.stop().await;
    healthcheck(&address).await.with(1, &[&address, "refused"]);
}

/// Whatever flag, variable or file says where the exporter listens. An empty variable is how Compose leaves one out.
#[tokio::test]
async fn healthcheck_without_an_address_finds_the_exporter_beside_it() {
    let upstream = simulator(3, 1).await;
    let folder = tempfile::tempdir().unwrap();
    // An executable of its own, so that no other test's exporter is found.
    let program = folder.path().join("swr-exporter");
    std::fs::copy(env!("CARGO_BIN_EXE_swr-exporter"), &program).unwrap();
    let healthcheck = async || {
        let mut command = Command::new(&program);
        command.env_clear().args(["healthcheck", "--timeout=10s"]).env("SWR_EXPORTER_WEB_LISTEN_ADDRESS", "");
        done(command).await
    };
    let mut command = Command::new(&program);
    command.env_clear().args(["--swr.endpoint", &upstream.url(), "--web.listen-address", "127.0.0.1:0"]).envs(KEYS);
    let mut exporter = start_as_it_is(command).await;
    healthcheck().await.well();
    exporter.stop().await;
    // Then the default address is asked, on which something may listen here.
    let Ended { code, said, .. } = healthcheck().await;
    assert!(code == Some(0) || said.contains(":10179"), "{said}");
}

/// It has neither certificate nor password, and needs none.
#[tokio::test]
async fn healthcheck_works_where_there_is_tls_or_a_password_or_a_client_certificate() {
    let upstream = simulator(3, 1).await;
    for fixture in ["tls.good", "users.good", "users-without-tls.good", "client-verified.good"] {
        let folder = Folder::new();
        let mut exporter = folder.exporter_with(fixture, &upstream.url()).await;
        let address = exporter.address().to_owned();
        healthcheck(&address).await.well();
        exporter.stop().await;
        healthcheck(&address).await.with(1, &[]);
    }
}

/// Independent of how it is built: the executable is position independent, relocations are read-only, the stack is
/// not executable, nothing is searched for along a path of its own. What is shipped needs no loader and no library.
#[test]
fn the_executable_is_hardened() {
    let file = std::fs::read(executable()).unwrap();
    let elf = Elf::read(&file);
    assert_eq!(elf.kind, 3, "position independent (ET_DYN)");
    assert!(elf.segment(0x6474_e552).is_some(), "read-only relocations (PT_GNU_RELRO)");
    let now = elf.dynamic(0x6fff_fffb).is_some_and(|flags| flags & 1 != 0)
        || elf.dynamic(30).is_some_and(|flags| flags & 8 != 0);
    assert!(now, "all of them, before it starts (BIND_NOW)");
    let stack = elf.segment(0x6474_e551).expect("the stack is spoken of (PT_GNU_STACK)");
    assert_eq!(stack.flags & 1, 0, "the stack is not executable");
    assert!(elf.segments.iter().all(|segment| segment.flags & 3 != 3), "nothing is writable and executable");
    assert!(elf.dynamic(15).is_none() && elf.dynamic(29).is_none(), "no RPATH and no RUNPATH");
    if shipped().is_some() {
        assert!(elf.segment(3).is_none(), "no loader (PT_INTERP)");
        assert!(elf.dynamic(1).is_none(), "no library (DT_NEEDED)");
        let size = u64::try_from(file.len()).unwrap();
        assert!(size < LARGEST, "{size} bytes");
    }
}

/// What of a 64-bit little-endian ELF file is asked for here (System V ABI, chapters 4 and 5).
struct Elf {
    kind: u64,
    segments: Vec<Segment>,
    dynamic: Vec<(u64, u64)>,
}

struct Segment {
    kind: u64,
    flags: u64,
}

impl Elf {
    fn read(file: &[u8]) -> Self {
        assert_eq!(&file[..6], b"\x7fELF\x02\x01", "64 bit, little endian");
        let number = |at: usize, bytes: usize| -> u64 {
            file[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        let place = |at: usize, bytes| usize::try_from(number(at, bytes)).unwrap();
        let (start, size, count) = (place(32, 8), place(54, 2), place(56, 2));
        let (mut segments, mut dynamic) = (Vec::new(), Vec::new());
        for at in (0..count).map(|index| start + index * size) {
            let kind = number(at, 4);
            segments.push(Segment { kind, flags: number(at + 4, 4) });
            if kind == 2 {
                let (from, length) = (place(at + 8, 8), place(at + 32, 8));
                dynamic.extend(
                    (0..length / 16).map(|index| (number(from + index * 16, 8), number(from + index * 16 + 8, 8))),
                );
            }
        }
        Self { kind: number(16, 2), segments, dynamic }
    }

    fn segment(&self, kind: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    fn dynamic(&self, tag: u64) -> Option<u64> {
        self.dynamic.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }
}

/// The executable in an otherwise empty folder; where it is not what is shipped, with what the loader needs.
fn empty_root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::copy(executable(), root.path().join("swr-exporter")).unwrap();
    if shipped().is_none() {
        let listed = std::process::Command::new("ldd").arg(executable()).output().expect("ldd runs");
        let listed = String::from_utf8(listed.stdout).unwrap();
        for library in listed.split_whitespace().filter(|word| word.starts_with('/')) {
            let to = root.path().join(library.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(library, to).unwrap();
        }
    }
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    root
}

/// Lets the test put a file there; for the program it stays read-only.
fn put(root: &Path, name: &str, content: &str) {
    let to = root.join(name);
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::write(&to, content).unwrap();
}

/// A command in that root, as nobody; as root is needed to change roots, it is a user namespace where we are not root.
fn within(root: &Path) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("chroot");
        command.arg("--userspec=65534:65534");
        command
    } else {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "chroot"]);
        command
    };
    command.arg(root).arg("/swr-exporter").env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// No certificates, no resolver, no `/tmp`, no `/etc`, no `/proc`, nothing writable, user 65534.
#[tokio::test]
async fn it_works_in_an_empty_root() {
    let root = empty_root();
    for (arguments, said) in [(&["--version"][..], env!("CARGO_PKG_VERSION")), (&["--help"], "--web.listen-address")] {
        let mut command = within(root.path());
        command.args(arguments);
        let shown = done(command).await.well();
        assert!(shown.contains(said), "{arguments:?}: {shown}");
    }

    let upstream = simulator(120, 3).await;
    let settings = ["--swr.endpoint", &upstream.url()];
    for check in [&["check"][..], &["check", "--offline"]] {
        let mut command = within(root.path());
        command.args(check).args(settings).envs(KEYS);
        done(command).await.with(0, &[]);
    }

    let exporter = serving(root.path(), &settings).await;
    let scrape = exporter.scrape_until("the list is read", Scrape::is_up).await;
    assert_eq!(scrape.get("swr_repositories"), Some(120.0));

    let mut healthcheck = within(root.path());
    healthcheck.args(["healthcheck", "--web.listen-address", exporter.address()]);
    done(healthcheck).await.well();
}

/// The exporter in that root, once it listens; the address is a free one.
async fn serving(root: &Path, arguments: &[&str]) -> Exporter {
    let mut serving = within(root);
    serving.args(arguments).args(["--web.listen-address", "127.0.0.1:0"]).envs(KEYS);
    start_as_it_is(serving).await
}

/// It needs nothing but itself to show what it can.
#[tokio::test]
async fn the_demo_works_in_an_empty_root() {
    let root = empty_root();
    let demo = serving(root.path(), &["demo", "--repositories", "50", "--namespaces", "3"]).await;
    let scrape = demo.scrape_until("the list is read", Scrape::is_up).await;
    assert!(scrape.get("swr_repositories") >= Some(50.0), "{:?}", scrape.get("swr_repositories"));
}

/// The roots that are built in, or those of a file: none of the system's are needed.
#[tokio::test]
async fn tls_works_without_the_systems_certificates() {
    let ca = authority("ours");
    let upstream = guarded(certified(HERE, Some(&ca), as_it_is)).await;
    let root = empty_root();
    put(root.path(), "ca.pem", &ca.pem);
    let endpoint = format!("https://{}", upstream.address);
    for (flags, up) in [(&["--swr.ca-file", "/ca.pem"][..], 1.0), (&[], 0.0)] {
        let exporter = serving(root.path(), &[&["--swr.endpoint", &endpoint], flags].concat()).await;
        let scrape = exporter.scrape_until("the first refresh has ended", ended).await;
        assert_eq!(scrape.get("swr_up"), Some(up), "{flags:?}: {}", exporter.log());
        assert_eq!(failures(&scrape, "network") > 0.0, up == 0.0, "{flags:?}");
    }
}

fn ended(scrape: &Scrape) -> bool {
    scrape.get("swr_refreshes_total").is_some_and(|count| count >= 1.0)
}

/// Names are looked up by what is linked in: with the files that container runtimes write, or with none at all, where
/// no name can be found and nothing worse happens.
#[tokio::test]
async fn names_are_looked_up_without_further_libraries() {
    let ca = authority("ours");
    let upstream = guarded(certified("swr-api.test", Some(&ca), as_it_is)).await;
    let endpoint = format!("https://swr-api.test:{}", upstream.address.port());
    for (hosts, up) in [(Some("127.0.0.1 swr-api.test\n"), 1.0), (None, 0.0)] {
        let root = empty_root();
        put(root.path(), "ca.pem", &ca.pem);
        if let Some(hosts) = hosts {
            put(root.path(), "etc/hosts", hosts);
        }
        let exporter = serving(root.path(), &["--swr.endpoint", &endpoint, "--swr.ca-file", "/ca.pem"]).await;
        let scrape = exporter.scrape_until("the first refresh has ended", ended).await;
        assert_eq!(scrape.get("swr_up"), Some(up), "{hosts:?}: {}", exporter.log());
        assert_eq!(failures(&scrape, "network") > 0.0, up == 0.0, "{hosts:?}");
    }
}
