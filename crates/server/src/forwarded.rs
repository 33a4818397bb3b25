//! Who is behind a proxy: what `X-Forwarded-For` and `X-Forwarded-Proto` say, where a proxy is trusted.
//!
//! Anybody can send these headers, so that they count only from the peers that the operator has named, and
//! only as far as those vouch for them: of the addresses that `X-Forwarded-For` lists, each proxy has
//! appended the one it was spoken to from, so the last one that is no trusted proxy's is the client's, and
//! what stands before it is the client's own invention.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use tidelock_s3::Peer;

use crate::config::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The port of a client that a proxy speaks for: it does not say.
const PORT_UNKNOWN: u16 = 0;

/// Proxies whose word is taken.
pub(crate) struct Proxies(Vec<Network>);

impl Proxies {
    pub(crate) fn new(trusted: Vec<Network>) -> Self {
        Self(trusted)
    }

    /// Whom a request comes from: the peer of its connection, or the client that a trusted proxy
    /// vouches for.
    pub(crate) fn client_of(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        let nearest = peer.address.ip().to_canonical();
        if !self.trusts(nearest) {
            return peer;
        }
        let secure = is_secure(headers).unwrap_or(peer.secure);
        let client = self.vouched(nearest, headers);
        let address = match client == nearest {
            true => peer.address,
            false => SocketAddr::new(client, PORT_UNKNOWN),
        };
        Peer { address, secure, ..peer }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The last address that is not a trusted proxy's. What is no address ends the search: whoever wrote
    /// it vouches for nothing before it.
    fn vouched(&self, nearest: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut known = nearest;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            let Ok(text) = value.to_str() else { return known };
            for hop in text.rsplit(',').map(str::trim).filter(|hop| !hop.is_empty()) {
                let Some(address) = address(hop) else { return known };
                known = address;
                if !self.trusts(known) {
                    return known;
                }
            }
        }
        known
    }
}

/// `192.0.2.1`, `2001:db8::1`, and both with a port: `192.0.2.1:443`, `[2001:db8::1]:443`.
fn address(hop: &str) -> Option<IpAddr> {
    let plain = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = plain.parse().or_else(|_| hop.parse::<SocketAddr>().map(|it| it.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// Whether the nearest proxy says that the client spoke TLS; nothing if it says nothing.
fn is_secure(headers: &HeaderMap) -> Option<bool> {
    let last = headers.get_all(FORWARDED_PROTO).iter().next_back()?;
    let last = last.to_str().ok().and_then(|text| text.rsplit(',').next());
    Some(last.is_some_and(|protocol| protocol.trim().eq_ignore_ascii_case("https")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidelock_store::{ConnectionId, Conversation};

    use super::*;

    /// What the peer at `from` becomes with these headers, where 10.0.0.0/8 and ::1 are trusted.
    fn client(from: &str, headers: &[(HeaderName, &str)]) -> (String, bool) {
        let trusted = ["10.0.0.0/8", "::1"].map(|text| text.parse().unwrap()).to_vec();
        let conversation = Arc::new(Conversation::new(ConnectionId([0; 16])));
        let address = (from.parse::<IpAddr>().unwrap(), 7).into();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        let peer = Peer { address, secure: false, conversation };
        let client = Proxies::new(trusted).client_of(peer, &map);
        (client.address.ip().to_string(), client.secure)
    }

    #[test]
    fn the_client_is_the_last_that_no_trusted_proxy_is() {
        let rows: &[(&str, &[&str], &str)] = &[
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("::1", &["2001:db8::1"], "2001:db8::1"),
            // Nobody else is believed.
            ("192.0.2.9", &["192.0.2.1"], "192.0.2.9"),
            ("192.0.2.9", &["10.0.0.1"], "192.0.2.9"),
            // What the client sent itself stands before what the proxy has appended.
            ("10.0.0.1", &["203.0.113.5, 192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.5", "192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["10.0.0.9, 192.0.2.1"], "192.0.2.1"),
            // Proxies in a row.
            ("10.0.0.1", &["203.0.113.5, 192.0.2.1, 10.0.0.3, 10.0.0.2"], "192.0.2.1"),
            ("10.0.0.1", &["10.0.0.3,10.0.0.2"], "10.0.0.3"),
            // Forms.
            ("10.0.0.1", &["192.0.2.1:443"], "192.0.2.1"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &[" 192.0.2.1 , , "], "192.0.2.1"),
            ("10.0.0.1", &["", "192.0.2.1", ""], "192.0.2.1"),
            // What is no address vouches for nothing.
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, _hidden, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["192.0.2.1 192.0.2.2"], "10.0.0.1"),
        ];
        for (from, lines, expected) in rows {
            let headers: Vec<_> = lines.iter().map(|line| (FORWARDED_FOR, *line)).collect();
            assert_eq!(client(from, &headers).0, *expected, "{from} {lines:?}");
        }
    }

    #[test]
    fn tls_is_what_the_nearest_proxy_says() {
        let rows: &[(&str, &[&str], bool)] = &[
            ("10.0.0.1", &[], false),
            ("10.0.0.1", &["https"], true),
            ("10.0.0.1", &["HTTPS"], true),
            ("10.0.0.1", &["http"], false),
            ("10.0.0.1", &["https, http"], false),
            ("10.0.0.1", &["http, https"], true),
            ("10.0.0.1", &["https", "http"], false),
            ("10.0.0.1", &["wss"], false),
            ("10.0.0.1", &[""], false),
            ("192.0.2.9", &["https"], false),
        ];
        for (from, lines, expected) in rows {
            let headers: Vec<_> = lines.iter().map(|line| (FORWARDED_PROTO, *line)).collect();
            assert_eq!(client(from, &headers).1, *expected, "{from} {lines:?}");
        }
    }
}
