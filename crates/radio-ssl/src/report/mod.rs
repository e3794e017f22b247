//! The report of `cargo xtask reproduce-table4`: plain data in, files out.
//!
//! The pipeline fills a [`Table4Report`]; [`write_report`] turns it into a folder that can be shown in a talk.
//! Nothing is computed here that is a result: thresholds, recalls and scores arrive finished. The same input gives
//! the same bytes; the only times in the output are those the caller wrote into [`Table4Report::provenance`].
//!
//! Reading order: the structs below (what a report holds), [`from_metrics`] (how they are filled), [`table`] (Table 4
//! as text, Markdown and CSV), [`curve`], [`score_figures`] and [`ranking`] (the figures; each is one [`Drawing`], written as SVG
//! and as PNG), [`sky_tile`] and [`contact_sheet`] (frames as PNG), [`page`] (the one self-contained HTML page).

use std::io::Write;
use std::path::{Path, PathBuf};

use atomic_file::write_atomically;
use ndarray::Array2;

use table::has_rows;

mod axes;
pub mod class_figures;
pub mod confusion_figure;
pub mod contact_sheet;
pub mod curve;
pub mod drawing;
pub mod error;
pub mod figure_page;
pub mod from_metrics;
mod glyphs;
pub mod held_out_table;
pub mod method_figures;
pub mod page;
pub mod ranking;
mod raster;
pub mod scatter;
pub mod score_figures;
pub mod sky_position;
pub mod sky_tile;
mod svg;
pub mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use drawing::Drawing;
pub use error::ReportError;
pub use from_metrics::published_table4;
pub use held_out_table::{HeldOutRow, held_out_text};
pub use ranking::RankingSummary;
pub use scatter::{Colouring, ScatterMap};
pub use svg::Style;
pub use table::table4_text;

/// The note every report on a simulated sky carries.
pub const SIMULATED_SKY_NOTE: &str = "The sky is simulated. This run shows that the method and the code work; it never stands for the published numbers, and \
     agreement with the paper's rows is not a reproduction of its survey result.";

/// Everything that a report shows. An empty list or `None` drops its section; a survey without labels has no rows and
/// no scans.
#[derive(Debug, Clone, Default)]
pub struct Table4Report {
    /// Headline of the page.
    pub title: String,
    /// What came out, in sentences; the first is set larger.
    pub verdict_lines: Vec<String>,
    /// What was run on: survey, frames, labels; name and value.
    pub survey_summary: Vec<(String, String)>,
    /// Table 4 of this run, one row for each feature set.
    pub rows: Vec<Table4Row>,
    /// The paper's rows, shown under the row of the same `features` ([`published_table4`]).
    pub published: Vec<Table4Row>,
    /// Learned features and baselines judged on held-out sky; the first row is compared with each of the others.
    pub held_out: Vec<HeldOutRow>,
    /// Which features matter, and how well the model behind the ranking does.
    pub ranking: Option<RankingSummary>,
    /// Scores of all frames from the set shown in the figures by group.
    pub scored: Option<ScoredFrames>,
    /// What was looked at before training, and what came of it.
    pub checks: Vec<FrameCheck>,
    /// Pre-training loss, one point per step or per epoch, in order.
    pub losses: Vec<LossPoint>,
    /// Loss of an encoder that tells no cutouts apart, ln(2N − 1) nats for a batch of N cutouts; drawn as a line.
    pub chance_loss: Option<f64>,
    /// Recall and precision against the threshold, one scan for each feature set.
    pub scans: Vec<ThresholdScan>,
    /// Frames to look at, best first.
    pub galleries: Vec<Gallery>,
    /// The frames as points, similar ones close to each other.
    pub map: Option<ScatterMap>,
    /// What this run did not do, and why.
    pub left_out: Vec<String>,
    /// Seed, preset, data fingerprint, code version, input size, threads, times, peak memory, …; name and value.
    pub provenance: Vec<(String, String)>,
    /// Honest remarks for the reader, for instance [`SIMULATED_SKY_NOTE`].
    pub notes: Vec<String>,
}

