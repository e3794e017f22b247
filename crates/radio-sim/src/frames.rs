//! Frames of the survey: what each contains, its labels, and which frames an annotator has labelled.

use crate::address::{Address, Layer};
use crate::config::{Annotator, SimConfig};
use crate::draw::uniform;
use crate::shapes::Kind;
use crate::sky::Sky;
use crate::truth::{DetectionClass, TrueObject};
use radio_io::{FrameId, FrameLabel};
use rand::Rng;

/// Mask area, in beams, at which a part of an object counts, and that of EXTENDED.
const COUNTED_BEAMS: f64 = 10.0;

/// Truth about one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// First row.
    pub row: usize,
    /// First column.
    pub col: usize,
    /// True labels, in the order of [`FrameLabel::ALL`].
    pub labels: Vec<FrameLabel>,
    /// Labels of the annotator.
    pub annotated: Vec<FrameLabel>,
    /// Whether the annotator has seen it.
    pub labelled: bool,
    /// Share of blank pixels.
    pub nan_fraction: f64,
    /// Median thermal rms, Jy/beam; NaN if blank.
    pub rms: f64,
    /// Detectable objects that count.
    pub n_detectable: usize,
    /// Sum of their fluxes, Jy.
    pub sum_flux: f64,
    /// Greatest true S/N of the counted objects.
    pub max_snr: f64,
    /// Ids of the peculiar objects that make it PECULIAR.
    pub peculiar: Vec<i32>,
    /// Greatest S/N of those.
    pub peculiar_snr: f64,
    /// Whether a counted ordinary object could be the twin of a peculiar one.
    pub has_twin: bool,
    /// Sky block `(row, column)`, of which whole blocks are labelled.
    pub block: (usize, usize),
}

impl Frame {
    /// The name of the frame in label lists.
    pub fn id(&self, config: &SimConfig) -> FrameId {
        FrameId {
            mosaic: config.name.clone(),
            row: self.row as u32,
            col: self.col as u32,
            size: config.frames.size as u32,
        }
    }

    /// Whether the true labels hold one.
    pub fn is(&self, label: FrameLabel) -> bool {
        self.labels.contains(&label)
    }
}

/// Pixel counts in square patches from which those of frames are summed.
#[derive(Debug, Clone)]
pub struct PatchCounts {
    /// Side of a patch: the greatest common divisor of frame size and step.
    pub side: usize,
    /// Patches per row.
    pub columns: usize,
    /// Blank pixels per patch.
    pub blank: Vec<u32>,
    /// Pixels per patch with a strong artefact outside all masks.
    pub artefact: Vec<u32>,
}

impl PatchCounts {
    /// Empty counts for a survey.
    pub fn new(config: &SimConfig) -> Self {
        let (mut a, mut b) = (config.frames.size, config.frames.step);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        let columns = config.side.div_ceil(a);
        Self { side: a, columns, blank: vec![0; columns * columns], artefact: vec![0; columns * columns] }
    }

    /// Index of the patch of a pixel.
    pub fn index(&self, row: usize, col: usize) -> usize {
        row / self.side * self.columns + col / self.side
    }

    /// Sum of a count over a frame.
    fn sum(&self, counts: &[u32], row: usize, col: usize, size: usize) -> u32 {
        let (r, c, n) = (row / self.side, col / self.side, size / self.side);
        (r..r + n).map(|i| counts[i * self.columns + c..i * self.columns + c + n].iter().sum::<u32>()).sum()
    }
}

