//! A navigable graph over the rows of a table (HNSW): near neighbours of a row without looking at every other row.
//!
//! Malkov & Yashunin 2018 (arXiv:1603.09320), built in batches: the rows of a batch look for their neighbours in the graph as it
//! was before the batch, in parallel, and are then linked in order. So the graph depends on the seed alone and not on
//! threads, which the published crates, whose threads insert beside each other, do not offer (Manohar et al. 2024,
//! arXiv:2305.04359, build this way for the same reason).

use ndarray::{Array2, ArrayView2};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    error::NeighbourError,
    graph_walk::{Near, Walk},
    metric::Metric,
    points::{Frame, Points, Table},
    search::{Neighbours, check_count},
};

/// How a graph is built and searched. More links and wider searches find more of the true neighbours and take longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphSettings {
    /// Links a row makes when it comes in; the lowest layer keeps up to twice as many (M of the paper).
    pub links: usize,
    /// Rows kept in view while links are chosen (efConstruction).
    pub build_width: usize,
    /// Rows kept in view during a search (ef); at least as many as neighbours are wanted.
    pub search_width: usize,
    /// Seed of the order and of the layers.
    pub seed: u64,
}

impl GraphSettings {
    /// Settings that find nearly all true neighbours where few hidden numbers explain the columns, as in features of encoders; the
    /// crate's tests ask for 98 of 100.
    pub fn with_seed(seed: u64) -> Self {
        Self { links: 24, build_width: 128, search_width: 200, seed }
    }

    fn check(&self) -> Result<(), NeighbourError> {
        let limits = [
            ("links", self.links, 2, 1 << 10),
            ("build_width", self.build_width, self.links, 1 << 20),
            ("search_width", self.search_width, 1, 1 << 20),
        ];
        match limits.into_iter().find(|&(_, found, least, most)| !(least..=most).contains(&found)) {
            Some((name, found, least, most)) => Err(NeighbourError::BadSetting { name, found, least, most }),
            None => Ok(()),
        }
    }
}

/// Near neighbours by a graph: most of what [`nearest_in`](crate::nearest_in) finds, in the time of a few thousand
/// distances a query once the graph is built.
///
/// Distances are exact, those of `f64` sums; only which rows are found is not certain. The same bits for any number of
/// threads. Memory beyond input and output: one copy of the table and `2 * links` numbers a row.
///
/// # Shapes
/// - `queries`: `[m, columns]`, `reference`: `[n, columns]`; result: `[m, k]`, row numbers of the reference.
/// # Errors
/// As [`nearest_in`](crate::nearest_in), and [`NeighbourError::BadSetting`].
/// # Source
/// Malkov & Yashunin 2018 (arXiv:1603.09320), algorithms 1, 2, 4 and 5.
pub fn near_in(
    queries: ArrayView2<f32>,
    reference: ArrayView2<f32>,
    k: usize,
    metric: Metric,
    settings: &GraphSettings,
) -> Result<Neighbours, NeighbourError> {
    settings.check()?;
    let reference = Table::new("reference", reference, metric)?;
    let queries = Table::new("queries", queries, metric)?;
    queries.same_width(&reference)?;
    check_count(k, reference.rows, reference.rows)?;
    let frame = Frame::new(&reference, Some(&queries));
    let (queries, reference) = (Points::new(&queries, &frame), Points::new(&reference, &frame));
    let graph = Graph::build(&reference, settings);
    let found: Vec<Vec<(f64, u32)>> = (0..queries.table.rows)
        .into_par_iter()
        .map_init(
            || Walk::new(reference.table.rows),
            |walk, query| {
                let found = graph.nearest(walk, &queries, query, settings.search_width.max(k));
                let exact = |near: Near| (queries.exact(query, &reference, near.row as usize), near.row);
                let mut found: Vec<(f64, u32)> = found.into_iter().map(exact).collect();
                found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                found.truncate(k);
                found
            },
        )
        .collect();
    let mut rows = Array2::<u32>::zeros((found.len(), k));
    let mut distances = Array2::<f32>::zeros((found.len(), k));
    for (query, found) in found.into_iter().enumerate() {
        // A walk that ends in a part without links to the rest meets too few; such a query looks at every row.
        let found = if found.len() < k { all_rows(&queries, query, &reference, k) } else { found };
        for (place, (squared, row)) in found.into_iter().enumerate() {
            rows[(query, place)] = row;
            distances[(query, place)] = metric.distance(squared) as f32;
        }
    }
    Ok(Neighbours { rows, distances })
}

