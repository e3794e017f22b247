//! The map in a run's report: its frames as points, coloured by group, score, noise and blank share.
use std::collections::BTreeSet;

use anyhow::Result;
use map_umap::{MapError, Umap, UmapConfig};
use ndarray::Axis;
use radio_io::FeatureTable;
use rayon::prelude::*;

use crate::anomaly_scores::ScoredSet;
use crate::frames::SurveyFrames;
use crate::map::pictures::evenly;
use crate::report::sky_tile::{encode_png, sky_tile};
use crate::report::{Colouring, FrameGroup, ScatterMap};

/// Seed of the map, the authors' (reference-facts E6): the same features give the same map, whatever the seed of the run.
const SEED: u64 = 42;
/// Most points; of more frames every so manyth is taken.
const MOST_POINTS: usize = 20_000;
/// Leading features of the ranking that the map is made of (the paper's EMU map; reference-facts E6).
const LEADING: usize = 15;
/// Cutouts in the page: so many of the highest scores, and so many evenly from first to last.
const PICTURES: usize = 200;
/// Largest side of a cutout in the page, pixels.
const SIDE: usize = 64;

/// The map of a run, or why there is none: too few frames, or frames that are all alike.
///
/// `order` is the ranking's, empty without one: then all features are used.
///
/// # Errors
/// If a frame that is to be shown cannot be read.
pub(crate) fn run_map(
    table: &FeatureTable,
    order: &[usize],
    frames: &SurveyFrames,
    set: Option<&ScoredSet>,
) -> Result<Result<ScatterMap, MapError>> {
    let rows = evenly(table.len(), MOST_POINTS);
    let mut features = table.features.select(Axis(0), &rows);
    let leading = &order[..order.len().min(LEADING)];
    let known = leading.iter().all(|&feature| feature < features.ncols());
    let mut used = format!("all {} features", features.ncols());
    if !leading.is_empty() && known {
        features = features.select(Axis(1), leading);
        used = format!("the {} leading features of the ranking", leading.len());
    }
    let config = UmapConfig::published(SEED);
    let map = match Umap::fit(features.view(), &config) {
        Ok(map) => map,
        Err(why) => return Ok(Err(why)),
    };
    let groups = frames.groups();
    let mut colourings = Vec::new();
    if frames.has_labels() {
        let names: Vec<String> = rows.iter().map(|&row| FrameGroup::from(groups[row]).name().to_owned()).collect();
        colourings.push(Colouring::classes("group", &names));
    }
    let mut number = |name: &str, of: &dyn Fn(usize) -> f64| {
        colourings.push(Colouring::Values { name: name.to_owned(), values: rows.iter().map(|&row| of(row)).collect() });
    };
    if let Some(set) = set {
        number(&format!("anomaly score, {}", set.name), &|row| set.scores[row]);
    }
    number("noise, Jy/beam", &|row| f64::from(table.rms_jy_beam[row]));
    number("blank share", &|row| f64::from(table.blank_fraction[row]));

    let mut shown: BTreeSet<usize> = evenly(rows.len(), PICTURES).into_iter().collect();
    if let Some(set) = set {
        let mut by_score: Vec<usize> = (0..rows.len()).collect();
        by_score.sort_by(|&a, &b| set.scores[rows[b]].total_cmp(&set.scores[rows[a]]).then(a.cmp(&b)));
        shown.extend(by_score.into_iter().take(PICTURES));
    }
    let tile = |place: usize| Ok((place, encode_png(&sky_tile(frames.cutout(rows[place])?.pixels.view(), SIDE))?));
    let shown: Vec<usize> = shown.into_iter().collect();
    let pictures: Result<Vec<(usize, Vec<u8>)>> = shown.into_par_iter().map(tile).collect();
    let part = if rows.len() < table.len() {
        format!(" {} of {} frames, evenly taken.", rows.len(), table.len())
    } else {
        String::new()
    };
    Ok(Ok(ScatterMap {
        title: "Map of the frames".into(),
        caption: format!(
            "UMAP of {used} ({} neighbours, minimal distance {}, seed {SEED}).{part} Similar frames lie close to each other; distances between \
             far points, and the axes, mean nothing. Click a point for its cutout: the page holds those of the highest scores and of some others.",
            config.n_neighbours, config.min_dist
        ),
        ids: rows.iter().map(|&row| table.ids[row].clone()).collect(),
        places: map.embedding.outer_iter().map(|row| [row[0], row[1]]).collect(),
        colourings,
        background: Vec::new(),
        pictures: pictures?.into_iter().collect(),
    }))
}
