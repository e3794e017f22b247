//! The report as one HTML page that needs nothing else: style, figures and pictures are inside, nothing is fetched.
//!
//! It can be mailed, put on a slide, printed, or read on a phone; colours follow the reader's light or dark setting.

use super::axes::short;
use super::curve::{loss_figure, scan_figure};
use super::drawing::Drawing;
use super::held_out_table::held_out_section;
use super::ranking::{importance_figure, ranking_table};
use super::scatter::element::scatter_element;
use super::score_figures::{distribution_figure, recall_precision_figure, selection_figure};
use super::sky_position::sexagesimal;
use super::sky_tile::{encode_png, sky_tile};
use super::svg::{Style, plot_css, svg};
use super::table::{LEGEND, RowOrigin, counts, has_rows, interleaved, percent, percent_interval, three_digits};
use super::{
    BeamShape, CheckVerdict, FrameCheck, FrameGroup, Gallery, GalleryFrame, ReportError, ScatterMap, Table4Report,
    Table4Row, scatter,
};

/// Frames of one gallery on the page; the rest stays in the score table.
const MOST_FRAMES: usize = 96;
/// Most pixels on a side of an embedded picture; larger frames are averaged to keep the page small.
const MOST_PIXELS: usize = 128;
/// Longest piece of caller's text shown in a caption.
const MOST_CAPTION: usize = 120;

/// The whole page.
///
/// # Errors
/// [`ReportError::Png`] if a frame cannot be encoded.
pub fn page_html(report: &Table4Report) -> Result<String, ReportError> {
    let mut page = header(report);
    page.push_str(&aside(&report.notes));
    if !report.survey_summary.is_empty() {
        page.push_str(&format!("<h2>What was run</h2>\n{}", facts(&report.survey_summary)));
    }
    if has_rows(report) {
        page.push_str(&format!("<h2>Table 4</h2>\n{}", table(report)));
    }
    page.push_str(&score_section(report));
    page.push_str(&held_out_section(&report.held_out));
    if let Some(ranking) = &report.ranking {
        page.push_str("<h2>Feature ranking</h2>\n<p>Boosted trees of depth 2, trained with labels on the finished features, say which of them matter; the \
             leading ones make the feature sets of Table 4.</p>\n");
        page.push_str(&plots(importance_figure(ranking), true));
        page.push_str(&ranking_table(ranking));
    }
    for gallery in &report.galleries {
        page.push_str(&gallery_section(gallery)?);
    }
    page.push_str(&map_section(report.map.as_ref()));
    page.push_str(&scans(report));
    if let Some(loss) = loss_figure(report) {
        page.push_str(
            "<h2>Pre-training</h2>\n<p>Contrastive loss of the encoder; no label is read in this stage.</p>\n",
        );
        page.push_str(&plots([loss], true));
    }
    page.push_str(&checks(&report.checks));
    if !report.left_out.is_empty() {
        page.push_str("<h2>Left out</h2>\n<ul>\n");
        report.left_out.iter().for_each(|line| page.push_str(&format!("<li>{}</li>\n", escape(line))));
        page.push_str("</ul>\n");
    }
    page.push_str(&provenance(&report.provenance));
    page.push_str(
        "<footer>Method: Riggi et al. 2024, PASA 41, e085, <a href=\"https://doi.org/10.1017/pasa.2024.84\">doi:10.1017/pasa.2024.84</a>. \
         Frames are shown as stored, row 0 below (north up and east left where the map is so oriented), each stretched on its own. Made by radio-ssl.</footer>\n",
    );
    Ok(document(&report.title, "", &page))
}

/// A page with the report's style: `css` is added to it, `body` is HTML.
pub(crate) fn document(title: &str, css: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{}{}{css}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(title),
        include_str!("page.css"),
        plot_css()
    )
}

/// Text made safe for HTML and SVG, in elements and in attributes. Control characters, which XML forbids, become
/// spaces.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            control if control.is_control() && control != '\n' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// Headline and verdict.
fn header(report: &Table4Report) -> String {
    let kind = if has_rows(report) { "Anomaly search, Table 4" } else { "Anomaly search, ranking without labels" };
    let mut html =
        format!("<header>\n<p class=\"eyebrow\">radio-ssl · {kind}</p>\n<h1>{}</h1>\n", escape(&report.title));
    for (line_idx, line) in report.verdict_lines.iter().enumerate() {
        // A percent sign stays with its number.
        let line = escape(line).replace(" %", "\u{a0}%");
        let class = if line_idx == 0 { "verdict lead" } else { "verdict" };
        html.push_str(&format!("<p class=\"{class}\">{line}</p>\n"));
    }
    html + "</header>\n"
}