/// One row of Table 4. Fractions are in 0..=1; NaN means undefined and prints as a dash.
///
/// Source: Riggi et al. 2024, Table 4; definitions in reference-facts G3. Only labelled frames count.
#[derive(Debug, Clone, PartialEq)]
pub struct Table4Row {
    /// Name of the feature set (`top5`) or of the baseline.
    pub features: String,
    /// Threshold on the anomaly score; a frame above it is selected.
    pub threshold: f64,
    /// R: peculiar selected / all peculiar.
    pub recall: f64,
    /// 95 % interval of `recall` (low, high), where one was estimated.
    pub recall_interval: Option<(f64, f64)>,
    /// P: peculiar selected / selected.
    pub precision: f64,
    /// 95 % interval of `precision` (low, high), where one was estimated.
    pub precision_interval: Option<(f64, f64)>,
    /// P with complex: (peculiar + complex selected) / selected.
    pub precision_with_complex: f64,
    /// C complex: complex but not peculiar selected / selected.
    pub contamination_complex: f64,
    /// C ordinary: ordinary selected / selected.
    pub contamination_ordinary: f64,
    /// Labelled frames above the threshold.
    pub selected: usize,
    /// Peculiar frames among the selected.
    pub peculiar: usize,
    /// Complex, not peculiar, frames among the selected.
    pub complex: usize,
    /// Ordinary frames among the selected.
    pub ordinary: usize,
    /// The forest behind the score in a few words, e.g. `200 trees, 256 rows`.
    pub forest: String,
}

/// Anomaly scores of all frames, for the figures by group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoredFrames {
    /// Name of the feature set, as in [`Table4Row::features`].
    pub features: String,
    /// The threshold of its row; `None` without labels.
    pub threshold: Option<f64>,
    /// Score and group of every frame.
    pub scores: Vec<(f64, FrameGroup)>,
}

/// One line of the check of the frames before training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameCheck {
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What was done about it.
    pub verdict: CheckVerdict,
}

/// What a check led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckVerdict {
    /// Nothing to do.
    Good,
    /// These frames are not used.
    LeftOut,
    /// Used, but the reader should know.
    Look,
}

impl CheckVerdict {
    /// The verdict in words.
    pub fn name(self) -> &'static str {
        match self {
            CheckVerdict::Good => "ok",
            CheckVerdict::LeftOut => "left out",
            CheckVerdict::Look => "look",
        }
    }
}

/// One point of the pre-training loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossPoint {
    /// Position in epochs; fractions count steps within an epoch.
    pub epoch: f64,
    /// NT-Xent loss in nats.
    pub loss: f64,
    /// Learning rate of that step; NaN if it was not kept.
    pub lr: f64,
}

/// The scan from which a row's threshold was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdScan {
    /// Name of the feature set, as in [`Table4Row::features`].
    pub features: String,
    /// Points in order of rising threshold.
    pub points: Vec<ScanPoint>,
}

/// Recall, precision and contamination at one threshold; fractions in 0..=1, NaN where nothing is selected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanPoint {
    /// Threshold on the anomaly score.
    pub threshold: f64,
    /// R, see [`Table4Row::recall`].
    pub recall: f64,
    /// P, see [`Table4Row::precision`].
    pub precision: f64,
    /// C complex, see [`Table4Row::contamination_complex`].
    pub contamination_complex: f64,
    /// C ordinary, see [`Table4Row::contamination_ordinary`].
    pub contamination_ordinary: f64,
}

/// Frames ranked by one score.
#[derive(Debug, Clone, Default)]
pub struct Gallery {
    /// Heading, e.g. `Highest scores, top5 features`.
    pub title: String,
    /// How the score was made and what the reader should look for.
    pub caption: String,
    /// Pixel size in arcseconds, for the scale bar.
    pub pixel_arcsec: Option<f64>,
    /// Restoring beam, drawn in the corner of each frame when the pixel size is known too.
    pub beam: Option<BeamShape>,
    /// Best first.
    pub frames: Vec<GalleryFrame>,
}

