# Short commands for people; machines use scripts/.

# The list of commands.
default:
    @just --list

# Everything that CI runs.
test *args:
    scripts/test {{args}}

# Formatting and lints, as CI has them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Unit tests of one crate: `just unit store`.
unit crate *args:
    cargo test -p tidelock-{{crate}} {{args}}

# A server on ./tidelock-data with a bucket for Terraform.
serve *args:
    cargo run --release -- serve --bootstrap terraform-state {{args}}

# The optimised binary, target/release/tidelock.
release:
    cargo build --release

# What an operation costs on each engine: `just bench --turns 1`.
bench *args: release
    cargo run --release --manifest-path bench/Cargo.toml -- engines {{args}}

# Tidelock beside a control and beside other stores: `just compare --turns 1`.
compare *args:
    bench/compare {{args}}

# Licences and advisories of the dependencies (needs cargo-deny).
deny:
    cargo deny check
