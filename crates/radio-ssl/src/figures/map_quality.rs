//! How well a map, or any table, keeps classes apart: nearest neighbours that show other sky, and silhouettes.
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

/// Whether the majority of the `k` nearest rows of other groups has the row's class, for every row. Nearest by Euclidean distance; of
/// classes with equally many votes the one whose nearest row is nearest wins.
///
/// # Shapes
/// `rows`: `[n, axes]`; `labels`, `groups`: one a row.
pub fn knn_right(rows: ArrayView2<f32>, labels: &[usize], groups: &[usize], k: usize) -> Vec<bool> {
    let classes = labels.iter().max().map_or(0, |most| most + 1);
    let right = |row: usize| {
        let distances = |other: usize| (squared(rows.row(row), rows.row(other)), other);
        let mut others: Vec<(f64, usize)> =
            (0..rows.nrows()).filter(|&other| groups[other] != groups[row]).map(distances).collect();
        let k = k.min(others.len());
        if k == 0 {
            return false;
        }
        let nearer = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        others.select_nth_unstable_by(k - 1, nearer);
        others.truncate(k);
        others.sort_unstable_by(nearer);
        let mut votes = vec![0usize; classes];
        others.iter().for_each(|&(_, other)| votes[labels[other]] += 1);
        let most = votes.iter().copied().max().unwrap_or(0);
        others.iter().map(|&(_, other)| labels[other]).find(|&label| votes[label] == most) == Some(labels[row])
    };
    (0..rows.nrows()).into_par_iter().map(right).collect()
}

/// Silhouette of every row, -1 to 1: (b - a) / max(a, b), a being the mean distance to the other rows of its class and b that to the
/// nearest other class; 0 for a row alone in its class.
///
/// # Source
/// Rousseeuw 1987; scikit-learn's `silhouette_samples`.
pub fn silhouettes(rows: ArrayView2<f32>, labels: &[usize]) -> Vec<f64> {
    let classes = labels.iter().max().map_or(0, |most| most + 1);
    let mut sizes = vec![0usize; classes];
    labels.iter().for_each(|&label| sizes[label] += 1);
    let one = |row: usize| {
        let mut sums = vec![0.0; classes];
        for other in 0..rows.nrows() {
            sums[labels[other]] += squared(rows.row(row), rows.row(other)).sqrt();
        }
        let own = labels[row];
        if sizes[own] < 2 {
            return 0.0;
        }
        let inside = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..classes).filter(|&class| class != own && sizes[class] > 0);
        let outside = others.map(|class| sums[class] / sizes[class] as f64).fold(f64::INFINITY, f64::min);
        let larger = inside.max(outside);
        if larger > 0.0 && larger.is_finite() { (outside - inside) / larger } else { 0.0 }
    };
    (0..rows.nrows()).into_par_iter().map(one).collect()
}

fn squared(a: ArrayView1<f32>, b: ArrayView1<f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn neighbours_of_the_same_sky_do_not_vote() {
        // Each row has a twin of its own group and class beside it; without twins the nearest row is of the other class.
        let rows = array![[0.0f32], [0.1], [1.0], [1.1], [5.0], [5.1], [6.0], [6.1]];
        let labels = [0, 0, 1, 1, 0, 0, 1, 1];
        assert_eq!(knn_right(rows.view(), &labels, &[0, 1, 2, 3, 4, 5, 6, 7], 1), [true; 8]);
        assert_eq!(knn_right(rows.view(), &labels, &[0, 0, 1, 1, 2, 2, 3, 3], 1), [false; 8]);
        assert_eq!(knn_right(rows.view(), &labels, &[0; 8], 1), [false; 8], "nobody is left to vote");
    }

    /// scikit-learn 1.9.1, `silhouette_samples([[0,0],[0,1],[4,0],[4,3],[9,9]], [0,0,1,1,2])`.
    #[test]
    fn silhouettes_are_those_of_scikit_learn() {
        let rows = array![[0.0f32, 0.0], [0.0, 1.0], [4.0, 0.0], [4.0, 3.0], [9.0, 9.0]];
        let found = silhouettes(rows.view(), &[0, 0, 1, 1, 2]);
        for (found, expected) in found.iter().zip(EXPECTED) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let same = Array2::<f32>::zeros((4, 2));
        assert_eq!(silhouettes(same.view(), &[0, 0, 1, 1]), [0.0; 4]);
    }

    const EXPECTED: [f64; 5] = [0.777_777_778, 0.767_313_114, 0.261_366_246, 0.366_563_146, 0.0];
}
