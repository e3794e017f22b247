//! UMAP: a map on which rows that are neighbours in the table are neighbours too.
//!
//! McInnes, Healy & Melville 2018 (arXiv:1802.03426). Neighbours are exact, every random number comes from one seed, and
//! the layout is one serial loop: equal seeds give equal bits for any number of threads.

use ndarray::{Array2, ArrayView2};
use neighbours::{nearest_in, nearest_neighbours};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    config::{Start, UmapConfig},
    curve::{Similarity, fit_similarity},
    error::{MapError, check},
    graph::{Graph, bandwidth, fuzzy_graph, membership, with_labels},
    layout::{Edge, Forces, arrange, place},
    pca::{Components, Pca, PcaConfig},
    scaling::{ColumnScale, Scaling},
    spectral::spectral_coordinates,
};

/// Side of the square in which the points start.
const START_SIDE: f64 = 10.0;
/// Noise on that square, which parts points that start at one place: standard deviation, up to a constant.
const START_NOISE: f64 = 1e-4;
/// Fewest labelled rows a supervised map is made from.
const FEWEST_LABELS: usize = 20;
/// Epochs for new rows, unless the configuration names a number: then a third of it.
const TRANSFORM_EPOCHS: usize = 100;
/// New rows begin close to their place: a quarter of the first step size.
const TRANSFORM_RATE: f64 = 0.25;
/// Stream of the generator that places new rows; the fit has stream 0.
const TRANSFORM_STREAM: u64 = 1;

/// A fitted map.
#[derive(Debug, Clone, PartialEq)]
pub struct Umap {
    /// Every number it depends on.
    pub config: UmapConfig,
    /// The scale of the columns.
    pub scale: ColumnScale,
    /// `[n, columns]`: the scaled rows of the fit, among which new rows find their neighbours.
    pub rows: Array2<f32>,
    /// `[n, axes]`: their places on the map.
    pub embedding: Array2<f32>,
    /// Similarity of points by their distance.
    pub similarity: Similarity,
    /// The start that was taken: spectral gives way to principal components where the graph has several parts, and these
    /// to random positions where there are fewer columns than axes.
    pub start: Start,
}

impl Umap {
    /// Makes a map of a table.
    ///
    /// # Shapes
    /// - `features`: `[n, columns]`.
    /// # Errors
    /// [`MapError::TooFewRows`] below `n_neighbours` rows; [`MapError::Constant`] if all rows are equal;
    /// [`MapError::NotFinite`]; [`MapError::BadSetting`]; for the cosine a row of zeros ([`MapError::Neighbours`]).
    pub fn fit(features: ArrayView2<f32>, config: &UmapConfig) -> Result<Self, MapError> {
        Self::fit_with(features, None, config)
    }

    /// As [`Umap::fit`], with labels that pull rows together or apart, where they are known.
    ///
    /// # Errors
    /// As [`Umap::fit`]; [`MapError::WrongLength`]; [`MapError::TooFewLabels`] below 20 labelled rows.
    pub fn fit_labelled(
        features: ArrayView2<f32>,
        labels: &[Option<u32>],
        config: &UmapConfig,
    ) -> Result<Self, MapError> {
        let (expected, found) = (features.nrows(), labels.len());
        if expected != found {
            return Err(MapError::WrongLength { name: "labels", expected, found });
        }
        let known = labels.iter().flatten().count();
        if known < FEWEST_LABELS {
            return Err(MapError::TooFewLabels { expected: FEWEST_LABELS, found: known });
        }
        Self::fit_with(features, Some(labels), config)
    }

    fn fit_with(
        features: ArrayView2<f32>,
        labels: Option<&[Option<u32>]>,
        config: &UmapConfig,
    ) -> Result<Self, MapError> {
        config.check()?;
        let n = features.nrows();
        if n < config.n_neighbours {
            return Err(MapError::TooFewRows { expected: config.n_neighbours, found: n });
        }
        let scale = ColumnScale::fit(features, config.scaling)?;
        let rows = scale.apply(features)?;
        if rows.outer_iter().all(|row| row == rows.row(0)) {
            return Err(MapError::Constant { rows: n });
        }
        let similarity = similarity(config)?;
        let neighbours = nearest_neighbours(rows.view(), config.n_neighbours - 1, config.metric)?;
        let mut graph = fuzzy_graph(&neighbours);
        if let Some(labels) = labels {
            graph = with_labels(&graph, labels, config.label_weight);
        }
        let epochs = config.epochs(n);
        let graph = graph.pruned(epochs);
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let (mut embedding, start) = start(rows.view(), &graph, config, &mut rng)?;
        let strongest = graph.weights.iter().copied().fold(0.0, f32::max);
        let mut edges: Vec<Edge> = graph
            .directed()
            .into_iter()
            .map(|(head, tail, weight)| {
                Edge::new(head, tail, f64::from(weight) / f64::from(strongest), config.negative_samples)
            })
            .collect();
        let forces = Forces::new(similarity, config.repulsion);
        if let Some(points) = embedding.as_slice_mut() {
            arrange(points, config.n_components, &mut edges, forces, epochs, config.learning_rate, &mut rng);
        }
        Ok(Self { config: *config, scale, rows, embedding, similarity, start })
    }

