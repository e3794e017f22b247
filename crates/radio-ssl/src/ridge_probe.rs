//! What labels could read from features: a ridge regression on standardised features.
//!
//! An isolation forest sees no label, so a poor score may mean poor features or a forest that does not use them. This probe
//! tells the two apart: it is trained with the labels of one half of the sky and judged on the other.
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Penalty on the weights, in units of the number of training rows: as strong as the mean squared feature.
const PENALTY: f64 = 1.0;
/// Relative residual at which the solver stops.
const TOLERANCE: f64 = 1e-10;
/// Steps at most; the penalty bounds the condition number, so a few dozen are enough.
const STEPS: usize = 1000;

/// Fits `targets` on `rows` of `features` and predicts every row; larger is more like a `true`.
///
/// # Shapes
/// `features`: `[frames, features]`; `targets`: one for each of `rows`; result: one for each frame.
///
/// `None` if the training rows hold one kind only.
pub fn predict(features: ArrayView2<f32>, rows: &[usize], targets: &[bool]) -> Option<Vec<f64>> {
    let positive = targets.iter().filter(|target| **target).count();
    if positive == 0 || positive == targets.len() {
        return None;
    }
    let train = features.select(Axis(0), rows).mapv(f64::from);
    let mean = train.mean_axis(Axis(0))?;
    let spread = train.std_axis(Axis(0), 0.0);
    // A constant feature carries nothing: its weight stays zero.
    let scale = spread.mapv(|spread| if spread > 1e-12 { 1.0 / spread } else { 0.0 });
    let x: Array2<f64> = (train - &mean) * &scale;
    let share = positive as f64 / targets.len() as f64;
    let y: Array1<f64> = targets.iter().map(|&target| f64::from(u8::from(target)) - share).collect();
    let penalty = PENALTY * rows.len() as f64;
    let weights = conjugate_gradients(|v| x.t().dot(&x.dot(v)) + penalty * v, x.t().dot(&y));
    let slope = (&weights * &scale).mapv(|w| w as f32);
    let offset = -(&weights * &scale).dot(&mean);
    Some(features.dot(&slope).iter().map(|&value| f64::from(value) + offset).collect())
}

/// Solves `matrix(x) = b` for a symmetric positive definite matrix (Hestenes & Stiefel 1952).
fn conjugate_gradients(matrix: impl Fn(&Array1<f64>) -> Array1<f64>, b: Array1<f64>) -> Array1<f64> {
    let mut x = Array1::zeros(b.len());
    let (mut residual, mut direction) = (b.clone(), b);
    let mut squared = residual.dot(&residual);
    let stop = squared * TOLERANCE * TOLERANCE;
    for _ in 0..STEPS {
        if squared <= stop || squared == 0.0 {
            break;
        }
        let image = matrix(&direction);
        let step = squared / direction.dot(&image);
        x.scaled_add(step, &direction);
        residual.scaled_add(-step, &image);
        let next = residual.dot(&residual);
        direction = &residual + &(direction * (next / squared));
        squared = next;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_solver_solves() {
        let a = array![[4.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 2.0]];
        let x = conjugate_gradients(|v| a.dot(v), a.dot(&array![1.0, -2.0, 3.0]));
        for (found, expected) in x.iter().zip([1.0, -2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn a_planted_direction_is_found_on_rows_it_was_not_fitted_on() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let frames = 600;
        let truth: Vec<bool> = (0..frames).map(|i| i % 3 == 0).collect();
        let mut features = Array2::from_shape_fn((frames, 40), |_| rng.random_range(-1.0f32..1.0));
        for (i, truth) in truth.iter().enumerate() {
            // Seen in a sum of two features only; a third is large, and constant.
            features[[i, 7]] += if *truth { 0.8 } else { 0.0 };
            features[[i, 9]] -= if *truth { 0.8 } else { 0.0 };
            features[[i, 11]] = 1e6;
        }
        let rows: Vec<usize> = (0..frames / 2).collect();
        let targets: Vec<bool> = rows.iter().map(|&i| truth[i]).collect();
        let scores = predict(features.view(), &rows, &targets).unwrap();
        let of = |kind: bool| (300..frames).filter(move |i| i % 3 == 0).filter(move |_| kind).map(|i| scores[i]);
        let others: Vec<f64> = (300..frames).filter(|i| i % 3 != 0).map(|i| scores[i]).collect();
        let wins = of(true).map(|s| others.iter().filter(|o| s > **o).count()).sum::<usize>() as f64;
        let area = wins / (100.0 * others.len() as f64);
        assert!(area > 0.85, "{area}");
        let shuffled: Vec<bool> = rows.iter().map(|&i| i % 2 == 0).collect();
        let scores = predict(features.view(), &rows, &shuffled).unwrap();
        let wins = (300..600)
            .filter(|i| i % 3 == 0)
            .map(|i| (300..600).filter(|j| j % 3 != 0 && scores[i] > scores[*j]).count());
        let area = wins.sum::<usize>() as f64 / 20_000.0;
        assert!((0.4..0.6).contains(&area), "{area}");
    }

    #[test]
    fn one_kind_of_frame_has_no_answer() {
        assert_eq!(predict(Array2::zeros((4, 2)).view(), &[0, 1], &[true, true]), None);
    }
}
