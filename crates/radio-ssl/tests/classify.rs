//! `classify` from end to end on made-up pictures: marks of the simple ways, a classifier, a catalogue.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use clap::Parser;
use ndarray::Array2;
use radio_io::{Table, write_gray_png};
use radio_ssl::classify::class_maps::{MapOptions, class_maps};
use radio_ssl::classify::eval::{EvalOptions, eval, evaluate};
use radio_ssl::classify::marks::{Marks, MethodMarks};
use radio_ssl::classify::predict::{PredictOptions, predict};
use radio_ssl::classify::train::{TrainOptions, train};

#[derive(Parser)]
struct Line<T: clap::Args> {
    #[command(flatten)]
    options: T,
}

fn parse<T: clap::Args>(arguments: &[&str]) -> T {
    Line::<T>::parse_from(std::iter::once("x").chain(arguments.iter().copied())).options
}

const PICTURES: usize = 60;

/// Singles and doubles, two pictures of every object; picture 4 is empty, picture 9 is not there.
fn make_pictures(folder: &Path) {
    let mut table = String::from("file,class,ra,dec,size,split\n");
    for i in 0..PICTURES {
        let (object, name) = (i / 2, format!("p{i:03}.png"));
        let apart = if object.is_multiple_of(2) { 0.0 } else { 8.0 };
        let angle = i as f32 * 0.7;
        let picture = Array2::from_shape_fn((40, 40), |(row, col)| {
            let lobe = |side: f32| {
                let (y, x) =
                    (row as f32 - 19.5 - side * apart * angle.sin(), col as f32 - 19.5 - side * apart * angle.cos());
                200.0 * (-(y * y + x * x) / 8.0).exp()
            };
            let noise = (row * 31 + col * 17 + i * 7) % 12;
            if i == 4 { 0 } else { (lobe(1.0).max(lobe(-1.0)) + noise as f32 + 1.0).min(255.0) as u8 }
        });
        if i != 9 {
            write_gray_png(&folder.join(&name), &picture).unwrap();
        }
        let class = ["single", "double"][object % 2];
        let split = if object.is_multiple_of(5) { "test" } else { "train" };
        let (ra, size) = (10.0 + object as f64 + (i % 2) as f64 * 1e-3, 5 + 3 * (object % 2) + i % 3);
        table += &format!("{name},{class},{ra},30.0,{size},{split}\n");
    }
    std::fs::write(folder.join("labels.csv"), table).unwrap();
}

fn method<'a>(marks: &'a Marks, features: &str, method: &str, fraction: f64) -> &'a MethodMarks {
    let mut found = marks.methods.iter().filter(|m| m.features == features && m.method == method);
    found.find(|m| m.label_fraction == fraction).unwrap()
}

#[test]
fn marks_of_the_simple_ways() {
    let folder = tempfile::tempdir().unwrap();
    make_pictures(folder.path());
    let (images, labels) =
        (folder.path().display().to_string(), folder.path().join("labels.csv").display().to_string());
    let out = folder.path().join("marks.json").display().to_string();
    let common = ["--images", &images, "--labels", &labels, "--label-column", "class", "--out", &out];
    let small = ["--side", "32", "--random-width", "4", "--resamples", "60", "--native", "24"];
    let all: Vec<&str> = common.iter().chain(&small).copied().collect();
    let more = ["--catalogue", "size", "--label-fraction", "0.5", "--draws", "3", "--neighbours", "5"];
    let options: EvalOptions = parse(&all.iter().chain(&more).copied().collect::<Vec<_>>());
    eval(&options).unwrap();
    let marks: Marks = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    let page = std::fs::read_to_string(folder.path().join("marks.errors.html")).unwrap();
    assert!(page.contains("of 59 pictures were called something else"), "{page}");
    assert_eq!(marks.data.pictures, PICTURES - 1);
    assert_eq!(marks.data.left_out.len(), 1, "{:?}", marks.data.left_out);
    assert!(marks.data.left_out[0].0 == "p009.png" && marks.data.left_out[0].1.contains("p009.png"));
    assert_eq!((marks.data.flat.pictures, marks.data.groups, marks.folds), (1, 30, 5));
    assert_eq!(marks.data.classes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["double", "single"]);
    assert!(method(&marks, "none", "majority", 1.0).score.accuracy < 0.6);
    let rings = method(&marks, "ring features", "logistic", 1.0);
    assert!(rings.score.accuracy > 0.9, "{rings:?}");
    assert_eq!((rings.columns, rings.fold_accuracy.len(), rings.score.rows), (288, 5, PICTURES - 1));
    assert!(method(&marks, "ring features", "logistic", 0.5).draws.unwrap().0 > 0.85);
    assert_eq!(method(&marks, "random weights, 4 turns, BN anew", "knn", 1.0).columns, 2 * 32);
    let size = method(&marks, "catalogue: size", "logistic", 1.0);
    assert!(size.score.accuracy > 0.9 && size.over_rings.unwrap().accuracy_interval.high < 0.3);
    assert!(marks.table().contains("ring features, logistic, 50.0 % of labels"), "{}", marks.table());

    // The same command gives the same marks; a published split gives one fold.
    assert_eq!(evaluate(&options).unwrap(), marks);
    let split = ["--split-column", "split", "--test-value", "test"];
    let split = evaluate(&parse(&all.iter().chain(&split).copied().collect::<Vec<_>>())).unwrap();
    assert_eq!((split.folds, split.data.predicted), (1, 12));
}