    /// Places of new rows on the map, which stays as it is.
    ///
    /// Each row's place depends on nothing but the map and the row: not on the rows beside it, nor on their number. (In
    /// umap-learn it depends on both, through a common generator and a common strongest edge.)
    ///
    /// # Shapes
    /// - `features`: `[m, columns]`; result: `[m, axes]`.
    /// # Errors
    /// [`MapError::WrongWidth`], [`MapError::NotFinite`]; for the cosine a row of zeros ([`MapError::Neighbours`]).
    pub fn transform(&self, features: ArrayView2<f32>) -> Result<Array2<f32>, MapError> {
        let rows = self.scale.apply(features)?;
        let k = self.config.n_neighbours;
        let neighbours = nearest_in(rows.view(), self.rows.view(), k, self.config.metric)?;
        let map: Vec<f32> = self.embedding.iter().copied().collect();
        let forces = Forces::new(self.similarity, self.config.repulsion);
        let epochs = self.config.n_epochs.map_or(TRANSFORM_EPOCHS, |epochs| (epochs / 3).max(1));
        let axes = self.config.n_components;
        let mut stream = ChaCha8Rng::seed_from_u64(self.config.seed);
        stream.set_stream(TRANSFORM_STREAM);
        let mut places = Array2::<f32>::zeros((rows.nrows(), axes));
        let lines: Vec<_> = places.outer_iter_mut().enumerate().collect();
        lines.into_par_iter().for_each(|(row, mut line)| {
            let members = members(neighbours.rows.row(row), neighbours.distances.row(row));
            let mut point = beginning(&members, &map, axes);
            let strongest = members.iter().map(|member| member.1).fold(0.0, f32::max);
            let mut edges: Vec<Edge> = members
                .iter()
                .filter(|member| member.1 >= strongest / epochs as f32)
                .map(|&(tail, weight)| {
                    Edge::new(0, tail, f64::from(weight) / f64::from(strongest), self.config.negative_samples)
                })
                .collect();
            let rate = TRANSFORM_RATE * self.config.learning_rate;
            place(&mut point, &map, &mut edges, forces, epochs, rate, &mut stream.clone());
            line.iter_mut().zip(point).for_each(|(to, from)| *to = from);
        });
        Ok(places)
    }
}

/// The curve of a configuration.
pub(crate) fn similarity(config: &UmapConfig) -> Result<Similarity, MapError> {
    match fit_similarity(config.min_dist, config.spread) {
        Some(similarity) => Ok(similarity),
        None => {
            let found = format!("{} with spread {}", config.min_dist, config.spread);
            Err(MapError::BadSetting { name: "min_dist", expected: "a distance that a curve fits".into(), found })
        }
    }
}

/// Neighbours of a new row among those of the fit, with their memberships.
fn members(rows: ndarray::ArrayView1<u32>, distances: ndarray::ArrayView1<f32>) -> Vec<(u32, f32)> {
    let distances = distances.to_vec();
    let mean = distances.iter().map(|&distance| f64::from(distance)).sum::<f64>() / distances.len() as f64;
    // As umap-learn: no offset, and the nearest row is left out of the sum (in a fit it is the row itself).
    let width = bandwidth(&distances[1..], distances.len(), 0.0, mean, mean);
    rows.iter().zip(&distances).map(|(&row, &distance)| (row, membership(distance, 0.0, width))).collect()
}

/// Where a new row begins: at the place of a row it equals, else at the weighted mean of its neighbours.
fn beginning(members: &[(u32, f32)], map: &[f32], axes: usize) -> Vec<f32> {
    let place = |row: u32| &map[row as usize * axes..(row as usize + 1) * axes];
    if let Some(&(row, _)) = members.iter().find(|member| member.1 >= 1.0) {
        return place(row).to_vec();
    }
    let total: f64 = members.iter().map(|member| f64::from(member.1)).sum();
    (0..axes)
        .map(|axis| {
            let sum: f64 = members.iter().map(|&(row, w)| f64::from(w) * f64::from(place(row)[axis])).sum();
            (sum / total) as f32
        })
        .collect()
}

/// First positions `[n, axes]`, each axis from 0 to 10, and where they come from.
fn start(
    rows: ArrayView2<f32>,
    graph: &Graph,
    config: &UmapConfig,
    rng: &mut ChaCha8Rng,
) -> Result<(Array2<f32>, Start), MapError> {
    let (n, axes) = (rows.nrows(), config.n_components);
    let spectral = match config.start {
        Start::Spectral if graph.parts().1 == 1 => spectral_coordinates(graph, axes, rng),
        _ => None,
    };
    let (mut points, taken) = match (spectral, config.start) {
        (Some(points), _) => (points, Start::Spectral),
        (None, Start::Spectral | Start::Pca) if axes <= rows.ncols().min(n - 1) => {
            let pca = PcaConfig { components: Components::Count(axes), scaling: Scaling::None };
            (Pca::fit(rows, &pca)?.transform(rows)?.mapv(f64::from), Start::Pca)
        }
        _ => (Array2::from_shape_simple_fn((n, axes), || rng.random_range(-10.0..10.0)), Start::Random),
    };
    let largest = points.iter().fold(0.0_f64, |largest, v| largest.max(v.abs()));
    let factor = if largest > 0.0 { START_SIDE / largest } else { 0.0 };
    // The sum of four uniform numbers is near enough to a Gaussian one.
    points.mapv_inplace(|v| v * factor + START_NOISE * (0..4).map(|_| rng.random_range(-0.866..0.866)).sum::<f64>());
    for mut axis in points.columns_mut() {
        let smallest = axis.iter().copied().fold(f64::INFINITY, f64::min);
        let range = axis.iter().copied().fold(f64::NEG_INFINITY, f64::max) - smallest;
        axis.mapv_inplace(|v| if range > 0.0 { START_SIDE * (v - smallest) / range } else { 0.0 });
    }
    let points = points.mapv(|v| v as f32).as_standard_layout().into_owned();
    check(points.iter().all(|v| v.is_finite()), "start", "finite first positions", "an overflow")?;
    Ok((points, taken))
}
