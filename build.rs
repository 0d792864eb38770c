//! Records compiler, target and source revision, for `swr_exporter_build_info` and `--version`. No date: the same source gives
//! the same executable.

use std::process::Command;

fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

fn main() {
    // Where there is no repository, as in a container build, the builder may say the revision itself.
    println!("cargo:rerun-if-env-changed=SWR_EXPORTER_REVISION");
    println!("cargo:rerun-if-changed=build.rs");
    for path in [".git/HEAD", ".git/refs/heads/main"] {
        if std::path::Path::new(path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let revision = std::env::var("SWR_EXPORTER_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty())
        .or_else(|| first_line("git", &["rev-parse", "--short=12", "HEAD"]))
        .unwrap_or_else(|| "unknown".to_owned());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = first_line(&rustc, &["--version"]).unwrap_or_else(|| "unknown".to_owned());
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo:rustc-env=SWR_EXPORTER_TARGET={target}");
    println!("cargo:rustc-env=SWR_EXPORTER_REVISION={revision}");
    println!("cargo:rustc-env=SWR_EXPORTER_RUSTC={}", version.trim_start_matches("rustc "));
}
