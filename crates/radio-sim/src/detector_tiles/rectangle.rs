//! The smallest rotated rectangle round a set of points: what detection lists give as `bbox_*`.
//!
//! One side of the smallest rectangle lies on the convex hull, so every hull edge is tried.

/// A rectangle turned by `angle_deg` (from columns towards rows, 0 to 90): `width` lies along that direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotatedRectangle {
    /// Column of the centre.
    pub x: f64,
    /// Row of the centre.
    pub y: f64,
    /// Length along the direction.
    pub width: f64,
    /// Length across it.
    pub height: f64,
    /// The direction, degrees.
    pub angle_deg: f64,
}

/// The smallest rectangle by area; `None` without points.
pub fn smallest_rectangle(points: &[(f64, f64)]) -> Option<RotatedRectangle> {
    let hull = convex_hull(points);
    let mut best: Option<RotatedRectangle> = None;
    for (i, a) in hull.iter().enumerate() {
        let b = hull[(i + 1) % hull.len()];
        // Every direction modulo a right angle is the same rectangle.
        let angle = (b.1 - a.1).atan2(b.0 - a.0).rem_euclid(std::f64::consts::FRAC_PI_2);
        let (s, c) = angle.sin_cos();
        let range = |f: &dyn Fn(&(f64, f64)) -> f64| {
            hull.iter().map(f).fold((f64::INFINITY, f64::NEG_INFINITY), |r, v| (r.0.min(v), r.1.max(v)))
        };
        let (u, v) = (range(&|p| p.0 * c + p.1 * s), range(&|p| p.1 * c - p.0 * s));
        let (width, height) = (u.1 - u.0, v.1 - v.0);
        if best.is_none_or(|r| width * height < r.width * r.height - 1e-9) {
            let (mu, mv) = (0.5 * (u.0 + u.1), 0.5 * (v.0 + v.1));
            best = Some(RotatedRectangle {
                x: mu * c - mv * s,
                y: mu * s + mv * c,
                width,
                height,
                angle_deg: angle.to_degrees(),
            });
        }
    }
    best
}

/// Convex hull, counter-clockwise (monotone chain).
fn convex_hull(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    sorted.dedup();
    if sorted.len() < 3 {
        return sorted;
    }
    let turn = |a: (f64, f64), b: (f64, f64), c: (f64, f64)| (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0);
    let half = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        let mut chain: Vec<(f64, f64)> = Vec::new();
        for p in points {
            while chain.len() >= 2 && turn(chain[chain.len() - 2], chain[chain.len() - 1], p) <= 0.0 {
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut sorted.iter().copied());
    hull.extend(half(&mut sorted.iter().rev().copied()));
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_rectangle_is_found_again() {
        for degrees in [0.0f64, 10.0, 45.0, 80.0] {
            let (s, c) = degrees.to_radians().sin_cos();
            let points: Vec<(f64, f64)> = (0..=20)
                .flat_map(|i| (0..=6).map(move |j| (f64::from(i) - 10.0, f64::from(j) - 3.0)))
                .map(|(u, v)| (5.0 + u * c - v * s, 7.0 + u * s + v * c))
                .collect();
            let r = smallest_rectangle(&points).unwrap();
            assert!((r.x - 5.0).abs() < 1e-9 && (r.y - 7.0).abs() < 1e-9, "{r:?}");
            assert!((r.width * r.height - 120.0).abs() < 1e-6, "{r:?}");
            assert!((r.width.max(r.height) - 20.0).abs() < 1e-6, "{r:?}");
            let long = if r.width > r.height { r.angle_deg } else { r.angle_deg - 90.0 };
            assert!((long - degrees).rem_euclid(180.0).min((degrees - long).rem_euclid(180.0)) < 1e-6, "{r:?}");
        }
        assert_eq!(smallest_rectangle(&[]), None);
        assert_eq!(smallest_rectangle(&[(3.0, 4.0)]).unwrap().width, 0.0);
    }
}