/// All frames that are not too blank, with true labels.
pub fn true_frames(sky: &Sky, objects: &[TrueObject], patches: &PatchCounts) -> Vec<Frame> {
    let config = &sky.config;
    let f = &config.frames;
    let per_side = (config.side - f.size) / f.step + 1;
    let mut frames: Vec<Frame> = (0..per_side * per_side)
        .map(|k| {
            let (row, col) = (k / per_side * f.step, k % per_side * f.step);
            let mut rms: Vec<f64> = (0..16)
                .filter_map(|i| {
                    let (r, c) = (row + (2 * (i / 4) + 1) * f.size / 8, col + (2 * (i % 4) + 1) * f.size / 8);
                    sky.rms.sigma(r as i64, c as i64).map(f64::from)
                })
                .collect();
            rms.sort_by(f64::total_cmp);
            Frame {
                row,
                col,
                labels: Vec::new(),
                annotated: Vec::new(),
                labelled: false,
                nan_fraction: f64::from(patches.sum(&patches.blank, row, col, f.size)) / (f.size * f.size) as f64,
                rms: rms.get(rms.len() / 2).copied().unwrap_or(f64::NAN),
                n_detectable: 0,
                sum_flux: 0.0,
                max_snr: 0.0,
                peculiar: Vec::new(),
                peculiar_snr: 0.0,
                has_twin: false,
                block: (row / f.block, col / f.block),
            }
        })
        .collect();
    for object in objects.iter().filter(|o| o.detectable) {
        for (i, j) in frames_touched(object, f.size, f.step, per_side) {
            judge(sky, object, &mut frames[i * per_side + j]);
        }
    }
    frames.retain(|frame| frame.nan_fraction <= f.blank_limit);
    let beam = sky.beam.area;
    for frame in &mut frames {
        if frame.max_snr < 6.0 {
            frame.labels.push(FrameLabel::Background);
        }
        if f64::from(patches.sum(&patches.artefact, frame.row, frame.col, f.size)) >= 20.0 * beam {
            frame.labels.push(FrameLabel::Artefact);
        }
        let seam = |s: &&crate::coverage::Seam| s.visible() && s.length_inside(frame.row, frame.col, f.size) >= 64.0;
        if sky.rms.seams.iter().any(|s| seam(&s)) {
            frame.labels.push(FrameLabel::Mosaicking);
        }
        frame.labels.sort_unstable();
        frame.labels.dedup();
        if frame.labels.is_empty() {
            // Everything in it is cut off by its edge: to the eye, compact sources.
            frame.labels.push(FrameLabel::Compact);
        }
    }
    frames
}

/// Grid places of the frames that an object's mask may touch.
fn frames_touched(object: &TrueObject, size: usize, step: usize, per_side: usize) -> Vec<(usize, usize)> {
    let runs = &object.mask.runs;
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return Vec::new() };
    let left = runs.iter().map(|r| r.first).min().unwrap_or(0);
    let right = runs.iter().map(|r| r.end).max().unwrap_or(0);
    let range = |low: i32, high: i32| {
        // Frame k covers k * step .. k * step + size.
        let first = (i64::from(low) - size as i64 + step as i64).max(0) as usize / step;
        let last = i64::from(high).max(0) as usize / step;
        first..(last + 1).min(per_side)
    };
    let columns = range(left, right);
    range(first.row, last.row).flat_map(|i| columns.clone().map(move |j| (i, j))).collect()
}

/// Adds to a frame what one object contributes.
fn judge(sky: &Sky, o: &TrueObject, frame: &mut Frame) {
    let size = sky.config.frames.size as i32;
    let (r0, c0) = (frame.row as i32, frame.col as i32);
    let beam = sky.beam.area;
    let (mut px, mut bounds) = (0usize, [i32::MAX, i32::MIN, i32::MAX, i32::MIN]);
    for run in o.mask.runs.iter().filter(|r| r.row >= r0 && r.row < r0 + size) {
        let (a, b) = (run.first.max(c0), run.end.min(c0 + size));
        if a < b {
            px += (b - a) as usize;
            bounds = [bounds[0].min(run.row), bounds[1].max(run.row), bounds[2].min(a), bounds[3].max(b)];
        }
    }
    let share = px as f64 / o.mask.px as f64;
    let inside_beams = px as f64 / beam;
    if share < 0.5 && inside_beams < COUNTED_BEAMS {
        return;
    }
    frame.n_detectable += 1;
    frame.sum_flux += o.flux;
    frame.max_snr = frame.max_snr.max(o.snr);
    let config = &sky.config;
    let arcsec = o.size * config.pixel_arcsec;
    let beams = o.mask.px as f64 / beam;
    let labels = &mut frame.labels;
    if o.class == DetectionClass::Compact || beams < COUNTED_BEAMS {
        labels.push(FrameLabel::Compact);
    }
    // A small HII region is a blob like others; a large one is diffuse emission.
    let cloud = matches!(o.kind, Kind::Halo | Kind::LargeDiffuse) || o.kind == Kind::HiiRegion && arcsec >= 180.0;
    if o.mask.islands == 1 && beams >= COUNTED_BEAMS && !cloud {
        labels.push(FrameLabel::Extended);
    }
    let long = o.size >= 3.0 * sky.beam.fwhm && o.mask.axis_ratio <= 0.5;
    if o.kind.has_jets() && (arcsec >= 25.0 && o.mask.peaks >= 2 || long) {
        labels.push(FrameLabel::RadioGalaxy);
    }
    if o.kind.is_diffuse() && arcsec < 240.0 && o.snr < 30.0 && beams >= 6.0 {
        labels.push(FrameLabel::Diffuse);
    }
    if o.kind.is_diffuse() && (arcsec >= 255.0 || px as f64 >= 0.25 * f64::from(size * size)) {
        labels.push(FrameLabel::DiffuseLarge);
    }
    if o.kind == Kind::Filament {
        let length = f64::from(bounds[1] - bounds[0]).hypot(f64::from(bounds[3] - bounds[2]));
        if length * config.pixel_arcsec >= 60.0 {
            labels.push(FrameLabel::Filament);
        }
    }
    if o.kind.is_peculiar() {
        if o.recognisable && o.snr >= 8.0 && beams >= 6.0 && share >= 0.7 {
            labels.push(FrameLabel::Peculiar);
            frame.peculiar.push(o.id);
            frame.peculiar_snr = frame.peculiar_snr.max(o.snr);
        }
    } else {
        let p = &config.peculiar;
        frame.has_twin |= share >= 0.7
            && arcsec >= p.twin_least_arcsec
            && (p.twin_snr[0]..=p.twin_snr[1]).contains(&o.snr)
            && beams >= p.twin_least_beams;
    }
}

