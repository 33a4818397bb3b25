//! How many requests may be in work: in all, for each client, and for each access key.
//!
//! Whoever is over a limit is refused, and nobody waits. A key counts once it is proven: whoever only claims
//! it takes nothing from it. What is answered to a refused request is decided elsewhere.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request;
use tidelock_s3::{KeyRoom, Peer, Turnstile, claimed_key};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::ListenerLimits;

/// Requests that claim root's key and are let in when there is no other place: whoever has to stop the
/// others must get in.
const ROOT_RESERVE: usize = 8;
/// An IPv6 client has a network of so many bits, and all addresses in it.
const CLIENT_PREFIX_BITS_V6: u32 = 64;

/// The places of a server.
pub(crate) struct Room {
    slots: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    by_client: Arc<Shares<IpAddr>>,
    by_key: Arc<Shares<String>>,
    /// Root's access key id.
    root: Arc<str>,
}

/// A place of one request. Dropping it gives it back.
pub(crate) struct Place {
    _slot: OwnedSemaphorePermit,
    _client: Option<Share<IpAddr>>,
    key: Arc<KeyPlace>,
}

/// Where a request's key gets its place, once it is proven.
struct KeyPlace {
    by_key: Arc<Shares<String>>,
    root: Arc<str>,
    taken: Mutex<Option<Share<String>>>,
}

impl Room {
    /// An empty one.
    pub(crate) fn new(limits: &ListenerLimits, root_access_key: &str) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limits.requests_max)),
            reserve: Arc::new(Semaphore::new(ROOT_RESERVE)),
            by_client: Shares::new(limits.requests_max_per_client),
            by_key: Shares::new(limits.requests_max_per_key),
            root: root_access_key.into(),
        }
    }

    /// A place for a request; none if its client has as many as it may, or all are taken.
    pub(crate) fn enter(&self, peer: &Peer, parts: &request::Parts) -> Option<Place> {
        let client = self.by_client.take(client_of(peer.address.ip()));
        let slot = client.and_then(|client| {
            let slot = self.slots.clone().try_acquire_owned().ok()?;
            Some((slot, Some(client)))
        });
        let reserved = || {
            let is_root = claimed_key(parts) == *self.root;
            let slot = is_root.then(|| self.reserve.clone().try_acquire_owned().ok());
            slot.flatten().map(|slot| (slot, None))
        };
        let (slot, client) = slot.or_else(reserved)?;
        let (by_key, root) = (self.by_key.clone(), self.root.clone());
        let key = Arc::new(KeyPlace { by_key, root, taken: Mutex::default() });
        Some(Place { _slot: slot, _client: client, key })
    }
}

impl Place {
    /// What has to be asked when the request's key is proven.
    pub(crate) fn turnstile(&self) -> Turnstile {
        Turnstile(self.key.clone())
    }
}

impl KeyRoom for KeyPlace {
    /// Nobody but root can prove root's key: it has no limit of its own.
    fn enter(&self, access_key_id: &str) -> bool {
        if access_key_id == &*self.root {
            return true;
        }
        let taken = self.by_key.take(access_key_id.to_owned());
        let has_entered = taken.is_some();
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = taken;
        has_entered
    }
}

/// Whose requests are counted together.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::MAX << (u128::BITS - CLIENT_PREFIX_BITS_V6);
            Ipv6Addr::from_bits(address.to_bits() & network).into()
        }
    }
}

/// Counts what each of many has taken, up to a limit that is the same for all.
struct Shares<K: Eq + Hash> {
    most: usize,
    taken: Mutex<HashMap<K, usize>>,
}

/// One of them. Dropping it gives it back.
struct Share<K: Eq + Hash> {
    of: Arc<Shares<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    fn take(self: &Arc<Self>, key: K) -> Option<Share<K>> {
        let mut taken = self.lock();
        let count = taken.entry(key.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Share { of: self.clone(), key })
    }
}

impl<K: Eq + Hash> Shares<K> {
    /// Each change is one step: a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.of.lock();
        if let Some(count) = taken.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            // Whoever has nothing costs nothing.
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidelock_store::{ConnectionId, Conversation};

    use super::*;

    const ROOT: &str = "TLROOT";