/// The nearest rows by looking at every one.
fn all_rows(queries: &Points, query: usize, reference: &Points, k: usize) -> Vec<(f64, u32)> {
    let exact = |row: usize| (queries.exact(query, reference, row), row as u32);
    let mut all: Vec<(f64, u32)> = (0..reference.table.rows).into_par_iter().map(exact).collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    all
}

/// Share of the true neighbours that were found, 0 to 1: a row counts if it is no further than the last true one.
///
/// # Shapes
/// `found` and `truth`: of the same queries, in the same order, and as many neighbours each; rows beyond the shorter are not counted.
pub fn recall(found: &Neighbours, truth: &Neighbours) -> f64 {
    let (mut hits, mut total) = (0, 0);
    for (found, truth) in found.distances.outer_iter().zip(truth.distances.outer_iter()) {
        let farthest = truth.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        hits += found.iter().filter(|distance| **distance <= farthest).count().min(truth.len());
        total += truth.len();
    }
    if total == 0 { 1.0 } else { hits as f64 / total as f64 }
}

/// Rows of a batch look in parallel; a batch is at most this share of what is there, so that few of them miss one another.
const BATCH_SHARE: usize = 32;
/// And at most this many rows.
const LARGEST_BATCH: usize = 8192;

/// Rows and whom they are linked with, layer by layer.
pub(crate) struct Graph<'a> {
    pub points: &'a Points<'a>,
    /// Links on the lowest layer: `2 * links` places a row, the first `count` of them in use.
    ground: Layer,
    /// Layers above, by row: each holds few rows.
    above: Vec<std::collections::HashMap<u32, Vec<u32>>>,
    entry: u32,
}

/// The links of all rows on the lowest layer.
struct Layer {
    width: usize,
    links: Vec<u32>,
    count: Vec<u32>,
}

/// What a row found on each of its layers, from the lowest up: the links it takes.
type Found = Vec<Vec<Near>>;

impl<'a> Graph<'a> {
    pub fn build(points: &'a Points<'a>, settings: &GraphSettings) -> Self {
        let rows = points.table.rows;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        // Neighbours in the file are often neighbours on the sky; in a random order every batch sees all kinds.
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.shuffle(&mut rng);
        let scale = 1.0 / (settings.links as f64).ln();
        let top_of: Vec<usize> =
            order.iter().map(|_| (-(1.0 - rng.random::<f64>()).ln() * scale) as usize).map(|top| top.min(16)).collect();
        let width = 2 * settings.links;
        let ground = Layer { width, links: vec![0; rows * width], count: vec![0; rows] };
        let mut graph = Self { points, ground, above: Vec::new(), entry: order.first().copied().unwrap_or(0) };
        if let (Some(&first), Some(&top)) = (order.first(), top_of.first()) {
            graph.above.resize_with(top, Default::default);
            graph.above.iter_mut().for_each(|layer| _ = layer.insert(first, Vec::new()));
        }
        let mut start = 1;
        while start < rows {
            let end = rows.min(start + (start / BATCH_SHARE).clamp(1, LARGEST_BATCH));
            let found: Vec<Found> = (start..end)
                .into_par_iter()
                .map_init(|| Walk::new(rows), |walk, place| graph.look(walk, order[place], top_of[place], settings))
                .collect();
            graph.link(&order[start..end], &top_of[start..end], found, settings);
            start = end;
        }
        graph
    }

    /// Links of a row on a layer.
    pub fn links(&self, layer: usize, row: u32) -> &[u32] {
        match layer.checked_sub(1) {
            None => {
                let first = row as usize * self.ground.width;
                &self.ground.links[first..first + self.ground.count[row as usize] as usize]
            }
            Some(layer) => self.above[layer].get(&row).map_or(&[], Vec::as_slice),
        }
    }

    /// The links that a new row takes on each of its layers (algorithm 1, lines 5 to 10).
    fn look(&self, walk: &mut Walk, row: u32, top: usize, settings: &GraphSettings) -> Found {
        let query = self.points.copied(row as usize);
        let mut nearest = vec![Near { squared: self.points.near(query, self.entry), row: self.entry }];
        let layers = self.above.len();
        for layer in (top + 1..=layers).rev() {
            nearest = walk.search(self, layer, query, &nearest, 1);
        }
        let mut found = vec![Vec::new(); top.min(layers) + 1];
        for layer in (0..=top.min(layers)).rev() {
            nearest = walk.search(self, layer, query, &nearest, settings.build_width);
            found[layer] = self.choose(&nearest, settings.links);
        }
        found
    }

