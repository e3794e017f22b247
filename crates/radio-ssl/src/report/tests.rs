//! Tests of the whole report, on an example with everything in it.

use std::path::Path;

use super::*;

/// Fixed pseudo-noise in -1..1 (no generator needed for a picture).
fn hash_noise(row: usize, col: usize, seed: usize) -> f32 {
    let mixed = (row.wrapping_mul(73_856_093) ^ col.wrapping_mul(19_349_663) ^ seed.wrapping_mul(83_492_791))
        .wrapping_mul(2_654_435_761)
        >> 7;
    (mixed % 20_011) as f32 / 10_005.5 - 1.0
}

/// A frame of 96 pixels with a few Gaussian sources or a ring on smoothed noise, brightness relative.
fn example_frame(rank: usize) -> Array2<f32> {
    let side = 96;
    let noise = |row: usize, col: usize| (0..9).map(|k| hash_noise(row + k / 3, col + k % 3, rank)).sum::<f32>() / 3.0;
    Array2::from_shape_fn((side, side), |(row, col)| {
        let mut value = 0.4 * noise(row, col);
        for source in 0..=rank % 4 {
            let centre = |axis: usize| 48.0 + 30.0 * hash_noise(source, axis, rank);
            let (y, x) = (row as f32 - centre(0), col as f32 - centre(1));
            let shape = match rank % 5 {
                0 => (-((x * x + y * y).sqrt() - 14.0).powi(2) / 10.0).exp(),
                1 => (-(x + 0.5 * y).powi(2) / 18.0 - (y - 0.4 * x).powi(2) / 300.0).exp(),
                _ => (-(x * x + y * y) / 12.0).exp(),
            };
            value += (6.0 + 20.0 / (1 + source) as f32) * shape;
        }
        if rank == 11 && row + col < 60 { f32::NAN } else { value }
    })
}

