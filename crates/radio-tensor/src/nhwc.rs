//! The trunk's own tensor: images, rows, columns, channels (channels contiguous), 64-byte aligned f32 or bf16.
//!
//! candle's CPU tensors are NCHW and unaligned; a convolution on NHWC reads every pixel's channels in one
//! run, and batch norm walks memory once. Buffers are recycled through a [`Workspace`]: a training step
//! touches gigabytes, and giving them back to the operating system would cost a page fault per 4 KiB.
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Mutex;

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use crate::element::Element;

/// One cache line of 32-bit words, the unit of alignment.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct CacheLine([u32; 16]);

/// An f32 map.
pub type Nhwc = Map<f32>;

/// A batch of feature maps `[n, h, w, c]`, channels contiguous.
///
/// Behind the last value lies at least one cache line of the same allocation, so that a kernel that takes
/// values in pairs may read past an odd end. It holds zeros.
pub struct Map<E> {
    /// Images.
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
    lines: Vec<CacheLine>,
    element: PhantomData<E>,
}

impl<E: Element> Map<E> {
    /// All zeros.
    pub fn zeros(n: usize, h: usize, w: usize, c: usize) -> Self {
        Self { n, h, w, c, lines: vec![CacheLine::zeroed(); Self::lines(n * h * w * c)], element: PhantomData }
    }

    /// Cache lines of a map of so many values, with the spare one.
    fn lines(values: usize) -> usize {
        values.div_ceil(16 * E::PER_WORD) + 1
    }

    /// The same map in another precision.
    pub fn converted<T: Element>(&self) -> Map<T> {
        let mut other = Map::zeros(self.n, self.h, self.w, self.c);
        other.copy_rounded(self);
        other
    }

    /// Takes the values of a map of the same sizes in another precision.
    pub fn copy_rounded<T: Element>(&mut self, other: &Map<T>) {
        let values = self.values_mut().par_chunks_mut(1 << 14).zip(other.values().par_chunks(1 << 14));
        values.for_each(|(target, source)| {
            for (target, value) in target.iter_mut().zip(source) {
                *target = E::narrow(value.widen());
            }
        });
    }

    /// Fills what lies behind the last value.
    pub(crate) fn fill_tail(&mut self, value: E) {
        let len = self.len();
        bytemuck::cast_slice_mut::<CacheLine, E>(&mut self.lines)[len..].fill(value);
    }

    /// The values and the line behind them.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn values_and_tail(&self) -> &[E] {
        bytemuck::cast_slice(&self.lines)
    }

    /// Number of values, `n * h * w * c`.
    pub fn len(&self) -> usize {
        self.n * self.h * self.w * self.c
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of pixels, `n * h * w`.
    pub fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }

    /// The values in `[n, h, w, c]` order.
    pub fn values(&self) -> &[E] {
        &bytemuck::cast_slice(&self.lines)[..self.len()]
    }

    /// The values in `[n, h, w, c]` order, to write.
    pub fn values_mut(&mut self) -> &mut [E] {
        let len = self.len();
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..len]
    }

    /// Fills from a `[n, c, h, w]` slice of the same sizes (extra values are ignored).
    pub fn copy_from_nchw(&mut self, nchw: &[f32]) {
        self.copy_from_nchw_padded(nchw, 0);
    }

    /// Fills from a `[n, c, h - 2 pad, w - 2 pad]` slice, with zeros all round.
    pub fn copy_from_nchw_padded(&mut self, nchw: &[f32], pad: usize) {
        let (h, w, c) = (self.h - 2 * pad, self.w - 2 * pad, self.c);
        let (line, image) = (self.w * c, self.h * self.w * c);
        if h * w * c == 0 {
            return self.values_mut().fill(E::zeroed());
        }
        let fill = |(image, source): (&mut [E], &[f32])| {
            image.fill(E::zeroed());
            for (row, target) in image.chunks_exact_mut(line).skip(pad).take(h).enumerate() {
                for channel in 0..c {
                    let source = &source[(channel * h + row) * w..][..w];
                    for (target, value) in target[pad * c..].chunks_exact_mut(c).zip(source) {
                        target[channel] = E::narrow(*value);
                    }
                }
            }
        };
        self.values_mut().par_chunks_exact_mut(image).zip(nchw.par_chunks_exact(h * w * c)).for_each(fill);
    }

    /// The values in `[n, c, h, w]` order.
    pub fn to_nchw(&self) -> Vec<f32> {
        self.to_nchw_without(0)
    }

    /// The values in `[n, c, h - 2 pad, w - 2 pad]` order, without `pad` pixels all round.
    pub fn to_nchw_without(&self, pad: usize) -> Vec<f32> {
        let (h, w, c) = (self.h - 2 * pad, self.w - 2 * pad, self.c);
        let mut nchw = vec![0.0; self.n * h * w * c];
        if nchw.is_empty() {
            return nchw;
        }
        let images = self.values().chunks_exact(self.h * self.w * c).zip(nchw.chunks_exact_mut(h * w * c));
        for (image, target) in images {
            for (row, line) in image.chunks_exact(self.w * c).skip(pad).take(h).enumerate() {
                for (col, pixel) in line.chunks_exact(c).skip(pad).take(w).enumerate() {
                    for (channel, value) in pixel.iter().enumerate() {
                        target[(channel * h + row) * w + col] = value.widen();
                    }
                }
            }
        }
        nchw
    }
}

