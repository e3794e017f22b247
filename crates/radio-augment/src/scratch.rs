//! Buffers that are used again instead of being freed: fresh pages from the system cost as much as the work on them.
//!
//! Every thread keeps a few of each kind, so that a recipe or an augmenter that has run a while allocates nothing. What is in a
//! buffer when it is taken is whatever was left there.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
};

use ndarray::Array3;

/// Buffers of one kind that a thread keeps at most; a view takes some twenty.
const KEPT: usize = 48;
/// Numbers of one kind that they hold at most, 256 MB of `f32`: frames of many sizes must not fill the memory.
const KEPT_NUMBERS: usize = 1 << 26;

/// A kind of number that buffers are kept for.
pub(crate) trait Reusable: Copy + Default + 'static {
    /// Runs `work` on the thread's spare buffers; `None` if the thread is ending.
    fn with_spare<R>(work: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> Option<R>;
}

macro_rules! reusable {
    ($($kind:ty),*) => {$(
        impl Reusable for $kind {
            fn with_spare<R>(work: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> Option<R> {
                thread_local! {
                    static SPARE: RefCell<Vec<Vec<$kind>>> = const { RefCell::new(Vec::new()) };
                }
                SPARE.try_with(|spare| work(&mut spare.borrow_mut())).ok()
            }
        }
    )*};
}
reusable!(f32, f64, i64, u32, bool);

/// A buffer of `len` numbers that goes back to the thread's spare ones when it is dropped; its contents are unspecified.
pub(crate) struct Scratch<T: Reusable = f32> {
    /// May be longer than what is in use.
    buffer: Vec<T>,
    len: usize,
}

impl<T: Reusable> Scratch<T> {
    pub(crate) fn new(len: usize) -> Self {
        Self { buffer: take(len), len }
    }

    pub(crate) fn filled(len: usize, value: T) -> Self {
        let mut scratch = Self::new(len);
        scratch.fill(value);
        scratch
    }

    pub(crate) fn copy_of(values: &[T]) -> Self {
        let mut copy = Self::new(values.len());
        copy.copy_from_slice(values);
        copy
    }

    /// `len` numbers, each from its index.
    pub(crate) fn from_fn(len: usize, value: impl Fn(usize) -> T) -> Self {
        let mut scratch = Self::new(len);
        scratch.iter_mut().enumerate().for_each(|(i, v)| *v = value(i));
        scratch
    }

    /// The numbers of an iterator, at most `at_most` of them.
    pub(crate) fn collect(values: impl Iterator<Item = T>, at_most: usize) -> Self {
        let mut scratch = Self::new(at_most);
        let mut n = 0;
        for (slot, value) in scratch.buffer.iter_mut().zip(values.take(at_most)) {
            *slot = value;
            n += 1;
        }
        scratch.len = n;
        scratch
    }

    /// Forgets all but the first `len`.
    pub(crate) fn shorten(&mut self, len: usize) {
        self.len = len.min(self.len);
    }
}

impl<T: Reusable> Default for Scratch<T> {
    fn default() -> Self {
        Self { buffer: Vec::new(), len: 0 }
    }
}

impl<T: Reusable> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffer[..self.len]
    }
}

impl<T: Reusable> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[..self.len]
    }
}

impl<T: Reusable> Drop for Scratch<T> {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.buffer));
    }
}

/// Channels in row order with unspecified contents.
pub(crate) fn take_channels(dim: (usize, usize, usize)) -> Array3<f32> {
    let len = dim.0 * dim.1 * dim.2;
    let mut pixels = take(len);
    pixels.truncate(len);
    Array3::from_shape_vec(dim, pixels).unwrap_or_else(|_| Array3::zeros(dim))
}

/// A copy of channels in row order, in memory that [`recycle`] took back if some fits.
#[must_use]
pub fn copy_of_channels(channels: &Array3<f32>) -> Array3<f32> {
    let mut copy = take_channels(channels.dim());
    copy.assign(channels);
    copy
}

/// Takes back channels that nobody needs any more: this thread's next image of that size is made in their memory.
///
/// Never needed, only faster: a loop that hands its views back allocates nothing once it has run a while.
pub fn recycle(channels: Array3<f32>) {
    give(channels.into_raw_vec_and_offset().0);
}

/// At least `len` numbers.
fn take<T: Reusable>(len: usize) -> Vec<T> {
    // The tightest fit, so that a small request does not take the buffer a large one needs.
    let find = |spare: &mut Vec<Vec<T>>| {
        let fits = |buffer: &Vec<T>| buffer.capacity() >= len && buffer.capacity() / 4 <= len;
        let candidates = spare.iter().enumerate().filter(|(_, buffer)| fits(buffer));
        let place = candidates.min_by_key(|(_, buffer)| buffer.capacity()).map(|(place, _)| place);
        // In order, so that the one longest unused is the first to go.
        place.map(|place| spare.remove(place))
    };
    match T::with_spare(find).flatten() {
        Some(mut buffer) => {
            if buffer.len() < len {
                buffer.resize(len, T::default());
            }
            buffer
        }
        None => vec![T::default(); len],
    }
}

fn give<T: Reusable>(buffer: Vec<T>) {
    if buffer.capacity() > 0 {
        // If the thread is ending there is nobody to keep it for.
        let _ = T::with_spare(|spare| {
            spare.push(buffer);
            while spare.len() > KEPT || spare.iter().map(Vec::capacity).sum::<usize>() > KEPT_NUMBERS {
                spare.remove(0);
            }
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
            first.fill(3.0f32);
            first.as_ptr()
        };
        let again = Scratch::<f32>::new(40_000);
        assert_eq!((again.len(), again.as_ptr()), (40_000, place));
        assert_ne!(Scratch::<f32>::new(50_000).as_ptr(), place); // still in use
        (0..60).for_each(|_| give(vec![0.0f32; 20_000]));
        assert_eq!(f32::with_spare(|spare| spare.len()), Some(KEPT));
        give(vec![0.0f32; KEPT_NUMBERS - 100_000]);
        assert!(f32::with_spare(|spare| spare.len()) < Some(8));
        let channels = take_channels((3, 100, 70));
        assert_eq!((channels.dim(), Scratch::copy_of(&[1.0, 2.0]).to_vec()), ((3, 100, 70), vec![1.0f64, 2.0]));
        let few = Scratch::collect([true, false].into_iter(), 9);
        assert_eq!(&few[..], [true, false]);
    }
}
