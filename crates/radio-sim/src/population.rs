//! Who is on the sky: the sources of one cell, drawn from counts, sizes and kinds (specification section 3).
//!
//! Faint and small sources are single Gaussians, made again whenever a window needs them. Resolved ones become
//! [`SkyObject`]s with a shape, made once.

use crate::address::{Address, CELL, Layer};
use crate::config::SimConfig;
use crate::counts::CountTable;
use crate::draw::{log_uniform, lognormal, poisson, uniform, weighted};
use crate::galactic::{latitude_factor, rare_galactic};
use crate::gaussian::{FWHM_PER_SIGMA, Gaussian};
use crate::shapes::{Kind, agn, diffuse, galactic};
use rand::Rng;
use std::f64::consts::{PI, TAU};

/// Faintest source, Jy, that is worth a shape of its own.
const FAINTEST_SHAPE: f64 = 1e-4;

/// A source that one Gaussian describes, or the place of one that needs a shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldSource {
    /// The Gaussian (for a resolved source: what it would be without a shape).
    pub gaussian: Gaussian,
    /// Largest angular size, pixels.
    pub size: f64,
    /// What it is; [`Kind::Point`] and [`Kind::Single`] are complete as they stand.
    pub kind: Kind,
    /// Number of the source in its cell.
    pub index: u32,
    /// Whether a shape has to be drawn.
    pub resolved: bool,
}

/// An object with a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct SkyObject {
    /// Layer it was drawn in.
    pub layer: Layer,
    /// Cell `(row, column)` of its centre.
    pub cell: (i64, i64),
    /// Number in the cell.
    pub index: u32,
    /// What it is.
    pub kind: Kind,
    /// Column of the centre, pixels.
    pub x: f64,
    /// Row of the centre, pixels.
    pub y: f64,
    /// Flux density, Jy.
    pub flux: f64,
    /// Largest angular size, pixels.
    pub size: f64,
    /// Angle of the main axis, radians from columns towards rows.
    pub angle: f64,
    /// Whether flux or size had to be forced into the limits of the kind.
    pub forced: bool,
    /// Whether an eye can tell what it is (peculiar objects only).
    pub recognisable: bool,
    /// Number of the twin whose flux and size it borrows, counted from 1; 0 for ordinary objects.
    pub twin: u32,
    /// Its Gaussians.
    pub parts: Vec<Gaussian>,
    /// Negative Gaussians of the bowl that missing short baselines leave; not part of the truth.
    pub bowl: Vec<Gaussian>,
}

/// Fills in the bowl of an object: its wide parts once more, wider and negative (specification section 5b).
///
/// `D_obs = D - b (D * Gaussian)`, with b uniform in 0.3-1 and the FWHM of the Gaussian uniform in 3-8 arcmin.
pub fn dig_bowl(config: &SimConfig, object: &mut SkyObject) {
    let index = (object.layer as u32) << 20 | object.index;
    let mut rng = Address { seed: config.seed, layer: Layer::Bowls, y: object.cell.0, x: object.cell.1, index }.rng();
    let fwhm = 60.0 * uniform(&mut rng, 3.0, 8.0) / config.pixel_arcsec;
    let depth = uniform(&mut rng, 0.3, 1.0);
    let wide = fwhm / FWHM_PER_SIGMA;
    object.bowl = object
        .parts
        .iter()
        .filter(|g| g.s1 * FWHM_PER_SIGMA > fwhm / 5.0)
        .map(|g| Gaussian { flux: -depth * g.flux, s1: g.s1.hypot(wide), s2: g.s2.hypot(wide), ..*g })
        .collect();
}

/// Size of an AGN, arcsec, for a flux in Jy at the survey frequency.
pub fn agn_size(rng: &mut impl Rng, config: &SimConfig, counts: &CountTable, flux: f64) -> f64 {
    let p = &config.population;
    if flux * 1e3 > p.agn_tail_mjy && rng.random::<f64>() < p.agn_tail_share {
        return log_uniform(rng, p.agn_tail_arcsec[0], p.agn_tail_arcsec[1]);
    }
    let median = p.agn_size_arcsec * (counts.at_1400(flux) * 1e3).powf(p.agn_size_slope);
    // P(> theta) = 2^-((theta / median)^exponent), inverted.
    let above = 1.0 - rng.random::<f64>();
    (median * (-above.log2()).powf(1.0 / p.agn_size_exponent)).min(p.agn_largest_arcsec)
}

