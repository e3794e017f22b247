//! From the sky to the pixels of one map.
//!
//! Places are carried over one by one; lengths and angles by the map's linear part at the centre of the shape, so that pixels that are
//! not square, turned and mirrored maps come out right. A circle that a map stretches by more than one part in a thousand becomes an
//! ellipse, a box that it shears a polygon.

use super::{
    inside::PixelRegion,
    physical::PhysicalPixels,
    region::{Region, RegionFrame, Shape},
};
use crate::{
    celestial::{
        frame::{Position, SkyFrame},
        offset::offset,
    },
    error::FitsError,
    mosaic::Mosaic,
    wcs::Wcs,
};

/// Stretch and shear that are taken for none.
const ROUND: f64 = 1e-3;

impl Region {
    /// This region on a map; `None` if the map does not show one of its places. Image coordinates stay as they are, and DS9's `physical` is
    /// taken for them: [`Region::on_mosaic`] knows better.
    pub fn to_pixel(&self, wcs: &Wcs) -> Option<PixelRegion> {
        let RegionFrame::Sky(frame) = self.frame else { return self.in_image() };
        let shape = on_plane(&self.shape, |at| place(wcs, frame, at), |centre| Local::at(wcs, frame, centre))?;
        Some(PixelRegion { shape, include: self.include })
    }

    /// This region if it is in image coordinates; `physical` is taken for them.
    pub fn in_image(&self) -> Option<PixelRegion> {
        let in_image = matches!(self.frame, RegionFrame::Image | RegionFrame::Physical);
        in_image.then(|| PixelRegion { shape: self.shape.clone(), include: self.include })
    }

    /// This region on a mosaic, whatever its frame: sky positions by the mosaic's WCS, `physical` ones by its LTM and LTV keywords
    /// ([`PhysicalPixels`]). `None` if the mosaic does not show one of its places, or has no sky for a region that needs one.
    ///
    /// # Errors
    /// [`FitsError::Wcs`] for a sky that cannot be computed.
    pub fn on_mosaic(&self, mosaic: &Mosaic) -> Result<Option<PixelRegion>, FitsError> {
        Ok(match self.frame {
            RegionFrame::Sky(_) => mosaic.wcs()?.and_then(|wcs| self.to_pixel(&wcs)),
            RegionFrame::Image => self.in_image(),
            RegionFrame::Physical => match PhysicalPixels::from_header(mosaic.header(), mosaic.image_axes()) {
                Some(physical) => {
                    let shape = on_plane(&self.shape, |at| Some(physical.to_image(at)), |at| Some(physical.local(at)));
                    shape.map(|shape| PixelRegion { shape, include: self.include })
                }
                None => self.in_image(),
            },
        })
    }
}

/// A shape in other coordinates: its places by `place`, its lengths and angles by the linear part that `local` gives at its centre.
fn on_plane(
    shape: &Shape,
    place: impl Fn((f64, f64)) -> Option<(f64, f64)>,
    local: impl Fn((f64, f64)) -> Option<Local>,
) -> Option<Shape> {
    Some(match shape {
        &Shape::Point { at } => Shape::Point { at: place(at)? },
        &Shape::Text { at } => Shape::Text { at: place(at)? },
        &Shape::Line { from, to } => Shape::Line { from: place(from)?, to: place(to)? },
        Shape::Polygon { corners } => {
            Shape::Polygon { corners: corners.iter().map(|corner| place(*corner)).collect::<Option<_>>()? }
        }
        &Shape::Circle { centre, radius } => {
            let local = local(centre)?;
            match local.ellipse((radius, radius), 0.0) {
                ((a, b), _) if (a / b - 1.0).abs() < ROUND => {
                    Shape::Circle { centre: local.centre, radius: (a * b).sqrt() }
                }
                (semi_axes, angle_deg) => Shape::Ellipse { centre: local.centre, semi_axes, angle_deg },
            }
        }
        &Shape::Ellipse { centre, semi_axes, angle_deg } => {
            let local = local(centre)?;
            let (semi_axes, angle_deg) = local.ellipse(semi_axes, angle_deg);
            Shape::Ellipse { centre: local.centre, semi_axes, angle_deg }
        }
        &Shape::Annulus { centre, inner, outer, angle_deg } => {
            let local = local(centre)?;
            let (outer, angle) = local.ellipse(outer, angle_deg);
            let round = (outer.0 / outer.1 - 1.0).abs() < ROUND;
            let inner = local.ellipse(inner, angle_deg).0;
            let mean = |(a, b): (f64, f64)| ((a * b).sqrt(), (a * b).sqrt());
            if round {
                Shape::Annulus { centre: local.centre, inner: mean(inner), outer: mean(outer), angle_deg: 0.0 }
            } else {
                Shape::Annulus { centre: local.centre, inner, outer, angle_deg: angle }
            }
        }
        &Shape::Box { centre, sides, angle_deg } => local(centre)?.rectangle(sides, angle_deg),
    })
}