/// Whether a frame is complex in the sense of Table 4 (peculiar ones apart).
pub fn is_complex(labels: &[FrameLabel]) -> bool {
    use FrameLabel::{Diffuse, DiffuseLarge, Extended, RadioGalaxy};
    labels.iter().any(|l| matches!(l, Extended | RadioGalaxy | Diffuse | DiffuseLarge))
}

/// Fills in what the annotator says of each frame, and which frames were labelled.
pub fn annotate(config: &SimConfig, frames: &mut [Frame]) {
    for frame in frames.iter_mut() {
        frame.annotated = match config.frames.annotator {
            Annotator::Truth => frame.labels.clone(),
            Annotator::Human => seen_by_eye(config, frame),
        };
    }
    frames.iter_mut().for_each(|f| f.labelled = false);
    let all = config.side <= 2 * config.frames.block;
    let is_peculiar = |f: &Frame| f.annotated.contains(&FrameLabel::Peculiar);
    // Peculiar frames first, in random order up to the limit.
    let mut peculiar: Vec<usize> = (0..frames.len()).filter(|i| is_peculiar(&frames[*i])).collect();
    let mut rng = Address { seed: config.seed, layer: Layer::Blocks, y: 0, x: 0, index: 0 }.rng();
    shuffle(&mut rng, &mut peculiar);
    peculiar.truncate(config.frames.peculiar_limit);
    let mut blocks: Vec<(usize, usize)> = frames.iter().map(|f| f.block).collect();
    blocks.sort_unstable();
    blocks.dedup();
    shuffle(&mut rng, &mut blocks);
    let wanted = (peculiar.len() as f64 / config.frames.peculiar_share).round() as usize;
    let mut labelled = peculiar.len();
    for i in peculiar {
        frames[i].labelled = true;
    }
    for block in blocks {
        if labelled >= wanted && !all {
            break;
        }
        for frame in frames.iter_mut().filter(|f| f.block == block && !f.labelled) {
            if all || !frame.annotated.contains(&FrameLabel::Peculiar) {
                frame.labelled = true;
                labelled += 1;
            }
        }
    }
}

fn shuffle<T>(rng: &mut impl Rng, list: &mut [T]) {
    for i in (1..list.len()).rev() {
        list.swap(i, rng.random_range(0..=i));
    }
}

