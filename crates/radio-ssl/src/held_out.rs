//! The honest column of Table 4: everything is chosen on one half of the sky and judged on the other.
//!
//! Blocks of sky are dealt to two halves. For each half, ranking, forest and threshold are chosen with the labels
//! of the other half, leaving out frames that share a pixel with the half to be judged; then the roles change. Counts of
//! both halves are added. Forests are grown on all frames: they read no label.

use anomaly_iforest::grid::{best, grid_search};
use anomaly_iforest::{ForestConfig, IsolationForest};
use anyhow::{Context, Result};
use metrics::curves::average_precision;
use metrics::{FrameGroup, ThresholdRow, crossing, threshold_scan};
use ndarray::{Array2, ArrayView1, Axis};
use radio_io::FrameId;
use rank_gbdt::rank_features;

use crate::anomaly_scores::select;
use crate::ridge_probe;
use crate::run_config::{RankTarget, Table4Config};
use crate::sky_objects::sky_objects;
use crate::sky_split::{Side, SkySplit};

/// What is known of every frame of a survey, for judging scores.
pub struct Judge<'a> {
    config: &'a Table4Config,
    ids: Vec<FrameId>,
    groups: Vec<Option<FrameGroup>>,
    interesting: Vec<bool>,
    /// For each half: the side of every frame.
    halves: [Vec<Side>; 2],
}

/// Scores of a feature set on the half of the sky its choices did not see.
pub struct HeldOut {
    /// Counts of both halves, each at its own threshold (the mean of the two is stated).
    pub row: ThresholdRow,
    /// Score of every frame from the forest chosen on the other half.
    pub scores: Vec<f64>,
    /// Whether the frame lies above the threshold chosen on the other half.
    pub selected: Vec<bool>,
    /// Features and forest of each half, in words.
    pub choices: Vec<String>,
}

struct Choice {
    columns: Vec<usize>,
    forest: ForestConfig,
    threshold: f64,
}

/// Draws of sky blocks until both halves hold all kinds of frames.
const DRAWS: u64 = 100;

impl<'a> Judge<'a> {
    /// Deals the sky to two halves. `None` if no deal leaves peculiar and interesting frames on both.
    pub fn new(
        config: &'a Table4Config,
        ids: Vec<FrameId>,
        groups: Vec<Option<FrameGroup>>,
        interesting: Vec<bool>,
    ) -> Option<Self> {
        let split = SkySplit { fraction: 0.5, block_px: config.half_block_px };
        let usable = |sides: &[Side]| {
            let holds = |side, kind: &dyn Fn(usize) -> bool| (0..ids.len()).any(|i| sides[i] == side && kind(i));
            [Side::Train, Side::HeldOut].into_iter().all(|side| {
                [FrameGroup::Peculiar, FrameGroup::Complex]
                    .into_iter()
                    .all(|group| holds(side, &|i| groups[i] == Some(group)))
                    && holds(side, &|i| groups[i].is_some() && interesting[i])
                    && holds(side, &|i| groups[i].is_some() && !interesting[i])
            })
        };
        let halves = (0..DRAWS)
            .map(|draw| split.halves(&ids, config.seed.wrapping_add(draw << 32)))
            .find(|halves| halves.iter().all(|sides| usable(sides)))?;
        Some(Self { config, ids, groups, interesting, halves })
    }

    /// On which half each frame is judged: 0 or 1.
    pub fn half(&self, frame: usize) -> usize {
        usize::from(self.halves[0][frame] != Side::HeldOut)
    }

    /// Groups of all frames.
    pub fn groups(&self) -> &[Option<FrameGroup>] {
        &self.groups
    }

    /// Chooses on each half, judges on the other.
    ///
    /// # Errors
    /// If a feature is not finite, or there are too few rows.
    pub fn held_out(&self, features: &Array2<f32>) -> Result<HeldOut> {
        let mut judged = Vec::new();
        for sides in &self.halves {
            let choice = self.choose(features, sides)?;
            let columns = select(features, &choice.columns);
            let forest = IsolationForest::fit(columns.view(), &choice.forest)?;
            let words = format!("{} features, {} rows a tree", choice.columns.len(), forest.samples_per_tree());
            judged.push((forest.scores(columns.view())?, choice.threshold, words));
        }
        Ok(self.join(judged))
    }

