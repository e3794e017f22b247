//! Radio Galaxy Zoo classes from the truth: components and peaks of each source at the beam, and a balanced draw of
//! source-centred cutouts (specification section 6).
//!
//! A component is an island of the source's own image above the lowest contour; a peak is a maximum above 5 sigma that a
//! saddle sets apart. The six classes that the published set keeps have at most three of each. Cutting happens elsewhere: here
//! the places and sizes are drawn.

use crate::address::{Address, Layer};
use crate::config::SimConfig;
use crate::mask::{ObjectImage, ObjectMask, measure};
use crate::truth::TrueObject;
use rand::Rng;

/// Components and peaks of a source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RgzSource {
    /// Islands above the lowest contour.
    pub components: usize,
    /// Peaks.
    pub peaks: usize,
    /// First row, row after the last, first column, column after the last of the contour.
    pub bounds: [i32; 4],
}

impl RgzSource {
    /// The class, if it is one of the six.
    pub fn class(&self) -> Option<RgzClass> {
        RgzClass::ALL.into_iter().find(|c| c.numbers() == (self.components, self.peaks))
    }

    /// Size as Radio Galaxy Zoo states it: diagonal of the box round the contours, pixels.
    pub fn extent(&self) -> f64 {
        f64::from(self.bounds[1] - self.bounds[0]).hypot(f64::from(self.bounds[3] - self.bounds[2]))
    }

    /// Middle of that box, `(row, column)`.
    pub fn centre(&self) -> (f64, f64) {
        let middle = |a: i32, b: i32| f64::from(a + b - 1) / 2.0;
        (middle(self.bounds[0], self.bounds[1]), middle(self.bounds[2], self.bounds[3]))
    }
}

/// The classes of the published set: components, then peaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RgzClass {
    /// One component, one peak.
    C1P1,
    /// One component, two peaks.
    C1P2,
    /// One component, three peaks.
    C1P3,
    /// Two components, two peaks.
    C2P2,
    /// Two components, three peaks.
    C2P3,
    /// Three components, three peaks.
    C3P3,
}

impl RgzClass {
    /// All classes, in the published order.
    pub const ALL: [Self; 6] = [Self::C1P1, Self::C1P2, Self::C1P3, Self::C2P2, Self::C2P3, Self::C3P3];

    /// Components and peaks.
    pub fn numbers(self) -> (usize, usize) {
        match self {
            Self::C1P1 => (1, 1),
            Self::C1P2 => (1, 2),
            Self::C1P3 => (1, 3),
            Self::C2P2 => (2, 2),
            Self::C2P3 => (2, 3),
            Self::C3P3 => (3, 3),
        }
    }

    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::C1P1 => "1C-1P",
            Self::C1P2 => "1C-2P",
            Self::C1P3 => "1C-3P",
            Self::C2P2 => "2C-2P",
            Self::C2P3 => "2C-3P",
            Self::C3P3 => "3C-3P",
        }
    }
}

/// Counts components of an object's image above `contour_sigma`, and its peaks; `None` if nothing reaches the contour.
pub fn rgz_source(image: &ObjectImage, mask: &ObjectMask, sigma: f64, contour_sigma: f64) -> Option<RgzSource> {
    let contour = measure(image, sigma, contour_sigma)?;
    let (first, last) = (contour.runs.first()?, contour.runs.last()?);
    let left = contour.runs.iter().map(|r| r.first).min()?;
    let right = contour.runs.iter().map(|r| r.end).max()?;
    Some(RgzSource {
        components: contour.islands,
        // Peaks do not depend on the contour: all of them lie above it.
        peaks: mask.peaks,
        bounds: [first.row, last.row + 1, left, right],
    })
}

/// Which half of a balanced set a cutout belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Training.
    Train,
    /// Testing.
    Test,
}

impl Use {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// A cutout of the balanced set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RgzCutout {
    /// Object in the truth table.
    pub object: i32,
    /// Class.
    pub class: RgzClass,
    /// Middle `(row, column)` of the cutout, pixels from 0.
    pub centre: (f64, f64),
    /// Size of the source, pixels.
    pub extent: f64,
    /// Side of the cutout, pixels.
    pub side: usize,
    /// Train or test.
    pub part: Use,
}

