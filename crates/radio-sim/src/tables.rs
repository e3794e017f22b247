//! The tables and text files of a survey: objects, components, frames, labels, `survey.toml`, `sim.toml`.

use crate::config::SimConfig;
use crate::error::SimError;
use crate::frames::Frame;
use crate::rgz::RgzCutout;
use crate::sky::Sky;
use crate::spurious::SpuriousIsland;
use crate::truth::TrueObject;
use atomic_file::write_atomically;
use radio_io::{EdgePolicy, FrameLabel, FrameLabels, FrameSettings, MosaicEntry, Survey, Wcs};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a table whose rows are already text.
fn write_table(path: &Path, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<(), SimError> {
    let text = || -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header)?;
        for row in rows {
            writer.write_record(&row)?;
        }
        writer.into_inner().map_err(|e| csv::Error::from(std::io::Error::other(e.to_string())))
    };
    let text = text().map_err(|source| SimError::Table { path: path.to_path_buf(), source })?;
    write_text(path, &text)
}

fn write_text(path: &Path, text: &[u8]) -> Result<(), SimError> {
    write_atomically(path, |file| file.write_all(text))
        .map_err(|source| SimError::Io { path: path.to_path_buf(), source })
}

/// Right ascension and declination as text; empty where the map shows no sky.
fn sky_text(wcs: &Wcs, row: f64, col: f64) -> [String; 2] {
    match wcs.sky(row, col) {
        Some((ra, dec)) => [format!("{ra:.6}"), format!("{dec:.6}")],
        None => [String::new(), String::new()],
    }
}

/// The truth table of objects. Fluxes in Jy, brightness in Jy/beam, sizes in arcsec, x and y in pixels from 0, angles in
/// degrees from north through east.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Table`].
pub fn write_objects(sky: &Sky, objects: &[TrueObject], wcs: &Wcs, path: &Path) -> Result<(), SimError> {
    let header = [
        "id",
        "layer",
        "kind",
        "peculiar",
        "ra",
        "dec",
        "x",
        "y",
        "s_total",
        "las",
        "pa",
        "s_peak_true",
        "snr_true",
        "sigma_loc",
        "mask_px",
        "mask_beams",
        "n_islands",
        "n_peaks",
        "det_class",
        "ignore",
        "detectable",
        "artefact_ratio",
        "forced",
        "recognisable",
        "twin_id",
    ];
    let flag = |b: bool| u8::from(b).to_string();
    let rows = objects.iter().map(|o| {
        let [ra, dec] = sky_text(wcs, o.y, o.x);
        // East is to the left: a direction (dx, dy) has the position angle atan2(-dx, dy).
        let pa = (-o.angle.cos()).atan2(o.angle.sin()).to_degrees().rem_euclid(180.0);
        vec![
            o.id.to_string(),
            format!("{:?}", o.layer).to_lowercase(),
            o.kind.name().to_string(),
            flag(o.kind.is_peculiar()),
            ra,
            dec,
            format!("{:.3}", o.x),
            format!("{:.3}", o.y),
            format!("{:.6e}", o.flux),
            format!("{:.2}", o.size * sky.config.pixel_arcsec),
            format!("{pa:.1}"),
            format!("{:.6e}", o.mask.peak),
            format!("{:.2}", o.snr),
            format!("{:.4e}", o.sigma),
            o.mask.px.to_string(),
            format!("{:.2}", o.mask.px as f64 / sky.beam.area),
            o.mask.islands.to_string(),
            o.mask.peaks.to_string(),
            o.class.name().to_string(),
            flag(o.ignore()),
            flag(o.detectable),
            format!("{:.4}", o.artefact_ratio),
            flag(o.forced),
            flag(o.recognisable),
            o.twin.to_string(),
        ]
    });
    write_table(path, &header, rows)
}

/// The Gaussians of every object that has more than one: object, x, y (pixels), flux (Jy), two sigmas (pixels), angle (radians
/// from columns towards rows).
///
/// # Errors
/// [`SimError::Io`], [`SimError::Table`].
pub fn write_components(objects: &[TrueObject], config: &SimConfig, path: &Path) -> Result<(), SimError> {
    let header = ["id", "x", "y", "flux", "sigma_major", "sigma_minor", "angle"];
    let inside = |o: &&TrueObject| {
        o.parts.len() > 1 && o.x >= 0.0 && o.y >= 0.0 && o.x < config.side as f64 && o.y < config.side as f64
    };
    let rows = objects.iter().filter(inside).flat_map(|o| {
        o.parts.iter().map(|g| {
            vec![
                o.id.to_string(),
                format!("{:.3}", g.x),
                format!("{:.3}", g.y),
                format!("{:.6e}", g.flux),
                format!("{:.4}", g.s1),
                format!("{:.4}", g.s2),
                format!("{:.5}", g.angle),
            ]
        })
    });
    write_table(path, &header, rows)
}