/// (column, row) of a (longitude, latitude).
fn place(wcs: &Wcs, frame: SkyFrame, (lon_deg, lat_deg): (f64, f64)) -> Option<(f64, f64)> {
    wcs.pixel_of(Position { frame, lon_deg, lat_deg }).map(|(row, col)| (col, row))
}

/// A map about one place: (column, row) steps per arc second east and north.
pub(super) struct Local {
    pub centre: (f64, f64),
    pub east: (f64, f64),
    pub north: (f64, f64),
}

impl Local {
    fn at(wcs: &Wcs, frame: SkyFrame, centre: (f64, f64)) -> Option<Self> {
        let step = wcs.pixel_arcsec();
        let towards = |angle: f64| {
            let ahead = place(wcs, frame, offset(centre, step, angle))?;
            let behind = place(wcs, frame, offset(centre, step, angle + 180.0))?;
            Some(((ahead.0 - behind.0) / (2.0 * step), (ahead.1 - behind.1) / (2.0 * step)))
        };
        Some(Self { centre: place(wcs, frame, centre)?, east: towards(90.0)?, north: towards(0.0)? })
    }

    /// Pixel vectors of lengths along the x and y axes of a shape: position angles θ - 90 and θ.
    fn axes(&self, (a, b): (f64, f64), angle_deg: f64) -> ((f64, f64), (f64, f64)) {
        let (s, c) = angle_deg.to_radians().sin_cos();
        let mix = |east: f64, north: f64| {
            (east * self.east.0 + north * self.north.0, east * self.east.1 + north * self.north.1)
        };
        (mix(-c * a, s * a), mix(s * b, c * b))
    }

    /// Semi-axes and angle of the ellipse with two conjugate semi-axes: the singular values of their matrix, in the order of the
    /// axes they lie next to.
    fn ellipse(&self, semi_axes: (f64, f64), angle_deg: f64) -> ((f64, f64), f64) {
        let (u, v) = self.axes(semi_axes, angle_deg);
        let (length_u, length_v) = (u.0.hypot(u.1), v.0.hypot(v.1));
        let skew = (u.0 * v.0 + u.1 * v.1) / (length_u * length_v);
        // Nearly at right angles, or without extent: the vectors are the axes, and near a circle nothing else is well defined.
        if skew.is_nan() || skew.abs() < 1e-9 || (length_u / length_v - 1.0).abs() < ROUND && skew.abs() < ROUND {
            return ((length_u, length_v), u.1.atan2(u.0).to_degrees());
        }
        // Eigenvectors of the ellipse's second moments.
        let (xx, yy, xy) = (u.0 * u.0 + v.0 * v.0, u.1 * u.1 + v.1 * v.1, u.0 * u.1 + v.0 * v.1);
        let (mean, half) = ((xx + yy) / 2.0, ((xx - yy) / 2.0).hypot(xy));
        let major = (mean + half).sqrt();
        let minor = (u.0 * v.1 - u.1 * v.0).abs() / major;
        let angle = (0.5 * (2.0 * xy).atan2(xx - yy)).to_degrees();
        let (s, c) = angle.to_radians().sin_cos();
        let along = (u.0 * c + u.1 * s).abs();
        let across = (u.1 * c - u.0 * s).abs();
        if along >= across { ((major, minor), angle) } else { ((minor, major), angle + 90.0) }
    }

    fn rectangle(&self, (width, height): (f64, f64), angle_deg: f64) -> Shape {
        let (u, v) = self.axes((width / 2.0, height / 2.0), angle_deg);
        let (length_u, length_v) = (u.0.hypot(u.1), v.0.hypot(v.1));
        let skew = (u.0 * v.0 + u.1 * v.1) / (length_u * length_v);
        if skew.is_nan() || skew.abs() < ROUND {
            let angle_deg = u.1.atan2(u.0).to_degrees();
            return Shape::Box { centre: self.centre, sides: (2.0 * length_u, 2.0 * length_v), angle_deg };
        }
        let corner = |a: f64, b: f64| (self.centre.0 + a * u.0 + b * v.0, self.centre.1 + a * u.1 + b * v.1);
        Shape::Polygon { corners: vec![corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)] }
    }
}