/// Labels with the gaps and mistakes of an annotator.
fn seen_by_eye(config: &SimConfig, frame: &Frame) -> Vec<FrameLabel> {
    let address =
        Address { seed: config.seed, layer: Layer::Annotator, y: frame.row as i64, x: frame.col as i64, index: 0 };
    let mut rng = address.rng();
    // The draws come first and always, so that each stands at the same place of the stream.
    let [notice, mistake, lost_artefact, lost_diffuse]: [f64; 4] = std::array::from_fn(|_| uniform(&mut rng, 0.0, 1.0));
    let mut labels = frame.labels.clone();
    if frame.is(FrameLabel::Peculiar) {
        let chance = 1.0 / (1.0 + (-(frame.peculiar_snr - 9.0) / 1.5).exp());
        if notice >= chance {
            labels.retain(|l| *l != FrameLabel::Peculiar);
        }
    } else if is_complex(&labels) && mistake < 0.005 {
        labels.push(FrameLabel::Peculiar);
    }
    if lost_artefact < 0.03 {
        labels.retain(|l| *l != FrameLabel::Artefact);
    }
    if lost_diffuse < 0.03 {
        labels.retain(|l| *l != FrameLabel::Diffuse);
    }
    if labels.is_empty() {
        labels.push(FrameLabel::Compact);
    }
    labels.sort_unstable();
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;
    use crate::gaussian::Gaussian;
    use crate::mask::{measure, object_image};

    fn object_at(sky: &Sky, x: f64, y: f64, kind: Kind) -> TrueObject {
        let parts: Vec<Gaussian> = (0..12).map(|i| Gaussian::point(x + 4.0 * f64::from(i) - 22.0, y, 6e-4)).collect();
        let sigma = 27e-6;
        let mask = measure(&object_image(&parts, &sky.beam), sigma, 2.5).unwrap();
        TrueObject {
            id: 1,
            layer: Layer::Sources,
            kind,
            x,
            y,
            flux: 7.2e-3,
            size: 48.0,
            angle: 0.0,
            sigma,
            snr: mask.peak / sigma,
            class: DetectionClass::Extended,
            detectable: true,
            artefact_ratio: 0.0,
            forced: false,
            recognisable: true,
            twin: 0,
            mask,
            parts,
            rgz: None,
        }
    }

    #[test]
    fn an_object_labels_the_frames_it_lies_in() {
        let sky = Sky::new(&SimConfig::emu_pilot(Tier::Tiny, 1)).unwrap();
        let patches = PatchCounts::new(&sky.config);
        let frames = true_frames(&sky, &[object_at(&sky, 320.0, 448.0, Kind::DoubleDouble)], &patches);
        assert_eq!(frames.len(), 225);
        let odd: Vec<(usize, usize)> =
            frames.iter().filter(|f| f.is(FrameLabel::Peculiar)).map(|f| (f.row, f.col)).collect();
        // Row 448 lies in the frames at 256 and 384, column 320 in those at 128 and 256.
        assert_eq!(odd, [(256, 128), (256, 256), (384, 128), (384, 256)]);
        let frame = frames.iter().find(|f| (f.row, f.col) == (256, 256)).unwrap();
        assert!(
            frame.is(FrameLabel::Extended) && frame.is(FrameLabel::RadioGalaxy) && !frame.is(FrameLabel::Background)
        );
        assert!(frames.iter().filter(|f| f.is(FrameLabel::Background)).count() >= 200);
    }

    #[test]
    fn the_annotator_is_reproducible_and_blocks_are_whole() {
        let mut config = SimConfig::emu_pilot(Tier::Tiny, 1);
        let sky = Sky::new(&config).unwrap();
        let patches = PatchCounts::new(&config);
        let mut frames = true_frames(&sky, &[object_at(&sky, 320.0, 448.0, Kind::Circle)], &patches);
        // Small blocks, so that only some are labelled.
        config.frames.block = 512;
        for f in &mut frames {
            f.block = (f.row / 512, f.col / 512);
        }
        annotate(&config, &mut frames);
        let again = {
            let mut copy = frames.clone();
            annotate(&config, &mut copy);
            copy
        };
        assert!(frames == again);
        let labelled = frames.iter().filter(|f| f.labelled).count();
        assert!((54..90).contains(&labelled), "{labelled}");
        for f in frames.iter().filter(|f| !f.is(FrameLabel::Peculiar)) {
            let same = frames.iter().filter(|g| g.block == f.block && !g.is(FrameLabel::Peculiar));
            assert!(same.into_iter().all(|g| g.labelled == f.labelled), "block {:?}", f.block);
        }
    }
}
