//! The truth about every object: mask, signal-to-noise ratio, islands, detection class (specification section 6).

use crate::address::{CELL, Layer};
use crate::gaussian::{FWHM_PER_SIGMA, Gaussian, Stamp};
use crate::mask::{ObjectImage, ObjectMask, measure, object_image};
use crate::population::visit_field;
use crate::rgz::{RgzSource, rgz_source};
use crate::shapes::Kind;
use crate::sky::Sky;
use ndarray::Array2;
use rayon::prelude::*;

/// Side of the boxes in which the artefact rms is known, pixels.
const BOX: i64 = 64;
/// Side of the windows in which it is computed.
const BOX_WINDOW: usize = 512;

/// Classes of a detector (reference-facts A4); SPURIOUS, artefacts alone, is in [`crate::spurious`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DetectionClass {
    /// Drowned in artefacts.
    Flagged,
    /// Two islands or more.
    ExtendedMultisland,
    /// One island, clearly larger than a point.
    Extended,
    /// Point-like.
    Compact,
}

impl DetectionClass {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flagged => "FLAGGED",
            Self::ExtendedMultisland => "EXTENDED-MULTISLAND",
            Self::Extended => "EXTENDED",
            Self::Compact => "COMPACT",
        }
    }
}

/// An object of the truth table.
#[derive(Debug, Clone, PartialEq)]
pub struct TrueObject {
    /// Number in the tables and in the mask image, from 1.
    pub id: i32,
    /// Layer it was drawn in.
    pub layer: Layer,
    /// What it is.
    pub kind: Kind,
    /// Column and row of the centre, pixels.
    pub x: f64,
    /// Row of the centre, pixels.
    pub y: f64,
    /// Flux density, Jy.
    pub flux: f64,
    /// Largest angular size, pixels.
    pub size: f64,
    /// Angle of the main axis, radians from columns towards rows.
    pub angle: f64,
    /// Noise with confusion and artefacts at its place, Jy/beam.
    pub sigma: f64,
    /// True peak over that.
    pub snr: f64,
    /// Mask and what follows from it.
    pub mask: ObjectMask,
    /// Detection class.
    pub class: DetectionClass,
    /// Whether a finder is expected to see it.
    pub detectable: bool,
    /// Median artefact over median brightness in the mask.
    pub artefact_ratio: f64,
    /// Whether a peculiar object had to be forced into its limits.
    pub forced: bool,
    /// Whether an eye can tell what a peculiar object is.
    pub recognisable: bool,
    /// Twin of a peculiar object; 0 for others.
    pub twin: u32,
    /// Its Gaussians.
    pub parts: Vec<Gaussian>,
    /// Components and peaks, where the sky counts them.
    pub rgz: Option<RgzSource>,
}

impl TrueObject {
    /// Whether a detection on it counts neither way.
    pub fn ignore(&self) -> bool {
        !self.detectable
    }
}

/// Artefact rms in boxes of 64 pixels.
#[derive(Debug, Clone)]
pub struct ArtefactBoxes {
    columns: usize,
    rms: Vec<f32>,
}

impl ArtefactBoxes {
    /// Computes the rms of the artefact image over the whole mosaic.
    pub fn new(sky: &Sky) -> Self {
        let columns = sky.config.side.div_ceil(BOX as usize);
        let per_window = BOX_WINDOW / BOX as usize;
        let windows = columns.div_ceil(per_window);
        let parts: Vec<(usize, Vec<f32>)> = (0..windows * windows)
            .into_par_iter()
            .map(|k| {
                let (row, col) = ((k / windows * BOX_WINDOW) as i64, (k % windows * BOX_WINDOW) as i64);
                let image = sky.artefact_window(row, col, BOX_WINDOW, BOX_WINDOW);
                let boxes = image.exact_chunks((BOX as usize, BOX as usize));
                let rms = boxes.into_iter().map(|b| {
                    let sum: f64 = b.iter().map(|v| f64::from(*v).powi(2)).sum();
                    (sum / (BOX * BOX) as f64).sqrt() as f32
                });
                (k, rms.collect())
            })
            .collect();
        let mut rms = vec![0f32; columns * columns];
        for (k, part) in parts {
            for (i, v) in part.into_iter().enumerate() {
                let (r, c) = (k / windows * per_window + i / per_window, k % windows * per_window + i % per_window);
                if r < columns && c < columns {
                    rms[r * columns + c] = v;
                }
            }
        }
        Self { columns, rms }
    }

    /// Artefact rms at a pixel; the nearest box outside the mosaic.
    pub fn at(&self, row: i64, col: i64) -> f64 {
        let last = self.columns as i64 - 1;
        let (r, c) = (row.div_euclid(BOX).clamp(0, last), col.div_euclid(BOX).clamp(0, last));
        f64::from(self.rms[(r * (last + 1) + c) as usize])
    }
}

/// An object before it is measured.
struct Candidate {
    layer: Layer,
    kind: Kind,
    x: f64,
    y: f64,
    flux: f64,
    size: f64,
    angle: f64,
    snr: f64,
    number: Option<usize>,
    parts: Vec<Gaussian>,
}