    /// The same for a single number that is the score itself, larger being stranger: only the threshold is chosen.
    ///
    /// # Errors
    /// If there is no peculiar frame on a half.
    pub fn held_out_score(&self, numbers: ArrayView1<f32>) -> Result<HeldOut> {
        // Ranks spread the numbers evenly over 0..1, so that the steps of the threshold scan suit any unit.
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]).then(a.cmp(&b)));
        let mut scores = vec![0.0; numbers.len()];
        let mut rank = 0;
        for (place, &i) in order.iter().enumerate() {
            if place > 0 && numbers[i] > numbers[order[place - 1]] {
                rank = place; // equal numbers share a rank
            }
            scores[i] = rank as f64 / numbers.len() as f64;
        }
        let mut judged = Vec::new();
        for sides in &self.halves {
            // Ranks are fine-grained: a step for every frame, as far as the scan allows.
            let step = (1.0 / numbers.len().max(1) as f64).max(1e-6);
            let scan = threshold_scan(&scores, &self.training_groups(sides), step)?;
            judged.push((scores.clone(), crossing(&scan)?.row().threshold, "the number itself".to_owned()));
        }
        Ok(self.join(judged))
    }

    /// Puts the two halves together; `judged` holds, for each, scores of all frames, threshold, and words.
    fn join(&self, judged: Vec<(Vec<f64>, f64, String)>) -> HeldOut {
        let frames = self.ids.len();
        let (mut scores, mut selected, mut counts) = (vec![f64::NAN; frames], vec![false; frames], [0; 3]);
        for i in 0..frames {
            let (of_half, threshold, _) = &judged[self.half(i)];
            scores[i] = of_half[i];
            selected[i] = of_half[i] > *threshold;
            if let (true, Some(group)) = (selected[i], self.groups[i]) {
                counts[group as usize] += 1;
            }
        }
        let peculiar = self.groups.iter().filter(|g| **g == Some(FrameGroup::Peculiar)).count();
        let threshold = judged.iter().map(|(_, threshold, _)| threshold).sum::<f64>() / judged.len() as f64;
        let row = ThresholdRow::from_counts(threshold, peculiar, counts);
        HeldOut { row, scores, selected, choices: judged.into_iter().map(|(_, _, words)| words).collect() }
    }

    fn training_groups(&self, sides: &[Side]) -> Vec<Option<FrameGroup>> {
        self.groups.iter().zip(sides).map(|(group, side)| group.filter(|_| *side == Side::Train)).collect()
    }

    /// Ranking, number of features, forest and threshold that do best on the training side.
    fn choose(&self, features: &Array2<f32>, sides: &[Side]) -> Result<Choice> {
        let train = self.training_groups(sides);
        let columns = features.ncols();
        let most = self.config.top_k.iter().copied().max().unwrap_or(0);
        let candidates: Vec<Vec<usize>> = if columns > most {
            let order = self.ranking(features, &train)?;
            self.config.top_k.iter().map(|&k| order[..k.min(columns)].to_vec()).collect()
        } else {
            vec![(0..columns).collect()]
        };
        let mut chosen: Option<((bool, f64), Choice)> = None;
        for columns in candidates {
            let points = grid_search(
                select(features, &columns).view(),
                &train,
                &self.config.forests,
                self.config.seed,
                |_, _| (),
            )?;
            let Some(point) = best(&points) else { continue };
            let merit = (point.crossing.crosses(), point.merit());
            if chosen.as_ref().is_none_or(|(so_far, _)| merit > *so_far) {
                let (forest, threshold) = (point.config, point.crossing.row().threshold);
                chosen = Some((merit, Choice { columns, forest, threshold }));
            }
        }
        chosen.map(|(_, choice)| choice).context("the grid of forests is empty")
    }

    /// Features by importance, from the training side alone; a fifth of its blocks is held out for early stopping.
    fn ranking(&self, features: &Array2<f32>, train: &[Option<FrameGroup>]) -> Result<Vec<usize>> {
        let (rows, positive): (Vec<usize>, Vec<bool>) = match self.config.held_out_ranking {
            RankTarget::Extended => {
                (0..train.len()).filter(|&i| train[i].is_some()).map(|i| (i, self.interesting[i])).unzip()
            }
            RankTarget::Peculiar => (0..train.len())
                .filter(|&i| is_contender(train[i]))
                .map(|i| (i, train[i] == Some(FrameGroup::Peculiar)))
                .unzip(),
        };
        let ids: Vec<FrameId> = rows.iter().map(|&i| self.ids[i].clone()).collect();
        let (kept, held) = self.config.hold_out.two_kinds(&ids, &positive, self.config.seed);
        let places: Vec<usize> = kept.iter().map(|&k| rows[k]).collect();
        let kinds: Vec<bool> = kept.iter().map(|&k| positive[k]).collect();
        let table = features.select(Axis(0), &places);
        let ranking = rank_features(table.view(), &kinds, &held, &self.config.ranking)
            .context("ranking on one half of the sky")?;
        Ok(ranking.order)
    }

    /// Average precision of the peculiar frames among the peculiar and the complex ones, the mean of the two halves
    /// weighted by their peculiar frames. `rows` may repeat frames (a resample). `None` where a half has no peculiar frame.
    pub fn precision_among_complex(&self, scores: &[f64], rows: &[usize]) -> Option<f64> {
        let mut sum = (0.0, 0.0);
        for half in 0..2 {
            let of_half: Vec<usize> =
                rows.iter().copied().filter(|&i| self.half(i) == half && is_contender(self.groups[i])).collect();
            let truth: Vec<bool> = of_half.iter().map(|&i| self.groups[i] == Some(FrameGroup::Peculiar)).collect();
            let weight = truth.iter().filter(|t| **t).count() as f64;
            // With no complex frame to be told from, the average precision of a half would be 1 whatever the score.
            if weight > 0.0 && truth.contains(&false) {
                let of_half: Vec<f64> = of_half.iter().map(|&i| scores[i]).collect();
                sum = (sum.0 + weight * average_precision(&truth, &of_half).ok()?, sum.1 + weight);
            }
        }
        (sum.1 > 0.0).then(|| sum.0 / sum.1)
    }

    /// Peculiar against complex frames as a ridge regression on the labels of the other half sees them; NaN where a half
    /// cannot be fitted. Judged like a score: what the features hold, whether or not a forest uses it.
    pub fn with_labels(&self, features: &Array2<f32>) -> Vec<f64> {
        let mut scores = vec![f64::NAN; self.ids.len()];
        for (half, sides) in self.halves.iter().enumerate() {
            let train = self.training_groups(sides);
            let rows: Vec<usize> = (0..train.len()).filter(|&i| is_contender(train[i])).collect();
            let targets: Vec<bool> = rows.iter().map(|&i| train[i] == Some(FrameGroup::Peculiar)).collect();
            let Some(predicted) = ridge_probe::predict(features.view(), &rows, &targets) else { continue };
            for i in (0..scores.len()).filter(|&i| self.half(i) == half) {
                scores[i] = predicted[i];
            }
        }
        scores
    }

    /// Groups of frames that show the same sky, for the bootstrap ([`sky_objects`]).
    pub fn objects(&self) -> Vec<usize> {
        sky_objects(&self.ids, &self.groups)
    }
}

