//! Image buffers that are used again instead of being freed: fresh pages from the system cost as much as the work on them.
//!
//! Every thread keeps a few. What is in a buffer when it is taken is whatever was left there.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

use ndarray::Array3;

/// Buffers a thread keeps at most.
const KEPT: usize = 8;
/// Smaller ones (64 kB) the allocator serves quickly by itself.
const WORTH_KEEPING: usize = 1 << 14;

thread_local! {
    static SPARE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of `len` numbers that goes back to the thread's spare ones when it is dropped; its contents are unspecified.
#[derive(Default)]
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    pub(crate) fn new(len: usize) -> Self {
        Self(take(len))
    }

    pub(crate) fn copy_of(values: &[f32]) -> Self {
        let mut copy = Self::new(values.len());
        copy.copy_from_slice(values);
        copy
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.0));
    }
}

/// Channels in row order with unspecified contents.
pub(crate) fn take_channels(dim: (usize, usize, usize)) -> Array3<f32> {
    Array3::from_shape_vec(dim, take(dim.0 * dim.1 * dim.2)).unwrap_or_else(|_| Array3::zeros(dim))
}

/// Channels that nobody needs any more.
pub(crate) fn give_channels(channels: Array3<f32>) {
    give(channels.into_raw_vec_and_offset().0);
}

fn take(len: usize) -> Vec<f32> {
    let fits = |buffer: &Vec<f32>| buffer.capacity() >= len && buffer.capacity() / 4 <= len;
    let find = |spare: &RefCell<Vec<Vec<f32>>>| {
        let mut spare = spare.borrow_mut();
        spare.iter().rposition(fits).map(|place| spare.swap_remove(place))
    };
    let spare = if len < WORTH_KEEPING { None } else { SPARE.try_with(find).ok().flatten() };
    match spare {
        Some(mut buffer) => {
            buffer.resize(len, 0.0);
            buffer
        }
        None => vec![0.0; len],
    }
}

fn give(buffer: Vec<f32>) {
    if buffer.capacity() >= WORTH_KEEPING {
        // If the thread is ending there is nobody to keep it for.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() >= KEPT {
                spare.remove(0);
            }
            spare.push(buffer);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_in_the_length_asked_for() {
        let place = {
            let mut first = Scratch::new(50_000);
            first.fill(3.0);
            first.as_ptr()
        };
        let again = Scratch::new(40_000);
        assert_eq!((again.len(), again.as_ptr()), (40_000, place));
        assert_ne!(Scratch::new(50_000).as_ptr(), place); // still in use
        (0..30).for_each(|_| give(vec![0.0; 20_000]));
        SPARE.with(|spare| assert_eq!(spare.borrow().len(), KEPT));
        let channels = take_channels((3, 100, 70));
        assert_eq!((channels.dim(), Scratch::copy_of(&[1.0, 2.0]).to_vec()), ((3, 100, 70), vec![1.0, 2.0]));
    }
}
