//! Table 4 as text for a terminal, as Markdown and as CSV: our row, and under it the paper's.
//!
//! Percentages carry one digit and thresholds three, as printed in the paper; the CSV has fractions at full precision.

use super::{Table4Report, Table4Row};

/// Who a row of the shown table comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrigin {
    /// This run.
    Run,
    /// The published table.
    Paper,
    /// A simpler score of this run.
    Baseline,
}

impl RowOrigin {
    /// The origin as the tables name it.
    pub fn name(self) -> &'static str {
        match self {
            RowOrigin::Run => "this run",
            RowOrigin::Paper => "paper",
            RowOrigin::Baseline => "baseline",
        }
    }
}

/// Whether there is anything to tabulate. The published rows alone are no result.
pub(super) fn has_table(report: &Table4Report) -> bool {
    !report.rows.is_empty() || !report.baselines.is_empty()
}

/// The rows in the order in which every form of the table shows them: each of ours with the paper's row of the same
/// features under it, the paper's rows that we have no match for, the baselines.
pub fn interleaved(report: &Table4Report) -> Vec<(RowOrigin, &Table4Row)> {
    let mut shown = Vec::new();
    for row in &report.rows {
        shown.push((RowOrigin::Run, row));
        shown.extend(report.published.iter().filter(|p| p.features == row.features).map(|p| (RowOrigin::Paper, p)));
    }
    let unmatched = report.published.iter().filter(|p| report.rows.iter().all(|row| row.features != p.features));
    shown.extend(unmatched.map(|p| (RowOrigin::Paper, p)));
    shown.extend(report.baselines.iter().map(|row| (RowOrigin::Baseline, row)));
    shown
}

/// A fraction as a percentage with one digit, `–` if undefined.
pub fn percent(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.1}", 100.0 * fraction) } else { "–".to_string() }
}

/// A threshold or score with three digits, `–` if undefined.
pub fn three_digits(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "–".to_string() }
}

/// An interval of a fraction in percent, `50–66`.
pub fn percent_interval(interval: (f64, f64)) -> String {
    let end = |fraction: f64| {
        if fraction.is_finite() { format!("{:.0}", 100.0 * fraction) } else { "?".to_string() }
    };
    format!("{}–{}", end(interval.0), end(interval.1))
}

/// Heads of the columns of [`cells`].
pub(super) const COLUMNS: [&str; 9] = [
    "features",
    "",
    "t",
    "R %",
    "P %",
    "P pec+complex %",
    "C complex %",
    "C ordinary %",
    "selected = pec + complex + ordinary",
];

/// One row as text, in the order of [`COLUMNS`].
fn cells(origin: RowOrigin, row: &Table4Row) -> [String; 9] {
    let with_interval = |fraction: f64, interval: Option<(f64, f64)>| match interval {
        Some(interval) => format!("{} ({})", percent(fraction), percent_interval(interval)),
        None => percent(fraction),
    };
    [
        row.features.clone(),
        origin.name().to_string(),
        three_digits(row.threshold),
        with_interval(row.recall, row.recall_interval),
        with_interval(row.precision, row.precision_interval),
        percent(row.precision_with_complex),
        percent(row.contamination_complex),
        percent(row.contamination_ordinary),
        counts(row),
    ]
}

/// The counts behind a row: `416 = 262 + 125 + 29`.
pub(super) fn counts(row: &Table4Row) -> String {
    format!("{} = {} + {} + {}", row.selected, row.peculiar, row.complex, row.ordinary)
}

/// What the columns mean, under every form of the table.
pub(super) const LEGEND: &str = "t: threshold where recall and precision meet. R: share of all peculiar frames above t. P: share of peculiar among the selected. \
     C: contamination by complex and by ordinary frames. Labelled frames only; in brackets 95 % intervals where they were estimated. \
     Paper: Riggi et al. 2024, Table 4.";

