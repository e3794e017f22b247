//! From the rows of the metrics crate to the rows of the report, so that the pipeline copies no field by hand.

use metrics::published::PUBLISHED_PECULIAR;
use metrics::{PUBLISHED_TABLE4, ThresholdRow, published_counts};

use super::{FrameGroup, ScanPoint, Table4Row, ThresholdScan};

impl Table4Row {
    /// The row of a feature set (or a baseline) at its chosen threshold, without intervals.
    pub fn new(features: &str, row: &ThresholdRow, forest: &str) -> Table4Row {
        let fraction = |value: Option<f64>| value.unwrap_or(f64::NAN);
        Table4Row {
            features: features.to_string(),
            threshold: row.threshold,
            recall: row.recall,
            recall_interval: None,
            precision: fraction(row.precision),
            precision_interval: None,
            precision_with_complex: fraction(row.precision_with_complex),
            contamination_complex: fraction(row.contamination_complex),
            contamination_ordinary: fraction(row.contamination_ordinary),
            selected: row.selected,
            peculiar: row.peculiar,
            complex: row.complex,
            ordinary: row.ordinary,
            forest: forest.to_string(),
        }
    }
}

impl From<&ThresholdRow> for ScanPoint {
    fn from(row: &ThresholdRow) -> ScanPoint {
        let fraction = |value: Option<f64>| value.unwrap_or(f64::NAN);
        ScanPoint {
            threshold: row.threshold,
            recall: row.recall,
            precision: fraction(row.precision),
            contamination_complex: fraction(row.contamination_complex),
            contamination_ordinary: fraction(row.contamination_ordinary),
        }
    }
}

impl ThresholdScan {
    /// A scan for drawing, in the order of its rows.
    pub fn new(features: &str, rows: &[ThresholdRow]) -> ThresholdScan {
        ThresholdScan { features: features.to_string(), points: rows.iter().map(ScanPoint::from).collect() }
    }
}

impl From<Option<metrics::FrameGroup>> for FrameGroup {
    fn from(group: Option<metrics::FrameGroup>) -> FrameGroup {
        match group {
            Some(metrics::FrameGroup::Peculiar) => FrameGroup::Peculiar,
            Some(metrics::FrameGroup::Complex) => FrameGroup::Complex,
            Some(metrics::FrameGroup::Ordinary) => FrameGroup::Ordinary,
            None => FrameGroup::Unlabelled,
        }
    }
}

/// The published Table 4: the printed thresholds, and the fractions of the counts behind the printed percentages.
///
/// Source: Riggi et al. 2024, Table 4; counts from reference-facts G3.
pub fn published_table4() -> Vec<Table4Row> {
    let rows = PUBLISHED_TABLE4.iter().zip(published_counts());
    rows.map(|(printed, counts)| {
        let share = |count: usize| count as f64 / counts.selected() as f64;
        Table4Row {
            features: printed.features.to_string(),
            threshold: printed.threshold,
            recall: counts.peculiar as f64 / PUBLISHED_PECULIAR as f64,
            recall_interval: None,
            precision: share(counts.peculiar),
            precision_interval: None,
            precision_with_complex: share(counts.peculiar + counts.complex),
            contamination_complex: share(counts.complex),
            contamination_ordinary: share(counts.ordinary),
            selected: counts.selected(),
            peculiar: counts.peculiar,
            complex: counts.complex,
            ordinary: counts.ordinary,
            forest: "200 trees, 2 % of the rows each".to_string(),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::table::{percent, three_digits};

    #[test]
    fn the_published_rows_print_as_in_the_paper() {
        // reference-facts G3, every printed digit.
        let printed = [
            ["top2", "0.700", "55.6", "59.8", "93.5", "33.7", "6.5"],
            ["top5", "0.750", "61.2", "63.0", "93.0", "30.0", "7.0"],
            ["top10", "0.725", "59.1", "58.7", "97.4", "38.7", "2.6"],
            ["top15", "0.660", "57.7", "58.7", "95.5", "36.8", "4.5"],
        ];
        let rows = published_table4();
        assert_eq!(rows.len(), printed.len());
        for (row, want) in rows.iter().zip(printed) {
            let fractions = [
                row.recall,
                row.precision,
                row.precision_with_complex,
                row.contamination_complex,
                row.contamination_ordinary,
            ];
            let mut got = vec![row.features.clone(), three_digits(row.threshold)];
            got.extend(fractions.map(percent));
            assert_eq!(got, want);
        }
    }

    #[test]
    fn a_scan_keeps_every_column_in_its_place() {
        let groups = [
            metrics::FrameGroup::Peculiar,
            metrics::FrameGroup::Complex,
            metrics::FrameGroup::Ordinary,
            metrics::FrameGroup::Peculiar,
        ];
        let groups = groups.map(Some);
        let rows = metrics::threshold_scan(&[0.9, 0.8, 0.7, 0.2], &groups, 0.05).unwrap();
        let scan = ThresholdScan::new("top2", &rows);
        assert_eq!(scan.points.len(), rows.len());
        let row_idx = rows.iter().position(|row| row.selected == 2).unwrap();
        let row = Table4Row::new("top2", &rows[row_idx], "10 trees");
        assert_eq!((row.recall, row.precision, row.precision_with_complex), (0.5, 0.5, 1.0));
        assert_eq!((row.contamination_complex, row.contamination_ordinary), (0.5, 0.0));
        assert_eq!((row.selected, row.peculiar, row.complex, row.ordinary), (2, 1, 1, 0));
        let point = scan.points[row_idx];
        assert_eq!((point.threshold, point.recall, point.precision), (row.threshold, 0.5, 0.5));
        assert_eq!((point.contamination_complex, point.contamination_ordinary), (0.5, 0.0));
        let nothing = rows.iter().find(|row| row.selected == 0).unwrap();
        assert!(Table4Row::new("top2", nothing, "").precision.is_nan());
    }
}
