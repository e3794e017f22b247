//! `bench-data`: windows, recipe and augmentation beside astropy, fitsio, OpenCV and albumentations, as a table in
//! `docs/benchmarks.md`; one thread each, the page cache warm.
use std::hint::black_box;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ndarray::Array2;
use radio_augment::{Augmenter, Recipe, view_rng};
use radio_io::{ImageWriter, Mosaic, Wcs};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::bench_page::{circumstances, ensure_quiet, median, write_between};
use crate::bench_sides::{Match, answer_timings, compare, peer_command};

/// Options of the command.
#[derive(clap::Args)]
pub struct BenchData {
    /// Python interpreter with astropy, fitsio, OpenCV and albumentations.
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: PathBuf,
    /// Timings of each side.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(5..))]
    alternations: u16,
    /// Side of the mosaic, pixels.
    #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(u32).range(512..=32768))]
    mosaic: u32,
    /// Only cases whose description has this in it; prints the table and leaves the page alone.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// The page the table goes to.
    #[arg(long, default_value = "docs/benchmarks.md", value_name = "FILE")]
    page: PathBuf,
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    /// All half-overlapping windows of a mosaic.
    Windows,
    /// The three-channel recipe.
    Recipe,
    /// The augmentation chain of the paper's Table 2.
    Views,
}

/// One case, as both sides get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    task: Task,
    /// Which reader the peer uses.
    reader: String,
    file: PathBuf,
    /// Side of a window or frame, pixels.
    window: usize,
    /// Distance between windows, pixels.
    step: usize,
    /// Only every so many windows, where the peer would take minutes for all.
    every: usize,
    /// Whether blank pixels are counted.
    mask: bool,
    /// Side after the recipe, pixels.
    out: usize,
    /// Rounds of one timing.
    repeats: usize,
}

/// A line of the table: the case, what it is, what is asked.
struct Line {
    case: Case,
    words: &'static str,
    asked: &'static str,
}

const FRAMES: usize = 64;
const VIEWS: usize = 128;

fn lines(plain: &Path, rice: &Path) -> Vec<Line> {
    let case = |task, reader: &str, file: &Path, every, mask, repeats| Case {
        task,
        reader: reader.to_owned(),
        file: file.to_owned(),
        window: 256,
        step: 128,
        every,
        mask,
        out: 224,
        repeats,
    };
    let windows = |reader: &str, file: &Path, every, mask| case(Task::Windows, reader, file, every, mask, 1);
    let none = Path::new("");
    vec![
        Line {
            case: windows("memmap", plain, 1, false),
            words: "256² windows, float mosaic; astropy memmap slices",
            asked: "1.0",
        },
        Line { case: windows("memmap", plain, 1, true), words: "the same, with a mask of blank pixels", asked: "1.0" },
        Line { case: windows("section", plain, 16, true), words: "the same; astropy `.section`", asked: "80" },
        Line { case: windows("fitsio", plain, 1, true), words: "the same; fitsio", asked: "5" },
        Line {
            case: windows("fitsio", rice, 1, true),
            words: "256² windows, RICE mosaic in 256² tiles; fitsio",
            asked: "1.0",
        },
        Line {
            case: case(Task::Recipe, "", none, 1, false, 1),
            words: "recipe, 256 → 224 px; astropy + OpenCV",
            asked: "8, aim 12",
        },
        Line {
            case: case(Task::Views, "", none, 1, false, 1),
            words: "chain of Table 2, 3 × 224²; albumentations",
            asked: "5, aim 8",
        },
    ]
}

