//! Shapes of resolved sources: each is a list of Gaussians whose fluxes sum to the total and whose extent is the stated size.
//!
//! A generator works in units of the object's size, round its own centre; [`Sketch::place`] then scales, turns and moves it.
//! Reading order: [`curve`] (jets bend along curves), [`agn`], [`diffuse`], [`galactic`], [`ring`], [`oddity`].

pub mod agn;
pub mod counted;
pub mod curve;
pub mod diffuse;
pub mod galactic;
pub mod oddity;
pub mod ring;

use crate::gaussian::{FWHM_PER_SIGMA, Gaussian};
use serde::{Deserialize, Serialize};

/// What an object is. The text forms are those of the truth tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Unresolved or barely resolved source.
    Point,
    /// Several beam-like sources too close to tell apart.
    Multiple,
    /// One resolved Gaussian.
    Single,
    /// Jets brightest near the core.
    FrI,
    /// Lobes with hot spots at their ends.
    FrII,
    /// Double without clear hot spots, or one arm of each kind.
    FrX,
    /// Wide-angle tail.
    WideTail,
    /// Narrow-angle tail.
    NarrowTail,
    /// Bright head with one tail.
    HeadTail,
    /// Disc of a nearby galaxy.
    Disc,
    /// Cluster halo.
    Halo,
    /// Cluster relic.
    Relic,
    /// Large irregular emission.
    LargeDiffuse,
    /// Filament.
    Filament,
    /// Odd radio circle.
    Circle,
    /// Two rings, or a ring on a double.
    RingPair,
    /// X- or Z-shaped double.
    XShape,
    /// Double inside a double.
    DoubleDouble,
    /// Tail with several sharp bends.
    MultiBend,
    /// One jet and a detached relic lobe.
    OneSided,
    /// None of the above.
    OneOff,
    /// Shell of a supernova remnant.
    Shell,
    /// HII region: a clumpy cloud with a bright rim on one side.
    HiiRegion,
    /// Filled ring: bubble, planetary nebula, shell of a star.
    Bubble,
}

impl Kind {
    /// All kinds, in the order of the tables.
    pub const ALL: [Self; 24] = [
        Self::Point,
        Self::Multiple,
        Self::Single,
        Self::FrI,
        Self::FrII,
        Self::FrX,
        Self::WideTail,
        Self::NarrowTail,
        Self::HeadTail,
        Self::Disc,
        Self::Halo,
        Self::Relic,
        Self::LargeDiffuse,
        Self::Filament,
        Self::Circle,
        Self::RingPair,
        Self::XShape,
        Self::DoubleDouble,
        Self::MultiBend,
        Self::OneSided,
        Self::OneOff,
        Self::Shell,
        Self::HiiRegion,
        Self::Bubble,
    ];

    /// Kinds that are peculiar, in the order of the configured weights.
    pub const PECULIAR: [Self; 7] =
        [Self::Circle, Self::RingPair, Self::XShape, Self::DoubleDouble, Self::MultiBend, Self::OneSided, Self::OneOff];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Multiple => "multiple",
            Self::Single => "single",
            Self::FrI => "fr-i",
            Self::FrII => "fr-ii",
            Self::FrX => "fr-x",
            Self::WideTail => "wide-tail",
            Self::NarrowTail => "narrow-tail",
            Self::HeadTail => "head-tail",
            Self::Disc => "disc",
            Self::Halo => "halo",
            Self::Relic => "relic",
            Self::LargeDiffuse => "large-diffuse",
            Self::Filament => "filament",
            Self::Circle => "circle",
            Self::RingPair => "ring-pair",
            Self::XShape => "x-shape",
            Self::DoubleDouble => "double-double",
            Self::MultiBend => "multi-bend",
            Self::OneSided => "one-sided",
            Self::OneOff => "one-off",
            Self::Shell => "shell",
            Self::HiiRegion => "hii-region",
            Self::Bubble => "bubble",
        }
    }

    /// Whether the kind makes a frame PECULIAR.
    pub fn is_peculiar(self) -> bool {
        Self::PECULIAR.contains(&self)
    }

    /// Whether the kind has jets or lobes: what RADIO-GALAXY asks for.
    pub fn has_jets(self) -> bool {
        matches!(self, Self::FrI | Self::FrII | Self::FrX | Self::WideTail | Self::NarrowTail | Self::HeadTail)
            || matches!(self, Self::XShape | Self::DoubleDouble | Self::MultiBend | Self::OneSided)
    }

    /// Whether the kind is diffuse: what DIFFUSE asks for.
    pub fn is_diffuse(self) -> bool {
        matches!(self, Self::Disc | Self::Halo | Self::Relic | Self::LargeDiffuse | Self::Circle)
            || matches!(self, Self::Shell | Self::HiiRegion | Self::Bubble)
    }
}

