//! A run: who writes a state, as far as it can be told from a request. Part of other records.
//!
//! ```text
//! run    holder:text | address:text | user_agent:text | list of connection:16
//! ```

use super::DecodeError;
use super::codec::{Reader, Writer};

/// Connections of one run that are remembered, the latest ones.
pub const CONNECTIONS_MAX: usize = 8;

/// Names a connection among all of all servers: 8 bytes of the server, 8 of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub [u8; 16]);

/// Names a call of a client's SDK among all: 16 bytes of a digest of what the client calls it. All tries
/// of one call have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub [u8; 16]);

/// What is known of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// ARN of the principal.
    pub holder: String,
    /// IP address of the client.
    pub address: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// The connections it was seen on, the latest last.
    pub connections: Vec<ConnectionId>,
}

impl Run {
    /// Whether it was seen on `connection`.
    pub fn has(&self, connection: ConnectionId) -> bool {
        self.connections.contains(&connection)
    }

    /// Remembers that it was seen on `connection`.
    pub fn add(&mut self, connection: ConnectionId) {
        self.connections.retain(|known| *known != connection);
        self.connections.push(connection);
        if self.connections.len() > CONNECTIONS_MAX {
            self.connections.remove(0);
        }
    }

    /// Whether `other` looks the same but for its connections: same principal, address and program.
    pub fn looks_like(&self, other: &Self) -> bool {
        (&self.holder, &self.address) == (&other.holder, &other.address)
            && program(&self.user_agent).eq(program(&other.user_agent))
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.text(&self.holder);
        writer.text(&self.address);
        writer.text(&self.user_agent);
        writer.list(&self.connections, |writer, connection| writer.raw(&connection.0));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            holder: reader.text()?,
            address: reader.text()?,
            user_agent: reader.text()?,
            connections: reader.list(|reader| Ok(ConnectionId(reader.array()?)))?,
        })
    }
}

/// What of a `User-Agent` is the same for all requests of a process. The SDKs of AWS add the features of
/// each request to it: an upload says `ft/s3-transfer m/G,Z`, a plain GET of the same client does not.
fn program(user_agent: &str) -> impl Iterator<Item = &str> {
    const OF_ONE_REQUEST: [&str; 3] = ["m/", "ft/", "cfg/"];
    let tokens = user_agent.split_ascii_whitespace();
    tokens.filter(|token| !OF_ONE_REQUEST.iter().any(|prefix| token.starts_with(prefix)))
}

/// Arbitrary runs, for the round-trip properties of the records that hold one.
#[cfg(test)]
pub(crate) mod arbitrary {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn run() -> impl Strategy<Value = Run> {
        let connections = proptest::collection::vec(any::<[u8; 16]>(), 0..CONNECTIONS_MAX);
        (any::<(String, String, String)>(), connections).prop_map(
            |((holder, address, user_agent), connections)| Run {
                holder,
                address,
                user_agent,
                connections: connections.into_iter().map(ConnectionId).collect(),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_process_look_alike() {
        let terraform = "APN/1.0 HashiCorp/1.0 Terraform/1.11.4 (+https://www.terraform.io) \
                         aws-sdk-go-v2/1.36.0 ua/2.1 os/linux lang/go#1.23.3 api/s3#1.75.2";
        let rows = [
            ("", " ft/s3-transfer m/G,Z", true),
            (" m/E", " cfg/retry-mode#standard", true),
            ("", " ci-job/4711", false),
        ];
        for (one, other, expected) in rows {
            let run =
                |more: &str| Run { user_agent: format!("{terraform}{more}"), ..Run::default() };
            assert_eq!(run(one).looks_like(&run(other)), expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn the_latest_connections_are_remembered() {
        let mut run = Run::default();
        for number in 0..=CONNECTIONS_MAX as u8 {
            run.add(ConnectionId([number; 16]));
        }
        run.add(ConnectionId([1; 16]));
        assert!(!run.has(ConnectionId([0; 16])), "the oldest is forgotten");
        assert_eq!(run.connections.len(), CONNECTIONS_MAX);
        assert_eq!(run.connections.last(), Some(&ConnectionId([1; 16])));
    }
}