/// A filled report: four rows, curves, scores, a ranking, checks, a gallery of 24 frames.
pub(crate) fn example_report() -> Table4Report {
    let run = |features: &str, threshold: f64, recall: f64, peculiar: usize, complex: usize, ordinary: usize| {
        let selected = peculiar + complex + ordinary;
        let share = |count: usize| count as f64 / selected as f64;
        Table4Row {
            features: features.to_string(),
            threshold,
            recall,
            recall_interval: Some((recall - 0.12, recall + 0.11)),
            precision: share(peculiar),
            precision_interval: Some((share(peculiar) - 0.11, share(peculiar) + 0.1)),
            precision_with_complex: share(peculiar + complex),
            contamination_complex: share(complex),
            contamination_ordinary: share(ordinary),
            selected,
            peculiar,
            complex,
            ordinary,
            forest: "200 trees, 256 rows".to_string(),
        }
    };
    let rows = vec![
        run("top2", 0.645, 0.553, 52, 31, 9),
        run("top5", 0.690, 0.619, 58, 28, 8),
        run("top10", 0.665, 0.596, 56, 34, 5),
        run("top15", 0.625, 0.574, 54, 33, 6),
    ];
    let scan = |features: &str, crossing: f64, level: f64| {
        let points = (0..=100).map(|k| {
            let threshold = 0.35 + 0.005 * f64::from(k);
            let recall = (level + 1.9 * (crossing - threshold)).clamp(0.0, 1.0).powf(0.9);
            let precision =
                if threshold > 0.82 { f64::NAN } else { (level - 1.6 * (crossing - threshold)).clamp(0.08, 1.0) };
            ScanPoint {
                threshold,
                recall,
                precision,
                contamination_complex: 0.75 * (1.0 - precision),
                contamination_ordinary: 0.25 * (1.0 - precision),
            }
        });
        ThresholdScan { features: features.to_string(), points: points.collect() }
    };
    let losses = (0..1200i32).map(|step| {
        let epoch = f64::from(step) / 100.0;
        let wobble = 0.25 * f64::from(hash_noise(step as usize, 0, 3));
        LossPoint {
            epoch,
            loss: 0.9 + 3.2 * (-epoch / 2.5).exp() + wobble,
            lr: 1e-3 * (epoch / 1.0).min(1.0) * (0.5 + 0.5 * (epoch / 12.0 * std::f64::consts::PI).cos()),
        }
    });
    let groups =
        [FrameGroup::Peculiar, FrameGroup::Complex, FrameGroup::Peculiar, FrameGroup::Ordinary, FrameGroup::Unlabelled];
    let labels =
        [vec!["PECULIAR", "EXTENDED"], vec!["RADIO-GALAXY"], vec!["PECULIAR"], vec!["COMPACT", "ARTEFACT"], vec![]];
    let frames = (1..=24).map(|rank: usize| GalleryFrame {
        id: format!("sim-emu/r{:05}/c{:05}/s256", 128 * rank, 1024 + 640 * (rank % 7)),
        rank,
        score: 0.842 - 0.0075 * rank as f64,
        labels: labels[(rank - 1) % 5].iter().map(|label| label.to_string()).collect(),
        group: groups[(rank - 1) % 5],
        sky_deg: Some((310.0 + 0.37 * rank as f64, -55.0 - 0.21 * rank as f64)),
        pixels: example_frame(rank),
    });
    let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
    Table4Report {
        title: "Peculiar radio sources without labels: a simulated EMU-like survey".to_string(),
        verdict_lines: vec![
            "With the five most important features, 61.9 % of the peculiar frames are found at a precision of 61.7 % (paper, real survey: 61.2 % and 63.0 %).".to_string(),
            "91.5 % of the selected frames are peculiar or complex.".to_string(),
        ],
        survey_summary: vec![
            pair("survey", "simulated, emu-pilot"),
            pair("mosaic", "8192 × 8192 px of 2″"),
            pair("beam, rms", "15″, 27 µJy/beam"),
            pair("frames", "3,969 of 256 px, step 128"),
            pair("labelled", "1,290 (94 peculiar)"),
            pair("encoder", "ResNet-18, input 96 px"),
        ],
        rows,
        published: published_table4(),
        held_out: Vec::new(),
        ranking: Some(example_ranking()),
        scored: Some(ScoredFrames { features: "top5".to_string(), threshold: Some(0.69), scores: example_scores() }),
        checks: vec![
            FrameCheck { what: "blank pixels".to_string(), found: "17 frames with more than 30 %".to_string(), verdict: CheckVerdict::LeftOut },
            FrameCheck { what: "beam".to_string(), found: "the same in all 3 mosaics".to_string(), verdict: CheckVerdict::Good },
        ],
        map: None,
        losses: losses.collect(),
        chance_loss: Some(127f64.ln()),
        scans: vec![scan("top2", 0.645, 0.56), scan("top5", 0.69, 0.618), scan("top10", 0.665, 0.59), scan("top15", 0.625, 0.577)],
        galleries: vec![Gallery {
            title: "Highest scores, top5 features".to_string(),
            caption: "The 24 frames with the highest anomaly score of the whole survey, labelled or not.".to_string(),
            pixel_arcsec: Some(5.33),
            beam: Some(BeamShape { major_arcsec: 40.0, minor_arcsec: 26.0, position_angle_deg: 35.0 }),
            frames: frames.collect(),
        }],
        left_out: vec!["Preset quick: input of 96 px in place of 224, 12 epochs in place of 100.".to_string()],
        provenance: vec![
            pair("command", "cargo xtask reproduce-table4 --preset quick --seed 1"),
            pair("code version", "0.1.0"),
            pair("data fingerprint", "sha256:5f0c1c9d0f0be3a4dfb07a3c7d6e4d0b6a6f0f9b2f14c2d5f6de1d6c4ac1b2e3"),
            pair("threads", "2"),
            pair("time", "18 min 12 s"),
            pair("peak memory", "3.1 GB"),
        ],
        notes: vec![SIMULATED_SKY_NOTE.to_string()],
    }
}

fn example_ranking() -> RankingSummary {
    RankingSummary {
        leading: (0..15).map(|k: usize| (37 * k % 512, 0.18 * (-0.2 * k as f64).exp())).collect(),
        measure: "splits".to_string(),
        features: 512,
        top_k: vec![2, 5, 10, 15],
        rounds: 64,
        stopping_f1: 0.712,
        unseen_f1: Some((0.68, (0.61, 0.74), 1180)),
        published_f1: 0.753,
    }
}

