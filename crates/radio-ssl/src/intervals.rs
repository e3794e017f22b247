//! 95 % intervals of the report: percentile bootstraps over objects of the sky.
use metrics::FrameGroup;
use metrics::bootstrap::percentile_interval;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Resamples of the bootstrap.
pub const RESAMPLES: usize = 1000;
/// Share of the resamples inside an interval.
pub const CONFIDENCE: f64 = 0.95;

/// Interval (low, high) of a statistic of rows. `members` lists the rows of each object. The same seed draws the same objects, so
/// intervals of differences are paired. `None` where the statistic is never defined.
pub fn interval(members: &[Vec<usize>], seed: u64, statistic: impl Fn(&[usize]) -> Option<f64>) -> Option<(f64, f64)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let interval = percentile_interval(members, RESAMPLES, CONFIDENCE, &mut rng, statistic).ok()?;
    Some((interval.low, interval.high))
}

/// Intervals of recall and precision of the peculiar frames for a given selection.
pub fn selection_intervals(
    members: &[Vec<usize>],
    seed: u64,
    groups: &[Option<FrameGroup>],
    selected: &[bool],
) -> [Option<(f64, f64)>; 2] {
    let is_peculiar = |i: usize| groups[i] == Some(FrameGroup::Peculiar);
    let recall = |rows: &[usize]| share(rows, |i| is_peculiar(i).then_some(selected[i]));
    let precision = |rows: &[usize]| share(rows, |i| (groups[i].is_some() && selected[i]).then_some(is_peculiar(i)));
    [interval(members, seed, recall), interval(members, seed, precision)]
}

/// Share of `true` among the rows for which `count` says anything.
fn share(rows: &[usize], count: impl Fn(usize) -> Option<bool>) -> Option<f64> {
    let (mut hits, mut all) = (0usize, 0usize);
    for hit in rows.iter().filter_map(|&i| count(i)) {
        hits += usize::from(hit);
        all += 1;
    }
    (all > 0).then(|| hits as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 peculiar frames, half of them selected, among as many selected ordinary ones: recall and precision are both a half.
    #[test]
    fn intervals_hold_the_value_and_have_the_width_of_theory() {
        let groups: Vec<_> =
            (0..300).map(|i| Some(if i < 200 { FrameGroup::Peculiar } else { FrameGroup::Ordinary })).collect();
        let selected: Vec<bool> = (0..300).map(|i| i >= 200 || i % 2 == 0).collect();
        let members: Vec<Vec<usize>> = (0..300).map(|i| vec![i]).collect();
        let intervals = selection_intervals(&members, 7, &groups, &selected);
        let half = 1.96 * (0.25f64 / 200.0).sqrt();
        for (low, high) in intervals.map(Option::unwrap) {
            assert!(
                (low - (0.5 - half)).abs() < 0.25 * half && (high - (0.5 + half)).abs() < 0.25 * half,
                "{low} {high}"
            );
        }
        assert_eq!(selection_intervals(&members, 7, &groups, &selected), intervals);
        assert_ne!(selection_intervals(&members, 8, &groups, &selected), intervals);
    }

    #[test]
    fn what_is_never_defined_has_no_interval() {
        let groups = [Some(FrameGroup::Ordinary), Some(FrameGroup::Complex), None];
        let members = vec![vec![0], vec![1, 2]];
        assert_eq!(selection_intervals(&members, 1, &groups, &[false; 3]), [None, None]);
        assert_eq!(selection_intervals(&[], 1, &groups, &[true; 3]), [None, None]);
        assert_eq!(selection_intervals(&members, 1, &groups, &[true; 3]), [None, Some((0.0, 0.0))]);
    }
}