/// A restoring beam: full widths at half maximum, and the position angle of the major axis from north through east.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeamShape {
    /// Major axis, arcseconds.
    pub major_arcsec: f64,
    /// Minor axis, arcseconds.
    pub minor_arcsec: f64,
    /// Position angle, degrees.
    pub position_angle_deg: f64,
}

/// One frame of a gallery.
#[derive(Debug, Clone)]
pub struct GalleryFrame {
    /// Identity of the cutout: mosaic, row, column, size.
    pub id: String,
    /// 1 = most anomalous.
    pub rank: usize,
    /// Anomaly score, higher is stranger.
    pub score: f64,
    /// Labels as the label list spells them; empty when unlabelled.
    pub labels: Vec<String>,
    /// What the labels mean in Table 4.
    pub group: FrameGroup,
    /// Right ascension and declination of the centre in degrees, where the mosaic has a sky.
    pub sky_deg: Option<(f64, f64)>,
    /// `[rows, columns]` in the order of a FITS file: row 0 is the southern edge. NaN is blank. Any unit; the stretch
    /// is relative.
    pub pixels: Array2<f32>,
}

/// The groups of Table 4 (reference-facts G3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FrameGroup {
    /// Labelled PECULIAR.
    Peculiar,
    /// Extended, diffuse or radio galaxy, not peculiar.
    Complex,
    /// Only compact sources or artefacts.
    Ordinary,
    /// No label.
    #[default]
    Unlabelled,
}

impl FrameGroup {
    /// The group in one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            FrameGroup::Peculiar => "peculiar",
            FrameGroup::Complex => "complex",
            FrameGroup::Ordinary => "ordinary",
            FrameGroup::Unlabelled => "unlabelled",
        }
    }

    /// Colour of the group in every figure (Okabe & Ito's palette, safe for colour-blind readers).
    pub fn rgb(self) -> [u8; 3] {
        match self {
            FrameGroup::Peculiar => [0xe6, 0x9f, 0x00],
            FrameGroup::Complex => [0x56, 0xb4, 0xe9],
            FrameGroup::Ordinary => [0x9a, 0x9a, 0x9a],
            FrameGroup::Unlabelled => [0x55, 0x5a, 0x63],
        }
    }
}

/// The files that [`write_report`] has written; `None` or empty where the report had nothing to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportPaths {
    /// `index.html`, the self-contained page.
    pub page: PathBuf,
    /// `table4.txt`.
    pub text: Option<PathBuf>,
    /// `table4.csv`.
    pub csv: Option<PathBuf>,
    /// `table4.md`.
    pub markdown: Option<PathBuf>,
    /// `held-out.csv`.
    pub held_out: Option<PathBuf>,
    /// Each figure as `.svg` and `.png`, in the order of the page.
    pub figures: Vec<PathBuf>,
    /// `gallery.png`, `gallery-2.png`, …, one for each gallery that has frames.
    pub galleries: Vec<PathBuf>,
}

