//! A map as a figure needs it: points by label.

use ndarray::ArrayView2;

use crate::error::{MapError, check};

/// The points of one label.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterGroup {
    /// The label.
    pub label: String,
    /// Row numbers of the points, ascending.
    pub rows: Vec<usize>,
    /// First and second axis of each.
    pub points: Vec<[f32; 2]>,
}

/// The first two axes of a map by label, labels in alphabetical order. Of more than `at_most` rows every so manyth is taken,
/// evenly from first to last, so that the same map gives the same figure.
///
/// # Shapes
/// - `map`: `[n, axes]` with at least two axes; `labels`: one a row.
/// # Errors
/// [`MapError::WrongLength`]; [`MapError::BadSetting`] for a map of one axis or `at_most` 0.
pub fn scatter(map: ArrayView2<f32>, labels: &[&str], at_most: usize) -> Result<Vec<ScatterGroup>, MapError> {
    let (n, axes) = map.dim();
    if labels.len() != n {
        return Err(MapError::WrongLength { name: "labels", expected: n, found: labels.len() });
    }
    check(axes >= 2, "map", "at least two axes", axes)?;
    check(at_most > 0, "at_most", "at least one point", at_most)?;
    let shown = n.min(at_most);
    let mut groups = std::collections::BTreeMap::<&str, ScatterGroup>::new();
    for place in 0..shown {
        let row = (place as u128 * n as u128 / shown as u128) as usize;
        let group = groups.entry(labels[row]).or_insert_with(|| ScatterGroup {
            label: labels[row].to_owned(),
            rows: Vec::new(),
            points: Vec::new(),
        });
        group.rows.push(row);
        group.points.push([map[(row, 0)], map[(row, 1)]]);
    }
    Ok(groups.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn points_by_label() {
        let map = Array2::from_shape_fn((6, 3), |(row, axis)| (10 * row + axis) as f32);
        let labels = ["b", "a", "b", "a", "b", "b"];
        let all = scatter(map.view(), &labels, 100).unwrap();
        assert_eq!(all.iter().map(|group| group.label.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((all[0].rows.clone(), all[0].points.clone()), (vec![1, 3], vec![[10.0, 11.0], [30.0, 31.0]]));
        let some = scatter(map.view(), &labels, 3).unwrap();
        assert_eq!(some.iter().flat_map(|group| group.rows.clone()).collect::<Vec<_>>(), [0, 2, 4]);
        assert!(scatter(map.view(), &labels[..5], 3).is_err() && scatter(map.view(), &labels, 0).is_err());
        assert!(scatter(map.slice(ndarray::s![.., ..1]), &labels, 3).is_err());
    }
}
