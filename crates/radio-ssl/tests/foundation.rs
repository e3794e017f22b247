//! The foundation checkpoint from end to end on made-up data: what is in the file, who reads it, and the same bytes again.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

mod tiny_sky;

use std::path::Path;
use std::process::Command;

use clap::Parser;
use ndarray::Array2;
use radio_io::{write_gray_png, write_image};
use radio_ssl::experiments::foundation::{FoundationOptions, foundation};
use radio_ssl::model_card::ModelCard;
use radio_tensor::checkpoint::Checkpoint;
use ssl_simclr::{Encoder, Pretraining, SimClrConfig};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: FoundationOptions,
}

/// Noise of 1 and two lobes.
fn picture(n: usize, side: usize, peak: f64) -> Array2<f32> {
    Array2::from_shape_fn((side, side), |(row, col)| {
        let lobe = |side_of: f64| {
            let middle = side as f64 / 2.0 + side_of * (6.0 + n as f64 % 7.0);
            let (y, x) = (row as f64 - middle, col as f64 - side as f64 / 2.0);
            peak * (-(y * y + x * x) / 18.0).exp()
        };
        (lobe(1.0) + lobe(-1.0) + tiny_sky::hash(n * 40_000 + row * side + col)) as f32
    })
}

fn make_data(data: &Path) {
    for (set, pictures, n) in [("mirabest", "cutouts", 40), ("first-frg", "images", 20), ("mgcls", "images", 9)] {
        let folder = data.join(set).join(pictures);
        std::fs::create_dir_all(&folder).unwrap();
        let mut labels = String::from("file,class,ra,dec\n");
        for i in 0..n {
            let zero = set == "first-frg" && i == 3;
            let pixels = picture(i, 110, 40.0).mapv(|v| if zero { 0 } else { 1 + (v * 5.0).min(250.0) as u8 });
            write_gray_png(&folder.join(format!("{i:02}.png")), &pixels).unwrap();
            labels += &format!("{i:02}.png,{},{},30.0\n", ["FRI", "FRII"][i % 2], 10.0 + i as f64);
        }
        std::fs::write(data.join(set).join("labels.csv"), labels).unwrap();
    }
    let maps = data.join("mosaics/one");
    std::fs::create_dir_all(&maps).unwrap();
    std::fs::create_dir_all(data.join("mosaics/none")).unwrap();
    // 3 x 2 tiles of 96 pixels: one without a source, one blank.
    let mut map = Array2::from_shape_fn((300, 200), |(row, col)| picture(row / 102, 96, 40.0)[[row % 96, col % 96]]);
    let noise = Array2::from_shape_fn((96, 96), |(row, col)| tiny_sky::hash(row * 96 + col) as f32);
    map.slice_mut(ndarray::s![6..102, 4..100]).assign(&noise);
    map.slice_mut(ndarray::s![102..198, 4..100]).fill(f32::NAN);
    write_image(&maps.join("map.fits"), &map, &[]).unwrap();
    write_image(&maps.join("map_rms.fits"), &map, &[]).unwrap();
    write_image(&maps.join("small.fits"), &noise.slice(ndarray::s![..20, ..20]), &[]).unwrap();
    write_image(&maps.join("ranks.fits"), &map.mapv(|v| v as i32), &[]).unwrap();
}

fn train(folder: &Path, survey: &Path) -> std::path::PathBuf {
    let path = |name: &str| folder.join(name).display().to_string();
    let (data, out, work) = (path("data"), path("models"), path("work"));
    let survey = survey.display().to_string();
    let line = ["x", "--quick", "--data", &data, "--out", &out, "--work", &work, "--simulated", &survey];
    foundation(&Line::parse_from(line).options).unwrap()
}

