//! A hash of what a picture shows, alike for alike pictures: the signs of its lowest spatial frequencies.
//!
//! The picture is averaged to 32 x 32 pixels and stretched; a discrete cosine transform gives 64 low frequencies, and the sign of
//! each is a bit (the DCT hash known as pHash, with signs in place of a comparison with the median). A flip changes the sign of
//! odd frequencies and a transposition exchanges the axes, so the hashes of all eight orientations come from one transform.
//! Two pictures are compared in all eight: picking one orientation as the canonical one would hang on a single unstable bit.
//!
//! 64 bits find candidates fast, and on sparse pictures too many of them: every point source in the middle is like every other.
//! So the reduced picture is kept as well, and [`PictureHash::correlation`] confirms a pair.

use ndarray::{Array2, ArrayView2};

use crate::noise::robust_rms;

/// Side of the reduced picture.
const SIDE: usize = 32;

/// Frequencies 0 to 7 along each axis; the constant one, which says nothing, is replaced by (8, 8).
const FREQUENCIES: usize = 8;

/// Smallest share of the largest coefficient that has a sign.
const ZERO: f64 = 1e-9;

/// Which part of a picture counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashFloor {
    /// Noise too, clipped at three standard deviations of the reduced picture to either side of its median: two pictures of one
    /// map are told from two that merely both have a source in the middle.
    Noise,
    /// Only what stands out by three standard deviations, before reducing: compares maps with published pictures whose
    /// faint pixels were cut away. Point sources in the middle all look alike.
    Sources,
}

/// Hash of a picture in its eight orientations, and the reduced picture (about 1 kB).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PictureHash {
    orientations: [u64; 8],
    /// 32 x 32 levels of mean 0, from -127 to 127.
    thumbnail: Box<[i8]>,
}

impl PictureHash {
    /// Hashes a picture `[rows, cols]` of any size; pixels that are not finite are blank and take the median of the others.
    /// `None` without at least two different values (after the floor): an empty picture is like every other empty one.
    pub fn of(pixels: ArrayView2<'_, f32>, floor: HashFloor) -> Option<Self> {
        let reduced = match floor {
            HashFloor::Noise => clipped(reduced(pixels, |value| value)?),
            HashFloor::Sources => {
                let (centre, rms) = (median(pixels.iter().copied())?, robust_rms(pixels));
                let limit = f64::from(centre) + 3.0 * f64::from(rms);
                // Square root: one bright component should not be all that counts.
                reduced(pixels, |value| (value - limit).max(0.0))?.mapv(f64::sqrt)
            }
        };
        let mean = reduced.mean()?;
        let spread = reduced.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
        if !spread.is_finite() || spread <= 1e-12 * mean.abs() {
            return None;
        }
        let normal = reduced.mapv(|value| (value - mean) / spread);
        let thumbnail = normal.iter().map(|value| (value * 127.0).round() as i8).collect();
        let waves = cosine_transform(&normal);
        let largest = waves.iter().map(|value| value.abs()).fold(0.0, f64::max);
        let orientations = std::array::from_fn(|n| {
            let (flips_rows, flips_cols, is_transposed) = orientation(n);
            (0..FREQUENCIES * FREQUENCIES).fold(0_u64, |bits, place| {
                let (u, v) = if place == 0 { (8, 8) } else { (place / FREQUENCIES, place % FREQUENCIES) };
                let is_negated = (flips_rows && u % 2 == 1) != (flips_cols && v % 2 == 1);
                let value = if is_transposed { waves[[v, u]] } else { waves[[u, v]] };
                let value = if is_negated { -value } else { value };
                bits | (u64::from(value > ZERO * largest) << place)
            })
        });
        Some(Self { orientations, thumbnail })
    }

    /// Bits in which two pictures differ, 0 to 64, in the orientation in which they differ least. Unrelated pictures differ in
    /// about 24.
    pub fn distance(&self, other: &Self) -> u32 {
        other.orientations.iter().map(|bits| (self.orientations[0] ^ bits).count_ones()).min().unwrap_or(64)
    }

    /// Correlation of the two reduced pictures, -1 to 1, in the best of those orientations in which the hashes differ least.
    pub fn correlation(&self, other: &Self) -> f64 {
        let least = self.distance(other);
        let is_best = |n: &usize| (self.orientations[0] ^ other.orientations[*n]).count_ones() == least;
        (0..8).filter(is_best).map(|n| self.correlation_in(other, n)).fold(-1.0, f64::max)
    }