/// Kind of a resolved AGN of a size in arcsec.
///
/// Single peaks end at `agn_single_largest_arcsec`: larger ones would be smooth ellipses such as no real map shows.
pub fn agn_kind(rng: &mut impl Rng, config: &SimConfig, arcsec: f64) -> Kind {
    let p = &config.population;
    let mut classes = p.agn_classes;
    if arcsec > p.agn_single_largest_arcsec {
        classes[2] = 0.0;
    }
    let kind = [Kind::FrII, Kind::FrX, Kind::Single, Kind::FrI][weighted(rng, &classes)];
    let bent = match kind {
        Kind::FrI => p.bent[0],
        Kind::FrII | Kind::FrX => p.bent[1],
        _ => 0.0,
    };
    if rng.random::<f64>() >= bent {
        return kind;
    }
    match rng.random_range(0..10u32) {
        0..=3 => Kind::WideTail,
        4..=6 => Kind::NarrowTail,
        _ => Kind::HeadTail,
    }
}

/// Probability that a source of this flux (Jy, survey frequency) is an AGN.
pub fn agn_share(config: &SimConfig, counts: &CountTable, flux: f64) -> f64 {
    let p = &config.population;
    1.0 / (1.0 + (p.agn_half_mjy / (counts.at_1400(flux) * 1e3)).powf(p.agn_slope))
}

/// Area of a cell, square degrees.
fn cell_area(config: &SimConfig) -> f64 {
    (CELL as f64 * config.pixel_arcsec / 3600.0).powi(2)
}

/// Calls `visit` for every source of the counts in one cell, in order.
pub fn visit_field(config: &SimConfig, counts: &CountTable, cell: (i64, i64), mut visit: impl FnMut(&FieldSource)) {
    let p = &config.population;
    let mut rng = Address { seed: config.seed, layer: Layer::Sources, y: cell.0, x: cell.1, index: 0 }.rng();
    let rng = &mut rng;
    let n = poisson(rng, counts.density() * cell_area(config));
    let (x0, y0) = ((cell.1 * CELL) as f64 - 0.5, (cell.0 * CELL) as f64 - 0.5);
    let beam = config.beam_px();
    let mut index = 0;
    for _ in 0..n {
        let x = x0 + CELL as f64 * rng.random::<f64>();
        let y = y0 + CELL as f64 * rng.random::<f64>();
        let flux = counts.draw(rng);
        let is_agn = rng.random::<f64>() < agn_share(config, counts, flux);
        let arcsec = if is_agn {
            agn_size(rng, config, counts, flux)
        } else {
            (lognormal(rng, p.star_forming_size_arcsec, 0.3) * (counts.at_1400(flux) * 1e3).powf(0.2)).min(15.0)
        };
        let size = arcsec / config.pixel_arcsec;
        let mut source =
            FieldSource { gaussian: Gaussian::point(x, y, flux), size, kind: Kind::Point, index, resolved: false };
        if size >= p.point_below_beams * beam {
            let ratio = uniform(rng, 0.3, 1.0);
            let angle = uniform(rng, 0.0, PI);
            let s1 = 0.5 * size / FWHM_PER_SIGMA;
            source.gaussian = Gaussian { x, y, flux, s1, s2: ratio * s1, angle };
            if is_agn && arcsec >= p.resolved_arcsec {
                source.kind = agn_kind(rng, config, arcsec);
                source.resolved = true;
                if flux < FAINTEST_SHAPE {
                    source.kind = Kind::Single;
                }
            }
        }
        visit(&source);
        index += 1;
        if rng.random::<f64>() < p.pairs {
            let (d, a) = (beam * uniform(rng, 0.7, 4.0), uniform(rng, 0.0, TAU));
            let neighbour = Gaussian::point(x + d * a.cos(), y + d * a.sin(), flux * log_uniform(rng, 0.1, 1.0));
            visit(&FieldSource { gaussian: neighbour, size: 0.0, kind: Kind::Point, index, resolved: false });
            index += 1;
        }
    }
}

