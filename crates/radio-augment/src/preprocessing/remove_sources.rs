//! Compact sources replaced by noise like that around them, so that diffuse emission is what is left.

use std::f64::consts::TAU;

use ndarray::Array3;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    BlankRule, ClippedStatistics, SettingError,
    augment_step::in_range,
    row_order::{in_row_order, planes_mut},
    scratch::Scratch,
    sigma_clipped_statistics,
};

/// Rounds of clipping.
const ROUNDS: usize = 5;
/// Background pixels around a source below which the whole frame's statistics serve.
const FEW: usize = 20;
/// Label of larger islands: they stay, and their pixels are no background.
const TOO_LARGE: u32 = u32::MAX;

/// Which sources are removed, and how.
///
/// Every pass takes median and standard deviation of the clipped pixels and finds the islands above `merge_sigma` that reach
/// `seed_sigma` (less by `seed_drop` each pass), neighbours being the eight around a pixel. Islands of `min_pixels` to
/// `max_pixels` grow by a disk of `grow` pixels and are filled with Gaussian noise of the clipped median and standard deviation
/// around them: the pixels of no island within `2 grow` of their bounding box. What was filled is then smoothed by the median
/// over a disk of `smooth_radius`.
///
/// # Source
/// reference-facts B4 (SourceRemover). It leaves open what "local" means, whether 5 px is a radius, and what is smoothed; the
/// choices are those above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceRemoval {
    /// How often.
    pub passes: usize,
    /// An island has a pixel this many standard deviations above the median.
    pub seed_sigma: f64,
    /// The seed falls by so much after each pass.
    pub seed_drop: f64,
    /// And reaches to pixels this many above it.
    pub merge_sigma: f64,
    /// Of the clipping.
    pub clip_sigma: f64,
    /// Smaller islands stay, pixels.
    pub min_pixels: usize,
    /// Larger islands stay, pixels.
    pub max_pixels: usize,
    /// Islands grow by so many pixels.
    pub grow: usize,
    /// Radius of the median, pixels.
    pub smooth_radius: usize,
}

impl SourceRemoval {
    /// The authors' numbers; `max_pixels` is theirs for an augmenter, 100 to 500, at its upper end.
    #[must_use]
    pub fn upstream() -> Self {
        Self {
            passes: 2,
            seed_sigma: 4.0,
            seed_drop: 0.5,
            merge_sigma: 2.5,
            clip_sigma: 3.0,
            min_pixels: 5,
            max_pixels: 500,
            grow: 5,
            smooth_radius: 3,
        }
    }

    pub(crate) fn check(&self) -> Result<(), SettingError> {
        in_range("remove-sources passes", self.passes as f64, 1.0, 100.0)?;
        in_range("remove-sources seed-sigma", self.seed_sigma, 0.0, 1e6)?;
        in_range("remove-sources seed-drop", self.seed_drop, 0.0, 1e6)?;
        in_range("remove-sources merge-sigma", self.merge_sigma, 0.0, 1e6)?;
        in_range("remove-sources clip-sigma", self.clip_sigma, 0.1, 1e6)?;
        in_range("remove-sources min-pixels", self.min_pixels as f64, 1.0, 1e9)?;
        in_range("remove-sources max-pixels", self.max_pixels as f64, self.min_pixels as f64, 1e9)?;
        in_range("remove-sources grow", self.grow as f64, 0.0, 1000.0)?;
        in_range("remove-sources smooth-radius", self.smooth_radius as f64, 0.0, 100.0)
    }

    /// Removes the sources of every channel `[C, H, W]`; the noise comes from `seed`, channel after channel.
    #[must_use]
    pub fn apply(&self, channels: Array3<f32>, blanks: BlankRule, seed: u64) -> Array3<f32> {
        let (_, height, width) = channels.dim();
        let mut channels = in_row_order(channels);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for plane in planes_mut(&mut channels) {
            for pass in 0..self.passes {
                let Some(frame) = sigma_clipped_statistics(&blanks.counting_values(plane), self.clip_sigma, ROUNDS)
                else {
                    break;
                };
                let seed_sigma = self.seed_sigma - self.seed_drop * pass as f64;
                let islands = Islands::find(plane, (height, width), &frame, seed_sigma, self, blanks);
                islands.fill(plane, &frame, self, blanks, &mut rng);
                islands.smooth(plane, self.smooth_radius, blanks);
            }
        }
        channels
    }
}

/// The islands of one plane.
struct Islands {
    height: usize,
    width: usize,
    /// For every pixel 0, the number of its island (from 1), grown part included, or `TOO_LARGE`.
    labels: Scratch<u32>,
    /// Bounding boxes, grown: top, left, bottom, right (exclusive) of one island after another.
    boxes: Scratch<u32>,
    count: usize,
}

impl Islands {
    fn find(
        plane: &[f32],
        (height, width): (usize, usize),
        frame: &ClippedStatistics,
        seed_sigma: f64,
        settings: &SourceRemoval,
        blanks: BlankRule,
    ) -> Self {
        let (seed, merge) = (frame.median + seed_sigma * frame.std, frame.median + settings.merge_sigma * frame.std);
        let above = |place: usize, level: f64| blanks.counts(plane[place]) && f64::from(plane[place]) > level;
        let most = plane.len() / settings.min_pixels.max(1);
        let mut islands =
            Self { height, width, labels: Scratch::filled(plane.len(), 0), boxes: Scratch::new(4 * most), count: 0 };
        let (mut members, mut visited) = (Scratch::<u32>::new(plane.len()), Scratch::filled(plane.len(), false));
        for start in 0..plane.len() {
            if visited[start] || !above(start, seed) || !above(start, merge) {
                continue;
            }
            let n = islands.flood(start, &mut members, &mut visited, |place| above(place, merge));
            if n > settings.max_pixels {
                members[..n].iter().for_each(|member| islands.labels[*member as usize] = TOO_LARGE);
            } else if n >= settings.min_pixels && islands.count < most {
                islands.keep(&members[..n], settings.grow);
            }
        }
        islands
    }

