//! Distortions: polynomials of the pixels before the linear step (SIP) or of the flat map behind it (TPV), and their inverse by Newton's method.
//!
//! The inverse polynomials that SIP headers may carry (AP, BP) are approximations; they are not read, and positions come back to their pixel
//! to the last digits, as with astropy's `all_world2pix`. The `wcs` crate applies SIP to its own pixels, from its own header; ours works in front
//! of every projection.
//!
//! Source: Shupe et al. 2005 (ADASS XIV, ASP 347, 491) for SIP; the TPV convention of the FITS registry.

use crate::card::Card;

/// What is between the pixels and the plain projection.
#[derive(Debug, Clone)]
pub(super) enum Distortion {
    /// Of (column, row) steps from the reference pixel.
    Sip(Warp),
    /// Of degrees along (longitude, latitude) on the flat map.
    Tpv(Warp),
}

/// A map of the plane onto itself: a polynomial for each axis.
#[derive(Debug, Clone)]
pub(super) struct Warp {
    axes: [Vec<Term>; 2],
    /// The keywords that it was read from, the axes of a TPV being 1 (longitude) and 2.
    pub cards: Vec<Card>,
}

/// `factor · x^i · y^j · r^k`, r being the distance from the origin.
#[derive(Debug, Clone, Copy)]
struct Term {
    factor: f64,
    powers: [i32; 3],
}

/// Highest order that the SIP convention has.
pub(super) const MOST_SIP_ORDER: i64 = 9;
/// Number of the last TPV coefficient.
pub(super) const LAST_TPV: usize = 39;

impl Warp {
    /// SIP: x + Σ A_p_q x^p y^q and y + Σ B_p_q x^p y^q. `number` gives the value of a keyword.
    pub fn sip(orders: [i64; 2], number: impl Fn(&str) -> Option<f64>) -> Self {
        let mut cards = Vec::new();
        let axes = [("A", orders[0], [1, 0, 0]), ("B", orders[1], [0, 1, 0])].map(|(name, order, own)| {
            cards.push(Card::new(&format!("{name}_ORDER"), order, ""));
            let mut terms = vec![Term { factor: 1.0, powers: own }];
            for (p, q) in (0..=order).flat_map(|p| (0..=order - p).map(move |q| (p, q))) {
                let keyword = format!("{name}_{p}_{q}");
                if let Some(factor) = number(&keyword).filter(|factor| *factor != 0.0) {
                    terms.push(Term { factor, powers: [p as i32, q as i32, 0] });
                    cards.push(Card::new(&keyword, factor, ""));
                }
            }
            terms
        });
        Self { axes, cards }
    }

    /// TPV: coefficients by their number for longitude and latitude; the polynomial of the latitude has x and y changed over.
    pub fn tpv(coefficients: [Vec<(usize, f64)>; 2]) -> Self {
        let powers = tpv_powers();
        let mut cards = Vec::new();
        let mut axis = 0;
        let axes = coefficients.map(|coefficients| {
            axis += 1;
            let mut terms = Vec::new();
            for (number, factor) in coefficients {
                let Some(&[x, y, r]) = powers.get(number) else { continue };
                terms.push(Term { factor, powers: if axis == 1 { [x, y, r] } else { [y, x, r] } });
                cards.push(Card::new(&format!("PV{axis}_{number}"), factor, ""));
            }
            terms
        });
        Self { axes, cards }
    }

    /// Where a point goes.
    pub fn apply(&self, at: (f64, f64)) -> (f64, f64) {
        let [(x, _), (y, _)] = self.with_slopes(at);
        (x, y)
    }

    /// The point that goes there; `None` where none is found, as far outside the image where polynomials fold over.
    pub fn invert(&self, target: (f64, f64)) -> Option<(f64, f64)> {
        let mut at = target;
        // Newton's method doubles the digits with each step: six do for any usable distortion.
        for _ in 0..40 {
            let [(x, [a, b]), (y, [c, d])] = self.with_slopes(at);
            let (dx, dy) = (x - target.0, y - target.1);
            let determinant = a * d - b * c;
            let step = ((d * dx - b * dy) / determinant, (a * dy - c * dx) / determinant);
            if !(step.0.is_finite() && step.1.is_finite()) {
                return None;
            }
            at = (at.0 - step.0, at.1 - step.1);
            let size = at.0.abs() + at.1.abs() + target.0.abs() + target.1.abs();
            if step.0.abs() + step.1.abs() <= 1e-14 * size {
                return Some(at);
            }
        }
        None
    }

