//! A page of one experiment: verdict, the paper's statements beside ours, figures, tables; as HTML, Markdown, JSON and pictures.

use std::io::Write;
use std::path::{Path, PathBuf};

use atomic_file::write_atomically;

use super::drawing::Drawing;
use super::page::{aside, escape, facts, plots, provenance};
use super::svg::plot_css;
use super::{ReportError, write_figure};

/// Everything that a page shows. An empty list drops its section.
#[derive(Debug, Clone, Default)]
pub struct FigurePage {
    /// Name of the files, without extension: `fig5`.
    pub stem: String,
    /// Small line over the headline.
    pub eyebrow: String,
    /// Headline.
    pub title: String,
    /// What came out, in sentences; the first is set larger.
    pub verdict_lines: Vec<String>,
    /// What was run; name and value.
    pub facts: Vec<(String, String)>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// The figures.
    pub figures: Vec<Drawing>,
    /// Tables under the figures.
    pub tables: Vec<PageTable>,
    /// What is needed to run it again; name and value.
    pub provenance: Vec<(String, String)>,
}

/// A table of text; the first column is set to the left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PageTable {
    /// Heading.
    pub heading: String,
    /// A sentence under it; may be empty.
    pub caption: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows, each with a cell for every column.
    pub rows: Vec<Vec<String>>,
    /// Whether cells hold sentences, which may break into lines.
    pub prose: bool,
}

/// Writes `STEM.html`, `STEM.md`, `STEM.json` (the numbers, `data`) and each figure as `STEM-N.svg` and `.png`; returns the paths,
/// the page first.
///
/// # Errors
/// [`ReportError`] if the folder or a file cannot be written, or a PNG not be encoded.
pub fn write_figure_page(page: &FigurePage, data: &[u8], folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    std::fs::create_dir_all(folder).map_err(|source| ReportError::Write { path: folder.to_path_buf(), source })?;
    let mut paths = Vec::new();
    let mut write = |name: String, bytes: &[u8]| -> Result<(), ReportError> {
        let path = folder.join(name);
        write_atomically(&path, |file| file.write_all(bytes))
            .map_err(|source| ReportError::Write { path: path.clone(), source })?;
        paths.push(path);
        Ok(())
    };
    write(format!("{}.html", page.stem), html(page).as_bytes())?;
    write(format!("{}.md", page.stem), markdown(page).as_bytes())?;
    write(format!("{}.json", page.stem), data)?;
    for (number, drawing) in page.figures.iter().enumerate() {
        paths.extend(write_figure(drawing, folder, &format!("{}-{}", page.stem, number + 1))?);
    }
    Ok(paths)
}

/// The page, self-contained.
fn html(page: &FigurePage) -> String {
    let title = escape(&page.title);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{}{}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<p class=\"eyebrow\">{}</p>\n<h1>{title}</h1>\n",
        include_str!("page.css"),
        plot_css(),
        escape(&page.eyebrow)
    );
    for (number, line) in page.verdict_lines.iter().enumerate() {
        let class = if number == 0 { "verdict lead" } else { "verdict" };
        // A percent sign stays with its number.
        html.push_str(&format!("<p class=\"{class}\">{}</p>\n", escape(line).replace(" %", "\u{a0}%")));
    }
    html.push_str("</header>\n");
    html.push_str(&aside(&page.notes));
    if !page.figures.is_empty() {
        html.push_str("<h2>Figure</h2>\n");
        html.push_str(&plots(page.figures.iter().cloned(), page.figures.len() == 1));
    }
    page.tables.iter().for_each(|table| html.push_str(&html_table(table)));
    if !page.facts.is_empty() {
        html.push_str(&format!("<h2>What was run</h2>\n{}", facts(&page.facts)));
    }
    html.push_str(&provenance(&page.provenance));
    html + "<footer>Method: Riggi et al. 2024, PASA 41, e085, <a href=\"https://doi.org/10.1017/pasa.2024.84\">doi:10.1017/pasa.2024.84</a>. \
            Made by radio-ssl.</footer>\n</main>\n</body>\n</html>\n"
}

