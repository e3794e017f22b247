//! How well a number tells two groups of frames apart, with an interval that knows that frames share objects.
use std::collections::HashMap;

use anyhow::{Context, Result};
use metrics::bootstrap::{group_members, percentile_interval};
use metrics::curves::{precision_recall_curve, roc_auc};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rank_gbdt::RankConfig;
use rank_gbdt::boost::boost;

use super::sky_frames::{GateFrame, Group, SINGLE};

/// Resamples of an interval.
const RESAMPLES: usize = 1000;
/// Folds of the boosting.
const FOLDS: usize = 5;

/// A frame in a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Which sky it is from.
    pub sky: usize,
    /// Frames of one cluster are not independent.
    pub cluster: usize,
    /// Whether it is of the group looked for.
    pub positive: bool,
    /// The number that should tell.
    pub score: f64,
}

/// A statistic of each sky, their mean, and the 95 % interval of the mean.
#[derive(Debug, Clone)]
pub struct Measured {
    /// One value per sky.
    pub per_sky: Vec<f64>,
    /// Their mean.
    pub mean: f64,
    /// 95 % interval of the mean by a percentile bootstrap over clusters.
    pub interval: [f64; 2],
}

/// Measures a statistic of the rows of one sky, drawn with whole clusters.
pub fn measure(rows: &[Row], skies: usize, statistic: impl Fn(&[Row]) -> Option<f64>) -> Result<Measured> {
    let rows: Vec<Row> = rows.iter().copied().filter(|row| row.score.is_finite()).collect();
    let of_skies = |picked: &[usize]| -> Option<Vec<f64>> {
        let mut parts = vec![Vec::new(); skies];
        picked.iter().for_each(|&i| parts[rows[i].sky].push(rows[i]));
        parts.iter().map(|part| statistic(part)).collect()
    };
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let all: Vec<usize> = (0..rows.len()).collect();
    let per_sky = of_skies(&all).context("a sky without frames of one of the groups: take a larger tier")?;
    let members = group_members(&rows.iter().map(|row| row.cluster).collect::<Vec<_>>());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let interval = percentile_interval(&members, RESAMPLES, 0.95, &mut rng, |picked| of_skies(picked).map(mean))?;
    Ok(Measured { mean: mean(per_sky.clone()), per_sky, interval: [interval.low, interval.high] })
}

/// Area under the ROC curve.
pub fn auc(rows: &[Row]) -> Option<f64> {
    let (truth, score) = columns(rows);
    roc_auc(&truth, &score).ok()
}

/// Precision at the highest threshold whose recall is at least `recall`.
pub fn precision_at(rows: &[Row], recall: f64) -> Option<f64> {
    let (truth, score) = columns(rows);
    let curve = precision_recall_curve(&truth, &score).ok()?;
    let last = curve.recall.iter().rposition(|&r| r >= recall)?;
    curve.precision.get(last).copied()
}

/// Share of the positive rows among the `share` of rows with the highest scores; ties at the edge count in part.
pub fn held_by_top(rows: &[Row], share: f64) -> Option<f64> {
    let mut order: Vec<&Row> = rows.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let wanted = (share * rows.len() as f64).round() as usize;
    let edge = order.get(wanted.checked_sub(1)?)?.score;
    let count = |keep: &dyn Fn(&Row) -> bool| rows.iter().filter(|row| keep(row)).count() as f64;
    let (above, at) = (count(&|r| r.score > edge), count(&|r| r.score == edge));
    let part = (wanted as f64 - above) / at;
    let positives = count(&|r| r.positive);
    let held = count(&|r| r.positive && r.score > edge) + part * count(&|r| r.positive && r.score == edge);
    (positives > 0.0).then(|| held / positives)
}

fn columns(rows: &[Row]) -> (Vec<bool>, Vec<f64>) {
    rows.iter().map(|row| (row.positive, row.score)).unzip()
}

