//! What is asked of the subjects.

use tidelock_client::bench::Workload;

/// One workload with so many clients.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// As it is named on the command line and in tables.
    pub name: &'static str,
    pub workload: Workload,
    pub clients: usize,
    pub body_bytes: usize,
}

const fn case(name: &'static str, workload: Workload, clients: usize, body_bytes: usize) -> Case {
    Case { name, workload, clients, body_bytes }
}

const KIB4: usize = 4 << 10;
const MIB8: usize = 8 << 20;

/// All there are; the first are those that goals are about.
pub const ALL: &[Case] = &[
    case("put-4k-64", Workload::Put, 64, KIB4),
    case("lock-16", Workload::Lock, 16, KIB4),
    case("get-4k-64", Workload::Get, 64, KIB4),
    case("put-8m-4", Workload::Put, 4, MIB8),
    case("get-8m-4", Workload::Get, 4, MIB8),
    case("race-64", Workload::Race, 64, KIB4),
    case("list-1", Workload::List, 1, KIB4),
    case("list-delimited-1", Workload::ListDelimited, 1, KIB4),
    case("get-4k-1", Workload::Get, 1, KIB4),
    case("get-4k-16", Workload::Get, 16, KIB4),
    case("put-4k-1", Workload::Put, 1, KIB4),
    case("put-4k-16", Workload::Put, 16, KIB4),
    case("lock-1", Workload::Lock, 1, KIB4),
    case("list-8", Workload::List, 8, KIB4),
    case("list-delimited-8", Workload::ListDelimited, 8, KIB4),
    case("mixed-16", Workload::Mixed, 16, KIB4),
];

/// Of `compare`: what goals are about, but for lists, whose keys take minutes to put.
pub const COMPARED: &str = "put-4k-64,lock-16,get-4k-64,put-8m-4,get-8m-4,race-64";

/// Of `engines`.
pub const OF_ENGINES: &str = "get-4k-1,get-4k-16,get-4k-64,put-4k-1,put-4k-16,put-4k-64,lock-1,lock-16,list-1,\
                              list-8,list-delimited-1,list-delimited-8";

impl Case {
    /// The one with this name.
    ///
    /// # Errors
    /// There is none.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = ALL.iter().find(|case| case.name == name).copied();
        let names = || ALL.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("there are {}", names()))
    }

    /// Whether it is about lists.
    pub fn lists(&self) -> bool {
        matches!(self.workload, Workload::List | Workload::ListDelimited | Workload::Mixed)
    }
}
