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

/// How often `work` allocates in fifty calls, once it has been called often enough to have seen every case.
fn allocations(mut work: impl FnMut(u64)) -> usize {
    (0..100).for_each(&mut work);
    let before = ALLOCATIONS.get();
    (0..50).for_each(&mut work);
    ALLOCATIONS.get() - before
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|i| drop(std::hint::black_box(vec![i; 10]))) >= 50);
}

#[test]
fn a_warmed_up_view_allocates_nothing() {
    for (blank, blanks) in [(false, BlankRule::Nan), (true, BlankRule::Nan), (true, BlankRule::ZeroIsBlank)] {
        for order in [StageOrder::PaperCode, StageOrder::Paper] {
            let recipe = Recipe { order, blanks, ..Recipe::paper(64) };
            let cutout = cutout(72, blank);
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

#[test]
fn no_chain_and_no_list_allocates_either() {
    let cutout = cutout(60, true);
    let mut placement = Placement::unmoved(96, 96);
    for (which, (name, augmenter)) in Augmenter::presets().into_iter().enumerate() {
        let lists = [
            Preprocessing::paper(40),
            Preprocessing::mask_rcnn_tf2(40),
            Preprocessing::mask_rcnn_tf1(),
            Preprocessing::released_model(40),
            Preprocessing::chan3(40),
        ];
        for list in lists.iter().take(if which == 0 { lists.len() } else { 1 }) {
            // A draw that leaves a channel flat is no view, and its memory is freed.
            let mut view =
                |seed| list.view(cutout.view(), &augmenter, &mut view_rng(seed, 0, 0, 0), &mut placement).map(recycle);
            let seeds: Vec<u64> = (0..40).filter(|seed| view(*seed).is_ok()).collect();
            assert!(seeds.len() > 20, "{name}: {} views of 40", seeds.len());
            let n = allocations(|i| view(seeds[i as usize % seeds.len()]).unwrap());
            assert_eq!(n, 0, "{name} with {list:?}");
        }
    }
    let sources = Transform::RemoveSources { settings: SourceRemoval::upstream(), seed: 1 };
    let list = Preprocessing { steps: vec![sources, Transform::Median { side: 3 }], ..Preprocessing::paper(40) };
    assert_eq!(allocations(|_| recycle(list.channels(cutout.view()).unwrap())), 0);
}