    fn room(requests_max: usize, per_client: usize, per_key: usize) -> Room {
        let limits = ListenerLimits {
            connections_max: 1,
            requests_max,
            requests_max_per_client: per_client,
            requests_max_per_key: per_key,
            header_timeout: Duration::from_secs(1),
            body_timeout: Duration::from_secs(1),
        };
        Room::new(&limits, ROOT)
    }

    fn peer(address: &str) -> Peer {
        let conversation = Arc::new(Conversation::new(ConnectionId([0; 16])));
        Peer {
            address: (address.parse::<IpAddr>().unwrap(), 1).into(),
            secure: false,
            conversation,
        }
    }

    fn claiming(access_key_id: &str) -> request::Parts {
        let credential = format!("Credential={access_key_id}/20260101/us-east-1/s3/aws4_request");
        let hash = "0".repeat(64);
        let request = http::Request::builder()
            .header("host", "h")
            .header("x-amz-date", "20260101T000000Z")
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 {credential}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={hash}"
                ),
            );
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_client_has_its_share_and_no_more() {
        // What others hold already, who comes, and whether there is room.
        let rows: &[(&[&str], &str, bool)] = &[
            (&[], "192.0.2.1", true),
            (&["192.0.2.1"], "192.0.2.1", true),
            (&["192.0.2.1", "192.0.2.1"], "192.0.2.1", false),
            (&["192.0.2.1", "192.0.2.1"], "::ffff:192.0.2.1", false),
            (&["192.0.2.1", "192.0.2.1"], "192.0.2.2", true),
            (&["192.0.2.1", "192.0.2.1", "192.0.2.2"], "192.0.2.3", false),
            (&["2001:db8::1", "2001:db8::ffff:0:0:2"], "2001:db8::3", false),
            (&["2001:db8::1", "2001:db8::2"], "2001:db8:0:1::3", true),
        ];
        for (others, comes, expected) in rows {
            let room = room(3, 2, 2);
            let nobody = claiming("AKIANOBODY");
            let held: Vec<_> = others.iter().map(|it| room.enter(&peer(it), &nobody)).collect();
            assert!(held.iter().all(Option::is_some), "{others:?}");
            assert_eq!(
                room.enter(&peer(comes), &nobody).is_some(),
                *expected,
                "{others:?} {comes}"
            );
            drop(held);
            assert!(room.enter(&peer(comes), &nobody).is_some(), "all was given back");
            assert!(room.by_client.lock().is_empty(), "and nothing is remembered");
        }
    }

    #[test]
    fn a_key_has_its_share_wherever_it_comes_from() {
        let room = room(100, 100, 2);
        let claimed = claiming("AKIA1");
        let enter = |address: &str, key: &str| {
            let place = room.enter(&peer(address), &claimed).unwrap();
            let is_in = place.turnstile().0.enter(key);
            (place, is_in)
        };
        let held = [("192.0.2.1", "AKIA1"), ("192.0.2.2", "AKIA1"), ("192.0.2.1", "AKIA2")];
        let held = held.map(|(address, key)| enter(address, key));
        assert!(held.iter().all(|(_, is_in)| *is_in));
        assert!(!enter("192.0.2.3", "AKIA1").1);
        assert!(enter("192.0.2.3", "AKIA2").1, "it was claimed by others, but is proven once");
        let roots: Vec<_> = (0..10).map(|_| enter("192.0.2.4", ROOT)).collect();
        assert!(roots.iter().all(|(_, is_in)| *is_in), "nobody else can prove root's");
        drop(held);
        assert!(enter("192.0.2.3", "AKIA1").1);
        drop(roots);
        assert!(room.by_key.lock().is_empty());
    }

    #[test]
    fn root_gets_in_when_all_is_taken() {
        for (max, per_client) in [(1, 1), (100, 1)] {
            let room = room(max, per_client, 1);
            let (one, other) = (peer("192.0.2.1"), claiming("AKIA1"));
            let _held = room.enter(&one, &other).unwrap();
            assert!(room.enter(&one, &other).is_none());
            let roots: Vec<_> =
                (0..ROOT_RESERVE).map(|_| room.enter(&one, &claiming(ROOT)).unwrap()).collect();
            assert!(room.enter(&one, &claiming(ROOT)).is_none(), "the reserve has an end");
            drop(roots);
            assert!(room.enter(&one, &claiming(ROOT)).is_some());
        }
    }
}
