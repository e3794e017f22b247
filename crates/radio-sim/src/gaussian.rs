//! Elliptical Gaussians, the only thing a simulated sky is made of, and their exact image.
//!
//! A Gaussian seen through a Gaussian beam is a Gaussian whose covariance is the sum of the two. With `C` the source, `B` the
//! beam and `T = C + B`, the brightness at offset `d` is `S sqrt(det B / det T) exp(-d' T^-1 d / 2)` Jy/beam: a point of
//! `S` Jy peaks at `S` Jy/beam and the sum of pixels is `S` times the beam area. No transform and no resampling is needed.

use crate::elementary::exp_negative;
use ndarray::ArrayViewMut2;

/// FWHM over standard deviation of a Gaussian.
pub const FWHM_PER_SIGMA: f64 = 2.354_820_045_030_949_3;

/// One Gaussian component of the sky, in pixels of the mosaic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaussian {
    /// Column of the centre, counted from 0 at the centre of the first pixel.
    pub x: f64,
    /// Row of the centre.
    pub y: f64,
    /// Flux density, Jy.
    pub flux: f64,
    /// Standard deviation along the major axis, pixels; 0 for a point.
    pub s1: f64,
    /// Standard deviation along the minor axis, pixels.
    pub s2: f64,
    /// Angle of the major axis from the column axis towards the row axis, radians.
    pub angle: f64,
}

impl Gaussian {
    /// A point source.
    pub fn point(x: f64, y: f64, flux: f64) -> Self {
        Self { x, y, flux, s1: 0.0, s2: 0.0, angle: 0.0 }
    }
}

/// Symmetric 2x2 covariance, pixels squared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Covariance {
    /// Variance along the columns.
    pub xx: f64,
    /// Mixed term.
    pub xy: f64,
    /// Variance along the rows.
    pub yy: f64,
}

impl Covariance {
    /// Covariance of an ellipse with standard deviations `s1`, `s2` and the major axis at `angle`.
    pub fn of_ellipse(s1: f64, s2: f64, angle: f64) -> Self {
        let (s, c) = angle.sin_cos();
        let (a, b) = (s1 * s1, s2 * s2);
        Self { xx: a * c * c + b * s * s, xy: (a - b) * s * c, yy: a * s * s + b * c * c }
    }

    /// Determinant, pixels to the fourth.
    pub fn det(self) -> f64 {
        self.xx * self.yy - self.xy * self.xy
    }
}

/// The restoring beam, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeamShape {
    /// FWHM along the major axis, pixels.
    pub fwhm: f64,
    /// Covariance of the beam.
    pub covariance: Covariance,
    /// Beam area in pixels, `2 pi sqrt(det B)`.
    pub area: f64,
}

impl BeamShape {
    /// A beam from its two FWHM in pixels and the angle of its major axis (from columns towards rows, radians).
    pub fn new(major: f64, minor: f64, angle: f64) -> Self {
        let covariance = Covariance::of_ellipse(major / FWHM_PER_SIGMA, minor / FWHM_PER_SIGMA, angle);
        Self { fwhm: major, covariance, area: std::f64::consts::TAU * covariance.det().sqrt() }
    }
}

/// Faintest brightness worth drawing, Jy/beam: stamps end where a component falls below it.
const FAINTEST: f64 = 1e-8;

/// A Gaussian as the beam shows it: everything needed to draw it.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    x: f64,
    y: f64,
    /// Peak brightness, Jy/beam.
    pub peak: f64,
    total: Covariance,
    half_width: f64,
    half_height: f64,
    separable: bool,
}

impl Stamp {
    /// The beam-convolved component.
    pub fn new(g: &Gaussian, beam: &BeamShape) -> Self {
        let source = Covariance::of_ellipse(g.s1, g.s2, g.angle);
        let b = beam.covariance;
        let total = Covariance { xx: source.xx + b.xx, xy: source.xy + b.xy, yy: source.yy + b.yy };
        let peak = g.flux * (b.det() / total.det()).sqrt();
        // At least 3.8 sigma: what is cut off is then below 1e-3 of the flux.
        let reach = (2.0 * (peak.abs() / FAINTEST).max(1.0).ln()).sqrt().clamp(3.8, 6.5);
        Self {
            x: g.x,
            y: g.y,
            peak,
            total,
            half_width: reach * total.xx.sqrt(),
            half_height: reach * total.yy.sqrt(),
            separable: total.xy == 0.0,
        }
    }

    /// Rows and columns the stamp covers: `(first row, last row, first column, last column)`, inclusive.
    pub fn bounds(&self) -> (i64, i64, i64, i64) {
        (
            (self.y - self.half_height).ceil() as i64,
            (self.y + self.half_height).floor() as i64,
            (self.x - self.half_width).ceil() as i64,
            (self.x + self.half_width).floor() as i64,
        )
    }