fn html_table(table: &PageTable) -> String {
    let cells = |row: &[String], tag: &str| {
        let cell = |text: &String| format!("<{tag}>{}</{tag}>", escape(text).replace(" %", "\u{a0}%"));
        row.iter().map(cell).collect::<String>()
    };
    let rows: String =
        table.rows.iter().map(|row| format!("<tr class=\"baseline\">{}</tr>\n", cells(row, "td"))).collect();
    let caption = if table.caption.is_empty() { String::new() } else { format!("<p>{}</p>\n", escape(&table.caption)) };
    format!(
        "<h2>{}</h2>\n{caption}<div class=\"scroll\"><table class=\"table4 {}\">\n<thead><tr>{}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n",
        escape(&table.heading),
        if table.prose { "whole prose" } else { "whole plain" },
        cells(&table.columns, "th")
    )
}

/// The page for a repository: figures by their file names.
fn markdown(page: &FigurePage) -> String {
    let mut text = format!("# {}\n\n", page.title);
    for line in page.verdict_lines.iter().chain(&page.notes) {
        text.push_str(&format!("{line}\n\n"));
    }
    for (number, drawing) in page.figures.iter().enumerate() {
        text.push_str(&format!(
            "![{}]({}-{}.svg)\n\n",
            drawing.description.replace(['[', ']'], ""),
            page.stem,
            number + 1
        ));
    }
    for table in &page.tables {
        text.push_str(&format!("## {}\n\n", table.heading));
        if !table.caption.is_empty() {
            text.push_str(&format!("{}\n\n", table.caption));
        }
        text.push_str(&markdown_row(&table.columns));
        let rule: Vec<String> =
            (0..table.columns.len()).map(|k| if k == 0 || table.prose { "---" } else { "---:" }.to_owned()).collect();
        text.push_str(&format!("|{}|\n", rule.join("|")));
        table.rows.iter().for_each(|row| text.push_str(&markdown_row(row)));
        text.push('\n');
    }
    for (heading, pairs) in [("What was run", &page.facts), ("Provenance", &page.provenance)] {
        if !pairs.is_empty() {
            text.push_str(&format!("## {heading}\n\n"));
            pairs.iter().for_each(|(name, value)| text.push_str(&format!("- {name}: {value}\n")));
            text.push('\n');
        }
    }
    text
}

fn markdown_row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_holds_every_number_and_nothing_is_taken_as_markup() -> Result<(), ReportError> {
        let folder = tempfile::tempdir().unwrap();
        let page = FigurePage {
            stem: "fig9".into(),
            title: "A <b> & c".into(),
            verdict_lines: vec!["Agrees in 2 statements.".into()],
            notes: vec!["simulated".into()],
            facts: vec![("sky".into(), "first".into())],
            tables: vec![PageTable {
                heading: "Scores".into(),
                columns: vec!["model".into(), "F1 %".into()],
                rows: vec![vec!["a|b".into(), "71.3 (70.0 to 72.0)".into()]],
                ..PageTable::default()
            }],
            ..FigurePage::default()
        };
        let paths = write_figure_page(&page, b"{}", folder.path())?;
        assert_eq!(paths.len(), 3);
        let read = |k: usize| std::fs::read_to_string(&paths[k]).unwrap();
        assert!(read(0).contains("A &lt;b&gt; &amp; c") && read(0).contains("71.3 (70.0 to 72.0)"));
        assert!(read(1).contains("| a\\|b | 71.3 (70.0 to 72.0) |") && read(1).contains("|---|---:|"));
        assert!(read(1).contains("Agrees in 2 statements.") && read(1).contains("- sky: first"));
        assert_eq!(read(2), "{}");
        Ok(())
    }
}