/// Runs all cases and writes the table.
pub fn bench_data(options: &BenchData) -> Result<()> {
    let folder = tempfile::tempdir().context("a folder for the mosaics")?;
    let (plain, rice) = (folder.path().join("mosaic.fits"), folder.path().join("rice.fits"));
    let side = options.mosaic as usize;
    let chosen: Vec<Line> = lines(&plain, &rice)
        .into_iter()
        .filter(|line| options.only.as_ref().is_none_or(|only| line.words.contains(only)))
        .collect();
    ensure!(!chosen.is_empty(), "--only: no case has that in its description");
    if chosen.iter().any(|line| line.case.task == Task::Windows) {
        write_noise(&plain, side)?;
    }
    if chosen.iter().any(|line| line.case.file == rice) {
        let status = peer_command(&options.python, "data_peer.py", 1)?.arg("--rice").arg(&plain).arg(&rice).status();
        ensure!(status.context("cannot start the Python peer")?.success(), "the Python peer wrote no RICE mosaic");
    }
    let how = Match {
        ours: "bench-data-case",
        script: "data_peer.py",
        python: &options.python,
        alternations: usize::from(options.alternations),
        threads: 1,
    };
    let mut table = String::from("| case; peer | ours | peer | ours / peer (range) | asked |\n|---|---|---|---|---|\n");
    let (mut versions, mut busiest) = (Vec::<String>::new(), 0f64);
    for Line { case, words, asked } in chosen {
        eprint!("{words}: ");
        let compared = compare(&case, &how).context(words)?;
        eprintln!("{:.2}, others took {:.0} % of the processor", median(&compared.ratios), 100.0 * compared.others);
        let (count, unit) = match case.task {
            Task::Windows => (corners(&case, side, side).len(), "windows/s"),
            Task::Recipe => (FRAMES, "frames/s"),
            Task::Views => (VIEWS, "views/s"),
        };
        table.push_str(&format!("| {words} | {} | {asked} |\n", compared.cells(count, unit)));
        busiest = busiest.max(compared.others);
        for version in compared.versions {
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
    }
    let text = format!(
        "{table}\nMedians of {} alternations, one thread on each side, page cache warm; the ratio is above 1 where ours is faster. Mosaic: \
         {side}² float32, half-overlapping windows; every pixel arrives as a native f32, NaN where blank. Other processes took at most \
         {:.0} % of the processor. {}\n",
        options.alternations,
        100.0 * busiest,
        circumstances(1, &versions)
    );
    println!("{text}");
    if options.only.is_some() {
        return Ok(());
    }
    ensure_quiet(busiest, &options.page)?;
    write_between(&options.page, "bench-data", "Beside astropy, fitsio, OpenCV and albumentations", &text)
}

/// Gaussian-like noise of 30 µJy, row by row.
fn write_noise(path: &Path, side: usize) -> Result<()> {
    let mut rng = view_rng(1, 0, 0, 0);
    let cards = Wcs::north_up("SIN", (201.4, -43.0), (side as f64 / 2.0, side as f64 / 2.0), 2.0)?.cards();
    let mut writer = ImageWriter::<f32>::create(path, side, side, &cards)?;
    let mut row = vec![0f32; side];
    for _ in 0..side {
        for pixel in &mut row {
            *pixel = 3e-5 * ((0..4).map(|_| rng.random::<f32>() - 0.5).sum::<f32>() * 1.732);
        }
        writer.write_rows(&row)?;
    }
    Ok(writer.finish()?)
}

/// Upper left corners of the windows of a case.
fn corners(case: &Case, rows: usize, cols: usize) -> Vec<(usize, usize)> {
    let along = |length: usize| (0..(length + 1).saturating_sub(case.window)).step_by(case.step);
    along(rows).flat_map(|row| along(cols).map(move |col| (row, col))).step_by(case.every).collect()
}

/// Our side: sets the case up and answers every line of the input with a timing.
pub fn bench_data_case(case: &str) -> Result<()> {
    let case: Case = serde_json::from_str(case).context("the case is no JSON of a known case")?;
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().context("threads")?;
    let version = format!("radio-ssl {}", env!("CARGO_PKG_VERSION"));
    let mut round = set_up(&case)?;
    answer_timings(&format!("{:?}", case.task), &version, case.repeats, &mut round)
}

fn set_up(case: &Case) -> Result<Box<dyn FnMut() -> Result<()>>> {
    let mut rng = view_rng(1, 1, 0, 0);
    Ok(match case.task {
        Task::Windows => {
            let mosaic = Mosaic::open(&case.file)?;
            let corners = corners(case, mosaic.rows(), mosaic.cols());
            let (window, mask) = (case.window, case.mask);
            let (mut pixels, mut blanks) = (Vec::new(), Vec::new());
            Box::new(move || {
                let mut blank = 0;
                for &(row, col) in &corners {
                    if mask {
                        blank += mosaic.window_and_blanks_into(row, col, window, window, &mut pixels, &mut blanks)?;
                        black_box(blanks.as_slice());
                    } else {
                        mosaic.window_into(row, col, window, window, &mut pixels)?;
                    }
                    black_box(pixels.as_slice());
                }
                black_box(blank);
                Ok(())
            })
        }
        Task::Recipe => {
            let frames: Vec<Array2<f32>> = (0..FRAMES).map(|_| frame(case.window, &mut rng)).collect();
            let recipe = Recipe::paper(case.out);
            Box::new(move || {
                for frame in &frames {
                    black_box(recipe.channels(frame.view())?);
                }
                Ok(())
            })
        }
        Task::Views => {
            let recipe = Recipe::paper(case.out);
            let images: Vec<_> =
                (0..VIEWS).map(|_| recipe.channels(frame(case.window, &mut rng).view())).collect::<Result<_, _>>()?;
            let augmenter = Augmenter::hulk();
            Box::new(move || {
                for image in &images {
                    black_box(augmenter.apply(image.clone(), &mut rng));
                }
                Ok(())
            })
        }
    })
}

/// Noise of 30 µJy with fifteen points of 0.1 to 30 mJy, as on the peer's side.
fn frame(side: usize, rng: &mut impl Rng) -> Array2<f32> {
    let points: Vec<[f32; 3]> = (0..15)
        .map(|_| {
            let mut place = || rng.random_range(0.0..side as f32);
            [place(), place(), 10f32.powf(rng.random_range(-4.0..-1.5))]
        })
        .collect();
    Array2::from_shape_fn((side, side), |(y, x)| {
        let noise: f32 = (0..4).map(|_| rng.random::<f32>() - 0.5).sum::<f32>() * 1.732;
        let signal: f32 = points
            .iter()
            .map(|[row, col, flux]| {
                let distance = (y as f32 - row).powi(2) + (x as f32 - col).powi(2);
                if distance < 400.0 { flux * (-distance / 12.5).exp() } else { 0.0 }
            })
            .sum();
        3e-5 * noise + signal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_survive_json_and_windows_are_those_of_the_peer() {
        let lines = lines(Path::new("a.fits"), Path::new("b.fits"));
        for line in &lines {
            assert_eq!(serde_json::from_str::<Case>(&serde_json::to_string(&line.case).unwrap()).unwrap(), line.case);
        }
        let all = corners(&lines[0].case, 512, 640);
        assert_eq!((all.len(), all[1], all[11]), (12, (0, 128), (256, 384)));
        assert_eq!(corners(&lines[0].case, 8192, 8192).len(), 3969);
        assert_eq!(corners(&lines[0].case, 200, 8192).len(), 0);
    }
}
