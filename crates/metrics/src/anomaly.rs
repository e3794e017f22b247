//! How well an anomaly score finds peculiar frames: the threshold scan behind the paper's Table 4 and Fig. 12.
//!
//! A frame is selected when its score lies strictly above a threshold. Only labelled frames are counted:
//! in every published row P + C_complex + C_ordinary is 100 %, so unlabelled frames were left out. The
//! reported threshold is the one of the scan where recall and precision are closest to each other.

use serde::{Deserialize, Serialize};

use crate::error::MetricsError;

/// Step of the threshold scan; the published thresholds are multiples of it.
pub const THRESHOLD_STEP: f64 = 0.005;

/// What a labelled frame shows, as far as the anomaly search is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameGroup {
    /// Labelled PECULIAR, whatever else it shows: the frames we want.
    Peculiar,
    /// Not peculiar, but extended, diffuse or a radio galaxy: a forgivable selection.
    Complex,
    /// Labelled, and neither of the two: compact sources, artefacts, background.
    Ordinary,
}

impl FrameGroup {
    /// Group of a frame from its labels (case does not matter, `_` counts as `-`); `None` without any label.
    ///
    /// # Source
    /// Riggi et al. 2024, section 5.2: complex is any of EXTENDED, DIFFUSE, DIFFUSE-LARGE, RADIO-GALAXY without PECULIAR;
    /// every other labelled frame is ordinary (reference-facts G3, I15).
    pub fn from_labels<S: AsRef<str>>(labels: &[S]) -> Option<Self> {
        let any_of = |names: &[&str]| {
            labels.iter().any(|label| {
                let label = label.as_ref().trim().replace('_', "-");
                names.iter().any(|name| label.eq_ignore_ascii_case(name))
            })
        };
        if labels.is_empty() {
            None
        } else if any_of(&["PECULIAR"]) {
            Some(Self::Peculiar)
        } else if any_of(&["EXTENDED", "DIFFUSE", "DIFFUSE-LARGE", "RADIO-GALAXY"]) {
            Some(Self::Complex)
        } else {
            Some(Self::Ordinary)
        }
    }
}

/// One row of the scan. Ratios are fractions in 0..=1; they are `None` when nothing is selected (0 / 0).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRow {
    /// Frames with a score strictly above this are selected.
    pub threshold: f64,
    /// Selected labelled frames.
    pub selected: usize,
    /// Peculiar frames among them.
    pub peculiar: usize,
    /// Complex frames among them.
    pub complex: usize,
    /// Ordinary frames among them.
    pub ordinary: usize,
    /// Selected peculiar frames / all peculiar frames.
    pub recall: f64,
    /// Selected peculiar frames / selected.
    pub precision: Option<f64>,
    /// Selected peculiar and complex frames / selected.
    pub precision_with_complex: Option<f64>,
    /// Selected complex frames / selected.
    pub contamination_complex: Option<f64>,
    /// Selected ordinary frames / selected.
    pub contamination_ordinary: Option<f64>,
}

impl ThresholdRow {
    /// The row that these counts of selected frames make, given the number of all peculiar frames.
    pub fn from_counts(threshold: f64, all_peculiar: usize, [peculiar, complex, ordinary]: [usize; 3]) -> Self {
        let selected = peculiar + complex + ordinary;
        let share = |count: usize| (selected > 0).then(|| count as f64 / selected as f64);
        Self {
            threshold,
            selected,
            peculiar,
            complex,
            ordinary,
            recall: peculiar as f64 / all_peculiar as f64,
            precision: share(peculiar),
            precision_with_complex: share(peculiar + complex),
            contamination_complex: share(complex),
            contamination_ordinary: share(ordinary),
        }
    }

    /// F1 of the peculiar class, the harmonic mean of recall and precision; 0 when no peculiar frame is selected.
    pub fn f1(&self) -> f64 {
        match self.precision {
            Some(precision) if self.peculiar > 0 => 2.0 * precision * self.recall / (precision + self.recall),
            _ => 0.0,
        }
    }
}

