//! Percentiles with linear interpolation, as NumPy computes them by default.

use crate::order_statistics::OrderStatistics;

/// The `q`-th percentile of the finite values among `values`; `None` if there is none.
///
/// `q` in percent, limited to `[0, 100]`. The result lies between the two values whose ranks enclose `q / 100 * (n - 1)`.
///
/// # Source
/// NumPy's method "linear"; reference-facts C3.
#[must_use]
pub fn percentile(values: &[f32], q: f64) -> Option<f64> {
    let mut order = OrderStatistics::new(values);
    let last = order.n_finite().checked_sub(1)?;
    let place = q.clamp(0.0, 100.0) / 100.0 * last as f64;
    let rank = (place as usize).min(last);
    let (low, high) = order.pair(rank);
    let (low, high, t) = (f64::from(low), f64::from(high), place - rank as f64);
    // NumPy goes from the nearer end, which decides the last bit and so which pixel a threshold keeps.
    Some(if t < 0.5 { low + (high - low) * t } else { high - (high - low) * (1.0 - t) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_and_single_values_match_numpy() {
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(percentile(&[f32::NAN, f32::INFINITY], 50.0), None);
        assert_eq!(percentile(&[3.5], 40.0), Some(3.5));
        assert_eq!(percentile(&[f32::NEG_INFINITY, 3.0, f32::NAN, 1.0, f32::INFINITY], 25.0), Some(1.5));
        let ties = [9.0, 1.0, 2.0, 1.0, 2.0, 1.0];
        for (q, want) in [(0.0, 1.0), (45.5, 1.275), (50.0, 1.5), (58.25, 1.9125), (99.0, 8.65), (100.0, 9.0)] {
            let got = percentile(&ties, q).unwrap();
            assert!((got - want).abs() < 1e-12, "q={q}: {got} vs {want}");
        }
    }
}