/// The notes, where nobody overlooks them.
pub(super) fn aside(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let lines: String = notes.iter().map(|note| format!("<p>{}</p>\n", escape(note))).collect();
    format!("<aside class=\"note\">\n{lines}</aside>\n")
}

/// Names and values as a grid of small cards.
pub(super) fn facts(pairs: &[(String, String)]) -> String {
    let cards: String = pairs
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value)))
        .collect();
    format!("<dl class=\"facts\">\n{cards}</dl>\n")
}

/// Table 4, ours and the paper's rows in turn.
fn table(report: &Table4Report) -> String {
    let mut html = "<div class=\"scroll\"><table class=\"table4\">\n<thead><tr><th>features</th><th></th><th><i>t</i></th><th>R %</th><th>P %</th>\
         <th>P<sub>pec+<wbr>complex</sub> %</th><th>C<sub>complex</sub> %</th><th>C<sub>ordinary</sub> %</th><th>selected = pec + complex + ord</th></tr></thead>\n<tbody>\n"
        .to_string();
    for (origin, row) in interleaved(report) {
        html.push_str(&table_row(origin, row));
    }
    html + &format!("</tbody>\n</table></div>\n<p class=\"legend\">{}</p>\n", escape(LEGEND))
}

fn table_row(origin: RowOrigin, row: &Table4Row) -> String {
    let class = match origin {
        RowOrigin::Run => "run",
        RowOrigin::Paper => "paper",
    };
    let with_interval = |fraction: f64, interval: Option<(f64, f64)>| match interval {
        Some(interval) => format!("{}<small>{}</small>", percent(fraction), percent_interval(interval)),
        None => percent(fraction),
    };
    let cells = [
        three_digits(row.threshold),
        with_interval(row.recall, row.recall_interval),
        with_interval(row.precision, row.precision_interval),
        percent(row.precision_with_complex),
        percent(row.contamination_complex),
        percent(row.contamination_ordinary),
    ];
    let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    // The paper's row belongs to the row above it: naming the features once is enough.
    let features = escape(&short(&row.features, MOST_CAPTION));
    format!(
        "<tr class=\"{class}\" title=\"{}\"><td>{features}</td><td>{}</td>{cells}<td class=\"counts\">{}</td></tr>\n",
        escape(&row.forest),
        origin.name(),
        counts(row)
    )
}

/// Figures side by side; one alone is kept from filling the page.
pub(super) fn plots(drawings: impl IntoIterator<Item = Drawing>, single: bool) -> String {
    let figures: String =
        drawings.into_iter().map(|drawing| format!("<figure>{}</figure>\n", svg(&drawing, Style::Inline))).collect();
    match figures.is_empty() {
        true => String::new(),
        false => format!("<div class=\"plots{}\">\n{figures}</div>\n", if single { " single" } else { "" }),
    }
}

/// The threshold scans that have something to show.
fn scans(report: &Table4Report) -> String {
    let figures = plots(report.scans.iter().filter_map(|scan| scan_figure(report, scan)), false);
    if figures.is_empty() {
        return figures;
    }
    format!(
        "<h2>Threshold scans</h2>\n<p>Recall and precision of the labelled frames against the threshold; the dashed line is the row of Table 4, \
         hollow marks are the paper's row.</p>\n{figures}"
    )
}

/// After the paper's Fig. 12, and the distribution behind it.
fn score_section(report: &Table4Report) -> String {
    let scored = report.scored.as_ref();
    let figures =
        [recall_precision_figure(report), scored.and_then(selection_figure), scored.and_then(distribution_figure)];
    let figures = plots(figures.into_iter().flatten(), false);
    if figures.is_empty() {
        return figures;
    }
    let words = match has_rows(report) {
        true => {
            "After the paper's Fig. 12: left, recall and precision of all feature sets (filled marks: the rows of Table 4; hollow ones: the paper's); right, what the \
             selected frames are, unlabelled ones among them. Below, the score of each group, scaled to its own peak, with its median. Dashed: the threshold of Table 4."
        }
        false => "Distribution of the score, with its median.",
    };
    format!("<h2>The anomaly score</h2>\n<p>{words}</p>\n{figures}")
}

