//! The client at the other end of a connection.

use super::client_certificates::ClientAuth;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Who sends the requests of one connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its address, or its /64 network in IPv6.
    pub(super) address: IpAddr,
    /// The policy in force when it presented an acceptable certificate; `None` without a certificate.
    pub(super) certified: Option<Arc<ClientAuth>>,
}

/// The unit in which peers are counted: an IPv4 address, or an IPv6 /64, which commonly belongs to a single host.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// How many connections or places each address holds. An address that holds none is forgotten.
#[derive(Debug, Default)]
pub(super) struct AddressCounts(pub(super) HashMap<IpAddr, usize>);

impl AddressCounts {
    pub(super) fn of(&self, address: IpAddr) -> usize {
        self.0.get(&address).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, address: IpAddr) {
        *self.0.entry(address).or_default() += 1;
    }

    pub(super) fn remove(&mut self, address: IpAddr) {
        if let Entry::Occupied(mut count) = self.0.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
