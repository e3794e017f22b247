//! A data set described as in the paper's Table 1 (reference-facts A1): how many images, how large, how large their sources are.

use std::{collections::BTreeMap, fmt};

use super::manifest::{Manifest, Window};

/// Smallest, mean and largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeRange {
    /// Smallest.
    pub min: f64,
    /// Mean.
    pub mean: f64,
    /// Largest.
    pub max: f64,
}

impl SizeRange {
    /// Of finite numbers; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (mut count, mut sum, mut min, mut max) = (0_u64, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            (count, sum, min, max) = (count + 1, sum + value, min.min(value), max.max(value));
        }
        (count > 0).then(|| Self { min, mean: sum / count as f64, max })
    }
}

/// Figures of the cutouts of one mosaic, or of all.
#[derive(Debug, Clone, PartialEq)]
pub struct MosaicLine {
    /// Id of the mosaic; `all` for the sum.
    pub mosaic: String,
    /// Number of images.
    pub images: usize,
    /// Longer side of an image, pixels.
    pub side_px: Option<SizeRange>,
    /// Longer side of an image, arc minutes; `None` where no mosaic has a pixel size.
    pub side_arcmin: Option<SizeRange>,
    /// Source size, the longer side of its box, arc minutes; `None` for blind sets.
    pub source_arcmin: Option<SizeRange>,
    /// Noise, µJy/beam: 5, 50 and 95 % of the images lie below.
    pub rms_ujy_beam: Option<[f64; 3]>,
    /// Share of blank pixels: the same quantiles.
    pub blank_fraction: Option<[f64; 3]>,
    /// Sky that is seen by at least one image of a mosaic, square degrees, summed over mosaics: sky that two mosaics share counts
    /// twice. Mosaics without a pixel size do not count.
    pub area_deg2: f64,
}

/// A data set in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Table1 {
    /// Name of the survey.
    pub name: String,
    /// All images.
    pub all: MosaicLine,
    /// Those of each mosaic that has any, in the order of the manifest.
    pub mosaics: Vec<MosaicLine>,
    /// Images of each part of a split, in order of their names; empty without a split.
    pub parts: Vec<(String, usize)>,
    /// Images with each label.
    pub labels: Vec<(String, usize)>,
}

/// Describes a manifest; nothing is opened.
pub fn table1(manifest: &Manifest) -> Table1 {
    let mut of_mosaic: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, row) in manifest.rows.iter().enumerate() {
        of_mosaic.entry(row.mosaic).or_default().push(index);
    }
    let mosaics: Vec<MosaicLine> = of_mosaic
        .iter()
        .map(|(&number, members)| {
            let record = manifest.mosaics.get(number as usize);
            let arcsec = record.and_then(|mosaic| mosaic.pixel_arcsec).unwrap_or(f64::NAN);
            let windows = members.iter().map(|&index| manifest.rows[index].window).collect();
            let area = seen_pixels(windows) as f64 * (arcsec / 3600.0).powi(2);
            let id = record.map_or_else(String::new, |mosaic| mosaic.id.clone());
            line(manifest, &id, members, if area.is_finite() { area } else { 0.0 })
        })
        .collect();
    let everything: Vec<usize> = (0..manifest.len()).collect();
    // Not `sum`, which is -0 of nothing.
    let area = mosaics.iter().fold(0.0, |area, line| area + line.area_deg2);
    let (mut parts, mut labels) = (BTreeMap::new(), BTreeMap::new());
    for row in &manifest.rows {
        row.part.into_iter().for_each(|part| *parts.entry(part.text().to_owned()).or_insert(0) += 1);
        row.labels.iter().for_each(|label| *labels.entry(label.clone()).or_insert(0) += 1);
    }
    Table1 {
        name: manifest.name.clone(),
        all: line(manifest, "all", &everything, area),
        mosaics,
        parts: parts.into_iter().collect(),
        labels: labels.into_iter().collect(),
    }
}

