//! Coordinates in which a penalised log loss curves alike in every direction, so that a search takes tens of steps, not thousands.
use ndarray::{Array1, Array2};

/// The Cholesky factor of the curvature at the start, `products + penalty`: the loss there is a round bowl in `factor^T w`.
///
/// The curvature of a log loss is largest where all classes are as likely, so it is 1 or less in these coordinates, everywhere.
/// # Source
/// Nocedal & Wright 2006, section 5.1 (preconditioning); the fixed bound is that of Böhning 1992, Ann. Inst. Stat. Math. 44, 197.
pub(crate) struct Bowl {
    /// Lower triangle, `[features, features]`.
    factor: Array2<f64>,
    /// Root of the curvature along an intercept.
    level: f64,
}

impl Bowl {
    /// Of `products`, `[features, features]`: the sum over rows of `x x^T`, times the curvature, over the number of rows.
    pub fn of(products: &Array2<f64>, penalty: f64, curvature: f64) -> Self {
        let p = products.nrows();
        let mut factor = Array2::zeros((p, p));
        for row in 0..p {
            for column in 0..=row {
                let left = |at: usize| factor.row(at).to_slice().map_or(&[][..], |whole| &whole[..column]);
                let known: f64 = dot(left(row), left(column));
                let whole = products[(row, column)] + if row == column { penalty } else { 0.0 };
                factor[(row, column)] = if row == column {
                    // Products are positive but for rounding, and the penalty is above zero.
                    (whole - known).max(penalty).sqrt()
                } else {
                    (whole - known) / factor[(column, column)]
                };
            }
        }
        Self { factor, level: curvature.sqrt() }
    }

    /// The place of coefficients `[planes, features]` and intercepts `[planes]`.
    pub fn enter(&self, weights: &Array2<f64>, intercepts: &Array1<f64>) -> Vec<f64> {
        let turned = weights.dot(&self.factor);
        turned.iter().copied().chain(intercepts.iter().map(|b| b * self.level)).collect()
    }

    /// Coefficients and intercepts of a place.
    pub fn leave(&self, place: &[f64], planes: usize) -> (Array2<f64>, Array1<f64>) {
        let p = self.factor.nrows();
        let mut weights = Array2::from_shape_fn((planes, p), |(plane, at)| place[plane * p + at]);
        for mut row in weights.rows_mut() {
            // factor^T w = v, from the last.
            for at in (0..p).rev() {
                row[at] /= self.factor[(at, at)];
                let share = row[at];
                row.slice_mut(ndarray::s![..at]).scaled_add(-share, &self.factor.slice(ndarray::s![at, ..at]));
            }
        }
        (weights, place[planes * p..].iter().map(|b| b / self.level).collect())
    }

    /// Slopes along the coordinates from those along coefficients and intercepts.
    pub fn slopes(&self, weights: &Array2<f64>, intercepts: &Array1<f64>, out: &mut [f64]) {
        let p = self.factor.nrows();
        for (row, out) in weights.rows().into_iter().zip(out.chunks_mut(p.max(1))) {
            // factor u = slope, from the first.
            for at in 0..p {
                let known = self.factor.row(at).to_slice().map_or(&[][..], |whole| &whole[..at]);
                out[at] = (row[at] - dot(known, &out[..at])) / self.factor[(at, at)];
            }
        }
        let planes = intercepts.len();
        out[planes * p..].iter_mut().zip(intercepts).for_each(|(out, slope)| *out = slope / self.level);
    }
}

/// Eight sums beside each other, so that the processor adds them at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (whole, rest) = (a.chunks_exact(8), a.chunks_exact(8).remainder());
    let last: f64 = rest.iter().zip(&b[a.len() - rest.len()..]).map(|(a, b)| a * b).sum();
    for (a, b) in whole.zip(b.chunks_exact(8)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f64>() + last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bowl() -> (Bowl, Array2<f64>) {
        let x = Array2::from_shape_fn((20, 11), |(i, j)| ((i * i * (j + 3) + j * j) % 23) as f64 - 11.0);
        let products = x.t().dot(&x) * 0.25 / 20.0;
        (Bowl::of(&products, 0.1, 0.25), products + Array2::<f64>::eye(11) * 0.1)
    }

    #[test]
    fn the_factor_is_that_of_the_curvature() {
        let (bowl, curvature) = bowl();
        let back = bowl.factor.dot(&bowl.factor.t());
        assert!(back.iter().zip(&curvature).all(|(a, b)| (a - b).abs() < 1e-12 * 60.0));
    }

    #[test]
    fn there_and_back_and_slopes_follow_the_chain_rule() {
        let (bowl, _) = bowl();
        let weights = Array2::from_shape_fn((3, 11), |(plane, at)| (plane * 11 + at) as f64 / 7.0 - 2.0);
        let intercepts = Array1::from(vec![0.5, -1.0, 2.0]);
        let place = bowl.enter(&weights, &intercepts);
        let (again, levels) = bowl.leave(&place, 3);
        assert!(again.iter().zip(&weights).all(|(a, b)| (a - b).abs() < 1e-10));
        assert!(levels.iter().zip(&intercepts).all(|(a, b)| (a - b).abs() < 1e-12));
        // A linear function has the same change along both.
        let mut slopes = vec![0.0; place.len()];
        bowl.slopes(&weights, &intercepts, &mut slopes);
        let there: f64 = slopes.iter().zip(&place).map(|(a, b)| a * b).sum();
        let here: f64 = weights.iter().chain(&intercepts).map(|v| v * v).sum();
        assert!((there - here).abs() < 1e-9 * here);
    }

    #[test]
    fn sums_of_every_length() {
        let of = |n: usize| (1..=n).map(|i| i as f64).collect::<Vec<_>>();
        assert!((0..40).all(|n| dot(&of(n), &of(n)) == (1..=n).map(|i| (i * i) as f64).sum::<f64>()));
    }
}
