//! Figure 4: a map (UMAP) of the frozen features of all labelled cutouts, coloured by class; of a trained and of a random encoder.
use anyhow::{Context, Result};
use map_umap::{Umap, UmapConfig, trustworthiness};
use ndarray::Array2;
use neighbours::Metric;
use serde::{Deserialize, Serialize};

use super::claims::{Asks, Claim, Verdict, judge, points};
use super::experiment::Experiment;
use super::frozen::{Describer, Frozen};
use super::labelled::Labelled;
use super::map_quality::{knn_right, silhouettes};
use super::pages::{Found, write_page};
use super::settings::FigureOptions;
use crate::intervals::Estimate;
use crate::progress::Stage;
use crate::report::figure_page::PageTable;
use crate::report::scatter::figure::scatter_figure;
use crate::report::{Colouring, Drawing, ScatterMap};

/// Neighbours that vote, and of which the trustworthiness speaks.
const NEIGHBOURS: usize = 15;
const GROUPS: &str = "A map of the self-supervised features, coloured by class, shows how far the classes are told apart (no number is given).";
const SECTION: &str = "section 3, Fig. 4";

/// A map and how well it keeps classes apart.
#[derive(Debug, Serialize)]
pub struct MapFound {
    /// Name of the features.
    pub features: String,
    /// Are neighbours on the map neighbours among the features? 1 at best.
    pub trustworthiness: f64,
    /// Share of the cutouts whose neighbours on the map, of other sky, are mostly of their class.
    pub knn_on_map: Estimate,
    /// The same among the features.
    pub knn_in_features: Estimate,
    /// Mean silhouette of the classes on the map, -1 to 1.
    pub silhouette: Estimate,
    /// Places on the map.
    pub points: Vec<[f32; 2]>,
}

/// Makes figure 4 and returns what to print.
///
/// # Errors
/// If data cannot be used, a stage fails, the user interrupts, or a file cannot be written.
pub fn figure4(options: &FigureOptions) -> Result<String> {
    let experiment = Experiment::open(options, false)?;
    let seed = *experiment.settings.seeds.first().context("no seed")?;
    let trained = experiment.features(&Describer::Pretrained(experiment.main_encoder(seed)?))?;
    let random = experiment.features(&Describer::RandomWeights { seed })?;
    let (trained, trained_right) = map_of(&experiment, &trained)?;
    let (random, random_right) = map_of(&experiment, &random)?;
    let gain: Vec<f64> = trained_right.iter().zip(&random_right).map(|(a, b)| a - b).collect();
    let over = experiment.over_sets();
    let gain = over.mean_of_rows(&gain)?;
    let chance = chance(&experiment.labelled.labels);
    let figures = [&trained, &random].into_iter().filter_map(|map| drawn(&experiment.labelled, map)).collect();
    let reading = "our reading: cutouts of one class lie together, more of them than by chance";
    let learnt = match judge(Asks::MoreThan(0.0), gain) {
        Verdict::Agrees => "More than with random weights, so learnt",
        Verdict::Differs => "Fewer than with random weights",
        Verdict::CannotTell => {
            "Whether that is learnt cannot be told: with random weights it is as many within the interval"
        }
    };
    let found = Found {
        stem: "fig4",
        title: "Figure 4: a map of the features",
        result: format!(
            "On the map of the {} features {} of the cutouts have mostly neighbours of their class; chance is {:.1} %. {learnt} \
             (difference {}).",
            trained.features,
            points(trained.knn_on_map),
            100.0 * chance,
            points(gain)
        ),
        claims: vec![Claim::judged(
            GROUPS,
            SECTION,
            reading,
            Asks::MoreThan(chance),
            "kNN accuracy on the map",
            trained.knn_on_map,
        )],
        notes: vec![format!(
            "UMAP as in the paper: 15 neighbours, minimal distance 0.1, two axes, seed 42. The kNN accuracy takes the majority of {NEIGHBOURS} \
             neighbours that show other pieces of sky; it and the silhouette say how far classes lie apart, trustworthiness how far the map shows the features. \
             The paper judges its map by eye and gives no number. Axes of such a map have no meaning."
        )],
        figures,
        tables: vec![table(&[&trained, &random])],
        data: [trained, random],
    };
    write_page(&experiment, &options.out, "cargo xtask reproduce-fig4", found)
}

