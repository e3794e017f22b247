//! How far a map can be trusted: are neighbours on the map neighbours in the table?

use ndarray::ArrayView2;
use neighbours::{Metric, nearest_neighbours, neighbour_ranks};

use crate::error::{MapError, check};

/// Trustworthiness of a map: 1 when the `k` nearest of every row on the map are among its `k` nearest in the table, less by
/// how far down the table's order the intruders stand. With table and map exchanged it is the map's continuity.
///
/// Distances on the map are Euclidean. Ties go to the smaller row number.
///
/// # Shapes
/// - `features`: `[n, columns]`, `map`: `[n, axes]`.
/// # Errors
/// [`MapError::WrongLength`]; [`MapError::BadSetting`] unless `1 <= k < n / 2`; [`MapError::Neighbours`] for NaN and for
/// rows of zeros with the cosine.
/// # Source
/// Venna & Kaski 2001; scikit-learn's definition: `1 - 2 / (n k (2 n - 3 k - 1)) Σ_i Σ_j max(0, r(i, j) - k)`.
pub fn trustworthiness(
    features: ArrayView2<f32>,
    map: ArrayView2<f32>,
    k: usize,
    metric: Metric,
) -> Result<f64, MapError> {
    let n = features.nrows();
    if map.nrows() != n {
        return Err(MapError::WrongLength { name: "map", expected: n, found: map.nrows() });
    }
    check(k >= 1 && 2 * k < n, "k", &format!("at least 1 and below half of the {n} rows"), k)?;
    let on_map = nearest_neighbours(map, k, Metric::Euclidean)?;
    let ranks = neighbour_ranks(features, on_map.rows.view(), metric)?;
    let intrusion: u64 = ranks.iter().map(|&rank| u64::from(rank).saturating_sub(k as u64)).sum();
    let (n, k) = (n as f64, k as f64);
    Ok(1.0 - intrusion as f64 * 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)))
}