    fn correlation_in(&self, other: &Self, n: usize) -> f64 {
        let (flips_rows, flips_cols, is_transposed) = orientation(n);
        let place = |at: usize, flips: bool| if flips { SIDE - 1 - at } else { at };
        // Sums of 1024 products of 7 bits each fit easily.
        let (mut product, mut ours, mut theirs) = (0_i32, 0_i32, 0_i32);
        for row in 0..SIDE {
            for col in 0..SIDE {
                let (r, c) = (place(row, flips_rows), place(col, flips_cols));
                let (r, c) = if is_transposed { (c, r) } else { (r, c) };
                let (a, b) = (i32::from(self.thumbnail[row * SIDE + col]), i32::from(other.thumbnail[r * SIDE + c]));
                product += a * b;
                ours += a * a;
                theirs += b * b;
            }
        }
        let norm = (f64::from(ours) * f64::from(theirs)).sqrt();
        if norm > 0.0 { f64::from(product) / norm } else { 0.0 }
    }

    /// The bits in the picture's own orientation.
    pub fn bits(&self) -> u64 {
        self.orientations[0]
    }
}

/// Whether rows are flipped, columns are flipped, and (before that) axes exchanged in one of the eight orientations.
fn orientation(n: usize) -> (bool, bool, bool) {
    (n & 1 != 0, n & 2 != 0, n & 4 != 0)
}

/// Averages over areas after `change`; `None` without a finite pixel.
fn reduced(pixels: ArrayView2<'_, f32>, change: impl Fn(f64) -> f64) -> Option<Array2<f64>> {
    let (rows, cols) = pixels.dim();
    let (down, across) = (shares(rows), shares(cols));
    let mut out = Array2::from_elem((SIDE, SIDE), f64::NAN);
    for (row, shares_down) in down.iter().enumerate() {
        for (col, shares_across) in across.iter().enumerate() {
            let (mut sum, mut weight) = (0.0, 0.0);
            for &(r, share_down) in shares_down {
                for &(c, share_across) in shares_across {
                    let value = pixels[[r, c]];
                    if value.is_finite() {
                        sum += share_down * share_across * change(f64::from(value));
                        weight += share_down * share_across;
                    }
                }
            }
            if weight > 0.0 {
                out[[row, col]] = sum / weight;
            }
        }
    }
    let middle = median_of(out.iter().copied().filter(|value| value.is_finite()).collect())?;
    Some(out.mapv(|value| if value.is_finite() { value } else { middle }))
}

/// Pixels and their shares in each of the cells that an axis is divided into.
fn shares(length: usize) -> Vec<Vec<(usize, f64)>> {
    let edge = |cell: usize| cell as f64 * length as f64 / SIDE as f64;
    let of_cell = |cell: usize| {
        let (from, to) = (edge(cell), edge(cell + 1));
        let pixels = from.floor() as usize..(to.ceil() as usize).min(length);
        let share = |pixel: usize| ((pixel + 1) as f64).min(to) - (pixel as f64).max(from);
        pixels.map(|pixel| (pixel, share(pixel))).filter(|(_, share)| *share > 0.0).collect()
    };
    (0..SIDE).map(of_cell).collect()
}

/// Clips at three robust standard deviations to either side of the median, where there is a deviation.
fn clipped(picture: Array2<f64>) -> Array2<f64> {
    let Some(centre) = median_of(picture.iter().copied().collect()) else { return picture };
    let deviations = picture.iter().map(|value| (value - centre).abs()).collect();
    let reach = median_of(deviations).unwrap_or(0.0) * 1.482_602_218_505_602 * 3.0;
    if reach > 0.0 { picture.mapv(|value| value.clamp(centre - reach, centre + reach)) } else { picture }
}

fn median(values: impl Iterator<Item = f32>) -> Option<f32> {
    median_of(values.filter(|value| value.is_finite()).map(f64::from).collect()).map(|value| value as f32)
}

