//! Networks of addresses, as `--trusted-proxy` names them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::ConfigError;

const NAME: &str = "trusted-proxy";
/// Proxies at most.
const PROXIES_MAX: usize = 64;

/// An address, or a network of them: `10.0.0.0/8`, `2001:db8::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

/// The networks of `--trusted-proxy`.
pub(super) fn proxies(texts: &[String]) -> Result<Vec<Network>, ConfigError> {
    if texts.len() > PROXIES_MAX {
        let reason = format!("more than {PROXIES_MAX} networks");
        return Err(ConfigError::Value { name: NAME, reason });
    }
    let parse = |text: &String| {
        text.parse().map_err(|reason| ConfigError::Value {
            name: NAME,
            reason: format!("'{text}' {reason}"),
        })
    };
    texts.iter().map(parse).collect()
}

impl Network {
    /// Whether it has this address; one of IPv4 is the same in its IPv6 form.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, ours_bits) = bits(self.address);
        let (theirs, theirs_bits) = bits(address.to_canonical());
        let rest = ours_bits - self.prefix_bits;
        ours_bits == theirs_bits && (ours ^ theirs).checked_shr(rest).unwrap_or(0) == 0
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "is no address and no network such as 10.0.0.0/8";
        let (address, prefix) = text.split_once('/').unzip();
        let address: IpAddr = address.unwrap_or(text).parse().map_err(|_| WRONG)?;
        let address = address.to_canonical();
        let (number, most) = bits(address);
        let prefix_bits = prefix.map_or(Ok(most), str::parse).map_err(|_| WRONG)?;
        if prefix_bits > most {
            return Err(WRONG);
        }
        if prefix_bits == 0 {
            return Err("is everybody: whoever is trusted may say where they come from");
        }
        let rest = most - prefix_bits;
        if number.checked_shr(rest).unwrap_or(0).checked_shl(rest).unwrap_or(0) != number {
            return Err("has bits behind its prefix");
        }
        Ok(Self { address, prefix_bits })
    }
}

impl fmt::Display for Network {
    /// As it is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix_bits == bits(self.address).1 {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix_bits),
        }
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (address.to_bits().into(), u32::BITS),
        IpAddr::V6(address) => (address.to_bits(), u128::BITS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_addresses() {
        let rows = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "::10.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("192.0.2.7/32", "192.0.2.7", true),
            ("0.0.0.0/1", "127.0.0.1", true),
            ("0.0.0.0/1", "128.0.0.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::/32", "10.0.0.1", false),
            ("::1", "::1", true),
            ("::1", "127.0.0.1", false),
        ];
        for (network, address, expected) in rows {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
    }

    #[test]
    fn what_is_none_is_refused_and_what_is_one_is_shown_as_given() {
        let wrong = [
            "",
            "10",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.1/8",
            "::/0",
            "0.0.0.0/0",
            "::1/129",
            "proxy",
            "10.0.0.0/8/8",
            " 10.0.0.1",
        ];
        for text in wrong {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
