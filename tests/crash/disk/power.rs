//! The power is cut, under load and at any instant, in the middle of syncs too: what had not reached the device
//! is gone. `TIDELOCK_CRASH_CUTS` sets how often.

use std::time::Duration;

use super::{assert_sound, print_measured, seed, stop};
use crate::harness::chance::Chance;
use crate::harness::{Engine, Image, Server, count_from_env};
use crate::ledger::Ledger;
use crate::{make_buckets, write_until};

const CUTS_DEFAULT: usize = 3;
/// A new disk after so many cuts: the first start and the first minutes of a store are cut, too.
const CUTS_PER_IMAGE: usize = 10;
const IMAGE_BYTES: u64 = 6 << 30;
const LIFE_MS_MIN: u64 = 50;
const LIFE_MS_MAX: u64 = 700;
const WHAT: &str = "power cuts (FaultyDisk has them in the simulation)";

#[test]
fn acknowledged_writes_outlive_power_cuts() {
    let cuts = count_from_env("TIDELOCK_CRASH_CUTS", CUTS_DEFAULT);
    let mut acknowledged = 0;
    for first in (0..cuts).step_by(CUTS_PER_IMAGE) {
        let Some(image) = Image::or_left_out(IMAGE_BYTES, WHAT) else { return };
        acknowledged += cut_again_and_again(&image, first..cuts.min(first + CUTS_PER_IMAGE));
    }
    print_measured(&format!("{cuts} power cuts: {acknowledged} acknowledged, 0 lost"));
}

/// Every write that was acknowledged before a cut is there after it; how many there were.
fn cut_again_and_again(image: &Image, cuts: std::ops::Range<usize>) -> usize {
    let (data, seed) = (image.path().join("data"), seed());
    let mut chance = Chance::new(seed ^ cuts.start as u64);
    let mut ledger = Ledger::default();
    let mut server = Server::start_local(&data);
    make_buckets(&server);
    for cut in cuts {
        let life = Duration::from_millis(chance.between(LIFE_MS_MIN, LIFE_MS_MAX));
        let written = write_until(&mut server, seed, cut, life, |server| {
            image.cut_power();
            server.kill();
        });
        ledger.extend(written);
        image.restore_power();
        assert_sound(&data, &format!("seed {seed}, after cut {cut}"));
        server = Server::start_local(&data);
        let wrong = ledger.verify_recent(&server.root());
        assert!(wrong.is_empty(), "seed {seed}, cut {cut}:\n{}", wrong.join("\n"));
    }
    let wrong = ledger.verify_all(&server.root());
    assert!(wrong.is_empty(), "seed {seed}, after all cuts:\n{}", wrong.join("\n"));
    stop(server);
    assert_sound(&data, "after all cuts");
    ledger.acknowledged()
}

/// The drill proves itself: a server whose syncs do nothing loses what it has acknowledged.
#[test]
fn a_power_cut_takes_what_was_not_synced() {
    let Some(image) = Image::or_left_out(IMAGE_BYTES, WHAT) else { return };
    if !super::has_strace() {
        return super::print_left_out("power cuts without syncs: there is no strace");
    }
    let data = image.path().join("data");
    let server = Server::start_local(&data);
    make_buckets(&server);
    stop(server);
    let nothing = ["-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:retval=0"];
    let mut server = Server::start_traced(&data, &[&["-o", "/dev/null"], &nothing[..]].concat());
    let mut ledger = Ledger::default();
    let life = Duration::from_millis(LIFE_MS_MAX);
    ledger.extend(write_until(&mut server, seed(), 0, life, |server| {
        image.cut_power();
        server.kill();
    }));
    image.restore_power();
    // It may be so damaged that it does not start.
    let Ok(server) = Server::try_start_over(&Engine::Local, &data, &[]) else { return };
    let lost = ledger.verify_all(&server.root());
    assert!(!lost.is_empty(), "of {} acknowledged none is lost", ledger.acknowledged());
}