/// Draws the balanced set: the same number of every class, as many as the rarest class has and at most what the configuration
/// asks for; half of each class below and half above the class's published median size, as far as the sky has both.
///
/// Sources count from `least_snr` on if the whole cutout lies on the map. Empty if the configuration has no such part, or a
/// class is missing on this sky.
pub fn balanced_cutouts(config: &SimConfig, objects: &[TrueObject]) -> Vec<RgzCutout> {
    let Some(rgz) = &config.rgz else { return Vec::new() };
    let mut classes: Vec<Vec<RgzCutout>> = vec![Vec::new(); 6];
    for object in objects.iter().filter(|o| o.detectable && o.snr >= rgz.least_snr) {
        let Some((source, class)) = object.rgz.and_then(|s| Some((s, s.class()?))) else { continue };
        let (centre, extent) = (source.centre(), source.extent());
        let side = (rgz.cutout_factor * extent).ceil() as usize;
        let half = side as f64 / 2.0;
        let inside = |v: f64| v - half >= 0.0 && v + half <= config.side as f64 - 1.0;
        if inside(centre.0) && inside(centre.1) {
            let cutout = RgzCutout { object: object.id, class, centre, extent, side, part: Use::Train };
            classes[class as usize].push(cutout);
        }
    }
    let [train, test] = rgz.per_class;
    let n = classes.iter().map(Vec::len).min().unwrap_or(0).min(train + test);
    let mut drawn = Vec::new();
    for (number, list) in classes.into_iter().enumerate() {
        let mut rng = Address { seed: config.seed, layer: Layer::RgzDraw, y: number as i64, x: 0, index: 0 }.rng();
        let median = rgz.median_arcsec[number] / config.pixel_arcsec;
        let (mut small, mut large): (Vec<_>, Vec<_>) = list.into_iter().partition(|c| c.extent < median);
        shuffle(&mut rng, &mut small);
        shuffle(&mut rng, &mut large);
        // The median is matched only as far as both halves last.
        let from_small = (n / 2).max(n.saturating_sub(large.len())).min(small.len());
        small.truncate(from_small);
        large.truncate(n - from_small);
        small.extend(large);
        shuffle(&mut rng, &mut small);
        let n_train = (n * train).div_ceil((train + test).max(1));
        for (i, cutout) in small.iter_mut().enumerate() {
            cutout.part = if i < n_train { Use::Train } else { Use::Test };
        }
        drawn.extend(small);
    }
    drawn
}

fn shuffle<T>(rng: &mut impl Rng, list: &mut [T]) {
    for i in (1..list.len()).rev() {
        list.swap(i, rng.random_range(0..=i));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;
    use crate::gaussian::{BeamShape, Gaussian};
    use crate::mask::object_image;
    use crate::sky::Sky;
    use crate::truth::{ArtefactBoxes, true_objects};

    fn counted(parts: &[Gaussian]) -> RgzSource {
        let beam = BeamShape::new(3.0, 3.0, 0.0);
        let sigma = 145e-6;
        let image = object_image(parts, &beam);
        rgz_source(&image, &measure(&image, sigma, 2.5).unwrap(), sigma, 4.0).unwrap()
    }

    /// One row of points: near ones share a component, far ones have their own.
    #[test]
    fn components_and_peaks_are_counted_at_the_beam() {
        let row = |places: &[f64]| {
            let parts: Vec<Gaussian> = places.iter().map(|x| Gaussian::point(50.0 + x, 50.0, 5e-3)).collect();
            counted(&parts).class()
        };
        assert_eq!(row(&[0.0]), Some(RgzClass::C1P1));
        assert_eq!(row(&[0.0, 4.5]), Some(RgzClass::C1P2));
        assert_eq!(row(&[0.0, 4.5, 9.0]), Some(RgzClass::C1P3));
        assert_eq!(row(&[0.0, 15.0]), Some(RgzClass::C2P2));
        assert_eq!(row(&[0.0, 4.5, 20.0]), Some(RgzClass::C2P3));
        assert_eq!(row(&[0.0, 15.0, 30.0]), Some(RgzClass::C3P3));
        assert_eq!(row(&[0.0, 15.0, 30.0, 45.0]), None, "four of each");
        let one = counted(&[Gaussian::point(50.0, 60.0, 5e-3)]);
        // Contour of a point: radius theta / 2 * sqrt(log2(peak / contour)).
        let radius = 1.5 * (5e-3f64 / (4.0 * 145e-6)).log2().sqrt();
        assert!((one.extent() - 2f64.sqrt() * 2.0 * radius).abs() < 1.5, "{}", one.extent());
        assert_eq!(one.centre(), (60.0, 50.0));
    }

    #[test]
    fn the_draw_is_balanced_reproducible_and_inside_the_map() {
        let mut config = SimConfig::first(Tier::Tiny, 5);
        // Many radio galaxies on a small sky.
        config.population.agn_tail_share = 0.3;
        config.population.agn_tail_mjy = 1.0;
        config.population.agn_tail_arcsec = [12.0, 90.0];
        config.artefacts.bank = 0;
        let sky = Sky::new(&config).unwrap();
        let objects = true_objects(&sky, &ArtefactBoxes::new(&sky));
        let drawn = balanced_cutouts(&config, &objects);
        assert_eq!(drawn, balanced_cutouts(&config, &objects));
        let per_class = RgzClass::ALL.map(|c| drawn.iter().filter(|d| d.class == c).count());
        println!("{per_class:?}");
        assert!(per_class[0] >= 1 && per_class.iter().all(|n| *n == per_class[0]));
        for cutout in &drawn {
            let object = objects.iter().find(|o| o.id == cutout.object).unwrap();
            assert!(object.snr >= 10.0 && object.rgz.unwrap().class() == Some(cutout.class));
            assert!(cutout.side as f64 >= 1.5 * cutout.extent);
            assert!(cutout.centre.0 >= 0.5 * cutout.side as f64 && cutout.centre.1 <= 2047.0);
        }
        assert!(balanced_cutouts(&SimConfig::emu_pilot(Tier::Tiny, 5), &objects).is_empty());
    }
}