fn line(manifest: &Manifest, mosaic: &str, members: &[usize], area_deg2: f64) -> MosaicLine {
    let rows = || members.iter().map(|&index| &manifest.rows[index]);
    let side = |window: Window| f64::from(window.n_rows.max(window.n_cols));
    let arcsec = |mosaic: u32| manifest.mosaics.get(mosaic as usize)?.pixel_arcsec;
    MosaicLine {
        mosaic: mosaic.to_owned(),
        images: members.len(),
        side_px: SizeRange::of(rows().map(|row| side(row.window))),
        side_arcmin: SizeRange::of(rows().filter_map(|row| Some(side(row.window) * arcsec(row.mosaic)? / 60.0))),
        source_arcmin: SizeRange::of(rows().filter_map(|row| {
            let (width, height) = row.source.as_ref()?.size_arcsec;
            Some(width.max(height) / 60.0)
        })),
        rms_ujy_beam: quantiles(rows().map(|row| f64::from(row.rms_jy_beam) * 1e6)),
        blank_fraction: quantiles(rows().map(|row| f64::from(row.blank_fraction))),
        area_deg2,
    }
}

/// The values below which 5, 50 and 95 % of the finite ones lie (nearest rank); `None` if there are none.
fn quantiles(values: impl Iterator<Item = f64>) -> Option<[f64; 3]> {
    let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get(((share * sorted.len() as f64).ceil() as usize).max(1) - 1).copied();
    Some([at(0.05)?, at(0.5)?, at(0.95)?])
}

/// Pixels that at least one window covers: rows are swept, and between two rows where a window begins or ends the covered
/// columns are the same.
fn seen_pixels(mut windows: Vec<Window>) -> u64 {
    let span = |start: u32, count: u32| (u64::from(start), u64::from(start) + u64::from(count));
    windows.sort_unstable_by_key(|window| window.row);
    let mut edges: Vec<u64> =
        windows.iter().flat_map(|window| <[u64; 2]>::from(span(window.row, window.n_rows))).collect();
    edges.sort_unstable();
    edges.dedup();
    let (mut coming, mut open) = (windows.iter().peekable(), Vec::<&Window>::new());
    let mut seen = 0;
    for pair in edges.windows(2) {
        open.retain(|window| span(window.row, window.n_rows).1 > pair[0]);
        while let Some(window) = coming.next_if(|window| u64::from(window.row) <= pair[0]) {
            open.push(window);
        }
        let mut columns: Vec<(u64, u64)> = open.iter().map(|window| span(window.col, window.n_cols)).collect();
        columns.sort_unstable();
        let (mut covered, mut until) = (0, 0);
        for (from, to) in columns {
            covered += to.saturating_sub(from.max(until));
            until = until.max(to);
        }
        seen += covered * (pair[1] - pair[0]);
    }
    seen
}

impl fmt::Display for Table1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |range: Option<SizeRange>, digits: usize| match range {
            None => "-".to_owned(),
            Some(SizeRange { min, max, .. }) if min == max => format!("{min:.digits$}"),
            Some(SizeRange { min, mean, max }) => format!("{min:.digits$} / {mean:.digits$} / {max:.digits$}"),
        };
        let three = |values: Option<[f64; 3]>, digits: usize| {
            values.map_or("-".to_owned(), |[a, b, c]| format!("{a:.digits$} / {b:.digits$} / {c:.digits$}"))
        };
        let header = ["mosaic", "images", "size px", "size '", "source '", "rms uJy/beam", "blank", "deg2"];
        let cells = |line: &MosaicLine| {
            [
                line.mosaic.clone(),
                line.images.to_string(),
                range(line.side_px, 0),
                range(line.side_arcmin, 2),
                range(line.source_arcmin, 2),
                three(line.rms_ujy_beam, 1),
                three(line.blank_fraction, 2),
                format!("{:.4}", line.area_deg2),
            ]
        };
        let lines = self.mosaics.iter().filter(|_| self.mosaics.len() > 1).map(cells);
        let lines: Vec<[String; 8]> =
            [header.map(str::to_owned)].into_iter().chain(lines).chain([cells(&self.all)]).collect();
        let mut widths = [0; 8];
        for line in &lines {
            widths.iter_mut().zip(line).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
        }
        writeln!(f, "data set {} (sizes: min / mean / max, or one number; rms and blank: 5 / 50 / 95 %)", self.name)?;
        for line in &lines {
            let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}"));
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  "))?;
        }
        for (title, counts) in [("parts", &self.parts), ("labels", &self.labels)] {
            if !counts.is_empty() {
                let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
                writeln!(f, "  {title}: {}", words.join(", "))?;
            }
        }
        Ok(())
    }
}