    /// Of candidates in ascending order those that no nearer chosen one is closer to (algorithm 4): links in all
    /// directions instead of many into one clump. What room is left is filled with the nearest of the others.
    fn choose(&self, candidates: &[Near], most: usize) -> Vec<Near> {
        let mut chosen: Vec<Near> = Vec::with_capacity(most);
        let mut others = Vec::new();
        for &candidate in candidates {
            if chosen.len() == most {
                break;
            }
            let place = self.points.copied(candidate.row as usize);
            // One of several equal rows speaks for all: a clump of them must keep links to the rest.
            let apart = |near: &Near| match self.points.near(place, near.row) {
                0.0 => false,
                squared => squared >= candidate.squared,
            };
            if chosen.iter().all(apart) {
                chosen.push(candidate);
            } else {
                others.push(candidate);
            }
        }
        let room = most - chosen.len();
        chosen.extend(others.into_iter().take(room));
        chosen
    }

    /// Links the rows of a batch both ways, in an order that does not depend on threads.
    fn link(&mut self, rows: &[u32], tops: &[usize], found: Vec<Found>, settings: &GraphSettings) {
        let most_above = self.above.len();
        let mut back: Vec<Vec<(u32, Near)>> = vec![Vec::new(); most_above + 1];
        for (&row, found) in rows.iter().zip(found) {
            for (layer, links) in found.into_iter().enumerate() {
                back[layer].extend(links.iter().map(|near| (near.row, Near { squared: near.squared, row })));
                self.set(layer, row, links.into_iter().map(|near| near.row));
            }
        }
        for (layer, mut back) in back.into_iter().enumerate() {
            back.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(&b.1)));
            let most = if layer == 0 { 2 * settings.links } else { settings.links };
            let groups: Vec<&[(u32, Near)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
            let chosen: Vec<(u32, Vec<u32>)> =
                groups.into_par_iter().map(|group| (group[0].0, self.with_new(layer, group, most))).collect();
            for (row, links) in chosen {
                self.set(layer, row, links.into_iter());
            }
        }
        // Rows that reach higher than all before: they open the layers, and the search begins there.
        for (&row, &top) in rows.iter().zip(tops) {
            for layer in most_above.min(top)..top {
                if layer >= self.above.len() {
                    self.above.push(Default::default());
                    self.entry = row;
                }
                self.above[layer].entry(row).or_default();
            }
        }
    }

    /// The links of a row when new ones come: all of them, or a choice where there are too many.
    fn with_new(&self, layer: usize, group: &[(u32, Near)], most: usize) -> Vec<u32> {
        let row = group[0].0;
        let links = self.links(layer, row);
        if links.len() + group.len() <= most {
            return links.iter().copied().chain(group.iter().map(|(_, near)| near.row)).collect();
        }
        let place = self.points.copied(row as usize);
        let mut all: Vec<Near> =
            links.iter().map(|&other| Near { squared: self.points.near(place, other), row: other }).collect();
        all.extend(group.iter().map(|(_, near)| *near));
        all.sort_unstable();
        self.choose(&all, most).into_iter().map(|near| near.row).collect()
    }

    fn set(&mut self, layer: usize, row: u32, links: impl Iterator<Item = u32>) {
        match layer.checked_sub(1) {
            None => {
                let first = row as usize * self.ground.width;
                let places = &mut self.ground.links[first..first + self.ground.width];
                let count = places.iter_mut().zip(links).map(|(place, link)| *place = link).count();
                self.ground.count[row as usize] = count as u32;
            }
            Some(layer) => _ = self.above[layer].insert(row, links.collect()),
        }
    }

    /// Rows near a query, ascending (algorithm 5).
    fn nearest(&self, walk: &mut Walk, queries: &Points, query: usize, width: usize) -> Vec<Near> {
        let query = queries.copied(query);
        let mut nearest = vec![Near { squared: self.points.near(query, self.entry), row: self.entry }];
        for layer in (1..=self.above.len()).rev() {
            nearest = walk.search(self, layer, query, &nearest, 1);
        }
        walk.search(self, 0, query, &nearest, width)
    }
}