/// Scores of 600 frames, strange ones higher.
fn example_scores() -> Vec<(f64, FrameGroup)> {
    let groups = [
        (FrameGroup::Peculiar, 60, 0.68),
        (FrameGroup::Complex, 120, 0.58),
        (FrameGroup::Ordinary, 220, 0.45),
        (FrameGroup::Unlabelled, 200, 0.47),
    ];
    let score = |centre: f64, k: usize| centre + (0..6).map(|n| 0.03 * f64::from(hash_noise(k, n, 5))).sum::<f64>();
    groups
        .into_iter()
        .flat_map(|(group, count, centre)| (0..count).map(move |k| (score(centre, 7 * k + count), group)))
        .collect()
}

/// Every file of a folder by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_filled_report_writes_every_file_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write_report(&example_report(), &folder.path().join("new/report")).unwrap();
    let mut named = vec![paths.page.clone()];
    named.extend([&paths.text, &paths.csv, &paths.markdown].into_iter().flatten().cloned());
    named.extend(paths.figures.iter().chain(&paths.galleries).cloned());
    let names: Vec<String> = files(&folder.path().join("new/report")).into_iter().map(|file| file.0).collect();
    let figures = [
        "feature-importance",
        "fig12-left",
        "fig12-right",
        "loss",
        "scan-top10",
        "scan-top15",
        "scan-top2",
        "scan-top5",
        "scores-by-group",
    ];
    let mut expected = vec!["gallery.png", "index.html", "table4.csv", "table4.md", "table4.txt"];
    let pairs: Vec<String> = figures.iter().flat_map(|name| [format!("{name}.png"), format!("{name}.svg")]).collect();
    expected.extend(pairs.iter().map(String::as_str));
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(named.len(), expected.len());
    assert!(named.iter().all(|path| path.is_file()));
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_report(&example_report(), one.path()).unwrap();
    write_report(&example_report(), two.path()).unwrap();
    assert!(files(one.path()) == files(two.path()));
}

#[test]
fn the_page_holds_everything_and_fetches_nothing() {
    let report = example_report();
    let page = page::page_html(&report).unwrap();
    for wanted in [
        "61.9",
        "this run",
        "paper",
        "R 61.9 %",
        "18 min 12 s",
        "never stands for the published numbers",
        "#24",
        "PECULIAR, EXTENDED",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    assert_eq!(page.matches("data:image/png;base64,").count(), 24);
    assert_eq!(page.matches("class=\"plot\"").count(), 9);
    let markup: String =
        page.split("base64,").map(|part| part.split_once("\"/>").map_or(part, |pieces| pieces.1)).collect();
    assert!(markup.len() < page.len() / 2, "the pictures are most of the page");
    for unwanted in ["<script", "<link", "src=", "@import", "url(", "NaN"] {
        assert!(!markup.contains(unwanted), "{unwanted}");
    }
}

#[test]
fn a_survey_without_labels_has_galleries_and_no_table() {
    let mut report = example_report();
    report.rows.clear();
    report.scans.clear();
    report.chance_loss = None;
    let mut second = report.galleries[0].clone();
    second.title = "Score of the saved ranking".to_string();
    report.galleries.push(second);
    let folder = tempfile::tempdir().unwrap();
    let paths = write_report(&report, folder.path()).unwrap();
    assert_eq!((paths.text, paths.csv, paths.markdown), (None, None, None));
    assert_eq!(paths.galleries, [folder.path().join("gallery.png"), folder.path().join("gallery-2.png")]);
    let page = std::fs::read_to_string(paths.page).unwrap();
    assert!(page.contains("Score of the saved ranking") && !page.contains("<h2>Table 4"));
}

#[test]
fn an_empty_report_is_still_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write_report(&Table4Report::default(), folder.path()).unwrap();
    assert_eq!(paths, ReportPaths { page: folder.path().join("index.html"), ..ReportPaths::default() });
    assert!(std::fs::read_to_string(&paths.page).unwrap().ends_with("</html>\n"));
}

