//! More or fewer channels.

use ndarray::Array3;

use crate::scratch::{recycle, take_channels};

/// Brings channels to `count`: copies of the last fill up, or the last ones are dropped. No channel at all stays none.
///
/// # Source
/// reference-facts B4 (ChanResizer).
#[must_use]
pub fn set_channels(channels: Array3<f32>, count: usize) -> Array3<f32> {
    let (found, rows, cols) = channels.dim();
    if found == count || found == 0 {
        return channels;
    }
    let mut out = take_channels((count, rows, cols));
    for (c, mut channel) in out.outer_iter_mut().enumerate() {
        channel.assign(&channels.index_axis(ndarray::Axis(0), c.min(found - 1)));
    }
    recycle(channels);
    out
}
