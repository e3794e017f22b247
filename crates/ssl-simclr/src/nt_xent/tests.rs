//! NT-Xent against the closed form, the slow obvious version, finite differences, and input at the edge.
use super::*;
use candle_core::{DType, Device, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn loss(z: &Tensor, t: f64) -> f64 {
    nt_xent(z, Temperature::try_from(t).unwrap()).unwrap().to_dtype(DType::F64).unwrap().to_scalar().unwrap()
}

fn noise(seed: u64, count: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// The formula as printed, with the whole matrix, in f64; the gradient through softmax and normalisation written out.
fn obvious(z: &[f64], dim: usize, t: f64) -> (f64, Vec<f64>) {
    let rows = z.len() / dim;
    let norm = |i: usize| z[i * dim..][..dim].iter().map(|v| v * v).sum::<f64>().sqrt().max(NORM_FLOOR);
    let u = |i: usize, d: usize| z[i * dim + d] / norm(i);
    let mut s = vec![vec![0.0; rows]; rows];
    for i in 0..rows {
        for j in 0..rows {
            s[i][j] = (0..dim).map(|d| u(i, d) * u(j, d)).sum::<f64>() / t;
        }
    }
    let (mut loss, mut d_unit) = (0.0, vec![0.0; z.len()]);
    for i in 0..rows {
        let partner = (i + rows / 2) % rows;
        let largest = (0..rows).filter(|&j| j != i).map(|j| s[i][j]).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = (0..rows).filter(|&j| j != i).map(|j| (s[i][j] - largest).exp()).sum();
        loss += (largest + sum.ln() - s[i][partner]) / rows as f64;
        for j in (0..rows).filter(|&j| j != i) {
            let target = if j == partner { 1.0 } else { 0.0 };
            let ds = ((s[i][j] - largest).exp() / sum - target) / (rows as f64 * t);
            for d in 0..dim {
                d_unit[i * dim + d] += ds * u(j, d);
                d_unit[j * dim + d] += ds * u(i, d);
            }
        }
    }
    let gradient = (0..z.len())
        .map(|place| {
            let (i, d) = (place / dim, place % dim);
            let along: f64 = (0..dim).map(|e| d_unit[i * dim + e] * u(i, e)).sum();
            (d_unit[place] - if norm(i) > NORM_FLOOR { along * u(i, d) } else { 0.0 }) / norm(i)
        })
        .collect();
    (loss, gradient)
}

/// Every kernel this processor runs, sizes on both sides of block borders, temperatures from 0.002 to 100.
#[test]
fn every_kernel_equals_the_obvious_version() {
    for (rows, dim) in [(2, 3), (10, 1), (64, 32), (66, 5), (128, 33), (190, 128), (194, 40)] {
        let z = noise(rows as u64, rows * dim);
        for t in [0.002, 0.1, 0.5, 100.0] {
            let (want_loss, want) = obvious(&z, dim, t);
            let largest = want.iter().fold(0f64, |m, g| m.max(g.abs()));
            for kernels in Kernels::available() {
                let what = format!("{kernels:?}, {rows} x {dim}, T = {t}");
                let (loss, gradient) = with_kernels(kernels, &z, dim, t);
                assert!(
                    (loss - want_loss).abs() <= 1e-12 * want_loss.abs().max(1.0) / t.min(1.0),
                    "{what}: {loss} {want_loss}"
                );
                for (got, want) in gradient.iter().zip(&want) {
                    assert!((got - want).abs() <= 1e-12 / t.min(1.0) * largest.max(1.0), "{what}: {got} {want}");
                }
                let narrow: Vec<f32> = z.iter().map(|&v| v as f32).collect();
                let (loss, gradient) = with_kernels(kernels, &narrow, dim, t);
                // Similarities have an error of some 1e-7 / T before they go into the exponential.
                let tolerance = 1e-6 + 3e-7 / t;
                assert!(
                    (loss - want_loss).abs() <= tolerance * want_loss.abs().max(1.0),
                    "{what}: f32 {loss} {want_loss}"
                );
                for (got, want) in gradient.iter().zip(&want) {
                    assert!(
                        (f64::from(*got) - want).abs() <= 10.0 * tolerance * largest.max(1e-2),
                        "{what}: f32 {got} {want}"
                    );
                }
            }
        }
    }
}

/// Partners equal, other cutouts orthogonal: ln(1 + (2N - 2) exp(-1/T)).
#[test]
fn orthogonal_cutouts_give_the_closed_form() {
    for (n, t) in [(2usize, 0.1f64), (8, 0.5), (32, 1.0), (100, 0.2)] {
        let axes = (Tensor::eye(n, DType::F32, &Device::Cpu).unwrap() * 3.0).unwrap(); // length 3: normalising is its job
        let z = Tensor::cat(&[&axes, &axes], 0).unwrap();
        let expected = ((2 * n - 2) as f64 * (-1.0 / t).exp()).ln_1p();
        assert!((loss(&z, t) - expected).abs() < 1e-5, "N={n}, T={t}: {} vs {expected}", loss(&z, t));
    }
}

/// reference-facts J3.
#[test]
fn reference_values() {
    let z: Vec<f64> = (0..8)
        .flat_map(|a| (0..6).map(move |b| f64::from(1 + 6 * a + b).sin() + 0.1 * f64::from(3 * (6 * a + b)).cos()))
        .collect();
    let z = Tensor::from_vec(z, (8, 6), &Device::Cpu).unwrap();
    assert!((loss(&z, 0.1) - 6.247354319833).abs() < 1e-11);
    assert!((loss(&z, 0.5) - 2.500878002231).abs() < 1e-11);
}

/// Central differences in f64 for every entry, across a block border (2N = 70 > 64).
#[test]
fn gradient_by_finite_differences() {
    let (rows, dim, t) = (70, 5, 0.3);
    let z = noise(3, rows * dim);
    let var = Var::from_vec(z.clone(), (rows, dim), &Device::Cpu).unwrap();
    let loss = (nt_xent(var.as_tensor(), Temperature::try_from(t).unwrap()).unwrap() * 2.5).unwrap();
    let gradient = loss.backward().unwrap().get(&var).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    for i in 0..z.len() {
        let at = |e: f64| {
            let mut z = z.clone();
            z[i] += e;
            nt_xent_with_gradient(&z, dim, t).0
        };
        let want = 2.5 * (at(1e-6) - at(-1e-6)) / 2e-6;
        assert!((gradient[i] - want).abs() < 1e-7, "{i}: {} vs {want}", gradient[i]);
    }
}

/// All views the same cutout: every other view is as likely as the partner, and no direction is better.
#[test]
fn duplicates_give_the_logarithm_of_their_number() {
    for (rows, t) in [(4usize, 0.1), (130, 0.001), (200, 10.0)] {
        let z: Vec<f32> = (0..rows * 7).map(|i| (i % 7) as f32 - 2.5).collect();
        let (loss, gradient) = nt_xent_with_gradient(&z, 7, t);
        let tolerance = 1e-5 + 1e-6 / t;
        assert!((loss - ((rows - 1) as f64).ln()).abs() < tolerance, "{rows} rows, T = {t}: {loss}");
        assert!(gradient.iter().all(|g| f64::from(g.abs()) < tolerance), "{rows} rows, T = {t}");
    }
}

/// At T = 1e-4 similarities reach 10,000; the partner is the nearest view, so the loss is 0, or its negative the farthest.
#[test]
fn extreme_temperatures_do_not_overflow() {
    let half = noise(5, 80 * 16);
    let near: Vec<f32> = half.iter().chain(&half).map(|&v| v as f32).collect();
    let far: Vec<f32> = half.iter().copied().chain(half.iter().map(|v| -v)).map(|v| v as f32).collect();
    for t in [1e-4, 1e-2, 1e4] {
        for (z, partner_nearest) in [(&near, true), (&far, false)] {
            let (loss, gradient) = nt_xent_with_gradient(z, 16, t);
            assert!(loss.is_finite() && gradient.iter().all(|g| g.is_finite()), "T = {t}");
            match t {
                1e-4 if partner_nearest => assert!((0.0..1e-3).contains(&loss), "{loss}"),
                1e-4 => assert!(loss > 1e4, "{loss}"),
                1e4 => assert!((loss - 159f64.ln()).abs() < 1e-3, "{loss}"),
                _ => {}
            }
        }
    }
}

/// One NaN or infinity anywhere makes the loss NaN: training stops with a reason instead of going on.
#[test]
fn nan_in_nan_out() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in [0, 63 * 4, 64 * 4 + 1, 139 * 4 + 3] {
            let mut z: Vec<f32> = noise(1, 140 * 4).iter().map(|&v| v as f32).collect();
            z[place] = bad;
            for kernels in Kernels::available() {
                assert!(with_kernels(kernels, &z, 4, 0.1).0.is_nan(), "{kernels:?}: {bad} at {place}");
            }
        }
    }
    let (loss, gradient) = nt_xent_with_gradient(&[0f32; 12], 3, 0.1);
    assert!(
        (loss - 3f64.ln()).abs() < 1e-6 && gradient.iter().all(|&g| g == 0.0),
        "rows of zeros are no direction: {loss}"
    );
}

#[test]
fn same_bits_on_any_number_of_threads() {
    for rows in [600, 1000] {
        let z: Vec<f32> = noise(2, rows * 16).iter().map(|&v| v as f32).collect();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| nt_xent_with_gradient(&z, 16, 0.1))
        };
        let one = run(1);
        assert!(one.1.iter().any(|&g| g != 0.0));
        assert!(one == run(2) && one == run(5));
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let t = Temperature::try_from(0.1).unwrap();
    for shape in [vec![3, 4], vec![4], vec![0, 4], vec![4, 0]] {
        assert!(nt_xent(&Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap(), t).is_err());
    }
    assert!(nt_xent(&Tensor::zeros((4, 4), DType::BF16, &Device::Cpu).unwrap(), t).is_err());
}