/// The shape of a resolved source of the counts.
pub fn resolve(config: &SimConfig, cell: (i64, i64), source: &FieldSource) -> SkyObject {
    let mut rng = Address { seed: config.seed, layer: Layer::Shape, y: cell.0, x: cell.1, index: source.index }.rng();
    let g = source.gaussian;
    let parts = if source.kind == Kind::Single {
        vec![g]
    } else {
        ordinary_parts(&mut rng, config, source.kind, g.flux, source.size, g.angle, g.x, g.y)
    };
    SkyObject {
        layer: Layer::Sources,
        cell,
        index: source.index,
        kind: source.kind,
        x: g.x,
        y: g.y,
        flux: g.flux,
        size: source.size,
        angle: g.angle,
        forced: false,
        recognisable: false,
        twin: 0,
        parts,
        bowl: Vec::new(),
    }
}

/// Gaussians of an ordinary object of any kind but [`Kind::Point`].
pub fn ordinary_parts(
    rng: &mut impl Rng,
    config: &SimConfig,
    kind: Kind,
    flux: f64,
    size: f64,
    angle: f64,
    x: f64,
    y: f64,
) -> Vec<Gaussian> {
    let beam = config.beam_px() / size;
    let sketch = match kind {
        Kind::Disc => diffuse::disc(rng),
        Kind::Halo => diffuse::halo(rng),
        Kind::Relic => diffuse::relic(rng),
        Kind::LargeDiffuse => diffuse::large_diffuse(rng),
        Kind::Filament => diffuse::filament(rng, beam),
        Kind::Shell => galactic::shell(rng),
        Kind::HiiRegion => galactic::hii_region(rng),
        Kind::Bubble => galactic::bubble(rng),
        _ => agn::radio_galaxy(rng, kind, beam),
    };
    sketch.place(flux, size, angle, x, y)
}

/// The rare ordinary layers: layer, objects per square degree.
pub fn rare_layers(config: &SimConfig) -> Vec<(Layer, f64)> {
    let p = &config.population;
    let mut layers = vec![
        (Layer::Discs, p.discs_per_deg2),
        (Layer::Clusters, p.clusters_per_deg2),
        (Layer::LargeDiffuse, p.large_diffuse_per_deg2),
        (Layer::Filaments, p.filaments_per_deg2),
    ];
    if let Some(g) = &config.galactic {
        layers.push((Layer::Shells, g.shells_per_deg2));
        layers.push((Layer::HiiRegions, g.hii_per_deg2));
        layers.push((Layer::Bubbles, g.bubbles_per_deg2));
    }
    layers
}

/// Kind, flux (Jy) and size (pixels) of an object of a rare layer.
///
/// Fluxes follow from a mean surface brightness, so that the objects are as hard to see as real ones.
pub fn draw_rare(rng: &mut impl Rng, config: &SimConfig, layer: Layer) -> (Kind, f64, f64) {
    if let Some(drawn) = rare_galactic(rng, config, layer) {
        return drawn;
    }
    let (kind, arcsec) = match layer {
        Layer::Discs => (Kind::Disc, log_uniform(rng, 25.0, 180.0)),
        Layer::Clusters => {
            let kind = if rng.random::<f64>() < 0.55 { Kind::Halo } else { Kind::Relic };
            (kind, log_uniform(rng, 80.0, 400.0))
        }
        Layer::LargeDiffuse => (Kind::LargeDiffuse, log_uniform(rng, 180.0, 900.0)),
        _ => (Kind::Filament, log_uniform(rng, 90.0, 480.0)),
    };
    // Mean brightness over the filled area, in Jy/beam; the filled area as a share of the square of the size.
    let (brightness, filling) = match kind {
        Kind::Disc => (lognormal(rng, 8.0e-4, 0.2), 0.12),
        Kind::Halo => (lognormal(rng, 2.0e-4, 0.2), 0.30),
        Kind::Relic => (lognormal(rng, 3.5e-4, 0.2), 0.12),
        Kind::LargeDiffuse => (lognormal(rng, 1.6e-4, 0.2), 0.35),
        _ => (lognormal(rng, 3.0e-4, 0.2), 0.10),
    };
    let size = arcsec / config.pixel_arcsec;
    let beams = filling * size * size / crate::gaussian::BeamShape::new(config.beam_px(), config.beam_px(), 0.0).area;
    (kind, brightness * brightness_factor(config) * beams.max(1.0), size)
}