#[test]
fn a_small_file_that_other_commands_read() {
    let folder = tempfile::tempdir().unwrap();
    make_data(&folder.path().join("data"));
    let survey = tiny_sky::survey(folder.path(), |_| None);
    // Frames as large as a view and its margin; no labels.
    let text = std::fs::read_to_string(&survey).unwrap();
    let text = text.replace("labels = \"labels.csv\"\n", "").replace("size = 32", "size = 96");
    std::fs::write(&survey, text).unwrap();
    let place = train(folder.path(), &survey);
    assert!(place.ends_with("radio-ssl-r18-quick.safetensors"));

    let file = Checkpoint::read(&place).unwrap();
    let names: Vec<&String> = file.checkpoint.tensors.keys().collect();
    assert!(names.iter().all(|name| ["conv1", "bn1", "layer"].iter().any(|part| name.starts_with(part))), "{names:?}");
    let values: usize = file.checkpoint.tensors.values().map(|(_, values)| values.len()).sum();
    let texts: usize = file.checkpoint.text.values().map(String::len).sum();
    let bytes = std::fs::metadata(&place).unwrap().len() as usize;
    assert!(bytes < 2 * values + 2 * texts + 20_000, "{bytes} bytes for {values} values: two bytes each");

    // Every origin is counted, small ones share batches of 16, and what was left out is said.
    let card = ModelCard::of_checkpoint(&file.checkpoint).unwrap();
    let provenance = card.provenance.clone().unwrap();
    let found: Vec<(&str, usize, usize)> =
        provenance.origins.iter().map(|o| (o.name.as_str(), o.pictures, o.shares_batches_with.len())).collect();
    let sky = provenance.origins[4].name.clone();
    assert!(sky.starts_with("simulated "), "{sky}");
    let frames = (tiny_sky::ACROSS - 2) * (tiny_sky::ACROSS - 2); // 96 pixels wide, every 32
    let expected =
        [("mirabest", 40, 0), ("first-frg", 20, 2), ("mgcls", 9, 2), ("mosaics/one", 4, 2), (sky.as_str(), frames, 0)];
    assert_eq!(found, expected);
    let remarks = provenance.origins[3].remarks.join("\n");
    for wanted in ["4 tiles; left out 1 without a source and 1 blank", "map_rms.fits: product", "small.fits: 20 x 20"] {
        assert!(remarks.contains(wanted), "{wanted}: {remarks}");
    }
    assert!(remarks.contains("ranks.fits: whole numbers"), "{remarks}");
    assert!(provenance.origins[1].remarks[0].contains("03.png"), "{:?}", provenance.origins[1]);
    let run = card.training.clone().unwrap();
    assert_eq!((run.frames, run.steps, provenance.epoch_losses.len()), (Some(269), 2 * (269 / 16), 2));
    let text = std::fs::read_to_string(place.with_extension("card.md")).unwrap();
    for wanted in ["cargo xtask foundation --data DIR", "non-commercial", "| mirabest | 40 |", "Non-commercial"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains(folder.path().to_str().unwrap()), "no place on this machine");

    // bf16 weights are widened, and a second training starts from them without a projector.
    assert_eq!(Encoder::read(&place).unwrap().features(), 64);
    let config = SimClrConfig::from_toml(&file.checkpoint.text["simclr.toml"]).unwrap();
    let next = Pretraining::start_from(config.clone(), 269, &place).unwrap();
    let fresh = Pretraining::new(config, 269).unwrap();
    assert_eq!(next.trunk().parameters()[0].to_torch(), file.checkpoint.tensors["conv1.weight"].1);
    assert_eq!(next.head_parameters(), fresh.head_parameters());

    // By command.
    let data = folder.path().join("data/mirabest");
    let says = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_radio-ssl")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let text = |path: &Path| path.display().to_string();
    let (model, survey) = (text(&place), text(&survey));
    let out = |name: &str| text(&folder.path().join(name));
    says(&["embed", &survey, "--checkpoint", &model, "--out", &out("features.parquet")]);
    let (images, labels) = (text(&data.join("cutouts")), text(&data.join("labels.csv")));
    let marks = ["--label-column", "class", "--folds", "2", "--out", &out("marks.json")];
    says(
        &[&["classify", "eval", "--checkpoint", &model, "--images", &images, "--labels", &labels][..], &marks].concat(),
    );

    // Again: the same bytes, from what is in the work folder and from nothing.
    let bytes = std::fs::read(&place).unwrap();
    for removed in ["models", "work"] {
        std::fs::remove_dir_all(folder.path().join(removed)).unwrap();
        assert!(std::fs::read(train(folder.path(), Path::new(&survey))).unwrap() == bytes, "without {removed}");
    }
}
