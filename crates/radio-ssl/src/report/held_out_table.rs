//! The held-out comparison: learned features against baselines on sky that no choice has seen.
use super::page::escape;
use super::table::{percent, percent_interval, three_digits};

/// One contender, judged on held-out sky. Fractions are in 0..=1, NaN where undefined; intervals are (low, high) at 95 %.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOutRow {
    /// Name of the features.
    pub name: String,
    /// Mean of the two halves' thresholds.
    pub threshold: f64,
    /// Labelled frames above their half's threshold.
    pub selected: usize,
    /// Peculiar frames among the selected.
    pub peculiar: usize,
    /// Complex, not peculiar, frames among the selected.
    pub complex: usize,
    /// Ordinary frames among the selected.
    pub ordinary: usize,
    /// Peculiar selected / all peculiar.
    pub recall: f64,
    /// Its interval.
    pub recall_interval: (f64, f64),
    /// Peculiar selected / selected.
    pub precision: f64,
    /// Its interval.
    pub precision_interval: (f64, f64),
    /// Ordinary selected / selected.
    pub contamination_ordinary: f64,
    /// Average precision of the peculiar frames among the peculiar and the complex ones.
    pub average_precision: f64,
    /// Its interval.
    pub average_precision_interval: (f64, f64),
    /// First row's average precision minus this row's, and the interval of the paired difference; `None` in the first row.
    pub difference: Option<(f64, (f64, f64))>,
    /// Average precision of a ridge regression on the labels of the other half: what the features hold, whether or not the
    /// forest uses it. NaN for a single number.
    pub with_labels: f64,
    /// Its interval.
    pub with_labels_interval: (f64, f64),
    /// What each half chose for the other, in words.
    pub choices: String,
}

impl HeldOutRow {
    /// The comparison with the first row in words.
    pub fn verdict(&self) -> &'static str {
        match self.difference {
            None => "",
            Some((_, (low, _))) if low > 0.0 => "learned is better",
            Some((_, (_, high))) if high < 0.0 => "learned is worse",
            Some(_) => "cannot tell",
        }
    }

    fn cells(&self) -> [String; 9] {
        let with_interval = |value: f64, interval| match value.is_finite() {
            true => format!("{} ({})", percent(value), percent_interval(interval)),
            false => percent(value),
        };
        [
            self.name.clone(),
            with_interval(self.recall, self.recall_interval),
            with_interval(self.precision, self.precision_interval),
            percent(self.contamination_ordinary),
            format!("{} = {} + {} + {}", self.selected, self.peculiar, self.complex, self.ordinary),
            with_interval(self.average_precision, self.average_precision_interval),
            self.difference.map_or(String::new(), |(value, interval)| with_interval(value, interval)),
            self.verdict().to_owned(),
            with_interval(self.with_labels, self.with_labels_interval),
        ]
    }
}

const COLUMNS: [&str; 9] = [
    "features",
    "R %",
    "P %",
    "C ordinary %",
    "selected = pec + complex + ord",
    "AP %",
    "learned − this, AP points",
    "",
    "AP with labels %",
];

/// What the columns mean.
pub(super) const LEGEND: &str = "Ranking, forest and threshold are chosen on one half of the sky and judged on the other, both ways round; frames that \
     share a pixel with the judged half are left out of the choice. AP: average precision of the peculiar frames among the peculiar and the complex \
     ones (chance is their share). In brackets 95 % intervals, bootstrapped over objects; differences are paired. With labels: a ridge regression trained on the labels of the other half, \
     which says what the features hold whether or not a forest uses it.";