fn median_of(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// The lowest frequencies `[9, 9]` of the type-II cosine transform, without its constant factors of each axis.
fn cosine_transform(picture: &Array2<f64>) -> Array2<f64> {
    let wave = Array2::from_shape_fn((FREQUENCIES + 1, SIDE), |(frequency, place)| {
        (std::f64::consts::PI * frequency as f64 * (place as f64 + 0.5) / SIDE as f64).cos()
    });
    wave.dot(picture).dot(&wave.t())
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, s};

    use super::*;

    /// Noise with a few blobs, from the numbers of splitmix64: the skies of two seeds have nothing in common.
    fn sky(seed: u64, side: usize) -> Array2<f32> {
        let mut state = seed << 32;
        let mut uniform = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut map =
            Array2::from_shape_simple_fn((side, side), || ((0..12).map(|_| uniform()).sum::<f64>() - 6.0) as f32);
        for _ in 0..4 {
            let (y, x, width) = (uniform() * side as f64, uniform() * side as f64, 2.0 + 3.0 * uniform());
            for ((row, col), value) in map.indexed_iter_mut() {
                let r2 = (row as f64 - y).powi(2) + (col as f64 - x).powi(2);
                *value += (30.0 * (-r2 / (2.0 * width * width)).exp()) as f32;
            }
        }
        map
    }

    #[test]
    fn all_eight_orientations_of_a_picture_are_the_same_picture() -> Result<(), &'static str> {
        for floor in [HashFloor::Noise, HashFloor::Sources] {
            for (rows, cols) in [(64, 64), (50, 50), (64, 40), (20, 23)] {
                let mut map = sky(5, 64).slice(s![..rows, ..cols]).to_owned();
                // Whatever the part shows, something in it stands out.
                map.slice_mut(s![3..5, 7..10]).fill(40.0);
                let hash = PictureHash::of(map.view(), floor).ok_or("has values")?;
                for n in 0..8 {
                    let mut turned = map.view();
                    if n & 1 != 0 {
                        turned.invert_axis(Axis(0));
                    }
                    if n & 2 != 0 {
                        turned.invert_axis(Axis(1));
                    }
                    if n & 4 != 0 {
                        turned = turned.reversed_axes();
                    }
                    let other = PictureHash::of(turned, floor).ok_or("has values")?;
                    assert_eq!(hash.distance(&other), 0, "{rows} x {cols}, orientation {n}, {floor:?}");
                    assert_eq!(other.distance(&hash), 0);
                    let correlation = hash.correlation(&other);
                    assert!(correlation > 0.999, "{rows} x {cols}, orientation {n}, {floor:?}: {correlation}");
                    assert_eq!(other.bits() == hash.bits(), n == 0, "orientations have bits of their own");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn copies_are_near_and_strangers_are_far() -> Result<(), &'static str> {
        let hashes: Vec<PictureHash> = (0..120)
            .map(|n| PictureHash::of(sky(n, 64).view(), HashFloor::Noise).ok_or("has values"))
            .collect::<Result<_, _>>()?;
        let mut nearest = 64;
        for (n, a) in hashes.iter().enumerate() {
            nearest = hashes[..n].iter().map(|b| a.distance(b)).fold(nearest, u32::min);
            let likeness = hashes[..n].iter().map(|b| a.correlation(b)).fold(-1.0, f64::max);
            assert!(likeness < 0.7, "sky {n} is like another one: {likeness}");
        }
        assert!(nearest >= 9, "{nearest} bits between two different skies");
        for n in 0..20 {
            // Other units, a little noise of another observation, and one pixel row less.
            let copy = sky(n, 64).mapv(|v| 1e-4 * v - 2e-5) + sky(n + 500, 64).mapv(|v| 2e-6 * v);
            let hash = PictureHash::of(copy.slice(s![1.., ..]), HashFloor::Noise).ok_or("has values")?;
            let distance = hashes[n as usize].distance(&hash);
            assert!(distance <= 8, "sky {n}: {distance} bits from its copy");
            let correlation = hashes[n as usize].correlation(&hash);
            assert!(correlation > 0.8, "sky {n}: correlation {correlation} with its copy");
        }
        Ok(())
    }

    #[test]
    fn blanks_take_part_as_background_and_empty_pictures_have_no_hash() {
        for floor in [HashFloor::Noise, HashFloor::Sources] {
            for empty in [f32::NAN, 0.0, 3.0, f32::INFINITY] {
                assert_eq!(
                    PictureHash::of(Array2::from_elem((40, 40), empty).view(), floor),
                    None,
                    "{empty} {floor:?}"
                );
            }
            assert_eq!(PictureHash::of(Array2::zeros((0, 7)).view(), floor), None);
            assert!(PictureHash::of(ndarray::array![[1.0, 2.0]].view(), HashFloor::Noise).is_some(), "two pixels");
            let mut map = sky(3, 64);
            let whole = PictureHash::of(map.view(), floor);
            map.slice_mut(s![..6, ..6]).fill(f32::NAN);
            let holed = PictureHash::of(map.view(), floor);
            let distance = whole.zip(holed).map(|(a, b)| a.distance(&b));
            assert!(distance.is_some_and(|distance| distance <= 8), "{distance:?} {floor:?}");
        }
    }

    /// The transform against its definition, one coefficient at a time.
    #[test]
    fn frequencies_are_those_of_the_cosine_transform() {
        let picture = Array2::from_shape_fn((SIDE, SIDE), |(r, c)| ((r * 7 + c * c) % 13) as f64);
        let fast = cosine_transform(&picture);
        for (u, v) in [(0, 0), (1, 0), (0, 3), (8, 8), (5, 2)] {
            let angle = |f: usize, x: usize| (std::f64::consts::PI * f as f64 * (2 * x + 1) as f64 / 64.0).cos();
            let slow: f64 = picture.indexed_iter().map(|((r, c), value)| value * angle(u, r) * angle(v, c)).sum();
            assert!((fast[[u, v]] - slow).abs() < 1e-9, "({u}, {v}): {} vs {slow}", fast[[u, v]]);
        }
    }
}