#[test]
fn hostile_and_broken_input_neither_panics_nor_leaks_into_the_markup() {
    let hostile = "</title><script>alert('x')</script>\u{0} & \"quoted\"";
    let mut report = example_report();
    report.title = hostile.to_string();
    let texts = [&mut report.verdict_lines, &mut report.left_out, &mut report.notes];
    texts.into_iter().for_each(|lines| lines.push(hostile.to_string()));
    report.provenance.push((hostile.to_string(), hostile.to_string()));
    report.survey_summary.push((hostile.to_string(), hostile.to_string()));
    for row in report.rows.iter_mut().chain(&mut report.published) {
        row.features = hostile.to_string();
        row.forest = hostile.to_string();
        row.recall = f64::NAN;
        row.precision = f64::NEG_INFINITY;
        row.threshold = f64::INFINITY;
        row.recall_interval = Some((f64::NAN, f64::INFINITY));
    }
    for scan in &mut report.scans {
        scan.features = "../../".to_string() + &hostile.repeat(20);
        scan.points.iter_mut().step_by(3).for_each(|point| point.recall = f64::NAN);
        scan.points[0].threshold = f64::NEG_INFINITY;
    }
    report.scans.push(ThresholdScan { features: String::new(), points: vec![] });
    report.losses.iter_mut().step_by(2).for_each(|point| (point.loss, point.lr) = (f64::INFINITY, f64::NAN));
    report.chance_loss = Some(f64::NAN);
    let ranking = report.ranking.as_mut().unwrap();
    ranking.leading[0].1 = f64::NAN;
    (ranking.stopping_f1, ranking.unseen_f1) = (f64::NAN, Some((f64::NAN, (f64::NAN, f64::NAN), 0)));
    let scored = report.scored.as_mut().unwrap();
    scored.features = hostile.to_string();
    scored.scores.iter_mut().step_by(2).for_each(|frame| frame.0 = f64::NAN);
    report.checks[0].found = hostile.to_string();
    let gallery = &mut report.galleries[0];
    gallery.title = hostile.to_string();
    gallery.pixel_arcsec = Some(f64::NAN);
    gallery.frames[0].id = hostile.repeat(500);
    gallery.frames[0].labels = vec![hostile.to_string(); 50];
    gallery.frames[0].score = f64::NAN;
    gallery.frames[0].sky_deg = Some((f64::NAN, 1e9));
    gallery.frames[1].pixels = Array2::zeros((0, 0));
    gallery.frames[2].pixels = Array2::from_elem((5, 7), f32::NAN);
    gallery.frames[3].pixels = Array2::from_elem((3, 2), f32::INFINITY);
    report.galleries.push(Gallery::default());
    let mut map = scatter::tests::example_scatter(30);
    map.title = hostile.to_string();
    map.ids[3] = hostile.to_string();
    map.colourings[0] = Colouring::classes(hostile, &vec![hostile.to_string(); 30]);
    map.places[4] = [f32::NAN, f32::INFINITY];
    report.map = Some(map);

    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("report");
    let paths = write_report(&report, &inside).unwrap();
    let page = std::fs::read_to_string(paths.page).unwrap();
    assert!(!page.contains('\u{0}'));
    assert_eq!(page.matches("<script").count(), 2, "the points and the script of the map");
    assert_eq!(page.matches("<title>").count(), 1);
    let scans: Vec<_> = paths.figures.iter().filter(|path| path.to_string_lossy().contains("scan-")).collect();
    assert_eq!(scans.len(), 8);
    assert!(
        paths.figures.iter().all(|path| path.parent() == Some(&inside)),
        "no file leaves the folder: {:?}",
        paths.figures
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let distinct: std::collections::BTreeSet<_> = paths.figures.iter().collect();
    assert_eq!(distinct.len(), paths.figures.len(), "{:?}", paths.figures);
    for svg in paths.figures.iter().filter(|path| path.extension().is_some_and(|extension| extension == "svg")) {
        let svg = std::fs::read_to_string(svg).unwrap();
        assert!(!svg.contains("<script") && !svg.contains("NaN") && !svg.contains("inf "), "{svg}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("occupied");
    std::fs::write(&file, "x").unwrap();
    let error = write_report(&example_report(), &file.join("report")).unwrap_err();
    assert!(error.to_string().contains("occupied"), "{error}");
}