/// The table for a terminal; empty without rows.
pub fn held_out_text(rows: &[HeldOutRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let body: Vec<[String; 9]> =
        std::iter::once(COLUMNS.map(String::from)).chain(rows.iter().map(HeldOutRow::cells)).collect();
    let width = |column: usize| body.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..9).map(width).collect();
    let mut text = String::from("On held-out sky, beside the baselines\n\n");
    for row in &body {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let gap = " ".repeat(widths[column] - cell.chars().count());
            if column == 0 || column == 7 { format!("{cell}{gap}") } else { format!("{gap}{cell}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The table as CSV with fractions at full precision.
pub fn held_out_csv(rows: &[HeldOutRow]) -> String {
    let mut text = String::from(
        "features,threshold,recall,recall_low,recall_high,precision,precision_low,precision_high,contamination_ordinary,selected,peculiar,complex,ordinary,\
         average_precision,average_precision_low,average_precision_high,with_labels,with_labels_low,with_labels_high,difference,difference_low,difference_high,verdict,choices\n",
    );
    // An undefined number is an empty field, as in `table4.csv`.
    let number = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
    for row in rows {
        let (difference, (low, high)) = row.difference.unwrap_or((f64::NAN, (f64::NAN, f64::NAN)));
        let selection = [
            row.threshold,
            row.recall,
            row.recall_interval.0,
            row.recall_interval.1,
            row.precision,
            row.precision_interval.0,
            row.precision_interval.1,
            row.contamination_ordinary,
        ];
        let precision = [
            row.average_precision,
            row.average_precision_interval.0,
            row.average_precision_interval.1,
            row.with_labels,
            row.with_labels_interval.0,
            row.with_labels_interval.1,
            difference,
            low,
            high,
        ];
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let mut fields = vec![quoted(&row.name)];
        fields.extend(selection.map(number));
        fields.extend([row.selected, row.peculiar, row.complex, row.ordinary].map(|count| count.to_string()));
        fields.extend(precision.map(number));
        fields.extend([row.verdict().to_owned(), quoted(&row.choices)]);
        text.push_str(&fields.join(","));
        text.push('\n');
    }
    text
}

/// The table as a section of the page; empty without rows.
pub(super) fn held_out_section(rows: &[HeldOutRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    const HEAD: [&str; 8] =
        ["features", "R %", "P %", "C<sub>ordinary</sub> %", "AP %", "learned − this", "", "AP with labels %"];
    let head: String = HEAD.iter().map(|column| format!("<th>{column}</th>")).collect();
    let mut html = format!(
        "<h2>On held-out sky, beside the baselines</h2>\n<div class=\"scroll\"><table class=\"table4 plain\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
    );
    let small = |value: f64, interval| match value.is_finite() {
        true => format!("{}<small>{}</small>", percent(value), percent_interval(interval)),
        false => percent(value),
    };
    for (place, row) in rows.iter().enumerate() {
        let cells = [
            small(row.recall, row.recall_interval),
            small(row.precision, row.precision_interval),
            percent(row.contamination_ordinary),
            small(row.average_precision, row.average_precision_interval),
            row.difference.map_or(String::new(), |(value, interval)| small(value, interval)),
            row.verdict().to_owned(),
            small(row.with_labels, row.with_labels_interval),
        ];
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        let counts = format!("{} = {} + {} + {}", row.selected, row.peculiar, row.complex, row.ordinary);
        let title = format!("{}; mean threshold {}; selected {counts}", row.choices, three_digits(row.threshold));
        let class = if place == 0 { "run" } else { "baseline" };
        html.push_str(&format!(
            "<tr class=\"{class}\" title=\"{}\"><td>{}</td>{cells}</tr>\n",
            escape(&title),
            escape(&row.name)
        ));
    }
    html + &format!("</tbody>\n</table></div>\n<p class=\"legend\">{}</p>\n", escape(LEGEND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, difference: Option<(f64, (f64, f64))>) -> HeldOutRow {
        HeldOutRow {
            name: name.into(),
            threshold: 0.6,
            selected: 10,
            peculiar: 4,
            complex: 5,
            ordinary: 1,
            recall: 0.5,
            recall_interval: (0.4, 0.6),
            precision: 0.4,
            precision_interval: (0.3, f64::NAN),
            contamination_ordinary: 0.1,
            average_precision: 0.45,
            average_precision_interval: (0.35, 0.55),
            with_labels: 0.5,
            with_labels_interval: (0.4, 0.6),
            difference,
            choices: "15 features, 256 rows a tree; <b>".into(),
        }
    }

    #[test]
    fn overlapping_intervals_are_called_undecided() {
        assert_eq!(row("a", None).verdict(), "");
        assert_eq!(row("a", Some((0.1, (0.02, 0.2)))).verdict(), "learned is better");
        assert_eq!(row("a", Some((0.1, (-0.02, 0.2)))).verdict(), "cannot tell");
        assert_eq!(row("a", Some((-0.1, (-0.2, -0.02)))).verdict(), "learned is worse");
    }

    #[test]
    fn every_form_names_every_row() {
        let rows = [row("SimCLR", None), row("gzip <&>", Some((0.1, (0.02, 0.2))))];
        let (text, csv, html) = (held_out_text(&rows), held_out_csv(&rows), held_out_section(&rows));
        assert!(
            text.contains("SimCLR") && text.contains("10.0 (2–20)") && text.contains("learned is better"),
            "{text}"
        );
        assert!(text.contains("50.0 (40–60)") && html.contains("50.0<small>40–60</small>"), "{text}");
        assert_eq!(csv.lines().count(), 3);
        assert!(csv.lines().all(|line| line.matches(',').count() >= 20) && !csv.contains("NaN"), "{csv}");
        assert!(html.contains("gzip &lt;&amp;&gt;") && !html.contains("<b>"), "{html}");
        assert!(held_out_text(&[]).is_empty() && held_out_section(&[]).is_empty());
    }
}
