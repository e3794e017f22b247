//! The trunk's own tensor: images, rows, columns, channels (channels contiguous), 64-byte aligned f32.
//!
//! candle's CPU tensors are NCHW and unaligned; a convolution on NHWC reads every pixel's channels in one
//! run, and batch norm walks memory once. Buffers are recycled through a [`Workspace`]: a training step
//! touches gigabytes, and giving them back to the operating system would cost a page fault per 4 KiB.
use std::collections::HashMap;
use std::sync::Mutex;

use bytemuck::{Pod, Zeroable};

/// One cache line of f32, the unit of alignment.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct CacheLine([f32; 16]);

/// A batch of feature maps `[n, h, w, c]`, f32, channels contiguous.
pub struct Nhwc {
    /// Images.
    pub n: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
    lines: Vec<CacheLine>,
}

impl Nhwc {
    /// All zeros.
    pub fn zeros(n: usize, h: usize, w: usize, c: usize) -> Self {
        let lines = vec![CacheLine::zeroed(); (n * h * w * c).div_ceil(16)];
        Self { n, h, w, c, lines }
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
    pub fn values(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.len()]
    }

    /// The values in `[n, h, w, c]` order, to write.
    pub fn values_mut(&mut self) -> &mut [f32] {
        let len = self.len();
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..len]
    }

    /// Fills from a `[n, c, h, w]` slice of the same sizes (extra values are ignored).
    pub fn copy_from_nchw(&mut self, nchw: &[f32]) {
        let (plane, c) = (self.h * self.w, self.c);
        for (image, source) in self.values_mut().chunks_exact_mut(plane * c).zip(nchw.chunks_exact(plane * c)) {
            for (channel, pixels) in source.chunks_exact(plane).enumerate() {
                for (pixel, &value) in pixels.iter().enumerate() {
                    image[pixel * c + channel] = value;
                }
            }
        }
    }

    /// The values in `[n, c, h, w]` order.
    pub fn to_nchw(&self) -> Vec<f32> {
        let (plane, c) = (self.h * self.w, self.c);
        let mut nchw = vec![0.0; self.len()];
        for (image, target) in self.values().chunks_exact(plane * c).zip(nchw.chunks_exact_mut(plane * c)) {
            for (pixel, channels) in image.chunks_exact(c).enumerate() {
                for (channel, &value) in channels.iter().enumerate() {
                    target[channel * plane + pixel] = value;
                }
            }
        }
        nchw
    }
}

/// Recycles the buffers of [`Nhwc`] maps between layers and steps.
#[derive(Default)]
pub struct Workspace {
    free: Mutex<HashMap<usize, Vec<Vec<CacheLine>>>>,
}

impl Workspace {
    /// A map of the wanted size. Its contents are left over from an earlier use: write every value.
    pub fn take(&self, n: usize, h: usize, w: usize, c: usize) -> Nhwc {
        let lines = (n * h * w * c).div_ceil(16);
        let recycled = match self.free.lock() {
            Ok(mut free) => free.get_mut(&lines).and_then(Vec::pop),
            Err(_) => None, // another thread panicked while holding the lock: allocate anew
        };
        match recycled {
            Some(lines) => Nhwc { n, h, w, c, lines },
            None => Nhwc::zeros(n, h, w, c),
        }
    }

    /// Takes a map back for later use.
    pub fn give(&self, map: Nhwc) {
        if let Ok(mut free) = self.free.lock() {
            free.entry(map.lines.len()).or_default().push(map.lines);
        }
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
        let map = workspace.take(1, 4, 4, 8);
        let address = map.values().as_ptr();
        workspace.give(map);
        assert_eq!(workspace.take(1, 8, 2, 8).values().as_ptr(), address);
    }
}
