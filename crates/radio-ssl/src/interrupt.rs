//! Ctrl-C and SIGTERM: long stages look here between steps, save, and stop.
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// A stage stopped because the user asked; what was done is saved.
#[derive(Debug, thiserror::Error)]
#[error("stopped on request; run the same command again to continue")]
pub struct Interrupted;

/// Exit code of an interrupted command, as a shell reports SIGINT.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Starts listening. The second Ctrl-C ends the process at once.
pub fn listen() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Without a handler the default action remains: the process ends, and the last checkpoint stands.
        let _ = ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(EXIT_INTERRUPTED));
            }
            eprintln!("\nstopping after this step; press Ctrl-C again to stop at once");
        });
    });
}

/// Whether the user asked to stop.
pub fn requested() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// `Break` once the user asked to stop.
pub fn flow() -> ControlFlow<()> {
    if requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