/// An object in units of its own size, before it is placed on the sky.
#[derive(Debug, Clone, Default)]
pub struct Sketch {
    /// Gaussians round the origin; fluxes are relative.
    pub parts: Vec<Gaussian>,
}

impl Sketch {
    /// Adds a round or elliptical part.
    pub fn push(&mut self, x: f64, y: f64, share: f64, s1: f64, s2: f64, angle: f64) {
        self.parts.push(Gaussian { x, y, flux: share, s1, s2, angle });
    }

    /// Sum of the relative fluxes.
    pub fn total(&self) -> f64 {
        self.parts.iter().map(|g| g.flux).sum()
    }

    /// Scales the fluxes to sum to `share`.
    pub fn normalised(mut self, share: f64) -> Self {
        let factor = share / self.total();
        self.parts.iter_mut().for_each(|g| g.flux *= factor);
        self
    }

    /// Adds all parts of another sketch.
    pub fn join(&mut self, other: Self) {
        self.parts.extend(other.parts);
    }

    /// The sketch turned by `angle`, scaled by `factor` and moved by `(dx, dy)`.
    pub fn moved(mut self, factor: f64, angle: f64, dx: f64, dy: f64) -> Self {
        let (s, c) = angle.sin_cos();
        for g in &mut self.parts {
            (g.x, g.y) = (factor * (g.x * c - g.y * s) + dx, factor * (g.x * s + g.y * c) + dy);
            g.s1 *= factor;
            g.s2 *= factor;
            g.angle += angle;
        }
        self
    }

    /// Largest extent over 36 directions, from half-power point to half-power point of the outermost parts.
    pub fn extent(&self) -> f64 {
        (0..36)
            .map(|k| {
                let a = f64::from(k) * std::f64::consts::PI / 36.0;
                let (s, c) = a.sin_cos();
                let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
                for g in &self.parts {
                    let (sd, cd) = (g.angle - a).sin_cos();
                    let half = 0.5 * FWHM_PER_SIGMA * (g.s1 * g.s1 * cd * cd + g.s2 * g.s2 * sd * sd).sqrt();
                    let at = g.x * c + g.y * s;
                    low = low.min(at - half);
                    high = high.max(at + half);
                }
                high - low
            })
            .fold(0.0, f64::max)
    }

    /// The finished object: flux `flux` Jy, extent `size` pixels, turned by `angle`, its flux-free middle at `(x, y)`.
    pub fn place(self, flux: f64, size: f64, angle: f64, x: f64, y: f64) -> Vec<Gaussian> {
        let n = self.parts.len().max(1) as f64;
        let (mx, my) = self.parts.iter().fold((0.0, 0.0), |(a, b), g| (a + g.x / n, b + g.y / n));
        let centred = self.moved(1.0, 0.0, -mx, -my);
        let factor = size / centred.extent().max(1e-9);
        centred.normalised(flux).moved(factor, angle, x, y).parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placing_keeps_flux_and_sets_the_extent() {
        let mut sketch = Sketch::default();
        sketch.push(-0.5, 0.0, 1.0, 0.0, 0.0, 0.0);
        sketch.push(0.5, 0.1, 3.0, 0.1, 0.05, 0.3);
        let parts = sketch.place(0.02, 30.0, 1.0, 100.0, 200.0);
        let again = Sketch { parts };
        assert!((again.total() - 0.02).abs() < 1e-12);
        assert!((again.extent() - 30.0).abs() < 0.1, "{}", again.extent());
        assert!((again.parts[1].flux / again.parts[0].flux - 3.0).abs() < 1e-9);
        // The line between the parts is turned by 1 rad.
        let (dx, dy) = (again.parts[1].x - again.parts[0].x, again.parts[1].y - again.parts[0].y);
        assert!((dy.atan2(dx) - (1.0 + 0.1f64.atan2(1.0))).abs() < 1e-9);
    }

    #[test]
    fn names_are_distinct() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|k| k.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