    /// Adds the stamp to a window whose first pixel is `(row, col)` of the mosaic.
    ///
    /// Every pixel gets a value that depends on its place in the mosaic alone, not on the window.
    pub fn add_to(&self, window: &mut ArrayViewMut2<f32>, row: i64, col: i64, scratch: &mut Vec<f32>) {
        let (r0, r1, c0, c1) = self.bounds();
        let r0 = r0.max(row);
        let r1 = r1.min(row + window.nrows() as i64 - 1);
        let c0 = c0.max(col);
        let c1 = c1.min(col + window.ncols() as i64 - 1);
        if r0 > r1 || c0 > c1 {
            return;
        }
        let n = (c1 - c0 + 1) as usize;
        let first = (c0 - col) as usize;
        let det = self.total.det();
        let (ixx, ixy, iyy) = (self.total.yy / det, -self.total.xy / det, self.total.xx / det);
        scratch.clear();
        scratch.resize(n, 0.0);
        if self.separable {
            let k = (-0.5 * ixx) as f32;
            for (i, v) in scratch.iter_mut().enumerate() {
                let dx = ((c0 + i as i64) as f64 - self.x) as f32;
                *v = exp_negative(k * dx * dx);
            }
            for r in r0..=r1 {
                let dy = (r as f64 - self.y) as f32;
                let height = self.peak as f32 * exp_negative((-0.5 * iyy) as f32 * dy * dy);
                let mut line = window.row_mut((r - row) as usize);
                if let Some(line) = line.as_slice_mut() {
                    for (pixel, v) in line[first..first + n].iter_mut().zip(scratch.iter()) {
                        *pixel += height * v;
                    }
                }
            }
        } else {
            for (i, v) in scratch.iter_mut().enumerate() {
                *v = ((c0 + i as i64) as f64 - self.x) as f32;
            }
            let peak = self.peak as f32;
            let a = (-0.5 * ixx) as f32;
            for r in r0..=r1 {
                let dy = r as f64 - self.y;
                let b = (-ixy * dy) as f32;
                let c = (-0.5 * iyy * dy * dy) as f32;
                let mut line = window.row_mut((r - row) as usize);
                if let Some(line) = line.as_slice_mut() {
                    for (pixel, dx) in line[first..first + n].iter_mut().zip(scratch.iter()) {
                        // Rounding can leave a tiny positive exponent at the centre.
                        *pixel += peak * exp_negative(((a * dx + b) * dx + c).min(0.0));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn image(g: &Gaussian, beam: &BeamShape, n: usize) -> Array2<f32> {
        let mut window = Array2::zeros((n, n));
        Stamp::new(g, beam).add_to(&mut window.view_mut(), 0, 0, &mut Vec::new());
        window
    }

    /// Sum, centre and second moments of an image.
    fn moments(image: &Array2<f32>) -> (f64, f64, f64, Covariance) {
        let (mut s, mut sx, mut sy) = (0.0, 0.0, 0.0);
        for ((r, c), v) in image.indexed_iter() {
            s += f64::from(*v);
            sx += f64::from(*v) * c as f64;
            sy += f64::from(*v) * r as f64;
        }
        let (x, y) = (sx / s, sy / s);
        let mut cov = Covariance { xx: 0.0, xy: 0.0, yy: 0.0 };
        for ((r, c), v) in image.indexed_iter() {
            let (dx, dy, v) = (c as f64 - x, r as f64 - y, f64::from(*v) / s);
            cov.xx += v * dx * dx;
            cov.xy += v * dx * dy;
            cov.yy += v * dy * dy;
        }
        (s, x, y, cov)
    }

    #[test]
    fn a_bright_point_shows_the_beam() {
        let beam = BeamShape::new(7.5, 6.0, 0.4);
        for (x, y) in [(40.0, 44.0), (40.37, 44.81), (39.5, 43.5)] {
            let stamp = image(&Gaussian::point(x, y, 2.0), &beam, 96);
            let (sum, cx, cy, cov) = moments(&stamp);
            assert!((sum / (2.0 * beam.area) - 1.0).abs() < 1e-4, "flux {sum}");
            assert!((cx - x).abs() < 1e-3 && (cy - y).abs() < 1e-3, "centre {cx} {cy}");
            assert!((cov.xx / beam.covariance.xx - 1.0).abs() < 1e-3, "xx {cov:?}");
            assert!((cov.xy / beam.covariance.xy - 1.0).abs() < 1e-2, "xy {cov:?}");
            assert!((cov.yy / beam.covariance.yy - 1.0).abs() < 1e-3, "yy {cov:?}");
        }
        let peak = image(&Gaussian::point(40.0, 44.0, 2.0), &beam, 96)[[44, 40]];
        assert!((peak - 2.0).abs() < 1e-4);
    }

    #[test]
    fn an_ellipse_has_the_sum_of_covariances_and_its_flux() {
        let beam = BeamShape::new(7.5, 7.5, 0.0);
        let g = Gaussian { x: 100.3, y: 90.8, flux: 0.5, s1: 9.0, s2: 3.0, angle: 0.6 };
        let (sum, _, _, cov) = moments(&image(&g, &beam, 200));
        let c = Covariance::of_ellipse(9.0, 3.0, 0.6);
        assert!((sum / (0.5 * beam.area) - 1.0).abs() < 1e-3);
        assert!((cov.xx / (c.xx + beam.covariance.xx) - 1.0).abs() < 2e-3);
        assert!((cov.xy / c.xy - 1.0).abs() < 5e-3);
        assert!((cov.yy / (c.yy + beam.covariance.yy) - 1.0).abs() < 2e-3);
    }

    #[test]
    fn a_faint_point_keeps_its_flux() {
        let beam = BeamShape::new(7.5, 7.5, 0.0);
        let sum: f64 = image(&Gaussian::point(40.2, 40.9, 1e-5), &beam, 80).iter().map(|v| f64::from(*v)).sum();
        assert!((sum / (1e-5 * beam.area) - 1.0).abs() < 1e-3);
    }
}