/// The interactive map, with the style and the script that it needs.
fn map_section(map: Option<&ScatterMap>) -> String {
    let Some(map) = map else { return String::new() };
    let picture = scatter_element(map, false);
    if picture.is_empty() {
        return picture;
    }
    format!(
        "<h2>{}</h2>\n<p>{}</p>\n<style>\n{}</style>\n{picture}<script>\n{}</script>\n",
        escape(&map.title),
        escape(&map.caption),
        scatter::element::CSS,
        scatter::element::SCRIPT
    )
}

/// What was looked at before training.
fn checks(checks: &[FrameCheck]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let row = |check: &FrameCheck| {
        let class = match check.verdict {
            CheckVerdict::Good => "good",
            CheckVerdict::LeftOut | CheckVerdict::Look => "look",
        };
        let (what, found, verdict) = (escape(&check.what), escape(&check.found), check.verdict.name());
        format!("<tr class=\"{class}\"><td>{what}</td><td>{found}</td><td>{verdict}</td></tr>\n")
    };
    let rows: String = checks.iter().map(row).collect();
    format!(
        "<h2>Frames checked before training</h2>\n<p>Every frame was looked at once, and the mosaics were compared with each other.</p>\n\
         <table class=\"checks\">\n{rows}</table>\n"
    )
}

/// One gallery with the key to its colours.
pub(crate) fn gallery_section(gallery: &Gallery) -> Result<String, ReportError> {
    let mut html = format!("<h2>{}</h2>\n", escape(&gallery.title));
    if !gallery.caption.is_empty() {
        html.push_str(&format!("<p>{}</p>\n", escape(&gallery.caption)));
    }
    if gallery.frames.is_empty() {
        return Ok(html + "<p>No frame was scored.</p>\n");
    }
    let groups = [FrameGroup::Peculiar, FrameGroup::Complex, FrameGroup::Ordinary, FrameGroup::Unlabelled];
    let present = |group: &FrameGroup| gallery.frames.iter().take(MOST_FRAMES).any(|frame| frame.group == *group);
    let groups: Vec<FrameGroup> = groups.into_iter().filter(present).collect();
    // One colour needs no key.
    if groups.len() > 1 {
        let key: String =
            groups.iter().map(|group| format!("<li class=\"{0}\"><span></span>{0}</li>", group.name())).collect();
        html.push_str(&format!("<ul class=\"key\">{key}</ul>\n"));
    }
    html.push_str("<div class=\"gallery\">\n");
    for frame in gallery.frames.iter().take(MOST_FRAMES) {
        html.push_str(&frame_figure(gallery, frame)?);
    }
    html.push_str("</div>\n");
    if gallery.frames.len() > MOST_FRAMES {
        html.push_str(&format!(
            "<p class=\"legend\">The first {MOST_FRAMES} of {} frames are shown.</p>\n",
            gallery.frames.len()
        ));
    }
    Ok(html)
}

/// One frame: the picture with beam and scale bar, then rank, score, labels, position, identity.
fn frame_figure(gallery: &Gallery, frame: &GalleryFrame) -> Result<String, ReportError> {
    let (rows, columns) = frame.pixels.dim();
    let (height, width) = if rows == 0 || columns == 0 { (1.0, 1.0) } else { (rows as f64, columns as f64) };
    let picture = base64(&encode_png(&sky_tile(frame.pixels.view(), MOST_PIXELS))?);
    let score = three_digits(frame.score);
    let labels = if frame.labels.is_empty() { frame.group.name().to_string() } else { frame.labels.join(", ") };
    let labels = escape(&short(&labels, MOST_CAPTION));
    let sky = frame
        .sky_deg
        .and_then(|(ra, dec)| sexagesimal(ra, dec))
        .map(|sky| format!("<span class=\"sky\">{sky}</span>"))
        .unwrap_or_default();
    let mut marks = String::new();
    if let Some(pixel_arcsec) = gallery.pixel_arcsec.filter(|p| p.is_finite() && *p > 0.0) {
        marks.push_str(&gallery.beam.map(|beam| beam_ellipse(beam, pixel_arcsec, width, height)).unwrap_or_default());
        marks.push_str(&scale_bar(pixel_arcsec, width, height));
    }
    Ok(format!(
        "<figure class=\"{}\"><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"rank {}, score {score}, {labels}\">\
         <image width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" href=\"data:image/png;base64,{picture}\"/>{marks}</svg>\
         <figcaption><span class=\"top\"><span>#{}</span><span>{score}</span></span><span class=\"labels\">{labels}</span>{sky}\
         <span class=\"id\">{}</span></figcaption></figure>\n",
        frame.group.name(),
        frame.rank,
        frame.rank,
        escape(&short(&frame.id, MOST_CAPTION))
    ))
}