    /// Lists the pixels of the island around `start` and says how many they are.
    fn flood(&self, start: usize, members: &mut [u32], visited: &mut [bool], belongs: impl Fn(usize) -> bool) -> usize {
        (members[0], visited[start]) = (start as u32, true);
        let (mut n, mut next) = (1, 0);
        while next < n {
            let (row, col) = (members[next] as usize / self.width, members[next] as usize % self.width);
            next += 1;
            for y in row.saturating_sub(1)..=(row + 1).min(self.height - 1) {
                for x in col.saturating_sub(1)..=(col + 1).min(self.width - 1) {
                    let place = y * self.width + x;
                    if !visited[place] && belongs(place) {
                        (members[n], visited[place]) = (place as u32, true);
                        n += 1;
                    }
                }
            }
        }
        n
    }

    fn keep(&mut self, members: &[u32], grow: usize) {
        self.count += 1;
        let label = self.count as u32;
        let reach = grow as i64;
        let (mut top, mut left, mut bottom, mut right) = (self.height, self.width, 0, 0);
        for &member in members {
            let (row, col) = (member as usize / self.width, member as usize % self.width);
            (top, left) = (top.min(row.saturating_sub(grow)), left.min(col.saturating_sub(grow)));
            (bottom, right) =
                (bottom.max((row + grow + 1).min(self.height)), right.max((col + grow + 1).min(self.width)));
            for dy in -reach..=reach {
                let y = row as i64 + dy;
                if (0..self.height as i64).contains(&y) {
                    let half = ((reach * reach - dy * dy) as f64).sqrt() as i64;
                    let (from, to) =
                        ((col as i64 - half).max(0) as usize, (col as i64 + half + 1).min(self.width as i64));
                    let row = &mut self.labels[y as usize * self.width..][from..to as usize];
                    row.iter_mut().filter(|found| **found != TOO_LARGE).for_each(|found| *found = label);
                }
            }
        }
        let box_of = [top, left, bottom, right].map(|edge| edge as u32);
        self.boxes[4 * (self.count - 1)..][..4].copy_from_slice(&box_of);
    }

    fn fill(
        &self,
        plane: &mut [f32],
        frame: &ClippedStatistics,
        settings: &SourceRemoval,
        blanks: BlankRule,
        rng: &mut impl Rng,
    ) {
        for (i, edges) in self.boxes.chunks_exact(4).take(self.count).enumerate() {
            let (label, [top, left, bottom, right]) = (i as u32 + 1, [0, 1, 2, 3].map(|k| edges[k] as usize));
            let margin = settings.grow; // the boxes are grown once already
            let rows = top.saturating_sub(margin)..(bottom + margin).min(self.height);
            let cols = left.saturating_sub(margin)..(right + margin).min(self.width);
            let n = rows.len() * cols.len();
            let near = rows.flat_map(|y| cols.clone().map(move |x| y * self.width + x));
            let background = near.filter(|place| self.labels[*place] == 0 && blanks.counts(plane[*place]));
            let values = Scratch::collect(background.map(|place| plane[place]), n);
            let around =
                if values.len() < FEW { None } else { sigma_clipped_statistics(&values, settings.clip_sigma, ROUNDS) };
            let level = around.unwrap_or(*frame);
            for place in (top..bottom).flat_map(|y| (left..right).map(move |x| y * self.width + x)) {
                if self.labels[place] == label && blanks.counts(plane[place]) {
                    plane[place] = (level.median + level.std * gaussian(rng)) as f32;
                }
            }
        }
    }

    /// Median over a disk, of the filled pixels alone.
    fn smooth(&self, plane: &mut [f32], radius: usize, blanks: BlankRule) {
        let source = Scratch::copy_of(plane);
        let reach = radius as i64;
        let mut window = Scratch::<f32>::new((2 * radius + 1) * (2 * radius + 1));
        let filled = |place: usize| (1..TOO_LARGE).contains(&self.labels[place]);
        for place in (0..plane.len()).filter(|place| filled(*place) && blanks.counts(source[*place])) {
            let (row, col) = ((place / self.width) as i64, (place % self.width) as i64);
            let mut n = 0;
            for dy in -reach..=reach {
                let half = ((reach * reach - dy * dy) as f64).sqrt() as i64;
                let y = row + dy;
                if !(0..self.height as i64).contains(&y) {
                    continue;
                }
                for x in (col - half).max(0)..(col + half + 1).min(self.width as i64) {
                    let v = source[y as usize * self.width + x as usize];
                    if blanks.counts(v) {
                        window[n] = v;
                        n += 1;
                    }
                }
            }
            plane[place] = *window[..n].select_nth_unstable_by(n / 2, f32::total_cmp).1;
        }
    }
}

/// One number of the normal distribution (Box and Muller 1958).
fn gaussian(rng: &mut impl Rng) -> f64 {
    let (u, v) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
}
