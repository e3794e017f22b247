//! Principal components against the covariance written out, and the identities they must keep.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use map_umap::{Components, Pca, PcaConfig, Scaling};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `[n, p]`: a mean and a few directions of falling strength, and a little noise.
fn rows(n: usize, p: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let directions = 12.min(p);
    let patterns = Array2::from_shape_simple_fn((directions, p), || rng.random::<f64>() - 0.5);
    let mean = Array1::from_shape_simple_fn(p, || rng.random::<f64>());
    let mut rows = Array2::zeros((n, p));
    for mut row in rows.outer_iter_mut() {
        let mut sum = mean.clone();
        for (i, pattern) in patterns.outer_iter().enumerate() {
            sum.scaled_add(3.0 * (rng.random::<f64>() - 0.5) / (1.0 + i as f64), &pattern);
        }
        row.assign(&sum.mapv(|v| (v + 0.02 * (rng.random::<f64>() - 0.5)) as f32));
    }
    rows
}

fn fit(rows: &Array2<f32>, k: usize) -> Pca {
    let config = PcaConfig { components: Components::Count(k), scaling: Scaling::None };
    Pca::fit(rows.view(), &config).unwrap()
}

/// Covariance by three plain loops.
fn slow_covariance(rows: ArrayView2<f32>) -> Array2<f64> {
    let rows = rows.mapv(f64::from);
    let mean = rows.sum_axis(Axis(0)) / rows.nrows() as f64;
    Array2::from_shape_fn((rows.ncols(), rows.ncols()), |(i, j)| {
        let products = rows.outer_iter().map(|row| (row[i] - mean[i]) * (row[j] - mean[j]));
        products.sum::<f64>() / (rows.nrows() - 1) as f64
    })
}

#[test]
fn components_are_eigenvectors_of_the_covariance_and_the_largest_ones() {
    // 700 rows: more than one block; 150 columns: more than two panels.
    let rows = rows(700, 150, 1);
    let k = 8;
    let pca = fit(&rows, k);
    let covariance = slow_covariance(rows.view());
    for i in 0..k {
        let component = pca.components.row(i);
        let difference = covariance.dot(&component) - pca.variances[i] * &component.to_owned();
        assert!(difference.iter().all(|d| d.abs() < 1e-8), "component {i} is no eigenvector");
        for j in 0..k {
            let product = component.dot(&pca.components.row(j));
            assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12, "{i} {j}: {product}");
        }
        let largest = component.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
        assert!(largest > 0.0, "sign of component {i}");
    }
    assert!(pca.variances.is_sorted_by(|a, b| a > b), "{:?}", pca.variances);
    assert!((pca.total_variance / covariance.diag().sum() - 1.0).abs() < 1e-12);
    // What is left after taking them out has no direction as strong as the last of them: power iteration.
    let mut left = covariance;
    for (variance, component) in pca.variances.iter().zip(pca.components.outer_iter()) {
        let column = component.insert_axis(Axis(1));
        left = left - *variance * column.dot(&column.t());
    }
    let mut vector = Array1::from_shape_fn(150, |i| 1.0 + (i as f64).sin());
    for _ in 0..200 {
        vector = left.dot(&vector);
        vector /= vector.dot(&vector).sqrt();
    }
    let next = vector.dot(&left.dot(&vector));
    assert!(next < pca.variances[k - 1] && next > 0.3 * pca.variances[k - 1], "{next} after {:?}", pca.variances);
}

#[test]
fn coordinates_have_the_stated_variance_and_all_of_them_give_the_rows_back() {
    let rows = rows(300, 20, 2);
    let pca = fit(&rows, 20);
    let coordinates = pca.transform(rows.view()).unwrap();
    assert_eq!(coordinates.dim(), (300, 20));
    let covariance = slow_covariance(coordinates.view());
    for ((i, j), &found) in covariance.indexed_iter() {
        let expected = if i == j { pca.variances[i] } else { 0.0 };
        assert!((found - expected).abs() < 1e-6, "{i} {j}: {found} vs {expected}");
    }
    let again = coordinates.mapv(f64::from).dot(&pca.components) + &pca.mean;
    assert!(again.iter().zip(&rows).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-6));
    assert!((pca.variances.iter().sum::<f64>() / pca.total_variance - 1.0).abs() < 1e-12);
}

#[test]
fn the_answer_does_not_depend_on_threads() {
    let rows = rows(700, 150, 3);
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| {
            let pca = fit(&rows, 8);
            let coordinates = pca.transform(rows.view()).unwrap();
            (pca, coordinates)
        })
    };
    let one = with_threads(1);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(3));
}
