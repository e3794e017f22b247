//! Brings channels into row order, where the pixel loops want them; free for arrays that are so already.

use ndarray::Array3;

/// The same channels `[C, H, W]`, contiguous: channel by channel, row by row.
pub(crate) fn in_row_order(channels: Array3<f32>) -> Array3<f32> {
    if channels.is_standard_layout() { channels } else { channels.as_standard_layout().into_owned() }
}

/// The planes of channels in row order, one after another; none if a plane has no pixel.
pub(crate) fn planes_mut(channels: &mut Array3<f32>) -> impl Iterator<Item = &mut [f32]> {
    let (_, height, width) = channels.dim();
    let pixels = channels.as_slice_mut().unwrap_or_default();
    pixels.chunks_exact_mut((height * width).max(1))
}