#[test]
fn a_classifier_is_trained_and_fills_a_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    make_pictures(folder.path());
    std::fs::copy(folder.path().join("p008.png"), folder.path().join("p009.png")).unwrap();
    let (images, labels) =
        (folder.path().display().to_string(), folder.path().join("labels.csv").display().to_string());
    let run = folder.path().join("run").display().to_string();
    let config = folder.path().join("c.toml").display().to_string();
    let small = cls_morph::ClassifierConfig {
        backbone: radio_tensor::resnet::ResNetConfig { depth: radio_tensor::resnet::Depth::ResNet18, width: 4 }.into(),
        peak_lr: 3e-3,
        ..cls_morph::ClassifierConfig::laptop(1, 32, 8, 30)
    };
    let small = cls_morph::ClassifierConfig {
        recipe: radio_augment::Recipe { flat: radio_augment::FlatRule::Mask, ..small.recipe.clone() },
        ..small
    };
    std::fs::write(&config, small.to_toml().unwrap()).unwrap();
    let common = ["--images", &images, "--labels", &labels, "--label-column", "class"];
    let training = ["--config", &config, "--hold-out", "5", "--out", &run];
    train(&parse::<TrainOptions>(&common.iter().chain(&training).copied().collect::<Vec<_>>())).unwrap();
    assert!(!folder.path().join("run/training.safetensors").exists());

    assert!(std::fs::read_to_string(folder.path().join("run/errors.html")).unwrap().contains("held out from training"));
    let classifier = folder.path().join("run/classifier.safetensors").display().to_string();
    for ending in ["csv", "vot", "fits", "parquet"] {
        let out = folder.path().join(format!("catalogue.{ending}"));
        let out_text = out.display().to_string();
        let use_it = ["--classifier", &classifier, "--out", &out_text];
        predict(&parse::<PredictOptions>(&common.iter().chain(&use_it).copied().collect::<Vec<_>>())).unwrap();
        assert!(folder.path().join("catalogue.errors.html").exists());
        let table = Table::read(&out).unwrap();
        assert_eq!(table.names(), ["file", "ra", "dec", "class", "probability", "p_double", "p_single"], "{ending}");
        assert_eq!(table.rows(), PICTURES);
        let (double, single) = (table.numbers("p_double").unwrap(), table.numbers("p_single").unwrap());
        assert!(double.iter().zip(&single).all(|(a, b)| (a + b - 1.0).abs() < 1e-6));
        let class = table.texts("class").unwrap();
        let right = (0..PICTURES).filter(|i| class[*i] == ["single", "double"][i / 2 % 2]).count();
        assert!(right > 50, "{right} of {PICTURES}");
    }
    let out = folder.path().join("folder.csv").display().to_string();
    predict(&parse::<PredictOptions>(&["--classifier", &classifier, "--images", &images, "--out", &out])).unwrap();
    let table = Table::read(Path::new(&out)).unwrap();
    assert_eq!((table.rows(), table.texts("file").unwrap()[59].as_str()), (PICTURES, "p059.png"));
}