/// Selection counts at every threshold 0, step, 2 step, … up to 1.
///
/// # Shapes
/// - `scores`: one anomaly score per frame, in 0..=1, higher is stranger.
/// - `groups`: one entry per frame; `None` = unlabelled, never counted.
/// - result: one row per threshold, thresholds rising. Where 1 / step is a whole number n, the k-th threshold is
///   the number closest to k / n, so 0.7 is exactly the 0.7 a reader types.
/// # Errors
/// If the slices differ in length, a score is not in 0..=1, `step` is not in (0, 1], or no labelled frame is peculiar.
/// # Source
/// Riggi et al. 2024, Table 4 and Fig. 12; reference-facts G3.
pub fn threshold_scan(
    scores: &[f64],
    groups: &[Option<FrameGroup>],
    step: f64,
) -> Result<Vec<ThresholdRow>, MetricsError> {
    if scores.len() != groups.len() {
        return Err(MetricsError::LengthMismatch { what: "groups", expected: scores.len(), found: groups.len() });
    }
    if let Some(row) = scores.iter().position(|score| !(0.0..=1.0).contains(score)) {
        return Err(MetricsError::BadScore { row, expected: "a number from 0 to 1", found: scores[row] });
    }
    if !(1e-6..=1.0).contains(&step) {
        return Err(MetricsError::OutOfRange { name: "step", expected: "a number from 1e-6 to 1", found: step });
    }
    // Scores of each group in rising order: what lies above a threshold is a tail.
    let sorted = |group: FrameGroup| {
        let mut of_group: Vec<f64> =
            scores.iter().zip(groups).filter(|pair| *pair.1 == Some(group)).map(|pair| *pair.0).collect();
        of_group.sort_by(f64::total_cmp);
        of_group
    };
    let peculiar = sorted(FrameGroup::Peculiar);
    let complex = sorted(FrameGroup::Complex);
    let ordinary = sorted(FrameGroup::Ordinary);
    if peculiar.is_empty() {
        return Err(MetricsError::NoPeculiar { labelled: complex.len() + ordinary.len() });
    }
    let above =
        |of_group: &[f64], threshold: f64| of_group.len() - of_group.partition_point(|&score| score <= threshold);
    Ok(thresholds(step)
        .map(|threshold| {
            let counts = [&peculiar, &complex, &ordinary].map(|of_group| above(of_group, threshold));
            ThresholdRow::from_counts(threshold, peculiar.len(), counts)
        })
        .collect())
}

/// 0, step, 2 step, … not above 1.
fn thresholds(step: f64) -> impl Iterator<Item = f64> {
    let steps_to_one = (1.0 / step).round();
    let whole = (steps_to_one * step - 1.0).abs() < 1e-9;
    let count = if whole { steps_to_one } else { (1.0 / step).floor() } as usize;
    (0..=count).map(move |k| if whole { k as f64 / steps_to_one } else { k as f64 * step })
}

/// Where recall and precision meet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crossing {
    /// Recall is the larger one on one side of the scan and the smaller one on the other; this row is the closest.
    At(ThresholdRow),
    /// One curve stays above the other over the whole scan. The row where they come closest is still worth a look.
    Never(ThresholdRow),
}

impl Crossing {
    /// The row with the smallest |recall - precision|, crossing or not.
    pub fn row(&self) -> &ThresholdRow {
        match self {
            Self::At(row) | Self::Never(row) => row,
        }
    }

    /// Whether the curves cross.
    pub fn crosses(&self) -> bool {
        matches!(self, Self::At(_))
    }
}