/// All tables for a terminal: Table 4, the ranking, the held-out comparison, where the numbers come from.
pub fn report_text(report: &Table4Report) -> String {
    let mut parts = vec![table4_text(report)];
    if has_rows(report) {
        parts.extend(report.ranking.as_ref().map(ranking::ranking_text));
        parts.push(held_out_text(&report.held_out));
        parts.push(table::provenance_text(&report.provenance));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// Writes the report into `folder`, which is made if it does not exist. Each file appears complete or not at all.
///
/// # Errors
/// [`ReportError`] if the folder or a file cannot be written, or a PNG cannot be encoded.
pub fn write_report(report: &Table4Report, folder: &Path) -> Result<ReportPaths, ReportError> {
    std::fs::create_dir_all(folder).map_err(|source| ReportError::Write { path: folder.to_path_buf(), source })?;
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf, ReportError> {
        let path = folder.join(name);
        write_atomically(&path, |file| file.write_all(bytes))
            .map_err(|source| ReportError::Write { path: path.clone(), source })?;
        Ok(path)
    };
    let mut paths = ReportPaths::default();
    if has_rows(report) {
        let text = report_text(report);
        paths.text = Some(write("table4.txt", text.as_bytes())?);
        paths.csv = Some(write("table4.csv", table::table4_csv(report).as_bytes())?);
        paths.markdown = Some(write("table4.md", table::table4_markdown(report).as_bytes())?);
    }
    if !report.held_out.is_empty() {
        paths.held_out = Some(write("held-out.csv", held_out_table::held_out_csv(&report.held_out).as_bytes())?);
    }
    for (name, drawing) in figures(report) {
        paths.figures.push(write(&format!("{name}.svg"), drawing_svg(&drawing).as_bytes())?);
        paths.figures.push(write(&format!("{name}.png"), &drawing_png(&drawing)?)?);
    }
    for gallery in &report.galleries {
        let name = match paths.galleries.len() {
            0 => "gallery.png".to_string(),
            n => format!("gallery-{}.png", n + 1),
        };
        if let Some(sheet) = contact_sheet::contact_sheet(gallery) {
            paths.galleries.push(write(&name, &sky_tile::encode_png(&sheet)?)?);
        }
    }
    paths.page = write("index.html", page::page_html(report)?.as_bytes())?;
    Ok(paths)
}

/// Writes a figure as `STEM.svg` and `STEM.png` into a folder that exists.
///
/// # Errors
/// [`ReportError`] if a file cannot be written, or the PNG cannot be encoded.
pub fn write_figure(drawing: &Drawing, folder: &Path, stem: &str) -> Result<[PathBuf; 2], ReportError> {
    let write = |end: &str, bytes: &[u8]| -> Result<PathBuf, ReportError> {
        let path = folder.join(format!("{stem}.{end}"));
        write_atomically(&path, |file| file.write_all(bytes))
            .map_err(|source| ReportError::Write { path: path.clone(), source })?;
        Ok(path)
    };
    let svg = write("svg", drawing_svg(drawing).as_bytes())?;
    Ok([svg, write("png", &drawing_png(drawing)?)?])
}

/// A figure as an SVG file that stands alone.
pub fn drawing_svg(drawing: &Drawing) -> String {
    svg::svg(drawing, Style::Standalone)
}

/// A figure as a PNG file.
///
/// # Errors
/// [`ReportError::Png`] if the encoder refuses.
pub fn drawing_png(drawing: &Drawing) -> Result<Vec<u8>, ReportError> {
    sky_tile::encode_png(&raster::picture(drawing))
}

/// Every figure that has something to show, with the stem of its file name.
fn figures(report: &Table4Report) -> Vec<(String, Drawing)> {
    let scored = report.scored.as_ref();
    let named = |name: &str, drawing: Option<Drawing>| drawing.map(|drawing| (name.to_owned(), drawing));
    let single = [
        named("fig12-left", score_figures::recall_precision_figure(report)),
        named("fig12-right", scored.and_then(score_figures::selection_figure)),
        named("scores-by-group", scored.and_then(score_figures::distribution_figure)),
        named("feature-importance", report.ranking.as_ref().and_then(ranking::importance_figure)),
        named("map", report.map.as_ref().and_then(|map| scatter::figure::scatter_figure(map, 0))),
        named("loss", curve::loss_figure(report)),
    ];
    let scans = report
        .scans
        .iter()
        .enumerate()
        .filter_map(|(scan_idx, scan)| Some((scan_stem(report, scan_idx), curve::scan_figure(report, scan)?)));
    single.into_iter().flatten().chain(scans).collect()
}

/// `scan-top5`; characters that a file name should not hold become `-`, and a name that occurs twice gets its number.
fn scan_stem(report: &Table4Report, scan_idx: usize) -> String {
    let stem = |scan: &ThresholdScan| -> String {
        let kept = scan.features.chars().take(40);
        kept.map(|c| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' }).collect()
    };
    let name = stem(&report.scans[scan_idx]);
    let taken = report.scans[..scan_idx].iter().any(|earlier| stem(earlier) == name);
    if taken || name.is_empty() { format!("scan-{name}-{}", scan_idx + 1) } else { format!("scan-{name}") }
}
