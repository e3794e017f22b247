//! A recipe and an augmenter that have run a while ask the allocator for nothing.
//!
//! A test binary of its own, for it counts every allocation of the thread.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use ndarray::Array2;
use radio_augment::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn cutout(side: usize, blank: bool) -> Array2<f32> {
    Array2::from_shape_fn((side, side), |(y, x)| {
        let source = if y.abs_diff(side / 3) < 5 && x.abs_diff(side / 2) < 4 { 20.0 } else { 0.0 };
        if blank && x < side / 6 { f32::NAN } else { support::splitmix((y * side + x) as u64) as f32 + source }
    })
}

/// How often `work` allocates in a hundred calls, once it has been called often enough to have seen every case.
fn allocations(mut work: impl FnMut(u64)) -> usize {
    (0..200).for_each(&mut work);
    let before = ALLOCATIONS.get();
    (0..100).for_each(&mut work);
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|i| drop(std::hint::black_box(vec![i; 10]))) >= 100);
}

#[test]
fn a_warmed_up_view_allocates_nothing() {
    for (blank, blanks) in [(false, BlankRule::Nan), (true, BlankRule::Nan), (true, BlankRule::ZeroIsBlank)] {
        for order in [StageOrder::PaperCode, StageOrder::Paper] {
            let recipe = Recipe { order, blanks, ..Recipe::paper(112) };
            let cutout = cutout(128, blank);
            let augmenter = Augmenter::hulk();
            let n = allocations(|i| {
                let limits = recipe.limits(cutout.view()).unwrap();
                let mut rng = view_rng(i % 50, 0, 0, 0);
                // A draw may leave a channel flat; then there is no view.
                if let Ok(view) = recipe.view(recipe.stretch(cutout.view(), &limits), &augmenter, &mut rng) {
                    recycle(view);
                }
            });
            assert_eq!(n, 0, "{order:?}, {blanks:?}, blank pixels: {blank}");
        }
    }
}