/// The beam in the lower left corner; position angle from north (up) through east (left). Empty if it would not fit a
/// third of the frame.
fn beam_ellipse(beam: BeamShape, pixel_arcsec: f64, width: f64, height: f64) -> String {
    let radius = |arcsec: f64| 0.5 * arcsec / pixel_arcsec;
    let (major, minor) = (radius(beam.major_arcsec), radius(beam.minor_arcsec));
    if !(minor > 0.0
        && major.is_finite()
        && minor <= major
        && 2.0 * major < height.min(width) / 3.0
        && beam.position_angle_deg.is_finite())
    {
        return String::new();
    }
    let margin = 0.04 * width.min(height);
    let (x, y) = (margin + major, height - margin - major);
    let turn = -beam.position_angle_deg;
    format!(
        "<ellipse class=\"beam\" cx=\"{x:.2}\" cy=\"{y:.2}\" rx=\"{minor:.2}\" ry=\"{major:.2}\" transform=\"rotate({turn:.1} {x:.2} {y:.2})\"/>"
    )
}

/// A bar of a round angle, between a sixth and two fifths of the width, in the lower right corner.
fn scale_bar(pixel_arcsec: f64, width: f64, height: f64) -> String {
    const ROUND: [(f64, &str); 13] = [
        (1.0, "1″"),
        (2.0, "2″"),
        (5.0, "5″"),
        (10.0, "10″"),
        (20.0, "20″"),
        (30.0, "30″"),
        (60.0, "1′"),
        (120.0, "2′"),
        (300.0, "5′"),
        (600.0, "10′"),
        (1200.0, "20′"),
        (1800.0, "30′"),
        (3600.0, "1°"),
    ];
    let field = width * pixel_arcsec;
    let Some((arcsec, name)) = ROUND.into_iter().rev().find(|(arcsec, _)| (field / 6.0..=field * 0.4).contains(arcsec))
    else {
        return String::new();
    };
    let margin = 0.05 * width.min(height);
    let (right, bottom) = (width - margin, height - margin);
    let left = right - arcsec / pixel_arcsec;
    let size = 0.075 * width.min(height);
    format!(
        "<path class=\"bar\" d=\"M{left:.2} {bottom:.2}H{right:.2}\"/><text class=\"bar-label\" x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"middle\" font-size=\"{size:.2}\">{name}</text>",
        (left + right) / 2.0,
        bottom - 0.5 * size
    )
}

/// Names and values as a table, in the order given.
pub(crate) fn provenance(pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let rows: String = pairs
        .iter()
        .map(|(name, value)| format!("<tr><td>{}</td><td>{}</td></tr>\n", escape(name), escape(value)))
        .collect();
    format!(
        "<h2>Provenance</h2>\n<p>What is needed to run this again.</p>\n<table class=\"provenance\">\n{rows}</table>\n"
    )
}

/// Base64 with padding (RFC 4648, section 4), for pictures inside the page.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let group = (0..3).fold(0u32, |group, k| group << 8 | u32::from(three.get(k).copied().unwrap_or(0)));
        for k in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * k) & 63) as usize];
            text.push(if k <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_test_vectors_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in vectors {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn markup_and_control_characters_are_harmless() {
        assert_eq!(escape("<b a=\"1\" c='2'>&\u{0}\u{1b}\n"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;  \n");
    }

    #[test]
    fn the_beam_turns_through_east() {
        let beam = BeamShape { major_arcsec: 20.0, minor_arcsec: 10.0, position_angle_deg: 30.0 };
        // East is left on the page and SVG turns clockwise for positive angles: minus 30.
        let svg = beam_ellipse(beam, 2.0, 100.0, 100.0);
        assert!(svg.contains("rx=\"2.50\" ry=\"5.00\" transform=\"rotate(-30.0"), "{svg}");
        assert_eq!(beam_ellipse(BeamShape { minor_arcsec: f64::NAN, ..beam }, 2.0, 100.0, 100.0), "");
        assert_eq!(beam_ellipse(beam, 0.01, 100.0, 100.0), "", "larger than the frame");
    }

    #[test]
    fn the_scale_bar_is_as_long_as_it_says() {
        // 128 pixels of 2 arcsec: 256 arcsec across; one minute is 30 pixels.
        let svg = scale_bar(2.0, 128.0, 128.0);
        assert!(svg.contains("1′") && svg.contains("M91.60 121.60H121.60"), "{svg}");
        assert_eq!(scale_bar(1e9, 128.0, 128.0), "");
    }
}