    /// Values and slopes along x and y of both polynomials.
    fn with_slopes(&self, (x, y): (f64, f64)) -> [(f64, [f64; 2]); 2] {
        let r = x.hypot(y);
        self.axes.each_ref().map(|terms| {
            let mut sum = (0.0, [0.0; 2]);
            for &Term { factor, powers: [i, j, k] } in terms {
                let (xs, ys, rs) = (x.powi(i), y.powi(j), r.powi(k));
                sum.0 += factor * xs * ys * rs;
                // The slope of r is (x, y) / r; at the origin it counts as 0.
                let turn = if k > 0 && r > 0.0 { f64::from(k) * r.powi(k - 2) } else { 0.0 };
                let slope = |power: i32, of: f64| if power > 0 { f64::from(power) * of.powi(power - 1) } else { 0.0 };
                sum.1[0] += factor * ys * (slope(i, x) * rs + xs * turn * x);
                sum.1[1] += factor * xs * (slope(j, y) * rs + ys * turn * y);
            }
            sum
        })
    }
}

/// Powers of x, y and r of the TPV terms: by degree, those of falling powers of x, then after odd degrees that of r.
fn tpv_powers() -> Vec<[i32; 3]> {
    let mut powers = Vec::with_capacity(LAST_TPV + 1);
    for degree in 0..=7 {
        powers.extend((0..=degree).map(|j| [degree - j, j, 0]));
        if degree % 2 == 1 {
            powers.push([0, 0, degree]);
        }
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tpv_terms_have_their_numbers() {
        let powers = tpv_powers();
        assert_eq!(powers.len(), LAST_TPV + 1);
        for (number, expected) in [
            (0, [0, 0, 0]),
            (1, [1, 0, 0]),
            (3, [0, 0, 1]),
            (5, [1, 1, 0]),
            (11, [0, 0, 3]),
            (12, [4, 0, 0]),
            (23, [0, 0, 5]),
            (30, [0, 6, 0]),
            (38, [0, 7, 0]),
            (39, [0, 0, 7]),
        ] {
            assert_eq!(powers[number], expected, "{number}");
        }
    }

    #[test]
    fn slopes_are_those_of_small_steps_and_the_inverse_comes_back() {
        let coefficients =
            (0..=LAST_TPV).map(|number| (number, if number == 1 { 1.0 } else { 2e-3 / (1 + number) as f64 }));
        let warp = Warp::tpv([coefficients.clone().collect(), coefficients.collect()]);
        for (x, y) in [(0.3, -0.2), (-0.7, 0.4), (0.0, 0.5), (0.0, 0.0)] {
            let [(u, slope_u), (v, slope_v)] = warp.with_slopes((x, y));
            let h = 1e-6;
            for (axis, (dx, dy)) in [(h, 0.0), (0.0, h)].into_iter().enumerate() {
                let (ahead, behind) = (warp.apply((x + dx, y + dy)), warp.apply((x - dx, y - dy)));
                assert!((slope_u[axis] - (ahead.0 - behind.0) / (2.0 * h)).abs() < 1e-8, "{x} {y}");
                assert!((slope_v[axis] - (ahead.1 - behind.1) / (2.0 * h)).abs() < 1e-8, "{x} {y}");
            }
            let (back_x, back_y) = warp.invert((u, v)).expect("near the origin");
            assert!((back_x - x).abs() < 1e-13 && (back_y - y).abs() < 1e-13, "{x} {y}: {back_x} {back_y}");
        }
        // x^2 has no point that goes to -1.
        let folded = Warp::tpv([vec![(4, 1.0)], vec![(1, 1.0)]]);
        assert_eq!(folded.invert((-1.0, 0.0)), None);
        assert_eq!(folded.invert((f64::NAN, 0.0)), None);
    }
}
