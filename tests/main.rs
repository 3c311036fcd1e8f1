//! All tests that run programs, as one program: so that those that wait and those that compute run beside each
//! other. `cargo test pair::options` runs those of one file.

#[macro_use(apply)]
extern crate macro_rules_attribute;

#[macro_use]
mod common;

mod check;
mod demo;
mod fixtures;
mod install;
mod pair;
mod pictures;
mod readme;
mod replay;
mod submissions;

use common::harness;

fn main() {
    if std::env::var_os("BLESS").is_some() {
        return readme::bless();
    }
    let tests = [harness::registered(), fixtures::tests(), readme::tests(), submissions::tests()];
    harness::run(tests.into_iter().flatten().collect());
}