/// The islands of the artefacts that a finder would take for sources: id, peak (ra, dec, x, y from 0, Jy/beam, in units of the
/// thermal noise), size, bounds (the ends are one past the last pixel), share under object masks.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Table`].
pub fn write_spurious(sky: &Sky, islands: &[SpuriousIsland], wcs: &Wcs, path: &Path) -> Result<(), SimError> {
    let header = [
        "id",
        "ra",
        "dec",
        "x",
        "y",
        "peak",
        "snr",
        "px",
        "beams",
        "first_row",
        "end_row",
        "first_column",
        "end_column",
        "object_share",
    ];
    let rows = islands.iter().enumerate().map(|(i, o)| {
        let [row, col] = o.place;
        let [ra, dec] = sky_text(wcs, row as f64, col as f64);
        let mut cells = vec![
            (i + 1).to_string(),
            ra,
            dec,
            col.to_string(),
            row.to_string(),
            format!("{:.6e}", o.peak),
            format!("{:.2}", o.snr),
            o.px.to_string(),
            format!("{:.2}", o.px as f64 / sky.beam.area),
        ];
        cells.extend(o.bounds.map(|bound| bound.to_string()));
        cells.push(format!("{:.3}", o.object_share));
        cells
    });
    write_table(path, &header, rows)
}

/// The balanced set of source-centred cutouts: object, class, train or test, centre (ra, dec, x, y from 0), size of the source
/// and side of the cutout in arcsec and pixels. Cutting them is for a reader of the map.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Table`].
pub fn write_rgz_cutouts(config: &SimConfig, cutouts: &[RgzCutout], wcs: &Wcs, path: &Path) -> Result<(), SimError> {
    let header = ["object", "class", "set", "ra", "dec", "x", "y", "size_arcsec", "side_arcsec", "side_px"];
    let rows = cutouts.iter().map(|c| {
        let [ra, dec] = sky_text(wcs, c.centre.0, c.centre.1);
        vec![
            c.object.to_string(),
            c.class.name().to_owned(),
            c.part.name().to_owned(),
            ra,
            dec,
            format!("{:.1}", c.centre.1),
            format!("{:.1}", c.centre.0),
            format!("{:.2}", c.extent * config.pixel_arcsec),
            format!("{:.2}", c.side as f64 * config.pixel_arcsec),
            c.side.to_string(),
        ]
    });
    write_table(path, &header, rows)
}

fn join(labels: &[FrameLabel]) -> String {
    labels.iter().map(|l| l.text()).collect::<Vec<_>>().join(";")
}

/// The truth table of frames; `labels` is the truth, `annotated` what the annotator says, whether or not it is in the list.
///
/// # Errors
/// [`SimError::Io`], [`SimError::Table`].
pub fn write_frames(config: &SimConfig, frames: &[Frame], wcs: &Wcs, path: &Path) -> Result<(), SimError> {
    let header = [
        "frame",
        "row",
        "column",
        "ra",
        "dec",
        "labels",
        "annotated",
        "labelled",
        "nan_fraction",
        "rms_median",
        "n_detectable",
        "sum_flux",
        "max_snr",
        "peculiar_objects",
        "has_twin",
        "block",
    ];
    let half = (config.frames.size as f64 - 1.0) / 2.0;
    let rows = frames.iter().map(|f| {
        let [ra, dec] = sky_text(wcs, f.row as f64 + half, f.col as f64 + half);
        let odd: Vec<String> = f.peculiar.iter().map(i32::to_string).collect();
        vec![
            f.id(config).to_string(),
            f.row.to_string(),
            f.col.to_string(),
            ra,
            dec,
            join(&f.labels),
            join(&f.annotated),
            u8::from(f.labelled).to_string(),
            format!("{:.5}", f.nan_fraction),
            format!("{:.4e}", f.rms),
            f.n_detectable.to_string(),
            format!("{:.6e}", f.sum_flux),
            format!("{:.2}", f.max_snr),
            odd.join(";"),
            u8::from(f.has_twin).to_string(),
            format!("{}-{}", f.block.0, f.block.1),
        ]
    });
    write_table(path, &header, rows)
}

/// The label list of the labelled frames, as an annotator would hand it over.
///
/// # Errors
/// [`SimError::Labels`].
pub fn write_labels(config: &SimConfig, frames: &[Frame], path: &Path) -> Result<(), SimError> {
    let rows = frames.iter().filter(|f| f.labelled).map(|f| (f.id(config), f.annotated.clone())).collect();
    FrameLabels { path: path.to_path_buf(), rows }
        .write(path)
        .map_err(|source| SimError::Labels { source: Box::new(source) })
}

/// `survey.toml` and `sim.toml`.
///
/// # Errors
/// [`SimError::Io`], [`SimError::ConfigWrite`].
pub fn write_survey(config: &SimConfig, fingerprint: &str, out: &Path) -> Result<(), SimError> {
    let survey = Survey {
        name: config.name.clone(),
        mosaics: vec![MosaicEntry::of_file(PathBuf::from("mosaic.fits"), &config.name)],
        frames: FrameSettings {
            size: config.frames.size,
            step: config.frames.step,
            edge: EdgePolicy::Drop,
            max_blank_fraction: config.frames.blank_limit,
        },
        labels: Some(PathBuf::from("labels.csv")),
    };
    let text = toml::to_string(&survey).map_err(|source| SimError::ConfigWrite { source })?;
    write_text(&out.join("survey.toml"), text.as_bytes())?;
    let text = format!("# Fingerprint of this configuration: {fingerprint}\n{}", config.to_toml()?);
    write_text(&out.join("sim.toml"), text.as_bytes())
}
