//! Any text as a keyring: reading it never panics, and it has the keys that it names, the first one active.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidelock_store::Keyring;

fuzz_target!(|text: &str| {
    let lines = || text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    let Ok(keyring) = Keyring::parse(text) else { return };
    let names = lines().map(|line| line.split_once(':').unwrap().0.trim());
    assert_eq!(names.clone().next(), Some(keyring.active()));
    for name in names {
        assert!(keyring.fingerprint(name).is_some(), "{name}");
    }
    let again = Keyring::parse(&lines().collect::<Vec<_>>().join("\n")).unwrap();
    let active = keyring.active();
    assert_eq!(again.fingerprint(active), keyring.fingerprint(active));
    // A key that stands there twice is one too many.
    assert!(Keyring::parse(&format!("{text}\n{}", lines().next().unwrap())).is_err());
});