/// The truth table: all objects above the catalogue limit whose mask touches the mosaic.
pub fn true_objects(sky: &Sky, boxes: &ArtefactBoxes) -> Vec<TrueObject> {
    let mut candidates = merge_blends(sky, field_candidates(sky));
    candidates.extend(sky.objects.iter().enumerate().map(|(number, o)| Candidate {
        layer: o.layer,
        kind: o.kind,
        x: o.x,
        y: o.y,
        flux: o.flux,
        size: o.size,
        angle: o.angle,
        snr: 0.0,
        number: Some(number),
        parts: o.parts.clone(),
    }));
    let mut objects: Vec<TrueObject> = candidates.into_par_iter().filter_map(|c| true_object(sky, boxes, c)).collect();
    for (i, o) in objects.iter_mut().enumerate() {
        o.id = i as i32 + 1;
    }
    objects
}

/// Unresolved sources above the catalogue limit.
fn field_candidates(sky: &Sky) -> Vec<Candidate> {
    let config = &sky.config;
    let cells = (config.side as i64 + CELL - 1) / CELL;
    let all: Vec<(i64, i64)> = (-1..=cells).flat_map(|y| (-1..=cells).map(move |x| (y, x))).collect();
    // Nowhere is the noise below half of the nominal one, so most sources need no look at the rms map.
    let least = 0.5 * config.truth.catalogue_sigma * (config.noise.thermal_ujy * 1e-6).hypot(sky.confusion);
    let found: Vec<Vec<Candidate>> = all
        .par_iter()
        .map(|cell| {
            let mut found = Vec::new();
            visit_field(config, &sky.counts, *cell, |s| {
                let g = s.gaussian;
                if s.resolved || g.flux < least {
                    return;
                }
                let Some(sigma) = sky.local_sigma(g.y.round() as i64, g.x.round() as i64) else { return };
                let snr = Stamp::new(&g, &sky.beam).peak / sigma;
                if snr >= config.truth.catalogue_sigma {
                    found.push(Candidate {
                        layer: Layer::Sources,
                        kind: s.kind,
                        x: g.x,
                        y: g.y,
                        flux: g.flux,
                        size: s.size,
                        angle: g.angle,
                        snr,
                        number: None,
                        parts: vec![g],
                    });
                }
            });
            found
        })
        .collect();
    found.into_iter().flatten().collect()
}

/// Joins beam-like objects closer than the merging distance whose masks touch.
fn merge_blends(sky: &Sky, mut list: Vec<Candidate>) -> Vec<Candidate> {
    let t = &sky.config.truth;
    let reach = t.merge_beams * sky.beam.fwhm;
    let sigma = sky.beam.fwhm / FWHM_PER_SIGMA;
    let radius = |snr: f64| sigma * (2.0 * (snr / t.mask_sigma).max(1.0).ln()).sqrt();
    let mut order: Vec<usize> = (0..list.len()).collect();
    order.sort_by(|a, b| list[*a].x.total_cmp(&list[*b].x).then(a.cmp(b)));
    let mut parent: Vec<usize> = (0..list.len()).collect();
    fn root(parent: &[usize], mut p: usize) -> usize {
        while parent[p] != p {
            p = parent[p];
        }
        p
    }
    for (k, a) in order.iter().enumerate() {
        for b in &order[k + 1..] {
            let (p, q) = (&list[*a], &list[*b]);
            if q.x - p.x > reach {
                break;
            }
            let d = (q.x - p.x).hypot(q.y - p.y);
            if d < reach && d <= radius(p.snr) + radius(q.snr) + 1.5 {
                let (i, j) = (root(&parent, *a), root(&parent, *b));
                parent[i.max(j)] = i.min(j);
            }
        }
    }
    for i in 0..list.len() {
        let r = root(&parent, i);
        if r == i {
            continue;
        }
        let (x, y, flux) = (list[i].x, list[i].y, list[i].flux);
        let parts = std::mem::take(&mut list[i].parts);
        let into = &mut list[r];
        let d = (x - into.x).hypot(y - into.y);
        let total = flux + into.flux;
        into.size = into.size.max(d);
        into.angle = (y - into.y).atan2(x - into.x);
        (into.x, into.y) = ((into.x * into.flux + x * flux) / total, (into.y * into.flux + y * flux) / total);
        into.flux = total;
        into.kind = Kind::Multiple;
        into.parts.extend(parts);
    }
    list.retain(|c| !c.parts.is_empty());
    list
}

