//! The horizontal half of a resize: every output pixel is a sum over a few neighbours of one row.
//!
//! The neighbours of 16 outputs lie within 32 pixels unless an image shrinks a lot, so that AVX-512 picks them out of two
//! registers; elsewhere a plain loop does the same sums in the same order.

use crate::scratch::Scratch;

/// Outputs worked on at once.
const GROUP: usize = 16;
/// Pixels at the end of a row that may be read without being used.
pub(crate) const OVERHANG: usize = 2 * GROUP;

/// For every output its first neighbour, an index into the padded row, and what the kind of interpolation weighs it with.
pub(crate) struct ColumnTaps<const K: usize> {
    first: Scratch<u32>,
    weights: [Scratch; K],
    /// Whether the neighbours of every 16 outputs lie within 32 pixels.
    narrow: bool,
}

impl<const K: usize> ColumnTaps<K> {
    /// `n_taps` neighbours each; `first` must not fall.
    pub(crate) fn new(
        len: usize,
        n_taps: usize,
        first: impl Fn(usize) -> u32,
        weights: impl Fn(usize) -> [f32; K],
    ) -> Self {
        let first = Scratch::from_fn(len, first);
        let mut columns: [Scratch; K] = std::array::from_fn(|_| Scratch::new(len));
        for i in 0..len {
            let weights = weights(i);
            (0..K).for_each(|k| columns[k][i] = weights[k]);
        }
        let span = |group: &[u32]| (group[group.len() - 1] - group[0]) as usize + n_taps;
        let narrow = first.chunks(GROUP).all(|group| span(group) <= 2 * GROUP);
        Self { first, weights: columns, narrow }
    }

    pub(crate) fn len(&self) -> usize {
        self.first.len()
    }

    /// First neighbour and weights of output `i`.
    pub(crate) fn of(&self, i: usize) -> (usize, [f32; K]) {
        (self.first[i] as usize, std::array::from_fn(|k| self.weights[k][i]))
    }
}

