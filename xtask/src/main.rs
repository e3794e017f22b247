//! Experiments, benches and checks.
fn main() {}
