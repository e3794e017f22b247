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
}

impl RowOrigin {
    /// The origin as the tables name it.
    pub fn name(self) -> &'static str {
        match self {
            RowOrigin::Run => "this run",
            RowOrigin::Paper => "paper",
        }
    }
}

/// Whether there is anything to tabulate. The published rows alone are no result.
pub(super) fn has_rows(report: &Table4Report) -> bool {
    !report.rows.is_empty()
}

/// The rows in the order in which every form of the table shows them: each of ours with the paper's row of the same
/// features under it, then the paper's rows that we have no match for.
pub fn interleaved(report: &Table4Report) -> Vec<(RowOrigin, &Table4Row)> {
    let mut shown = Vec::new();
    for row in &report.rows {
        shown.push((RowOrigin::Run, row));
        shown.extend(report.published.iter().filter(|p| p.features == row.features).map(|p| (RowOrigin::Paper, p)));
    }
    let unmatched = report.published.iter().filter(|p| report.rows.iter().all(|row| row.features != p.features));
    shown.extend(unmatched.map(|p| (RowOrigin::Paper, p)));
    shown
}

/// A fraction as a percentage with one digit, `–` if undefined.
pub fn percent(fraction: f64) -> String {
    match 100.0 * fraction {
        percent if !percent.is_finite() => "–".to_string(),
        percent if percent <= -0.05 => format!("\u{2212}{:.1}", -percent),
        percent => format!("{:.1}", percent.abs()),
    }
}

/// A threshold or score with three digits, `–` if undefined.
pub fn three_digits(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { "–".to_string() }
}

/// An interval of a fraction in percent, `50–66` or `−3 to 5`.
pub fn percent_interval(interval: (f64, f64)) -> String {
    let end = |fraction: f64| match 100.0 * fraction {
        percent if !percent.is_finite() => "?".to_string(),
        percent if percent.round() < 0.0 => format!("\u{2212}{:.0}", percent.abs()),
        percent => format!("{:.0}", percent.abs()),
    };
    // A minus sign beside a dash would be misread.
    let between = if interval.0.min(interval.1) < 0.0 { " to " } else { "–" };
    format!("{}{between}{}", end(interval.0), end(interval.1))
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
     C: contamination by complex and by ordinary frames. Labelled frames only. In brackets 95 % intervals at that t, bootstrapped over objects (overlapping peculiar frames are one, \
     the others go by blocks of sky); they do not include the choice of t and forest. \
     Paper: Riggi et al. 2024, Table 4.";

/// Table 4 for a terminal: aligned columns, our row and under it the paper's row. Empty if there is nothing to
/// tabulate.
pub fn table4_text(report: &Table4Report) -> String {
    if !has_rows(report) {
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
    for ((_, row), cells) in interleaved(report).into_iter().zip(&body) {
        if previous.is_some_and(|before: &str| before != row.features) {
            text.push('\n');
        }
        text.push_str(&line(cells));
        previous = Some(row.features.as_str());
    }
    text.push_str(&rule);
    text.push_str(&wrapped(LEGEND, rule.chars().count()));
    for note in report.left_out.iter().chain(&report.notes) {
        text.push_str(&wrapped(&format!("* {note}"), rule.chars().count()));
    }
    text
}

/// Where the numbers come from, for the end of a text.
pub(super) fn provenance_text(provenance: &[(String, String)]) -> String {
    let width = provenance.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    provenance.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
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
    if !has_rows(report) {
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
    if let Some(ranking) = &report.ranking {
        text.push_str(
            "\n## Feature ranking\n\n| telling extended emission | this run, % | paper, % |\n|---|--:|--:|\n",
        );
        super::ranking::ranking_rows(ranking).iter().for_each(|row| text.push_str(&line(row)));
    }
    for (heading, lines) in [("Left out", &report.left_out), ("Notes", &report.notes)] {
        if !lines.is_empty() {
            text.push_str(&format!("\n## {heading}\n\n"));
            lines.iter().for_each(|note| text.push_str(&format!("- {}\n", escape(note))));
        }
    }
    if !report.provenance.is_empty() {
        text.push_str("\n## Provenance\n\n");
        let lines = report.provenance.iter().map(|(name, value)| format!("- {}: {}\n", escape(name), escape(value)));
        text.extend(lines);
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
        let rows: Vec<&str> =
            text.lines().filter(|line| line.contains("this run") || line.contains("paper  ")).collect();
        assert_eq!(rows.len(), 8, "{text}");
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
        report.rows[3].features = "a \"quoted\", name\nof two lines".to_string();
        let csv = table4_csv(&report);
        let records: Vec<csv::StringRecord> =
            csv::Reader::from_reader(csv.as_bytes()).records().collect::<Result<_, _>>().unwrap();
        assert_eq!(records.len(), 8);
        assert_eq!(records[6].get(0).unwrap(), report.rows[3].features);
        assert_eq!(records[1].get(12).unwrap(), "398");
    }

    #[test]
    fn markdown_rows_have_as_many_columns_as_the_head() {
        let mut report = example_report();
        report.rows[0].features = "top|2".to_string();
        let markdown = table4_markdown(&report);
        let table = markdown.split("\n## ").next().unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 2 + 8);
        for row in rows {
            assert_eq!(row.replace("\\|", "").matches('|').count(), 10, "{row}");
        }
    }

    #[test]
    fn intervals_with_negative_ends_are_no_dashes() {
        assert_eq!([percent(-0.036), percent(-0.0001), percent(0.5)], ["−3.6", "0.0", "50.0"]);
        assert_eq!(percent_interval((0.5, 0.66)), "50–66");
        assert_eq!(percent_interval((-0.14, 0.13)), "−14 to 13");
        assert_eq!(percent_interval((-0.3, -0.1)), "−30 to −10");
        assert_eq!(percent_interval((-0.001, f64::NAN)), "0 to ?");
    }

    #[test]
    fn text_and_markdown_say_where_the_numbers_come_from() {
        let report = example_report();
        for form in [crate::report::report_text(&report), table4_markdown(&report)] {
            for wanted in ["code version", "0.1.0", "sha256:5f0c", "weighted F1"] {
                assert!(form.contains(wanted), "{wanted}: {form}");
            }
        }
    }

    #[test]
    fn without_rows_there_is_no_table() {
        let report = Table4Report { published: published_table4(), ..Table4Report::default() };
        assert_eq!(table4_text(&report), "");
        assert_eq!(table4_markdown(&report), "");
    }
}