/// What Jy/beam of the EMU-like sky become in this one: other beam area, other frequency (1 for that sky itself).
fn brightness_factor(config: &SimConfig) -> f64 {
    let spectrum = (config.frequency_mhz / 944.0).powf(config.counts.spectral_index);
    (config.beam_arcsec / 15.0).powi(2) * spectrum
}

/// All objects of a rare layer in one cell.
pub fn rare_objects(config: &SimConfig, layer: Layer, density: f64, cell: (i64, i64)) -> Vec<SkyObject> {
    let mut rng = Address { seed: config.seed, layer, y: cell.0, x: cell.1, index: 0 }.rng();
    let n = poisson(&mut rng, density * latitude_factor(config, layer, cell) * cell_area(config));
    (0..n as u32)
        .map(|index| {
            let mut rng = Address { seed: config.seed, layer, y: cell.0, x: cell.1, index: index + 1 }.rng();
            let (x, y, angle) = place_in_cell(&mut rng, cell);
            let (kind, flux, size) = draw_rare(&mut rng, config, layer);
            let parts = ordinary_parts(&mut rng, config, kind, flux, size, angle, x, y);
            SkyObject {
                layer,
                cell,
                index,
                kind,
                x,
                y,
                flux,
                size,
                angle,
                forced: false,
                recognisable: false,
                twin: 0,
                parts,
                bowl: Vec::new(),
            }
        })
        .collect()
}

/// Uniform place in a cell and direction: `(x, y, angle)`.
pub fn place_in_cell(rng: &mut impl Rng, cell: (i64, i64)) -> (f64, f64, f64) {
    let x = (cell.1 * CELL) as f64 - 0.5 + CELL as f64 * rng.random::<f64>();
    let y = (cell.0 * CELL) as f64 - 0.5 + CELL as f64 * rng.random::<f64>();
    (x, y, uniform(rng, 0.0, TAU))
}

/// Number of objects of a layer in a cell, drawn at the address of the cell.
pub fn count_in_cell(config: &SimConfig, layer: Layer, density: f64, cell: (i64, i64)) -> usize {
    let mut rng = Address { seed: config.seed, layer, y: cell.0, x: cell.1, index: 0 }.rng();
    poisson(&mut rng, density * cell_area(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;

    /// Densities of the published catalogues: AGN above 15, 30 and 60 arcsec per square degree (39, 12.3, 4.3).
    #[test]
    fn sizes_and_counts_per_square_degree() {
        let config = SimConfig::emu_pilot(Tier::Tiny, 11);
        let counts = CountTable::new(&config.counts, config.frequency_mhz);
        let side = 24i64;
        let area = cell_area(&config) * (side * side) as f64;
        let (mut bright, mut large) = (0.0, [0.0; 3]);
        for cell in (0..side * side).map(|k| (k / side, k % side)) {
            visit_field(&config, &counts, cell, |s| {
                // Neighbours come on top of the counts.
                bright += f64::from(u8::from(s.gaussian.flux > 135e-6 && !(s.size == 0.0)));
                for (n, limit) in large.iter_mut().zip([15.0, 30.0, 60.0]) {
                    *n += f64::from(u8::from(
                        s.resolved && s.gaussian.flux >= FAINTEST_SHAPE && s.size * config.pixel_arcsec >= limit,
                    ));
                }
            });
        }
        assert!((bright - 953.0 * area).abs() < 3.0 * (953.0 * area).sqrt() + 0.01 * bright, "{}", bright / area);
        for (n, want) in large.iter().zip([39.0, 12.3, 4.3]) {
            assert!((n - want * area).abs() < 4.0 * (want * area).sqrt(), "{} vs {want}", n / area);
        }
    }
}
