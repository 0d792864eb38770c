//! The client at the other end of a connection.

use super::client_certificates::ClientAuth;
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