/// Clusters of the frames of one sky: frames of PECULIAR objects or of possible twins go with all frames that show one of the
/// same objects, the others with their sky block. Numbers are below `2^32`.
pub fn clusters(frames: &[GateFrame]) -> Vec<usize> {
    let mut parent: HashMap<i32, i32> = HashMap::new();
    fn root(parent: &HashMap<i32, i32>, mut id: i32) -> i32 {
        while let Some(&up) = parent.get(&id).filter(|&&up| up != id) {
            id = up;
        }
        id
    }
    for frame in frames {
        for pair in frame.objects.windows(2) {
            let (a, b) = (root(&parent, pair[0].0), root(&parent, pair[1].0));
            parent.insert(a.max(b), a.min(b));
        }
    }
    let cluster = |frame: &GateFrame| match frame.objects.first() {
        Some((id, _)) => (1 << 31) + root(&parent, *id) as usize,
        None => frame.block,
    };
    frames.iter().map(cluster).collect()
}

/// Rows of a comparison between PECULIAR frames and those of other groups, over all skies.
pub fn compare(
    skies: &[Vec<GateFrame>],
    against: &[Group],
    keep: impl Fn(&GateFrame) -> bool,
    score: impl Fn(&GateFrame) -> f64,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (sky, frames) in skies.iter().enumerate() {
        for (frame, cluster) in frames.iter().zip(clusters(frames)) {
            let positive = frame.group == Group::Peculiar;
            if keep(frame) && (positive || against.contains(&frame.group)) {
                rows.push(Row { sky, cluster: (sky << 32) + cluster, positive, score: score(frame) });
            }
        }
    }
    rows
}

/// Out-of-fold scores of boosted trees on the five single features, PECULIAR against other groups, labelled frames.
///
/// The scores are ranks within a fold, because the folds' trees start from different shares of PECULIAR. Whole sky blocks go to one of five folds; three train, one stops the training, one is judged, in turn. `joint` trains on all
/// skies together, otherwise each sky has trees of its own. An object on the edge of two blocks can stand on both sides, which
/// can only raise the result.
pub fn boosted(skies: &[Vec<GateFrame>], against: &[Group], joint: bool) -> Result<Vec<Row>> {
    let mut rows = compare(skies, against, |frame| frame.labelled, |_| f64::NAN);
    let mut inputs = Vec::new();
    let mut folds = Vec::new();
    for (sky, frames) in skies.iter().enumerate() {
        let fold = fold_of_blocks(frames, sky as u64);
        for frame in frames.iter().filter(|f| f.labelled && (f.group == Group::Peculiar || against.contains(&f.group)))
        {
            inputs.push(frame.features);
            folds.push(fold[&frame.block]);
        }
    }
    let parts: Vec<Vec<usize>> = if joint {
        vec![(0..rows.len()).collect()]
    } else {
        (0..skies.len()).map(|sky| (0..rows.len()).filter(|&i| rows[i].sky == sky).collect()).collect()
    };
    for part in parts {
        for judged in 0..FOLDS {
            let stop = (judged + 1) % FOLDS;
            let of = |keep: &dyn Fn(usize) -> bool| -> (Array2<f32>, Vec<bool>, Vec<usize>) {
                let picked: Vec<usize> = part.iter().copied().filter(|&i| keep(folds[i])).collect();
                let table = Array2::from_shape_fn((picked.len(), SINGLE), |(i, k)| inputs[picked[i]][k] as f32);
                (table, picked.iter().map(|&i| rows[i].positive).collect(), picked)
            };
            let (train, truth, _) = of(&|fold| fold != judged && fold != stop);
            let (early, early_truth, _) = of(&|fold| fold == stop);
            let (test, _, places) = of(&|fold| fold == judged);
            let hold_out = (!early_truth.is_empty()).then_some((early.view(), early_truth.as_slice()));
            let trees = boost(train.view(), &truth, hold_out, &RankConfig::paper())?;
            let probabilities = trees.probabilities(test.view())?;
            let mut sorted = probabilities.clone();
            sorted.sort_by(f64::total_cmp);
            for (place, probability) in places.into_iter().zip(&probabilities) {
                // Ties get the middle of their ranks.
                let (below, upto) =
                    (sorted.partition_point(|p| p < probability), sorted.partition_point(|p| p <= probability));
                rows[place].score = (below + upto) as f64 / (2 * sorted.len()) as f64;
            }
        }
    }
    Ok(rows)
}

