//! A map of many points on a page: plain data, an interactive picture ([`element`]) and a still one ([`figure`]).
//!
//! The page needs nothing else: points, cutouts and a small script of our own are inside it.

use std::collections::BTreeMap;

use super::axes::Range;

pub mod element;
pub mod figure;

/// A point for every row of a table, and what may colour it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScatterMap {
    /// Heading.
    pub title: String,
    /// How the map was made, and how to read it.
    pub caption: String,
    /// Name of each point.
    pub ids: Vec<String>,
    /// Place of each point on the map; the unit has no meaning.
    pub places: Vec<[f32; 2]>,
    /// What colours the points, the first at the start.
    pub colourings: Vec<Colouring>,
    /// Places without a name, drawn behind all others: the rows that a map was made from.
    pub background: Vec<[f32; 2]>,
    /// PNG files of some points, by row.
    pub pictures: BTreeMap<usize, Vec<u8>>,
}

/// One way to colour the points.
#[derive(Debug, Clone, PartialEq)]
pub enum Colouring {
    /// By class.
    Classes {
        /// What the classes are.
        name: String,
        /// Their names.
        classes: Vec<String>,
        /// Class of each point, `None` where it is not known.
        of: Vec<Option<usize>>,
    },
    /// By a number.
    Values {
        /// What it is, with its unit.
        name: String,
        /// Value of each point, NaN where it is not known.
        values: Vec<f64>,
    },
}

impl Colouring {
    /// Classes from one name a point, in alphabetical order; an empty name is not known.
    pub fn classes(name: &str, cells: &[String]) -> Self {
        let classes: Vec<String> = cells
            .iter()
            .filter(|cell| !cell.is_empty())
            .cloned()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let of = cells.iter().map(|cell| classes.binary_search(cell).ok()).collect();
        Self::Classes { name: name.to_owned(), classes, of }
    }

    /// What colours the points.
    pub fn name(&self) -> &str {
        match self {
            Self::Classes { name, .. } | Self::Values { name, .. } => name,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Classes { of, .. } => of.len(),
            Self::Values { values, .. } => values.len(),
        }
    }
}

/// The part of the values that is told apart by colour: the 2nd to the 98th percentile, so that one bright point does not make
/// all others alike. `None` without a finite value.
fn colour_range(values: &[f64]) -> Option<Range> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let at = |share: f64| finite.get(((finite.len().max(1) - 1) as f64 * share).round() as usize).copied();
    Range::around([at(0.02)?, at(0.98)?].into_iter())
}

impl ScatterMap {
    /// Middle and extent of all places along both axes, no extent being 0; `None` without a finite place.
    fn extent(&self) -> Option<([f64; 2], [f64; 2])> {
        let axis = |axis: usize| {
            let all = self.places.iter().chain(&self.background).map(move |place| f64::from(place[axis]));
            let (low, high) =
                all.filter(|v| v.is_finite()).fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
            (low <= high).then_some((low, high))
        };
        let ((left, right), (bottom, top)) = (axis(0)?, axis(1)?);
        let longest = (right - left).max(top - bottom);
        let some = |extent: f64| if longest > 0.0 { extent.max(0.05 * longest) } else { 1.0 };
        Some(([(left + right) / 2.0, (bottom + top) / 2.0], [some(right - left), some(top - bottom)]))
    }

    /// Whether there is a point for every name and a colour for every point.
    fn is_whole(&self) -> bool {
        self.ids.len() == self.places.len() && self.colourings.iter().all(|colouring| colouring.len() == self.ids.len())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Three clumps of points with a class, a number and a few pictures; names that HTML would misread.
    pub(crate) fn example_scatter(points: usize) -> ScatterMap {
        let wave = |k: usize| (k as f32 * 12.9898).sin() * 43_758.547;
        let noise = |k: usize| wave(k) - wave(k).floor();
        let places = (0..points).map(|k| {
            let (r, turn) = (2.0 * noise(3 * k), std::f32::consts::TAU * noise(3 * k + 1));
            [6.0 * (k % 3) as f32 + r * turn.cos(), 4.0 * (k % 2) as f32 + r * turn.sin()]
        });
        let class = |k: usize| {
            ["FRI", "FRII", "<b>\"bent\"</b></script>", ""][if k.is_multiple_of(9) { 3 } else { k % 3 }].to_owned()
        };
        let picture = |k: usize| {
            let tile = crate::report::sky_tile::sky_tile(
                ndarray::Array2::from_shape_fn((24, 24), |(y, x)| {
                    noise(k + y * 24 + x) + if y.abs_diff(12) + x.abs_diff(12) < 4 { 20.0 } else { 0.0 }
                })
                .view(),
                24,
            );
            (k, crate::report::sky_tile::encode_png(&tile).unwrap())
        };
        ScatterMap {
            title: "Map of the features".into(),
            caption: "UMAP.".into(),
            ids: (0..points).map(|k| format!("mosaic/{k}</script>")).collect(),
            places: places.collect(),
            colourings: vec![
                Colouring::classes("class", &(0..points).map(class).collect::<Vec<_>>()),
                Colouring::Values {
                    name: "rms, Jy/beam".into(),
                    values: (0..points)
                        .map(|k| if k % 7 == 3 { f64::NAN } else { 1e-5 * f64::from(noise(k)) })
                        .collect(),
                },
            ],
            background: vec![[0.0, 8.0], [9.0, -3.0]],
            pictures: (0..points.min(5)).map(picture).collect(),
        }
    }

    #[test]
    fn classes_are_named_once_and_the_unknown_have_none() {
        let cells: Vec<String> = ["b", "", "a", "b"].map(str::to_owned).into();
        let Colouring::Classes { classes, of, .. } = Colouring::classes("kind", &cells) else { panic!("classes") };
        assert_eq!((classes, of), (vec!["a".to_owned(), "b".to_owned()], vec![Some(1), None, Some(0), Some(1)]));
    }

    #[test]
    fn one_bright_point_does_not_set_the_colours() {
        let mut values: Vec<f64> = (0..200).map(f64::from).collect();
        values.extend([1e9, f64::NAN, f64::INFINITY]);
        assert_eq!(colour_range(&values), Some(Range { low: 4.0, high: 196.0 }));
        assert_eq!(colour_range(&[f64::NAN]), None);
    }
}
