//! 95 % intervals: values beside them, what they say of a mark, and the percentile bootstraps over objects of the report.
use metrics::FrameGroup;
use metrics::bootstrap::percentile_interval;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Resamples of the bootstrap.
pub const RESAMPLES: usize = 1000;
/// Share of the resamples inside an interval.
pub const CONFIDENCE: f64 = 0.95;

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The value on all data.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What an interval says of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The whole interval is above.
    Above,
    /// It holds the mark.
    CannotTell,
    /// The whole interval is below.
    Below,
}

impl Standing {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Above => "is above",
            Self::CannotTell => "cannot be told from",
            Self::Below => "is below",
        }
    }
}

impl Estimate {
    /// A value with the middle 95 % of what resamples gave (linear interpolation); without a resample the value alone.
    pub fn of_draws(value: f64, mut drawn: Vec<f64>) -> Self {
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * drawn.len().saturating_sub(1) as f64;
            let below = drawn.get(place.floor() as usize).copied().unwrap_or(value);
            let above = drawn.get(place.ceil() as usize).copied().unwrap_or(below);
            below + (above - below) * place.fract()
        };
        Self { value, low: at(0.025), high: at(0.975) }
    }

    /// Where it lies against a mark.
    pub fn against(self, mark: f64) -> Standing {
        if self.low > mark {
            Standing::Above
        } else if self.high < mark {
            Standing::Below
        } else {
            Standing::CannotTell
        }
    }

    /// `+2.1 (+0.4 to +3.9)` in percent, with signs if it is a difference.
    pub fn percent(self, signed: bool) -> String {
        let one = |v: f64| if signed { format!("{:+.1}", 100.0 * v) } else { format!("{:.1}", 100.0 * v) };
        format!("{} ({} to {})", one(self.value), one(self.low), one(self.high))
    }
}

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

    #[test]
    fn an_estimate_holds_the_middle_of_its_draws() {
        // numpy 2: quantile(arange(11), [0.025, 0.975]) = 0.25, 9.75.
        let found = Estimate::of_draws(5.0, (0..11).rev().map(f64::from).collect());
        assert!((found.low - 0.25).abs() < 1e-12 && (found.high - 9.75).abs() < 1e-12, "{found:?}");
        assert_eq!(Estimate::of_draws(5.0, Vec::new()), Estimate { value: 5.0, low: 5.0, high: 5.0 });
        let standing = [0.0, 0.25, 5.0, 9.75, 10.0].map(|mark| found.against(mark));
        let open = Standing::CannotTell;
        assert_eq!(standing, [Standing::Above, open, open, open, Standing::Below]);
        assert_eq!(found.against(f64::NAN), open);
        let gain = Estimate { value: 0.0212, low: -0.004, high: 0.039 };
        assert_eq!(
            (gain.percent(true).as_str(), gain.percent(false).as_str()),
            ("+2.1 (-0.4 to +3.9)", "2.1 (-0.4 to 3.9)")
        );
    }

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