/// Table 4 for a terminal: aligned columns, our row and under it the paper's row. Empty if there is nothing to
/// tabulate.
pub fn table4_text(report: &Table4Report) -> String {
    if !has_table(report) {
        return String::new();
    }
    let body: Vec<[String; 9]> = interleaved(report).into_iter().map(|(origin, row)| cells(origin, row)).collect();
    let head = COLUMNS.map(str::to_string);
    let width = |column: usize| {
        let all = std::iter::once(&head).chain(&body);
        all.map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &[String; 9]| {
        let mut text = String::new();
        for (column, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column] - cell.chars().count());
            // Words to the left, numbers to the right.
            let cell = if column < 2 { format!("{cell}{gap}") } else { format!("{gap}{cell}") };
            text.push_str(if column == 0 { "" } else { "  " });
            text.push_str(&cell);
        }
        format!("{}\n", text.trim_end())
    };
    let rule = format!("{}\n", "─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
    let mut text = format!("{}\n\n{}{rule}", report.title, line(&head));
    let mut previous = None;
    for ((origin, row), cells) in interleaved(report).into_iter().zip(&body) {
        if previous.is_some_and(|before: (RowOrigin, &str)| {
            before.1 != row.features && origin != RowOrigin::Baseline
                || (before.0 != origin && origin == RowOrigin::Baseline)
        }) {
            text.push('\n');
        }
        text.push_str(&line(cells));
        previous = Some((origin, row.features.as_str()));
    }
    text.push_str(&rule);
    text.push_str(&wrapped(LEGEND, rule.chars().count()));
    for note in report.left_out.iter().chain(&report.notes) {
        text.push_str(&wrapped(&format!("* {note}"), rule.chars().count()));
    }
    text
}

/// Breaks a sentence between words so that no line is longer than `width`, a longer word excepted.
fn wrapped(sentence: &str, width: usize) -> String {
    let (mut text, mut column) = (String::new(), 0);
    for word in sentence.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
    text
}

/// Table 4 as a Markdown table with the legend and the notes under it. Empty if there is nothing to tabulate.
pub fn table4_markdown(report: &Table4Report) -> String {
    if !has_table(report) {
        return String::new();
    }
    let escape = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("# {}\n\n{}", escape(&report.title), line(&COLUMNS.map(str::to_string)));
    text.push_str("|---|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for (origin, row) in interleaved(report) {
        let cells = cells(origin, row).map(|cell| escape(&cell));
        let cells = if origin == RowOrigin::Run { cells.map(|cell| format!("**{cell}**")) } else { cells };
        text.push_str(&line(&cells));
    }
    text.push_str(&format!("\n{LEGEND}\n"));
    for (heading, lines) in [("Left out", &report.left_out), ("Notes", &report.notes)] {
        if !lines.is_empty() {
            text.push_str(&format!("\n## {heading}\n\n"));
            lines.iter().for_each(|note| text.push_str(&format!("- {}\n", escape(note))));
        }
    }
    text
}

