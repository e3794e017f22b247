//! A heap that puts every allocation between pages that nobody may touch: whatever reads or writes outside it dies.
//!
//! An allocation cannot touch both its neighbours at once, so there are two placements: its last byte right before the page
//! behind, or its first byte right behind the page before. What is given back becomes untouchable too, and no
//! address is used twice.
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const PAGE: usize = 4096;
/// Addresses set aside; memory is used only where allocations lie.
const REGION: usize = 1 << 36;

/// The allocator of a test binary (`#[global_allocator]`); plain until [`place`] is called.
pub struct GuardedHeap;

/// Where allocations lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Placement {
    /// As the system does it.
    Plain,
    /// Right before a page that nobody may touch.
    BeforePage,
    /// Right behind one.
    BehindPage,
}

static PLACEMENT: AtomicU8 = AtomicU8::new(Placement::Plain as u8);
static FIRST: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);
static PLACED: AtomicUsize = AtomicUsize::new(0);

/// Places what is allocated from now on.
pub fn place(placement: Placement) {
    if FIRST.load(Ordering::Acquire) == 0 {
        // SAFETY: a new mapping at an address of the system's choice.
        let region = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(std::ptr::null_mut(), REGION, libc::PROT_NONE, flags, -1, 0)
        };
        assert!(region != libc::MAP_FAILED, "no addresses for guard pages");
        NEXT.store(region as usize + PAGE, Ordering::Relaxed);
        FIRST.store(region as usize, Ordering::Release);
    }
    PLACEMENT.store(placement as u8, Ordering::Release);
}

/// Allocations placed so far.
pub fn placed() -> usize {
    PLACED.load(Ordering::Relaxed)
}

/// Bytes of whole pages.
fn whole_pages(layout: Layout) -> usize {
    layout.size().next_multiple_of(PAGE)
}

// SAFETY: every allocation has pages of its own, of at least its size; within a page it is moved by multiples of its alignment.
unsafe impl GlobalAlloc for GuardedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let placement = PLACEMENT.load(Ordering::Acquire);
        if placement == Placement::Plain as u8 || layout.size() == 0 || layout.align() > PAGE {
            // SAFETY: as the caller vouches for.
            return unsafe { System.alloc(layout) };
        }
        let bytes = whole_pages(layout);
        let start = NEXT.fetch_add(bytes + PAGE, Ordering::Relaxed);
        if start + bytes + PAGE > FIRST.load(Ordering::Relaxed) + REGION {
            return std::ptr::null_mut();
        }
        // SAFETY: pages of our region that nobody else was given.
        if unsafe { libc::mprotect(start as *mut _, bytes, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            return std::ptr::null_mut();
        }
        PLACED.fetch_add(1, Ordering::Relaxed);
        let room = (bytes - layout.size()) / layout.align() * layout.align();
        (start + if placement == Placement::BeforePage as u8 { room } else { 0 }) as *mut u8
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let first = FIRST.load(Ordering::Relaxed);
        if first == 0 || !(first..first + REGION).contains(&(pointer as usize)) {
            // SAFETY: from the system's heap, as the caller vouches for.
            return unsafe { System.dealloc(pointer, layout) };
        }
        // SAFETY: the pages that `alloc` gave to this allocation alone.
        unsafe {
            let start = (pointer as usize / PAGE * PAGE) as *mut _;
            libc::madvise(start, whole_pages(layout), libc::MADV_DONTNEED);
            libc::mprotect(start, whole_pages(layout), libc::PROT_NONE);
        }
    }
}
