//! The system's allocator, which remembers for every thread how much it holds and the most it has held.
//!
//! The readers under test run on the thread that called them, so counts need no lock. What another thread frees is counted there;
//! a count below zero is therefore possible and harmless.
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// Counts, then asks the system.
pub struct CountingAllocator;

fn count(bytes: isize) {
    // A thread that ends frees its last memory after its counters are gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        MOST.try_with(|most| most.set(most.get().max(held.get())))
    });
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches only thread-local numbers and allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `pointer` came from the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size as isize - layout.size() as isize);
        // SAFETY: `pointer` came from the system's allocator with this layout.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Runs `work` and says how many bytes more than before it held at its worst moment.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.with(Cell::get);
    MOST.with(|most| most.set(before));
    let result = work();
    let most = MOST.with(Cell::get);
    (result, usize::try_from(most - before).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_moment_is_found() {
        let ((), peak) = peak_of(|| {
            drop(std::hint::black_box(vec![0u8; 3_000_000]));
            drop(std::hint::black_box(vec![0u8; 1_000_000]));
        });
        assert!((3_000_000..3_100_000).contains(&peak), "{peak}");
    }
}