/// Deals the sky blocks to folds in random order.
fn fold_of_blocks(frames: &[GateFrame], seed: u64) -> HashMap<usize, usize> {
    let mut blocks: Vec<usize> = frames.iter().filter(|frame| frame.labelled).map(|frame| frame.block).collect();
    blocks.sort_unstable();
    blocks.dedup();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for i in (1..blocks.len()).rev() {
        blocks.swap(i, rng.random_range(0..=i));
    }
    blocks.into_iter().enumerate().map(|(place, block)| (block, place % FOLDS)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn frame(number: usize, group: Group, value: f64) -> GateFrame {
        let objects = match group {
            Group::Peculiar | Group::Matched => vec![(number as i32 / 3, [0.0; 2])],
            _ => Vec::new(),
        };
        GateFrame {
            place: [0, number],
            block: number / 8,
            labelled: true,
            group,
            labels: Vec::new(),
            features: [value, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            neighbours: [0.0; 8],
            rms: 1.0,
            blank: 0.0,
            objects,
        }
    }

    /// Two skies of 600 frames whose first feature separates by `shift` standard deviations; three frames share an object.
    pub fn skies(shift: f64) -> Vec<Vec<GateFrame>> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        (0..2)
            .map(|_| {
                let mut of_object = 0.0;
                (0..600)
                    .map(|i| {
                        if i % 3 == 0 {
                            of_object = normal();
                        }
                        let group = if i / 3 % 2 == 0 { Group::Peculiar } else { Group::Matched };
                        frame(i, group, of_object + if group == Group::Peculiar { shift } else { 0.0 })
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_known_separation_is_found_within_its_interval() {
        // Two unit normals shifted by d: AUC = Phi(d / sqrt 2), 0.760 for d = 1.
        for (shift, want) in [(0.0, 0.5), (1.0, 0.760)] {
            let rows = compare(&skies(shift), &[Group::Matched], |_| true, |f| f.features[0]);
            let found = measure(&rows, 2, auc).unwrap();
            assert!(found.interval[0] < want && want < found.interval[1], "{found:?}");
            // 400 objects, not 1200 frames: the error is about sqrt(3) larger than frames would say.
            let width = found.interval[1] - found.interval[0];
            assert!((0.08..0.14).contains(&width), "{width}");
        }
    }

    #[test]
    fn boosting_finds_what_separates_and_nothing_else() {
        for joint in [true, false] {
            let noise = measure(&boosted(&skies(0.0), &[Group::Matched], joint).unwrap(), 2, auc).unwrap();
            let signal = measure(&boosted(&skies(1.5), &[Group::Matched], joint).unwrap(), 2, auc).unwrap();
            assert!(noise.mean < 0.60, "{noise:?}");
            // The best possible: Phi(1.5 / sqrt 2) = 0.856.
            assert!((0.78..0.89).contains(&signal.mean), "{signal:?}");
        }
    }

    #[test]
    fn precision_and_top_share_of_a_small_list() {
        let rows: Vec<Row> = [(9.0, true), (8.0, false), (7.0, true), (6.0, true), (5.0, false), (4.0, false)]
            .iter()
            .map(|&(score, positive)| Row { sky: 0, cluster: 0, positive, score })
            .collect();
        assert_eq!(precision_at(&rows, 0.5), Some(2.0 / 3.0));
        assert_eq!(precision_at(&rows, 0.9), Some(3.0 / 4.0));
        assert_eq!(held_by_top(&rows, 0.5), Some(2.0 / 3.0));
        let tied: Vec<Row> = rows.iter().map(|row| Row { score: 1.0, ..*row }).collect();
        assert_eq!(held_by_top(&tied, 0.5), Some(0.5));
    }

    #[test]
    fn frames_with_a_common_object_are_one_cluster() {
        let mut list: Vec<GateFrame> = (0..4).map(|i| frame(3 * i, Group::Peculiar, 0.0)).collect();
        list[3] = frame(9, Group::Ordinary, 0.0);
        list[1].objects.push((0, [0.0; 2]));
        let found = clusters(&list);
        assert!(found[0] == found[1] && found[1] != found[2] && found[3] == 1, "{found:?}");
    }
}