impl ColumnTaps<1> {
    /// `a + share * (b - a)` of two neighbours: equal neighbours give exactly their value, so a saturated plateau stays one.
    ///
    /// `row` has [`OVERHANG`] pixels more than it needs.
    pub(crate) fn blend_two(&self, row: &[f32], out: &mut [f32]) {
        let done = self.blend_groups(row, out);
        let rest = out.iter_mut().zip(self.first.iter()).zip(self.weights[0].iter()).skip(done);
        for ((out, &first), &share) in rest {
            let pair = &row[first as usize..first as usize + 2];
            *out = pair[0] + share * (pair[1] - pair[0]);
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn blend_groups(&self, _row: &[f32], _out: &mut [f32]) -> usize {
        0
    }

    /// Blends whole groups and returns how many outputs that were.
    #[cfg(target_arch = "x86_64")]
    fn blend_groups(&self, row: &[f32], out: &mut [f32]) -> usize {
        if !self.narrow || !is_x86_feature_detected!("avx512f") {
            return 0;
        }
        // SAFETY: the feature was found on this CPU in the line above.
        unsafe { avx512::blend_two(row, &self.first, &self.weights[0], out) }
    }
}

impl ColumnTaps<4> {
    /// The weighted sum of four neighbours, for every row of `out`; the rows it is made of begin `stride` pixels apart, and each has
    /// [`OVERHANG`] pixels more than it needs.
    pub(crate) fn blend_four(&self, rows: &[f32], stride: usize, out: &mut [f32]) {
        let done = self.blend_groups(rows, stride, out);
        for (row, out) in rows.chunks_exact(stride).zip(out.chunks_exact_mut(self.len())) {
            for (i, (out, &first)) in out.iter_mut().zip(self.first.iter()).enumerate().skip(done) {
                let (t, w) = (&row[first as usize..first as usize + 4], &self.weights);
                *out = (t[0] * w[0][i] + t[1] * w[1][i]) + (t[2] * w[2][i] + t[3] * w[3][i]);
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn blend_groups(&self, _rows: &[f32], _stride: usize, _out: &mut [f32]) -> usize {
        0
    }

    /// Blends whole groups and returns how many outputs of a row that were.
    #[cfg(target_arch = "x86_64")]
    fn blend_groups(&self, rows: &[f32], stride: usize, out: &mut [f32]) -> usize {
        if !self.narrow || !is_x86_feature_detected!("avx512f") {
            return 0;
        }
        let [a, b, c, d] = &self.weights;
        // SAFETY: the feature was found on this CPU in the line above.
        unsafe { avx512::blend_four(rows, stride, &self.first, [a, b, c, d], out) }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::GROUP;

    /// 16 numbers of a slice of at least 16.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(values: &[f32]) -> __m512 {
        let values: &[f32; GROUP] = values.first_chunk().unwrap_or(&[0.0; GROUP]);
        // SAFETY: the reference is to 16 numbers, and the load needs no alignment.
        unsafe { _mm512_loadu_ps(values.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(values: &mut [f32; GROUP], sum: __m512) {
        // SAFETY: the reference is to 16 numbers, and the store needs no alignment.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), sum) }
    }

    /// The 32 pixels of a group and each output's place among them.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn open_group(row: &[f32], first: &[u32; GROUP]) -> (__m512, __m512, __m512i) {
        let window = &row[first[0] as usize..][..2 * GROUP];
        (load(window), load(&window[GROUP..]), places_of(first))
    }

    /// Each output's first neighbour, counted from that of the first output.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn places_of(first: &[u32; GROUP]) -> __m512i {
        // SAFETY: the reference is to 16 numbers of 32 bits, and the load needs no alignment.
        let places = unsafe { _mm512_loadu_si512(first.as_ptr().cast()) };
        _mm512_sub_epi32(places, _mm512_set1_epi32(first[0] as i32))
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn blend_two(row: &[f32], first: &[u32], share: &[f32], out: &mut [f32]) -> usize {
        let (outs, firsts) = (out.as_chunks_mut::<GROUP>().0, first.as_chunks::<GROUP>().0);
        let mut done = 0;
        for (out, first) in outs.iter_mut().zip(firsts) {
            let (low, high, places) = open_group(row, first);
            let a = _mm512_permutex2var_ps(low, places, high);
            let b = _mm512_permutex2var_ps(low, _mm512_add_epi32(places, _mm512_set1_epi32(1)), high);
            store(out, _mm512_add_ps(a, _mm512_mul_ps(load(&share[done..]), _mm512_sub_ps(b, a))));
            done += GROUP;
        }
        done
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn blend_four(
        rows: &[f32],
        stride: usize,
        first: &[u32],
        weights: [&[f32]; 4],
        out: &mut [f32],
    ) -> usize {
        let mut done = 0;
        for group in first.as_chunks::<GROUP>().0 {
            // Places and weights stay in registers from row to row.
            let places = places_of(group);
            let places: [__m512i; 4] = std::array::from_fn(|k| _mm512_add_epi32(places, _mm512_set1_epi32(k as i32)));
            let weights: [__m512; 4] = std::array::from_fn(|k| load(&weights[k][done..]));
            for (row, out) in rows.chunks_exact(stride).zip(out.chunks_exact_mut(first.len())) {
                let window = &row[group[0] as usize..][..2 * GROUP];
                let (low, high) = (load(window), load(&window[GROUP..]));
                let product = |k: usize| _mm512_mul_ps(_mm512_permutex2var_ps(low, places[k], high), weights[k]);
                let halves = (_mm512_add_ps(product(0), product(1)), _mm512_add_ps(product(2), product(3)));
                if let Some(out) = out[done..].first_chunk_mut::<GROUP>() {
                    store(out, _mm512_add_ps(halves.0, halves.1));
                }
            }
            done += GROUP;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shrinking, enlarging, and a shrink too strong for the registers: bit for bit the plain sums.
    #[test]
    fn groups_and_single_outputs_agree() {
        for (from, to) in [(256usize, 224usize), (180, 224), (50, 47), (16, 90), (300, 40), (7, 3)] {
            let row: Vec<f32> = (0..from + 4 + OVERHANG).map(|i| (i as f32 * 0.7).sin()).collect();
            let first = |i: usize| (i * from / to) as u32;
            let weight = |i: usize, k: usize| ((i * 4 + k) as f32).cos();
            let (mut two, mut four) = (vec![0.0; to], vec![0.0; 2 * to]);
            ColumnTaps::new(to, 2, first, |i| [weight(i, 0)]).blend_two(&row, &mut two);
            let taps = ColumnTaps::new(to, 4, first, |i| std::array::from_fn(|k| weight(i, k)));
            let with_negative: Vec<f32> =
                row.iter().chain(&row).enumerate().map(|(i, v)| if i < row.len() { *v } else { -v }).collect();
            taps.blend_four(&with_negative, row.len(), &mut four);
            for i in 0..to {
                let t = &row[first(i) as usize..];
                assert_eq!(two[i], t[0] + weight(i, 0) * (t[1] - t[0]), "{from} to {to}, output {i}");
                let half = |k: usize| t[k] * weight(i, k) + t[k + 1] * weight(i, k + 1);
                assert_eq!(
                    (four[i], four[to + i]),
                    (half(0) + half(2), -half(0) - half(2)),
                    "{from} to {to}, output {i}"
                );
            }
        }
    }
}