/// Peculiar or complex: the frames between which telling apart is hard.
pub fn is_contender(group: Option<FrameGroup>) -> bool {
    matches!(group, Some(FrameGroup::Peculiar | FrameGroup::Complex))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::run_config::Preset;
    use anomaly_iforest::grid::Grid;
    use anomaly_iforest::{Contamination, MaxFeatures, MaxSamples};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The smoke preset with one small forest.
    pub(crate) fn config() -> Table4Config {
        let grid = Grid {
            n_trees: 50,
            contamination: vec![Contamination::Auto],
            max_samples: vec![MaxSamples::Auto],
            max_features: vec![MaxFeatures::All],
            ..Grid::published(0)
        };
        Table4Config { forests: grid, ..Table4Config::preset(Preset::Smoke, 5) }
    }

    /// A mosaic of 26 × 26 half-overlapping frames, a tenth peculiar and a fifth complex at random.
    pub(crate) fn sky(config: &Table4Config) -> Judge<'_> {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let at = |row: u32, col: u32| FrameId { mosaic: "m".into(), row: row * 128, col: col * 128, size: 256 };
        let ids: Vec<FrameId> = (0..26).flat_map(|row| (0..26).map(move |col| at(row, col))).collect();
        let groups: Vec<Option<FrameGroup>> = ids
            .iter()
            .map(|_| match rng.random_range(0..20) {
                0 | 1 => Some(FrameGroup::Peculiar),
                2..=5 => Some(FrameGroup::Complex),
                6 => None,
                _ => Some(FrameGroup::Ordinary),
            })
            .collect();
        let interesting = groups.iter().map(|group| *group == Some(FrameGroup::Complex)).collect();
        Judge::new(config, ids, groups, interesting).unwrap()
    }

    /// Two features: noise, to which peculiar frames add `signal` standard deviations.
    pub(crate) fn features(judge: &Judge, signal: f32, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let noise: Vec<f32> =
            (0..2 * judge.groups.len()).map(|_| (0..6).map(|_| rng.random_range(-1.0..1.0)).sum()).collect();
        let step = |row: usize| if judge.groups[row] == Some(FrameGroup::Peculiar) { signal } else { 0.0 };
        Array2::from_shape_fn((judge.groups.len(), 2), |(row, col)| noise[2 * row + col] + 1.4 * step(row))
    }

    #[test]
    fn a_signal_is_found_and_noise_is_not() {
        let config = config();
        let judge = sky(&config);
        let rows: Vec<usize> = (0..judge.groups.len()).collect();
        let contenders = judge.groups.iter().filter(|g| is_contender(**g)).count() as f64;
        let chance = judge.groups.iter().filter(|g| **g == Some(FrameGroup::Peculiar)).count() as f64 / contenders;
        let found = judge.held_out(&features(&judge, 5.0, 1)).unwrap();
        let precision = judge.precision_among_complex(&found.scores, &rows).unwrap();
        assert!(precision > 0.95 && found.row.recall > 0.7, "{precision} {:?}", found.row);
        let noise = judge.held_out(&features(&judge, 0.0, 2)).unwrap();
        let precision = judge.precision_among_complex(&noise.scores, &rows).unwrap();
        assert!((precision - chance).abs() < 0.15, "noise {precision}, chance {chance}");
    }

    /// A single number as the score: the larger the stranger, whatever its unit.
    #[test]
    fn a_number_is_a_score() {
        let config = config();
        let judge = sky(&config);
        let numbers = features(&judge, 5.0, 3).column(0).mapv(|value| 1e4 + 1e-2 * value);
        let rows: Vec<usize> = (0..judge.groups.len()).collect();
        let up = judge.held_out_score(numbers.view()).unwrap();
        let down = judge.held_out_score(numbers.mapv(|value| -value).view()).unwrap();
        let precision = |held_out: &HeldOut| judge.precision_among_complex(&held_out.scores, &rows).unwrap();
        assert!(precision(&up) > 0.9 && precision(&down) < 0.35, "{} {}", precision(&up), precision(&down));
    }

    /// Moving one half's labels changes what is chosen for the other half, never what is chosen for itself.
    #[test]
    fn a_half_is_judged_without_its_own_labels() {
        let config = config();
        let judge = sky(&config);
        let table = features(&judge, 2.0, 4);
        let before = judge.held_out(&table).unwrap();
        let mut other = sky(&config);
        for i in 0..other.groups.len() {
            if other.half(i) == 0 && other.groups[i].is_some() {
                // Every third label of half 0 becomes another one.
                other.groups[i] = Some([FrameGroup::Complex, FrameGroup::Peculiar, FrameGroup::Ordinary][i % 3]);
            }
        }
        let after = other.held_out(&table).unwrap();
        let scores = |held_out: &HeldOut, half: usize| -> Vec<(f64, bool)> {
            (0..judge.groups.len())
                .filter(|&i| judge.half(i) == half)
                .map(|i| (held_out.scores[i], held_out.selected[i]))
                .collect()
        };
        assert_eq!(scores(&before, 0), scores(&after, 0));
        assert_ne!(scores(&before, 1), scores(&after, 1));
    }

    #[test]
    fn without_complex_frames_there_is_no_comparison() {
        let config = config();
        let judge = sky(&config);
        let (ids, mut groups) = (judge.ids.clone(), judge.groups.clone());
        groups.iter_mut().filter(|g| **g == Some(FrameGroup::Complex)).for_each(|g| *g = Some(FrameGroup::Ordinary));
        assert!(Judge::new(&config, ids, groups, judge.interesting.clone()).is_none());
    }

    #[test]
    fn overlapping_peculiar_frames_are_one_object() {
        let config = config();
        let judge = sky(&config);
        let objects = judge.objects();
        let peculiar: Vec<usize> =
            (0..objects.len()).filter(|&i| judge.groups[i] == Some(FrameGroup::Peculiar)).collect();
        for (n, &a) in peculiar.iter().enumerate() {
            for &b in &peculiar[..n] {
                let (one, other) = (&judge.ids[a], &judge.ids[b]);
                let overlap = one.row.abs_diff(other.row) < 256 && one.col.abs_diff(other.col) < 256;
                assert!(!overlap || objects[a] == objects[b], "{one} {other}");
            }
        }
        let count: std::collections::BTreeSet<usize> = peculiar.iter().map(|&i| objects[i]).collect();
        assert!(count.len() > 5 && count.len() < peculiar.len(), "{} of {}", count.len(), peculiar.len());
    }
}
