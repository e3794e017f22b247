//! Percentile intervals by bootstrap over objects, and the mean error over repeated runs.
//!
//! Overlapping frames show the same sky, so rows are not independent: what is drawn with replacement is the *group*
//! (object, sky tile), and all its rows come along. Randomness comes in as an `rng`, so the caller owns the seed.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::error::MetricsError;

/// A percentile interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Share of resamples inside, e.g. 0.95.
    pub confidence: f64,
    /// Resamples in which the statistic was defined and finite; the others are left out.
    pub resamples: usize,
}

/// Rows of each group: entry g of the result lists the rows whose group is the g-th smallest id in `row_group`.
pub fn group_members(row_group: &[usize]) -> Vec<Vec<usize>> {
    let mut by_group = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (row, &group) in row_group.iter().enumerate() {
        by_group.entry(group).or_default().push(row);
    }
    by_group.into_values().collect()
}

/// Percentile bootstrap of `statistic` over groups of rows.
///
/// # Shapes
/// - `members`: the rows of each group, see [`group_members`]; for independent rows one row per group.
/// - `statistic`: gets the rows of one resample (as many groups as `members`, with repeats), in drawing order; `None`
///   where it is undefined, e.g. recall without a positive row.
/// # Errors
/// If `members` is empty, `resamples` is 0, `confidence` is not in (0, 1), or the statistic was never defined.
/// # Source
/// Efron & Tibshirani 1993, chapter 13; quantiles by linear interpolation.
pub fn percentile_interval(
    members: &[Vec<usize>],
    resamples: usize,
    confidence: f64,
    rng: &mut impl Rng,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Result<Interval, MetricsError> {
    if members.is_empty() {
        return Err(MetricsError::Empty { what: "members" });
    }
    if resamples == 0 {
        return Err(MetricsError::OutOfRange { name: "resamples", expected: "at least 1", found: 0.0 });
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(MetricsError::OutOfRange {
            name: "confidence",
            expected: "a number between 0 and 1",
            found: confidence,
        });
    }
    let mut rows = Vec::new();
    let mut values = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        rows.clear();
        for _ in 0..members.len() {
            rows.extend_from_slice(&members[rng.random_range(0..members.len())]);
        }
        values.extend(statistic(&rows).filter(|value| value.is_finite()));
    }
    if values.is_empty() {
        return Err(MetricsError::UndefinedStatistic { resamples });
    }
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Ok(Interval {
        low: quantile(&values, tail),
        high: quantile(&values, 1.0 - tail),
        confidence,
        resamples: values.len(),
    })
}

/// Percentile bootstrap of the difference between two methods on the same rows: both see every resample, so what the choice of
/// objects does to both cancels.
///
/// # Shapes
/// - `members`: as [`percentile_interval`].
/// - `first`, `second`: the statistic of either method on the rows of one resample; the interval is of `first - second`.
/// # Errors
/// As [`percentile_interval`].
/// # Source
/// Efron & Tibshirani 1993, section 8.6.
pub fn paired_difference(
    members: &[Vec<usize>],
    resamples: usize,
    confidence: f64,
    rng: &mut impl Rng,
    first: impl Fn(&[usize]) -> Option<f64>,
    second: impl Fn(&[usize]) -> Option<f64>,
) -> Result<Interval, MetricsError> {
    percentile_interval(members, resamples, confidence, rng, |rows| Some(first(rows)? - second(rows)?))
}