/// Table 4 as CSV: fractions (not percentages) at full precision, an undefined value is an empty field.
pub fn table4_csv(report: &Table4Report) -> String {
    let mut text = "features,origin,threshold,recall,recall_low,recall_high,precision,precision_low,precision_high,precision_with_complex,\
                    contamination_complex,contamination_ordinary,selected,peculiar,complex,ordinary,forest\n"
        .to_string();
    let number = |value: f64| {
        if value.is_finite() { value.to_string() } else { String::new() }
    };
    for (origin, row) in interleaved(report) {
        let recall = row.recall_interval.unwrap_or((f64::NAN, f64::NAN));
        let precision = row.precision_interval.unwrap_or((f64::NAN, f64::NAN));
        let numbers = [
            row.threshold,
            row.recall,
            recall.0,
            recall.1,
            row.precision,
            precision.0,
            precision.1,
            row.precision_with_complex,
        ];
        let contamination = [row.contamination_complex, row.contamination_ordinary];
        let mut fields = vec![quoted(&row.features), origin.name().to_string()];
        fields.extend(numbers.into_iter().chain(contamination).map(number));
        fields.extend([row.selected, row.peculiar, row.complex, row.ordinary].map(|count| count.to_string()));
        fields.push(quoted(&row.forest));
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// A CSV field, quoted if it must be (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::published_table4;
    use crate::report::tests::example_report;

    #[test]
    fn each_row_of_ours_stands_over_the_papers() {
        let report = example_report();
        let order: Vec<String> =
            interleaved(&report).iter().map(|(origin, row)| format!("{} {}", origin.name(), row.features)).collect();
        let expected = [
            "this run top2",
            "paper top2",
            "this run top5",
            "paper top5",
            "this run top10",
            "paper top10",
            "this run top15",
            "paper top15",
            "baseline pixel complexity",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_published_row_without_a_match_is_shown_once() {
        let mut report = example_report();
        report.rows.retain(|row| row.features == "top10");
        let papers: Vec<&str> = interleaved(&report)
            .iter()
            .filter(|(o, _)| *o == RowOrigin::Paper)
            .map(|(_, r)| r.features.as_str())
            .collect();
        assert_eq!(papers, ["top10", "top2", "top5", "top15"]);
    }

    #[test]
    fn the_columns_of_the_text_are_aligned() {
        let text = table4_text(&example_report());
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("this run") || line.contains("paper  ") || line.contains("baseline"))
            .collect();
        assert_eq!(rows.len(), 9, "{text}");
        // The three-digit threshold ends at the same column in every row.
        let ends: Vec<usize> = rows.iter().map(|row| row.split("0.").next().unwrap().chars().count()).collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "{text}");
        assert!(rows[2].contains("61.9 (50–73)") && rows[3].contains("61.2"), "{text}");
    }

    #[test]
    fn undefined_values_are_dashes_in_text_and_empty_in_csv() {
        let mut report = example_report();
        report.rows.truncate(1);
        report.published.clear();
        report.baselines.clear();
        report.rows[0].precision = f64::NAN;
        report.rows[0].threshold = f64::INFINITY;
        report.rows[0].precision_interval = None;
        assert!(table4_text(&report).contains(" – "));
        let csv = table4_csv(&report);
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let heads = reader.headers().unwrap().clone();
        let record = reader.records().next().unwrap().unwrap();
        let field = |name: &str| record.get(heads.iter().position(|head| head == name).unwrap()).unwrap().to_string();
        assert_eq!((field("precision"), field("threshold")), (String::new(), String::new()));
        assert_eq!(field("recall").parse::<f64>().unwrap(), report.rows[0].recall);
    }

    #[test]
    fn a_csv_reader_gets_every_row_and_awkward_names_back() {
        let mut report = example_report();
        report.baselines[0].features = "a \"quoted\", name\nof two lines".to_string();
        let csv = table4_csv(&report);
        let records: Vec<csv::StringRecord> =
            csv::Reader::from_reader(csv.as_bytes()).records().collect::<Result<_, _>>().unwrap();
        assert_eq!(records.len(), 9);
        assert_eq!(records[8].get(0).unwrap(), report.baselines[0].features);
        assert_eq!(records[1].get(12).unwrap(), "398");
    }

    #[test]
    fn markdown_rows_have_as_many_columns_as_the_head() {
        let mut report = example_report();
        report.rows[0].features = "top|2".to_string();
        let markdown = table4_markdown(&report);
        let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 2 + 9);
        for row in rows {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 10, "{row}");
        }
    }

    #[test]
    fn without_rows_there_is_no_table() {
        let report = Table4Report { published: published_table4(), ..Table4Report::default() };
        assert_eq!(table4_text(&report), "");
        assert_eq!(table4_markdown(&report), "");
    }
}
