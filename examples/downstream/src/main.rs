//! A ring among point sources: FITS in, frames, three channels each, an Isolation Forest on simple statistics, recall
//! and precision.
//!
//! No network is trained here; the mean and the scatter of the channels stand in for the 512 features of the encoder.
use std::error::Error;

use anomaly_iforest::{Contamination, ForestConfig, IsolationForest, MaxFeatures, MaxSamples};
use metrics::{FrameGroup, crossing, threshold_scan};
use ndarray::{Array2, Axis};
use radio_augment::Recipe;
use radio_io::{EdgePolicy, FrameGrid, FrameSet, MosaicEntry, SurveyMosaic, Wcs, write_image};

const SIDE: usize = 512;
const RING: (f32, f32) = (300.0, 180.0);

/// Brightness in Jy/beam: waves in place of noise, a source every 64 pixels, one ring.
fn sky((row, col): (usize, usize)) -> f32 {
    let (y, x) = (row as f32, col as f32);
    let noise = 2e-5 * ((0.9 * y + 0.37 * x).sin() + (0.53 * y - 1.1 * x).sin());
    let (dy, dx) = ((y % 64.0) - 32.0, (x % 64.0) - 32.0);
    let source = 1e-3 * (-(dy * dy + dx * dx) / 18.0).exp();
    let ring = 4e-4 * (-((y - RING.0).hypot(x - RING.1) - 24.0).powi(2) / 18.0).exp();
    noise + source + ring
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("field.fits");
    let wcs = Wcs::north_up("SIN", (201.4, -43.0), (255.5, 255.5), 2.0)?;
    write_image(&path, &Array2::from_shape_fn((SIDE, SIDE), sky), &wcs.cards())?;

    let mosaic = SurveyMosaic::open(&MosaicEntry::of_file(path, "field"))?;
    let grid = FrameGrid { size: 64, step: 32, edge: EdgePolicy::Shift };
    let frames = FrameSet::scan(vec![mosaic], &grid, 0.3)?;

    let (recipe, mut features, mut groups) = (Recipe::paper(48), Array2::zeros((frames.len(), 6)), Vec::new());
    for (frame_idx, id) in frames.ids().into_iter().enumerate() {
        let channels = recipe.channels(frames.pixels(frame_idx)?.view())?;
        for (channel_idx, channel) in channels.axis_iter(Axis(0)).enumerate() {
            features[[frame_idx, 2 * channel_idx]] = channel.mean().unwrap_or(0.0);
            features[[frame_idx, 2 * channel_idx + 1]] = channel.std(0.0);
        }
        let holds = |from: u32, centre: f32| (from as f32..from as f32 + 64.0).contains(&centre);
        let peculiar = holds(id.row, RING.0) && holds(id.col, RING.1);
        groups.push(Some(if peculiar { FrameGroup::Peculiar } else { FrameGroup::Ordinary }));
    }

    let (max_samples, max_features) = (MaxSamples::Auto, MaxFeatures::All);
    let contamination = Contamination::Auto;
    let config = ForestConfig { n_trees: 200, max_samples, max_features, contamination, bootstrap: false, seed: 1 };
    let scores = IsolationForest::fit(features.view(), &config)?.scores(features.view())?;
    let chosen = *crossing(&threshold_scan(&scores, &groups, 0.005)?)?.row();
    let (recall, precision) = (chosen.recall, chosen.precision.unwrap_or(f64::NAN));
    println!("{} frames; t = {:.3}: recall {recall:.2}, precision {precision:.2}", frames.len(), chosen.threshold);
    if recall < 0.5 { Err("the ring was not found".into()) } else { Ok(()) }
}
