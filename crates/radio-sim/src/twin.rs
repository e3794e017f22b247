//! Peculiar objects and their twins: strange in shape, close to ordinary in flux, size and signal-to-noise ratio.
//!
//! A twin is a virtual ordinary extended object, drawn like all others under its own address. The peculiar object borrows its
//! flux and size, and of several shapes the one is taken whose mask is closest to the twin's in area, so that an anomaly
//! search can hardly find it by brightness, size or area (specification section 4; figures in docs/simulation-gates.md). The kind is
//! drawn after the twin, among those that an eye recognises at its size: the other way round every kind would turn down small twins.

use crate::address::{Address, Layer};
use crate::config::SimConfig;
use crate::counts::CountTable;
use crate::coverage::RmsField;
use crate::draw::{lognormal, weighted};
use crate::gaussian::{BeamShape, Gaussian};
use crate::mask::{ObjectImage, ObjectMask, clear_holes, measure, object_image};
use crate::population::{
    SkyObject, agn_kind, agn_share, agn_size, count_in_cell, draw_rare, ordinary_parts, place_in_cell, rare_layers,
};
use crate::shapes::{Kind, oddity};
use rand::Rng;

/// Ordinary AGN of at least 30 arcsec per square degree, the main source of twins.
const LARGE_AGN_PER_DEG2: f64 = 12.3;
/// Faintest AGN considered as a twin, Jy.
const FAINTEST_TWIN: f64 = 3e-4;
/// Shapes tried with one twin.
const SHAPES_PER_TWIN: u32 = 12;
/// A shape whose mask is within this factor of the twin's in area is taken at once.
const CLOSE_IN_AREA: f64 = 1.1;

/// Noise and beam that a virtual object is judged with.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The survey.
    pub config: &'a SimConfig,
    /// Its counts.
    pub counts: &'a CountTable,
    /// Its beam.
    pub beam: &'a BeamShape,
    /// Its thermal noise.
    pub rms: &'a RmsField,
    /// Rms of the faint sources, Jy/beam.
    pub confusion: f64,
    /// Noise with confusion at the place that is judged, Jy/beam.
    pub sigma: f64,
}

impl<'a> Judge<'a> {
    /// The judge for an object at a pixel; where the map is blank, for the middle of the coverage.
    fn moved_to(&self, x: f64, y: f64) -> Self {
        let thermal = self.rms.sigma(y.round() as i64, x.round() as i64);
        Self { sigma: thermal.map_or(self.sigma, |s| f64::from(s).hypot(self.confusion)), ..*self }
    }
}

/// What a peculiar object borrows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Twin {
    /// Flux density, Jy.
    pub flux: f64,
    /// Largest angular size, pixels.
    pub size: f64,
    /// Pixels of its mask.
    pub mask_px: usize,
}

/// A twin that passes the limits.
pub fn draw_twin(judge: &Judge, rng: &mut impl Rng) -> Twin {
    let config = judge.config;
    let p = &config.peculiar;
    let layers = rare_layers(config);
    let weights: Vec<f64> =
        std::iter::once(LARGE_AGN_PER_DEG2).chain(layers.iter().map(|(_, density)| *density)).collect();
    let least = p.twin_least_arcsec / config.pixel_arcsec;
    let mut twin = Twin { flux: 2e-3, size: 2.0 * least, mask_px: 0 };
    // The limits pass about a third; the bound only guards against limits that nothing can pass.
    for _ in 0..500 {
        let which = weighted(rng, &weights);
        let (kind, flux, size) =
            if which == 0 { draw_large_agn(judge, rng, least) } else { draw_rare(rng, config, layers[which - 1].0) };
        if size < least || kind == Kind::Single && flux < FAINTEST_TWIN {
            continue;
        }
        if flux / judge.sigma < p.twin_snr[0] {
            continue;
        }
        let parts = if kind == Kind::Single {
            let s = 0.5 * size / crate::gaussian::FWHM_PER_SIGMA;
            vec![Gaussian { x: 0.0, y: 0.0, flux, s1: s, s2: 0.6 * s, angle: 0.0 }]
        } else {
            ordinary_parts(rng, config, kind, flux, size, 0.0, 0.0, 0.0)
        };
        let mask = measure(&object_image(&parts, judge.beam), judge.sigma, config.truth.mask_sigma);
        twin = Twin { flux, size, mask_px: mask.as_ref().map_or(0, |mask| mask.px) };
        if mask.is_some_and(|m| is_twin(judge, &m)) {
            break;
        }
    }
    Twin { flux: twin.flux * lognormal(rng, 1.0, 0.04), size: twin.size * lognormal(rng, 1.0, 0.04), ..twin }
}

/// Whether an object could be a twin by its true signal-to-noise ratio and mask.
pub fn is_twin(judge: &Judge, mask: &ObjectMask) -> bool {
    let p = &judge.config.peculiar;
    let snr = mask.peak / judge.sigma;
    snr >= p.twin_snr[0] && snr <= p.twin_snr[1] && mask.px as f64 >= p.twin_least_beams * judge.beam.area
}

/// Kind, flux and size of an AGN larger than `least` pixels.
fn draw_large_agn(judge: &Judge, rng: &mut impl Rng, least: f64) -> (Kind, f64, f64) {
    let config = judge.config;
    loop {
        let flux = judge.counts.draw_above(rng, FAINTEST_TWIN);
        if rng.random::<f64>() >= agn_share(config, judge.counts, flux) {
            continue;
        }
        let size = agn_size(rng, config, judge.counts, flux) / config.pixel_arcsec;
        if size >= least {
            return (agn_kind(rng, config, size * config.pixel_arcsec), flux, size);
        }
    }
}