/// Every picture is single or double, and large or not: two questions; one in ten has no label at all.
#[test]
fn several_labels_a_picture_and_where_the_classifier_looked() {
    let folder = tempfile::tempdir().unwrap();
    make_pictures(folder.path());
    std::fs::copy(folder.path().join("p008.png"), folder.path().join("p009.png")).unwrap();
    let text = std::fs::read_to_string(folder.path().join("labels.csv")).unwrap();
    let mut lines = text.lines();
    let mut table = format!("{},classes\n", lines.next().unwrap());
    for (i, line) in lines.enumerate() {
        let shape = ["", "double"][i / 2 % 2];
        let names = if shape.is_empty() { "seen".to_owned() } else { format!("{shape}; seen") };
        table += &format!("{line},{}\n", if i % 10 == 0 { shape } else { &names });
    }
    std::fs::write(folder.path().join("labels.csv"), table).unwrap();
    let (images, labels) =
        (folder.path().display().to_string(), folder.path().join("labels.csv").display().to_string());
    let run = folder.path().join("run").display().to_string();
    let config = folder.path().join("c.toml").display().to_string();
    let small = cls_morph::ClassifierConfig {
        backbone: radio_tensor::resnet::ResNetConfig { depth: radio_tensor::resnet::Depth::ResNet18, width: 4 }.into(),
        peak_lr: 3e-3,
        loss: cls_morph::classifier::loss::Loss::Focal { alpha: 0.25, gamma: 2.0 },
        ..cls_morph::ClassifierConfig::laptop(1, 32, 8, 30)
    };
    let small = cls_morph::ClassifierConfig {
        recipe: radio_augment::Recipe { flat: radio_augment::FlatRule::Mask, ..small.recipe.clone() },
        ..small
    };
    std::fs::write(&config, small.to_toml().unwrap()).unwrap();
    let common = ["--images", &images, "--labels", &labels, "--label-column", "classes"];
    let training = ["--several", "--config", &config, "--out", &run];
    train(&parse::<TrainOptions>(&common.iter().chain(&training).copied().collect::<Vec<_>>())).unwrap();
    let classifier = folder.path().join("run/classifier.safetensors").display().to_string();
    let known = cls_morph::Classifier::read(Path::new(&classifier)).unwrap();
    assert_eq!(known.classes, ["double", "seen"]);
    assert!(known.thresholds.iter().all(|t| (0.0..1.0).contains(t)) && known.thresholds != [0.5, 0.5]);

    let out = folder.path().join("several.csv").display().to_string();
    let use_it = ["--classifier", &classifier, "--out", &out];
    predict(&parse::<PredictOptions>(&common.iter().chain(&use_it).copied().collect::<Vec<_>>())).unwrap();
    let found = Table::read(Path::new(&out)).unwrap();
    assert_eq!(found.names(), ["file", "ra", "dec", "classes", "p_double", "p_seen"]);
    let (names, double) = (found.texts("classes").unwrap(), found.numbers("p_double").unwrap());
    let right = (0..PICTURES).filter(|i| names[*i].split(';').any(|name| name == "double") == (i / 2 % 2 == 1)).count();
    assert!(right > 50, "{right} of {PICTURES}");
    assert!((0..PICTURES).all(|i| names[i].contains("double") == (double[i] >= known.thresholds[0])));

    // What speaks for a double is where its lobes are: the corners of the picture are empty.
    let page = folder.path().join("maps.html").display().to_string();
    let maps = ["--classifier", &classifier, "--images", &images, "--class", "double", "--most", "5", "--out", &page];
    class_maps(&parse::<MapOptions>(&maps)).unwrap();
    let html = std::fs::read_to_string(&page).unwrap();
    assert_eq!((html.matches("<figure>").count(), html.matches("data:image/png").count()), (5, 15));
    let wrong = ["--classifier", &classifier, "--images", &images, "--class", "triple", "--out", &page];
    let error = class_maps(&parse::<MapOptions>(&wrong)).unwrap_err().to_string();
    assert!(error.contains("triple") && error.contains("double"), "{error}");

    // A configuration for one class a picture and --several contradict each other.
    let one = cls_morph::ClassifierConfig { loss: cls_morph::classifier::loss::Loss::CrossEntropy, ..small };
    std::fs::write(&config, one.to_toml().unwrap()).unwrap();
    let error = train(&parse::<TrainOptions>(&common.iter().chain(&training).copied().collect::<Vec<_>>()));
    assert!(error.unwrap_err().to_string().contains("--several"));
}

/// MiraBest, confident FRI against FRII, five folds of whole groups: the marks of an independent pipeline
/// (scikit-learn, PyTorch) on the same pictures, which draws its folds otherwise. Its network with random weights (one seed: 70.8)
/// took its batch-norm statistics from seven times as many pictures; here three seeds give 67 to 69.
#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_mirabest_is_told_apart_as_well_as_elsewhere() {
    let data = std::env::var("RADIO_SSL_DATA").unwrap();
    let (images, labels) = (format!("{data}/mirabest/cutouts"), format!("{data}/mirabest/labels.csv"));
    let options: EvalOptions = parse(&[
        "--images",
        &images,
        "--labels",
        &labels,
        "--label-column",
        "class",
        "--keep",
        "confident=1",
        "--keep",
        "class=FRI,FRII",
        "--crop",
        "96",
        "--side",
        "64",
        "--catalogue",
        "size_arcsec",
        "--out",
        "unused.json",
    ]);
    let marks = evaluate(&options).unwrap();
    assert_eq!(marks.data.pictures, 665);
    for (features, name, expected, tolerance) in [
        ("none", "majority", 0.523, 0.001),
        ("catalogue: size_arcsec", "logistic", 0.665, 0.015),
        ("ring features", "logistic", 0.860, 0.015),
        ("ring features", "knn", 0.880, 0.015),
        ("random weights, 4 turns, BN anew", "logistic", 0.71, 0.04),
    ] {
        let found = method(&marks, features, name, 1.0).score.accuracy;
        assert!((found - expected).abs() <= tolerance, "{features}, {name}: {found}, elsewhere {expected}");
    }
}
