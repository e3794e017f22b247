//! Convolution weights in the order in which the tiles read them.
use bytemuck::Zeroable;
use rayon::prelude::*;

use crate::conv2d::Conv2d;
use crate::element::Element;
use crate::kernel::vectorised;
use crate::nhwc::CacheLine;
use crate::tile::{COLUMNS, Tiles};

/// Weights `[panels of 64 columns][segments][words][64]`: a segment is a kernel tap, or a whole kernel row
/// where the input needs no padding; a word holds [`Element::PER_WORD`] neighbours along the summed axis.
///
/// Behind the last panel lie as many zeros as the tiles may read beyond any word ([`Tiles::padded_words`]).
pub struct PackedWeights {
    /// The tiles that these weights are for.
    pub tiles: Tiles,
    lines: Vec<CacheLine>,
    /// Segments of the summed axis.
    pub segments: usize,
    /// Values of one segment.
    pub inner: usize,
    /// Words of one segment: `inner` values, the last word filled up with zero.
    pub words: usize,
    /// Columns that are used; the last panel is filled up with zeros.
    pub columns: usize,
}

/// How one segment is read from `[kernel, kernel, in, out]` weights.
#[derive(Clone, Copy)]
struct Source {
    /// Length of the summed axis, and its stride.
    inner: (usize, usize),
    /// Stride between columns; where it is not 1, that of the summed axis is.
    column_stride: usize,
}

impl PackedWeights {
    /// For the forward pass: sums over input channels, columns are output channels.
    pub fn forward<E: Element>(tiles: Tiles, conv: &Conv2d, weight: &[f32]) -> Self {
        let inner = conv.segment_values();
        let starts: Vec<usize> =
            (0..conv.kernel * conv.kernel * conv.in_channels / inner).map(|s| s * inner * conv.out_channels).collect();
        let source = Source { inner: (inner, conv.out_channels), column_stride: 1 };
        Self::pack::<E>(tiles, weight, &starts, source, conv.out_channels)
    }

    /// For backward-data: sums over output channels, columns are input channels; taps in the order of `taps`.
    pub fn backward<E: Element>(tiles: Tiles, conv: &Conv2d, weight: &[f32], taps: &[usize]) -> Self {
        let starts: Vec<usize> = taps.iter().map(|tap| tap * conv.in_channels * conv.out_channels).collect();
        let source = Source { inner: (conv.out_channels, 1), column_stride: conv.out_channels };
        Self::pack::<E>(tiles, weight, &starts, source, conv.in_channels)
    }

    fn pack<E: Element>(tiles: Tiles, weight: &[f32], starts: &[usize], source: Source, columns: usize) -> Self {
        let words = source.inner.0.div_ceil(E::PER_WORD);
        let segments = starts.len();
        let chunk = words * COLUMNS / 16;
        let (used, behind) = (columns.div_ceil(COLUMNS) * segments * chunk, (tiles.padded_words(1) - 1) * COLUMNS / 16);
        let mut lines = vec![CacheLine::zeroed(); used + behind];
        lines[..used].par_chunks_exact_mut(chunk.max(1)).enumerate().for_each(|(index, lines)| {
            let (panel, segment) = (index / segments, index % segments);
            let first = panel * COLUMNS;
            let source_values = &weight[starts[segment] + first * source.column_stride..];
            let used = COLUMNS.min(columns - first);
            let words = bytemuck::cast_slice_mut(lines);
            if source.column_stride == 1 {
                pack_rows::<E>(words, source_values, source.inner, used);
            } else {
                pack_columns::<E>(words, source_values, source.inner.0, source.column_stride, used);
            }
        });
        Self { tiles, lines, segments, inner: source.inner.0, words, columns }
    }

    /// Lines of 64 words of one panel from word `first` of a segment on, with what the tiles may read behind them.
    ///
    /// # Panics
    /// If the panel does not hold so many.
    pub fn lines(&self, panel: usize, segment: usize, first: usize, count: usize) -> &[u32] {
        let (from, held) = (segment * self.words + first, self.segments * self.words);
        assert!(panel < self.panels() && from + count <= held, "words outside the panel");
        let start = (panel * held + from) * COLUMNS;
        &bytemuck::cast_slice(&self.lines)[start..][..self.tiles.padded_words(count) * COLUMNS]
    }

    /// Columns of a panel that are used.
    pub fn used(&self, panel: usize) -> usize {
        COLUMNS.min(self.columns - panel * COLUMNS)
    }

    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.columns.div_ceil(COLUMNS)
    }
}

vectorised! {
    /// One segment of one panel: columns that lie side by side.
    fn pack_rows<E>(words: &mut [u32], values: &[f32], inner: (usize, usize), columns: usize) {
        let (inner, stride) = inner;
        for (word, line) in words.chunks_exact_mut(COLUMNS).enumerate() {
            let k = word * E::PER_WORD;
            let first = &values[k * stride..][..columns];
            if E::PER_WORD == 2 && k + 1 < inner {
                let second = &values[(k + 1) * stride..][..columns];
                for ((word, first), second) in line.iter_mut().zip(first).zip(second) {
                    *word = E::word([*first, *second]);
                }
            } else {
                for (word, first) in line.iter_mut().zip(first) {
                    *word = E::word([*first, 0.0]);
                }
            }
        }
    }
}

vectorised! {
    /// One segment of one panel: columns far apart, the values of one side by side.
    fn pack_columns<E>(words: &mut [u32], values: &[f32], inner: usize, column_stride: usize, columns: usize) {
        // Sixteen columns at a time: more source lines, a power of two apart, would evict each other.
        for first in (0..columns).step_by(16) {
            let end = columns.min(first + 16);
            for (word, line) in words.chunks_exact_mut(COLUMNS).enumerate() {
                let k = word * E::PER_WORD;
                if E::PER_WORD == 2 && k + 1 < inner {
                    for (column, word) in line[..end].iter_mut().enumerate().skip(first) {
                        let at = column * column_stride + k;
                        *word = E::word([values[at], values[at + 1]]);
                    }
                } else {
                    for (column, word) in line[..end].iter_mut().enumerate().skip(first) {
                        *word = E::word([values[column * column_stride + k], 0.0]);
                    }
                }
            }
        }
    }
}
