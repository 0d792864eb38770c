//! Name resolution on threads of its own: a name server that does not answer holds up only the lookups of its names.

use crate::base::blocking::BlockingThreads;
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Lookups of one host at a time.
const LOOKUPS_PER_HOST: u32 = 2;

type Lookup = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// The system's resolver. The hosts are those of the settings, so there are few.
#[derive(Debug)]
pub(super) struct Resolver {
    hosts: Mutex<HashMap<String, BlockingThreads>>,
    lookup: Lookup,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { hosts: Mutex::default(), lookup: |host| Ok((host, 0).to_socket_addrs()?.collect()) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let threads =
            self.hosts.lock().entry(host.clone()).or_insert_with(|| BlockingThreads::new(LOOKUPS_PER_HOST)).clone();
        let lookup = self.lookup;
        Box::pin(async move {
            let found = threads.run(move || lookup(&host)).await;
            let found = found.ok_or_else(|| io::Error::other("the lookup could not be started"))??;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_name_server_that_hangs_holds_up_no_other_host() {
        let lookup = |host: &str| {
            if host == "hung" {
                std::thread::sleep(Duration::from_secs(3600));
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
        };
        let resolver = Resolver { hosts: Mutex::default(), lookup };
        let name = |host: &str| host.parse::<Name>().unwrap();
        for _ in 0..50 {
            let hung = tokio::time::timeout(Duration::from_millis(1), resolver.resolve(name("hung"))).await;
            assert!(hung.is_err());
        }
        assert_eq!(resolver.resolve(name("fine")).await.unwrap().count(), 1);
    }

    #[tokio::test]
    async fn the_systems_resolver_is_asked() {
        let found: Vec<_> = Resolver::default().resolve("localhost".parse().unwrap()).await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}
