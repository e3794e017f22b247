//! The `radio-ssl` command.
fn main() {}