/// Whether an eye can tell what the object is: a clear hole or saddle between the parts that make it odd.
fn recognisable(kind: Kind, image: &ObjectImage, mask: &ObjectMask, sigma: f64) -> bool {
    match kind {
        Kind::Circle | Kind::RingPair => clear_holes(image, sigma) >= 1,
        Kind::DoubleDouble => mask.clear_peaks >= 3,
        // Wings make the mask of an X wide; a plain double is narrow.
        Kind::XShape => mask.axis_ratio > 0.4 && (mask.clear_peaks >= 2 || clear_holes(image, sigma) >= 1),
        _ => mask.clear_peaks >= 2 || clear_holes(image, sigma) >= 1,
    }
}

/// All peculiar objects of one cell.
pub fn peculiar_objects(judge: &Judge, cell: (i64, i64)) -> Vec<SkyObject> {
    let config = judge.config;
    let n = count_in_cell(config, Layer::Peculiar, config.peculiar.per_deg2, cell);
    (0..n as u32).map(|index| peculiar_object(judge, cell, index)).collect()
}

fn peculiar_object(judge: &Judge, cell: (i64, i64), index: u32) -> SkyObject {
    let config = judge.config;
    let p = &config.peculiar;
    let address = |layer, index| Address { seed: config.seed, layer, y: cell.0, x: cell.1, index };
    let mut rng = address(Layer::Peculiar, index + 1).rng();
    let (x, y, angle) = place_in_cell(&mut rng, cell);
    let judge = &judge.moved_to(x, y);
    let mut twins = address(Layer::Twin, index + 1).rng();
    let growth = if p.matched { 1.0 } else { 1.8 };
    let fwhm = config.beam_px();
    let object = |kind, parts, flux, size, forced, recognisable, twin| SkyObject {
        layer: Layer::Peculiar,
        cell,
        index,
        kind,
        x,
        y,
        flux,
        size,
        angle,
        forced,
        recognisable,
        twin,
        parts,
        bowl: Vec::new(),
    };
    // Kinds that an eye recognises at this size, by weight.
    let admitted = |size: f64| -> Vec<f64> {
        let weight = |(kind, weight): (&Kind, &f64)| {
            let (low, high, _) = oddity::limits(*kind);
            if (low * fwhm..=high * fwhm).contains(&size) { *weight } else { 0.0 }
        };
        Kind::PECULIAR.iter().zip(&p.weights).map(weight).collect()
    };
    let mut fallback = None;
    for attempt in 0..p.attempts as u32 {
        let twin = draw_twin(judge, &mut twins);
        let (flux, size) = (twin.flux, twin.size * growth);
        let weights = admitted(size);
        if weights.iter().all(|weight| *weight <= 0.0) {
            continue;
        }
        fallback = Some((flux, size));
        let mut closest: Option<(f64, Kind, Vec<Gaussian>)> = None;
        for _ in 0..SHAPES_PER_TWIN {
            let kind = Kind::PECULIAR[weighted(&mut rng, &weights)];
            let snr_limit = oddity::limits(kind).2.min(p.twin_snr[1]);
            let parts = oddity::peculiar(&mut rng, kind, fwhm / size).place(flux, size, angle, x, y);
            let image = object_image(&parts, judge.beam);
            let Some(mask) = measure(&image, judge.sigma, config.truth.mask_sigma) else { continue };
            let snr = mask.peak / judge.sigma;
            let large_enough = mask.px as f64 >= p.twin_least_beams * judge.beam.area;
            let in_limits = large_enough && (p.twin_snr[0]..=snr_limit).contains(&snr);
            if !in_limits || !recognisable(kind, &image, &mask, judge.sigma) {
                continue;
            }
            let unlike = (mask.px as f64 / twin.mask_px.max(1) as f64).ln().abs();
            if closest.as_ref().is_none_or(|(so_far, ..)| unlike < *so_far) {
                closest = Some((unlike, kind, parts));
            }
            if unlike < CLOSE_IN_AREA.ln() {
                break;
            }
        }
        if let Some((_, kind, parts)) = closest {
            return object(kind, parts, flux, size, false, true, attempt + 1);
        }
    }
    // Nothing fitted: force size and flux into the limits of a kind.
    let kind = Kind::PECULIAR[weighted(&mut rng, &p.weights)];
    let (low, high, snr_limit) = oddity::limits(kind);
    let (flux, size) = fallback.unwrap_or((2e-3, low * fwhm));
    let size = size.clamp(low * fwhm, high * fwhm);
    let parts = oddity::peculiar(&mut rng, kind, fwhm / size).place(flux, size, angle, x, y);
    let image = object_image(&parts, judge.beam);
    let peak = image.pixels.iter().fold(0f32, |a, b| a.max(*b));
    let target = (f64::from(peak) / judge.sigma).clamp(20.0, snr_limit.min(0.8 * p.twin_snr[1])) * judge.sigma;
    let factor = target / f64::from(peak).max(1e-12);
    let parts: Vec<_> = parts.into_iter().map(|g| Gaussian { flux: g.flux * factor, ..g }).collect();
    let image = object_image(&parts, judge.beam);
    let seen = measure(&image, judge.sigma, config.truth.mask_sigma)
        .is_some_and(|m| recognisable(kind, &image, &m, judge.sigma));
    object(kind, parts, flux * factor, size, true, seen, p.attempts as u32)
}