/// The row of a scan where |recall - precision| is smallest; on a tie the lowest threshold.
///
/// Rows that select no peculiar frame are left out: there recall and precision are both 0, which is no crossing.
///
/// # Errors
/// If no row selects a peculiar frame.
/// # Source
/// Riggi et al. 2024, Table 4 ("thresholds at which recall and precision cross"); the tie rule and the step are ours
/// (reference-facts I16).
pub fn crossing(rows: &[ThresholdRow]) -> Result<Crossing, MetricsError> {
    let mut best: Option<(f64, ThresholdRow)> = None;
    let (mut recall_above, mut precision_above) = (false, false);
    for row in rows.iter().filter(|row| row.peculiar > 0) {
        let Some(precision) = row.precision else { continue };
        let difference = row.recall - precision;
        recall_above |= difference >= 0.0;
        precision_above |= difference <= 0.0;
        let better = best.is_none_or(|(smallest, closest)| {
            let distance = difference.abs();
            distance < smallest || (distance == smallest && row.threshold < closest.threshold)
        });
        if better {
            best = Some((difference.abs(), *row));
        }
    }
    match best {
        Some((_, row)) if recall_above && precision_above => Ok(Crossing::At(row)),
        Some((_, row)) => Ok(Crossing::Never(row)),
        None => Err(MetricsError::NothingSelected { rows: rows.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FrameGroup::{Complex, Ordinary, Peculiar};

    #[test]
    fn groups_follow_the_labels() {
        assert_eq!(FrameGroup::from_labels(&["EXTENDED", "PECULIAR"]), Some(Peculiar));
        assert_eq!(FrameGroup::from_labels(&["compact", "diffuse_large"]), Some(Complex));
        assert_eq!(FrameGroup::from_labels(&["COMPACT", "ARTEFACT"]), Some(Ordinary));
        assert_eq!(FrameGroup::from_labels(&["BACKGROUND"]), Some(Ordinary));
        assert_eq!(FrameGroup::from_labels::<&str>(&[]), None);
    }

    #[test]
    fn selection_is_strict_and_ignores_unlabelled_frames() {
        let scores = [0.7, 0.71, 0.72, 0.73, 0.99];
        let groups = [Some(Peculiar), Some(Peculiar), Some(Complex), Some(Ordinary), None];
        let rows = threshold_scan(&scores, &groups, 0.005).unwrap();
        assert_eq!(rows.len(), 201);
        let at = &rows[140];
        assert_eq!(at.threshold, 0.7);
        assert_eq!((at.selected, at.peculiar, at.complex, at.ordinary), (3, 1, 1, 1));
        assert_eq!((at.recall, at.precision), (0.5, Some(1.0 / 3.0)));
        assert_eq!(at.precision_with_complex, Some(2.0 / 3.0));
        let top = rows[200];
        assert_eq!((top.threshold, top.selected, top.precision, top.f1()), (1.0, 0, None, 0.0));
        assert_eq!(rows[0].selected, 4);
    }

    #[test]
    fn thresholds_of_an_uneven_step_stay_below_one() {
        let rows = threshold_scan(&[0.5], &[Some(Peculiar)], 0.3).unwrap();
        assert_eq!(rows.len(), 4);
        assert!((rows[3].threshold - 0.9).abs() < 1e-12);
    }

    /// Two peculiar frames. Above 0.6: one peculiar, one ordinary, so R = P = 1/2, on a plateau up to 0.7.
    #[test]
    fn crossing_takes_the_lowest_threshold_of_a_plateau() {
        let scores = [0.8, 0.705, 0.6, 0.3];
        let groups = [Some(Peculiar), Some(Ordinary), Some(Peculiar), Some(Ordinary)];
        let found = crossing(&threshold_scan(&scores, &groups, 0.1).unwrap()).unwrap();
        assert!(found.crosses());
        assert_eq!((found.row().threshold, found.row().selected), (0.6, 2));
    }

    #[test]
    fn curves_that_never_cross_say_so() {
        // Every labelled frame has one of two scores, so precision never rises above recall.
        let groups = [Some(Peculiar), Some(Ordinary), Some(Ordinary)];
        let found = crossing(&threshold_scan(&[0.8, 0.8, 0.2], &groups, 0.05).unwrap()).unwrap();
        assert_eq!(found, Crossing::Never(*found.row()));
        assert_eq!(found.row().selected, 2);
    }

    #[test]
    fn zero_equals_zero_is_no_crossing() {
        // Above 0.5 only an ordinary frame is left: R = P = 0 there.
        let groups = [Some(Peculiar), Some(Ordinary), Some(Ordinary)];
        let found = crossing(&threshold_scan(&[0.4, 0.9, 0.1], &groups, 0.05).unwrap()).unwrap();
        assert_eq!(found.row().peculiar, 1);
        let nothing = threshold_scan(&[0.0, 0.9], &[Some(Peculiar), Some(Ordinary)], 0.05).unwrap();
        assert!(matches!(crossing(&nothing), Err(MetricsError::NothingSelected { rows: 21 })));
    }

    #[test]
    fn bad_input_is_refused() {
        let labelled = [Some(Peculiar)];
        assert!(matches!(threshold_scan(&[0.1, 0.2], &labelled, 0.1), Err(MetricsError::LengthMismatch { .. })));
        assert!(matches!(threshold_scan(&[f64::NAN], &labelled, 0.1), Err(MetricsError::BadScore { row: 0, .. })));
        assert!(matches!(threshold_scan(&[1.5], &labelled, 0.1), Err(MetricsError::BadScore { .. })));
        for step in [0.0, -0.1, f64::NAN, 2.0] {
            assert!(matches!(
                threshold_scan(&[0.1], &labelled, step),
                Err(MetricsError::OutOfRange { name: "step", .. })
            ));
        }
        let none = [Some(Ordinary), None];
        assert!(matches!(threshold_scan(&[0.1, 0.2], &none, 0.1), Err(MetricsError::NoPeculiar { labelled: 1 })));
    }

    proptest::proptest! {
        /// The slow definition: look at every frame for every threshold.
        #[test]
        fn scan_equals_counting(frames in proptest::collection::vec((0u32..=1000, 0u8..4), 1..60)) {
            let scores: Vec<f64> = frames.iter().map(|frame| f64::from(frame.0) / 1000.0).collect();
            let groups: Vec<_> = frames.iter().map(|frame| [Some(Peculiar), Some(Complex), Some(Ordinary), None][frame.1 as usize]).collect();
            let all = groups.iter().filter(|group| **group == Some(Peculiar)).count();
            proptest::prop_assume!(all > 0);
            for row in threshold_scan(&scores, &groups, 0.005).unwrap() {
                let count = |wanted| (0..scores.len()).filter(|&i| scores[i] > row.threshold && groups[i] == Some(wanted)).count();
                proptest::prop_assert_eq!([row.peculiar, row.complex, row.ordinary], [count(Peculiar), count(Complex), count(Ordinary)]);
                proptest::prop_assert_eq!(row.recall, row.peculiar as f64 / all as f64);
            }
        }
    }
}