fn true_object(sky: &Sky, boxes: &ArtefactBoxes, c: Candidate) -> Option<TrueObject> {
    let t = &sky.config.truth;
    let (row, col) = (c.y.round() as i64, c.x.round() as i64);
    let sigma = sky.local_sigma(row, col)?.hypot(boxes.at(row, col));
    let image = object_image(&c.parts, &sky.beam);
    let mask = measure(&image, sigma, t.mask_sigma)?;
    let snr = mask.peak / sigma;
    let side = sky.config.side as i32;
    let touches = mask.runs.iter().any(|r| r.row >= 0 && r.row < side && r.end > 0 && r.first < side);
    if snr < t.catalogue_sigma || !touches {
        return None;
    }
    let artefact_ratio = artefact_ratio(sky, boxes, &image, &mask, t.mask_sigma * sigma);
    let class = detection_class(&mask, artefact_ratio, sky.beam.area, t.mask_sigma * sigma);
    let odd = c.number.map(|n| &sky.objects[n]);
    Some(TrueObject {
        id: 0,
        layer: c.layer,
        kind: c.kind,
        x: c.x,
        y: c.y,
        flux: c.flux,
        size: c.size,
        angle: c.angle,
        sigma,
        snr,
        class,
        detectable: snr >= t.detect_sigma && mask.px >= t.least_px,
        artefact_ratio,
        forced: odd.is_some_and(|o| o.forced),
        recognisable: odd.is_some_and(|o| o.recognisable),
        twin: odd.map_or(0, |o| o.twin),
        rgz: sky.config.rgz.as_ref().and_then(|r| rgz_source(&image, &mask, sigma, r.contour_sigma)),
        mask,
        parts: c.parts,
    })
}

/// Median |artefact| over the mask as a share of the median brightness.
fn artefact_ratio(sky: &Sky, boxes: &ArtefactBoxes, image: &ObjectImage, mask: &ObjectMask, threshold: f64) -> f64 {
    let (rows, cols) = image.pixels.dim();
    let around = boxes.at(image.row + rows as i64 / 2, image.col + cols as i64 / 2);
    // Where artefacts are far below the object their exact share is of no interest.
    if around < 0.02 * mask.median {
        return around / mask.median;
    }
    let artefacts: Array2<f32> = sky.artefact_window(image.row, image.col, rows, cols);
    let mut inside: Vec<f32> = image
        .pixels
        .iter()
        .zip(&artefacts)
        .filter(|(v, _)| f64::from(**v) >= threshold)
        .map(|(_, a)| a.abs())
        .collect();
    inside.sort_by(f32::total_cmp);
    inside.get(inside.len() / 2).map_or(0.0, |a| f64::from(*a) / mask.median)
}

/// The detection class, tested in the order of the specification.
pub fn detection_class(mask: &ObjectMask, artefact_ratio: f64, beam_area: f64, threshold: f64) -> DetectionClass {
    // Area of a point of the same peak above the threshold.
    let point = beam_area * (mask.peak / threshold).max(1.0).ln();
    let px = mask.px as f64;
    if artefact_ratio > 0.3 && mask.islands == 1 {
        DetectionClass::Flagged
    } else if mask.islands >= 2 {
        DetectionClass::ExtendedMultisland
    } else if px >= 4.0 * beam_area && px >= 2.0 * point {
        DetectionClass::Extended
    } else {
        DetectionClass::Compact
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SimConfig, Tier};
    use crate::gaussian::BeamShape;

    #[test]
    fn classes_follow_shape() {
        let (beam, sigma) = (BeamShape::new(7.5, 7.5, 0.0), 27e-6);
        let class = |parts: &[Gaussian], ratio: f64| {
            let mask = measure(&object_image(parts, &beam), sigma, 2.5).unwrap();
            detection_class(&mask, ratio, beam.area, 2.5 * sigma)
        };
        let bright = Gaussian::point(50.0, 50.0, 0.01);
        assert_eq!(class(&[bright], 0.0), DetectionClass::Compact);
        assert_eq!(class(&[bright], 0.5), DetectionClass::Flagged);
        assert_eq!(class(&[bright, Gaussian::point(110.0, 50.0, 0.01)], 0.5), DetectionClass::ExtendedMultisland);
        let wide = Gaussian { x: 80.0, y: 80.0, flux: 0.01, s1: 15.0, s2: 10.0, angle: 0.3 };
        assert_eq!(class(&[wide], 0.0), DetectionClass::Extended);
    }

    #[test]
    fn the_table_is_complete_and_reproducible() {
        let config = SimConfig::emu_pilot(Tier::Tiny, 2);
        let sky = Sky::new(&config).unwrap();
        let boxes = ArtefactBoxes::new(&sky);
        let objects = true_objects(&sky, &boxes);
        let detectable = objects.iter().filter(|o| o.detectable).count() as f64 / config.area_deg2();
        // 953 sources above 135 uJy per square degree, less blends.
        assert!((750.0..1_150.0).contains(&detectable), "{detectable}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert!(pool.install(|| true_objects(&sky, &boxes)) == objects);
        for o in &objects {
            let total: f64 = o.parts.iter().map(|g| g.flux).sum();
            assert!((total / o.flux - 1.0).abs() < 1e-6, "{:?}", o.kind);
        }
        let mut ids: Vec<i32> = objects.iter().map(|o| o.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), objects.len());
    }
}