/// Mean over repeated runs and its error, standard deviation (ddof 1) / sqrt(n); the error of one run is NaN.
///
/// # Errors
/// If there is no run.
/// # Source
/// Reference-facts I11: the error bars of the paper's five train/test sets.
pub fn mean_and_error(runs: &[f64]) -> Result<(f64, f64), MetricsError> {
    if runs.is_empty() {
        return Err(MetricsError::Empty { what: "runs" });
    }
    let n = runs.len() as f64;
    let mean = runs.iter().sum::<f64>() / n;
    let variance = runs.iter().map(|run| (run - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Ok((mean, (variance / n).sqrt()))
}

/// Quantile of rising values with linear interpolation between neighbours; `values` is not empty.
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    values[below] + (values[above] - values[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn mean(values: &[f64], rows: &[usize]) -> Option<f64> {
        Some(rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64)
    }

    #[test]
    fn the_interval_of_a_mean_has_the_width_of_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i) / 399.0).collect();
        let members: Vec<Vec<usize>> = (0..400).map(|row| vec![row]).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let interval = percentile_interval(&members, 2000, 0.95, &mut rng, |rows| mean(&values, rows)).unwrap();
        // Uniform: sd = 1/sqrt(12), so the 95 % half-width of the mean is 1.96 / sqrt(12 * 400).
        let half = 1.96 / 4800_f64.sqrt();
        assert!(
            (interval.low - (0.5 - half)).abs() < 0.15 * half && (interval.high - (0.5 + half)).abs() < 0.15 * half
        );
        let again =
            percentile_interval(&members, 2000, 0.95, &mut ChaCha8Rng::seed_from_u64(1), |rows| mean(&values, rows));
        assert_eq!(again.unwrap(), interval);
    }

    /// Ten copies of each object say nothing new: drawing rows alone would make the interval sqrt(10) times too narrow.
    #[test]
    fn rows_of_one_object_travel_together() {
        let values: Vec<f64> = (0..400).map(|row| f64::from(row / 10)).collect();
        let objects = group_members(&(0..400).map(|row| row / 10).collect::<Vec<_>>());
        assert_eq!((objects.len(), objects[3][0]), (40, 30));
        let rows: Vec<Vec<usize>> = (0..400).map(|row| vec![row]).collect();
        let width = |members: &[Vec<usize>]| {
            let interval =
                percentile_interval(members, 1000, 0.9, &mut ChaCha8Rng::seed_from_u64(2), |rows| mean(&values, rows))
                    .unwrap();
            interval.high - interval.low
        };
        let ratio = width(&objects) / width(&rows);
        assert!((ratio - 10_f64.sqrt()).abs() < 0.4, "{ratio}");
    }

    /// Two methods that differ by 0.1 on every row: alone each is uncertain, their difference is not.
    #[test]
    fn what_both_methods_share_cancels() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        let members: Vec<Vec<usize>> = (0..100).map(|row| vec![row]).collect();
        let better = |rows: &[usize]| mean(&values, rows).map(|v| v + 0.1);
        let difference = paired_difference(&members, 200, 0.95, &mut ChaCha8Rng::seed_from_u64(5), better, |rows| {
            mean(&values, rows)
        })
        .unwrap();
        assert!((difference.low - 0.1).abs() < 1e-9 && (difference.high - 0.1).abs() < 1e-9, "{difference:?}");
    }

    #[test]
    fn bad_input_is_refused() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let one = vec![vec![0]];
        assert!(matches!(percentile_interval(&[], 10, 0.9, &mut rng, |_| Some(0.0)), Err(MetricsError::Empty { .. })));
        assert!(matches!(
            percentile_interval(&one, 0, 0.9, &mut rng, |_| Some(0.0)),
            Err(MetricsError::OutOfRange { .. })
        ));
        assert!(matches!(
            percentile_interval(&one, 9, 1.0, &mut rng, |_| Some(0.0)),
            Err(MetricsError::OutOfRange { .. })
        ));
        assert!(matches!(
            percentile_interval(&one, 9, 0.9, &mut rng, |_| None),
            Err(MetricsError::UndefinedStatistic { resamples: 9 })
        ));
    }

    #[test]
    fn error_of_the_mean() {
        let (mean, error) = mean_and_error(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(mean, 3.0);
        assert!((error - (2.5_f64 / 5.0).sqrt()).abs() < 1e-15);
        assert!(mean_and_error(&[1.0]).unwrap().1.is_nan());
    }
}
