//! Criterion benches of the kernels; they live in `benches/`, this crate has no code of its own.
//!
//! `cargo bench --profile dev -p radio-ssl-benches` uses the build of the tests.
