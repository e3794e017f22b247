//! How strange a row is by its neighbours: their distance, or how much denser it is round them than round itself.
use crate::search::Neighbours;

/// What keeps a density finite where a row and all its neighbours are equal; scikit-learn's number.
const LEAST_REACH: f64 = 1e-10;

/// Mean distance to the k nearest rows. **Higher is stranger.**
///
/// # Shapes
/// - result: one score a row, in the unit of the distances.
pub fn mean_distance(nearest: &Neighbours) -> Vec<f64> {
    let k = nearest.distances.ncols().max(1) as f64;
    nearest.distances.rows().into_iter().map(|row| row.iter().map(|&d| f64::from(d)).sum::<f64>() / k).collect()
}

/// Local outlier factor: the density round a row's neighbours over the density round the row. About 1 inside a crowd of
/// any density, **higher is stranger**.
///
/// The density of a row is the inverse of its mean reach, and the reach from row a to its neighbour b is their distance, but at least the
/// distance from b to b's own k-th neighbour. scikit-learn's `negative_outlier_factor_` is the negative of this.
///
/// # Shapes
/// - `nearest`: of all rows among themselves ([`crate::nearest_neighbours`]); result: one score a row.
/// # Panics
/// If a neighbour is no row of `nearest`, as in the answer to queries of another table.
/// # Source
/// Breunig et al. 2000 (SIGMOD), definitions 5 to 7.
pub fn local_outlier_factor(nearest: &Neighbours) -> Vec<f64> {
    let (rows, k) = nearest.distances.dim();
    let kth = |row: usize| nearest.distances.row(row).last().map_or(0.0, |&d| f64::from(d));
    let of =
        |row: usize| nearest.rows.row(row).into_iter().map(|&other| other as usize).zip(nearest.distances.row(row));
    let density: Vec<f64> = (0..rows)
        .map(|row| {
            let reach: f64 = of(row).map(|(other, &distance)| f64::from(distance).max(kth(other))).sum();
            1.0 / (reach / k as f64 + LEAST_REACH)
        })
        .collect();
    (0..rows).map(|row| of(row).map(|(other, _)| density[other] / density[row]).sum::<f64>() / k as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metric, nearest_neighbours};
    use ndarray::Array2;

    /// Two crowds of different density and three rows apart, no two distances of a row alike (a tie is broken by rounding).
    /// The same numbers went to scikit-learn.
    fn table() -> Array2<f32> {
        Array2::from_shape_fn((43, 2), |(row, column)| match row {
            40.. => [[6.0, 6.0], [0.6, -1.0], [30.0, 14.0]][row - 40][column],
            _ => {
                let turned = [(37 * row + 11) * row % 101, (53 * row + 29) * row % 103][column] as f32;
                if row < 20 { turned * 0.01 } else { 14.0 + turned * 0.2 }
            }
        })
    }

    /// Every pair, in `f64`.
    fn obvious(table: &Array2<f32>, k: usize) -> Vec<f64> {
        let n = table.nrows();
        let distance = |a: usize, b: usize| {
            (0..2).map(|c| (f64::from(table[(a, c)]) - f64::from(table[(b, c)])).powi(2)).sum::<f64>().sqrt()
        };
        let near: Vec<Vec<usize>> = (0..n)
            .map(|a| {
                let mut others: Vec<usize> = (0..n).filter(|&b| b != a).collect();
                others.sort_by(|&b, &c| distance(a, b).total_cmp(&distance(a, c)));
                others.truncate(k);
                others
            })
            .collect();
        let reach = |a: usize, b: usize| distance(a, b).max(distance(b, near[b][k - 1]));
        let density =
            |a: usize| k as f64 / (near[a].iter().map(|&b| reach(a, b)).sum::<f64>() + k as f64 * LEAST_REACH);
        (0..n).map(|a| near[a].iter().map(|&b| density(b) / density(a)).sum::<f64>() / k as f64).collect()
    }

    #[test]
    fn as_the_obvious_version() {
        let table = table();
        for k in [1, 5, 20] {
            let nearest = nearest_neighbours(table.view(), k, Metric::Euclidean).unwrap();
            for (row, (ours, theirs)) in local_outlier_factor(&nearest).iter().zip(obvious(&table, k)).enumerate() {
                assert!((ours - theirs).abs() < 1e-5 * theirs, "k {k}, row {row}: {ours} and {theirs}");
            }
        }
    }

    /// `LocalOutlierFactor(n_neighbors=k, algorithm="brute")` of scikit-learn 1.9.1 on [`table`].
    #[test]
    fn as_scikit_learn() {
        const ROWS: [usize; 7] = [0, 19, 20, 39, 40, 41, 42];
        let known = [
            (5, [1.2432344, 1.22471786, 1.04655612, 0.937296271, 23.8080864, 3.94397211, 1.09557247]),
            (20, [1.00990558, 1.0106895, 1.0068469, 1.00867283, 5.4858675, 0.985251606, 0.987777531]),
        ];
        for (k, known) in known {
            let factors = local_outlier_factor(&nearest_neighbours(table().view(), k, Metric::Euclidean).unwrap());
            for (row, theirs) in ROWS.into_iter().zip(known) {
                assert!(
                    (factors[row] - theirs).abs() < 1e-5 * theirs,
                    "k {k}, row {row}: {} and {theirs}",
                    factors[row]
                );
            }
        }
    }

    #[test]
    fn equal_rows_have_a_finite_factor() {
        let table = Array2::from_shape_fn((30, 3), |(row, _)| if row < 29 { 2.0 } else { 3.0 });
        let nearest = nearest_neighbours(table.view(), 5, Metric::Euclidean).unwrap();
        let factors = local_outlier_factor(&nearest);
        assert!(factors.iter().all(|factor| factor.is_finite()));
        assert!(factors[..29].iter().all(|factor| (factor - 1.0).abs() < 1e-12) && factors[29] > 1e6);
        let distances = mean_distance(&nearest);
        assert!(distances[..29].iter().all(|&d| d == 0.0) && (distances[29] - 3.0_f64.sqrt()).abs() < 1e-6);
    }
}