/// Recycles the buffers of [`Map`]s between layers and steps.
#[derive(Default)]
pub struct Workspace {
    free: Mutex<HashMap<usize, Vec<Vec<CacheLine>>>>,
}

impl Workspace {
    /// A map of the wanted size. Its values are left over from an earlier use: write every one. What lies behind them
    /// is zero, as in a new map: a kernel that takes values in pairs must not meet a NaN there.
    pub fn take<E: Element>(&self, n: usize, h: usize, w: usize, c: usize) -> Map<E> {
        let lines = Map::<E>::lines(n * h * w * c);
        let recycled = match self.free.lock() {
            Ok(mut free) => free.get_mut(&lines).and_then(Vec::pop),
            Err(_) => None, // another thread panicked while holding the lock: allocate anew
        };
        match recycled {
            Some(lines) => {
                let mut map = Map { n, h, w, c, lines, element: PhantomData };
                map.fill_tail(E::zeroed());
                map
            }
            None => Map::zeros(n, h, w, c),
        }
    }

    /// Takes a map back for later use.
    pub fn give<E: Element>(&self, map: Map<E>) {
        if let Ok(mut free) = self.free.lock() {
            free.entry(map.lines.len()).or_default().push(map.lines);
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.free.lock().is_ok_and(|free| free.values().all(Vec::is_empty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nchw_and_back_on_odd_sizes() {
        let nchw: Vec<f32> = (0..2 * 3 * 5 * 7).map(|i| i as f32).collect();
        let mut map = Nhwc::zeros(2, 5, 7, 3);
        map.copy_from_nchw(&nchw);
        // image 1, row 4, column 2, channel 1
        assert_eq!(map.values()[((5 + 4) * 7 + 2) * 3 + 1], nchw[((3 + 1) * 5 + 4) * 7 + 2]);
        assert_eq!(map.to_nchw(), nchw);
        assert_eq!(map.values().as_ptr() as usize % 64, 0);
    }

    #[test]
    fn a_returned_buffer_serves_again() {
        let workspace = Workspace::default();
        let map: Nhwc = workspace.take(1, 4, 4, 8);
        let address = map.values().as_ptr();
        workspace.give(map);
        assert_eq!(workspace.take::<f32>(1, 8, 2, 8).values().as_ptr(), address);
    }

    #[test]
    fn what_lies_behind_a_recycled_map_is_zero() {
        let workspace = Workspace::default();
        let mut map: Nhwc = workspace.take(1, 1, 1, 16);
        map.values_mut().fill(f32::NAN);
        workspace.give(map);
        let map: Map<f32> = workspace.take(1, 1, 1, 13);
        let spare = &bytemuck::cast_slice::<CacheLine, f32>(&map.lines)[13..];
        assert!(spare.len() >= 16 && spare.iter().all(|&v| v == 0.0), "{spare:?}");
    }

    #[test]
    fn maps_without_a_value() {
        for (h, w, c) in [(0, 3, 2), (3, 0, 2), (3, 3, 0)] {
            let mut map = Nhwc::zeros(2, h, w, c);
            map.copy_from_nchw(&[]);
            assert!(map.is_empty() && map.to_nchw().is_empty());
        }
        let mut border = Nhwc::zeros(1, 2, 2, 1);
        border.values_mut().fill(5.0);
        border.copy_from_nchw_padded(&[], 1);
        assert!(border.to_nchw() == [0.0; 4] && border.to_nchw_without(1).is_empty());
    }
}