/// The map as a figure.
fn drawn(labelled: &Labelled, map: &MapFound) -> Option<Drawing> {
    let names = labelled.labels.iter().map(|&label| labelled.classes[label].clone());
    let of_classes = Colouring::Classes {
        name: format!("class; kNN {:.1} %", 100.0 * map.knn_on_map.value),
        classes: labelled.classes.clone(),
        of: labelled.labels.iter().copied().map(Some).collect(),
    };
    let scatter = ScatterMap {
        title: format!("UMAP, {}", map.features),
        ids: names.collect(),
        places: map.points.clone(),
        colourings: vec![of_classes],
        ..ScatterMap::default()
    };
    scatter_figure(&scatter, 0)
}

/// What a vote that knows nothing of the map gets right: all of the most frequent class. The cutouts of a map are all there are, and
/// not balanced as the sets are.
fn chance(labels: &[usize]) -> f64 {
    let mut counts = std::collections::BTreeMap::<usize, usize>::new();
    labels.iter().for_each(|&label| *counts.entry(label).or_default() += 1);
    counts.values().copied().max().unwrap_or(0) as f64 / labels.len().max(1) as f64
}

/// Places on a map, as stored.
#[derive(Serialize, Deserialize)]
struct StoredMap {
    points: Vec<[f32; 2]>,
    trustworthiness: f64,
}

/// The map of a feature set, and for each cutout whether its neighbours there are of its class (1 or 0).
fn map_of(experiment: &Experiment, features: &Frozen) -> Result<(MapFound, Vec<f64>)> {
    let labelled = &experiment.labelled;
    let n = labelled.len();
    let mut config = UmapConfig::published(42);
    config.n_neighbours = config.n_neighbours.min(n.saturating_sub(1)).max(2);
    let name = format!("map-{}", features.name.replace(' ', "-"));
    let stored = experiment.store.result(&name, &(&features.key, config), || {
        let stage = Stage::start("map");
        let map = Umap::fit(features.rows.view(), &config)?;
        let k = NEIGHBOURS.min(n.saturating_sub(1) / 2).max(1);
        let trustworthiness = trustworthiness(features.rows.view(), map.embedding.view(), k, Metric::Euclidean)?;
        stage.end(features.name);
        let points = map.embedding.outer_iter().map(|row| [row[0], row[1]]).collect();
        Ok(StoredMap { points, trustworthiness })
    })?;
    let points = Array2::from_shape_fn((stored.points.len(), 2), |(row, axis)| stored.points[row][axis]);
    let right = |rows: ndarray::ArrayView2<f32>| {
        let right = knn_right(rows, &labelled.labels, &labelled.groups, NEIGHBOURS);
        right.into_iter().map(f64::from).collect::<Vec<f64>>()
    };
    let over = experiment.over_sets();
    let on_map = right(points.view());
    let found = MapFound {
        features: features.name.to_owned(),
        trustworthiness: stored.trustworthiness,
        knn_on_map: over.mean_of_rows(&on_map)?,
        knn_in_features: over.mean_of_rows(&right(features.rows.view()))?,
        silhouette: over.mean_of_rows(&silhouettes(points.view(), &labelled.labels))?,
        points: stored.points,
    };
    Ok((found, on_map))
}

fn table(maps: &[&MapFound]) -> PageTable {
    let row = |map: &&MapFound| {
        let Estimate { value, low, high } = map.silhouette;
        vec![
            map.features.clone(),
            format!("{:.3}", map.trustworthiness),
            points(map.knn_on_map),
            points(map.knn_in_features),
            format!("{value:.3} ({low:.3} to {high:.3})"),
        ]
    };
    PageTable {
        heading: "How far the classes lie apart".into(),
        caption: "Intervals over pieces of sky.".into(),
        columns: [
            "features",
            "trustworthiness",
            "kNN on the map (95 %)",
            "kNN among the features",
            "silhouette (95 %)",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: maps.iter().map(row).collect(),
        prose: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_the_share_of_the_most_frequent_class() {
        assert_eq!(chance(&[0, 1, 2, 0, 1, 2]), 1.0 / 3.0);
        let labels: Vec<usize> = (0..100).map(|i| usize::from(i % 10 == 0)).collect();
        assert_eq!(chance(&labels), 0.9, "nine of ten are of one class: to guess it is no skill");
        // Places that say nothing of the class, and a majority vote over all others: exactly chance.
        let rows = Array2::from_shape_fn((100, 2), |(row, _)| ((row * 37) % 100) as f32);
        let groups: Vec<usize> = (0..100).collect();
        let right = knn_right(rows.view(), &labels, &groups, 99);
        assert_eq!(right.iter().filter(|right| **right).count(), 90);
    }
}
