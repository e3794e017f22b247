//! Experiments from end to end on made-up pictures laid out as the real sets are; a killed one continues to the same JSON.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use clap::Parser;
use ndarray::Array2;
use radio_augment::FrameSource;
use radio_io::write_gray_png;
use radio_ssl::experiments::pools::{Pool, PoolSources, share, strict};
use radio_ssl::experiments::result::ExperimentResult;
use radio_ssl::experiments::sets::{LabelledSet, SetName};
use radio_ssl::experiments::{Experiment, run};
use radio_ssl::interrupt::Interrupted;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    experiment: Experiment,
}

/// One lobe or two, some way apart; `n` turns them. Below 150 it is cut to 0 if `cut`.
fn picture(n: usize, apart: f32, cut: bool) -> Array2<u8> {
    let angle = n as f32 * 0.7;
    Array2::from_shape_fn((110, 110), |(row, col)| {
        let lobe = |side: f32| {
            let (y, x) =
                (row as f32 - 54.5 - side * apart * angle.sin(), col as f32 - 54.5 - side * apart * angle.cos());
            230.0 * (-(y * y + x * x) / 18.0).exp()
        };
        let value = lobe(1.0).max(lobe(-1.0)) + ((row * 31 + col * 17 + n * 7) % 12) as f32 + 1.0;
        if cut && value < 150.0 { 0 } else { value.min(255.0) as u8 }
    })
}

/// The three sets, `n` pictures each, two to a piece of sky; one first-frg picture is all zeros.
fn make_data(folder: &Path, n: usize) {
    for name in ["mirabest/cutouts", "first-frg/images", "rgz"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let mut mirabest = String::from("file,class,confident,ra,dec,size_arcsec\n");
    let mut frg = String::from("file,class,ra,dec,split,cv\n");
    let mut index = String::from("class,path,x,y,size_pix,rgz_id\n");
    let mut catalogue = String::from("catalog_id,ra,dec\n");
    for i in 0..n {
        let (object, two) = (i / 2, i / 2 % 2);
        let place = format!("{},30.0", 10.0 + object as f64 + (i % 2) as f64 * 1e-3);
        let file = format!("m{i:03}.png");
        write_gray_png(&folder.join("mirabest/cutouts").join(&file), &picture(i, 12.0 * two as f32, false)).unwrap();
        mirabest += &format!("{file},{},{},{place},{}\n", ["FRI", "FRII"][two], u8::from(i % 10 != 9), 20 + 30 * two);
        let kind = object % 3;
        let name = format!("f{i:03}.png");
        let pixels = if i == 3 { Array2::zeros((110, 110)) } else { picture(i, 9.0 * kind as f32, true) };
        write_gray_png(&folder.join("first-frg/images").join(&name), &pixels).unwrap();
        let test = if object % 4 == 0 { "test" } else { "train" };
        frg += &format!("{name},{},{place},{test},{test}\n", ["Bent", "FRI", "FRII"][kind]);
        // Every source is listed twice, as in the index of the real set.
        let row = format!("{},mirabest/cutouts/{file},54.5,54.5,{},{i}\n", ["1C-1P", "2C-2P"][two], 16 + 24 * two);
        index += &row.repeat(2);
        catalogue += &format!("{i},{place}\n");
    }
    for (name, text) in
        [("mirabest/labels", mirabest), ("first-frg/labels", frg), ("rgz/index", index), ("rgz/catalogue", catalogue)]
    {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}

fn experiment(folder: &Path, line: &str) -> anyhow::Result<ExperimentResult> {
    let path = |name: &str| folder.join(name).display().to_string();
    let (data, out, work) = (path("data"), path("out"), path("work"));
    let words = line.split_whitespace().chain(["--quick", "--data", &data, "--out", &out, "--work", &work]);
    let page = run(&Line::parse_from(std::iter::once("x").chain(words)).experiment)?;
    Ok(serde_json::from_str(&std::fs::read_to_string(page.with_extension("json"))?)?)
}

#[test]
fn every_way_on_one_set_and_the_same_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    make_data(&folder.path().join("data"), 40);
    let line = "mirabest --encoders mirabest-strict --only size,random,every,scratch,fine-tuned";
    let whole = experiment(folder.path(), line).unwrap();
    let block = &whole.blocks[0];
    assert_eq!((block.pictures, block.groups, whole.pools["mirabest"].frames), ((36, 36), 20, 40));
    let row = |name: &str, method: &str, fraction: f64| {
        let mut rows = block.rows.iter().filter(|row| row.name == name && row.method == method);
        rows.find(|row| row.fraction == fraction).unwrap_or_else(|| panic!("{name}, {method}, {fraction}"))
    };
    assert!(row("ring features", "logistic", 1.0).accuracy.value > 0.9);
    assert!(row("catalogue: size_arcsec", "kNN", 1.0).accuracy.value > 0.4);
    assert_eq!(row("ring features", "logistic", 0.1).of_runs.len(), 2, "two draws of labels in a quick look");
    let stages = row("mirabest-strict: 8 turns, BN anew, every stage", "logistic, C chosen", 1.0);
    assert_eq!((stages.columns, stages.units.len()), (2 * (8 + 16 + 32 + 64), 1));
    assert_eq!(row("mirabest-strict: 8 turns, BN anew, every stage, scales", "kNN", 1.0).columns, 4 * stages.columns);
    let tuned = row("fine-tuned mirabest-strict", "trained", 0.1);
    assert!(tuned.rates.len() == 5 && tuned.units.len() == 5, "{tuned:?}");
    assert!(block.differences.iter().any(|d| d.first.starts_with("fine-tuned mirabest-strict,") && d.fraction == 0.02));
    assert!(whole.verdict.iter().any(|line| line.contains("ring features")), "{:?}", whole.verdict);
    for file in ["mirabest.md", "mirabest-mirabest-folds-bars.svg", "mirabest-mirabest-folds-labels.png"] {
        assert!(folder.path().join("out").join(file).exists(), "{file}");
    }

    // Stopped again and again, it ends with the same numbers.
    let json = std::fs::read(folder.path().join("out/mirabest.json")).unwrap();
    std::fs::remove_dir_all(folder.path().join("work")).unwrap();
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    let mut stops = 0;
    loop {
        match experiment(folder.path(), &format!("{line} --stop-after 50")) {
            Ok(_) => break,
            Err(error) => assert!(error.is::<Interrupted>(), "{error:#}"),
        }
        stops += 1;
        assert!(stops < 20);
    }
    assert!(stops > 1, "{stops}");
    assert!(std::fs::read(folder.path().join("out/mirabest.json")).unwrap() == json);
}

#[test]
fn published_splits_boxes_and_zeros() {
    let folder = tempfile::tempdir().unwrap();
    make_data(&folder.path().join("data"), 48);
    let frg = experiment(folder.path(), "first-frg --encoders simclr --only features,none").unwrap();
    let splits: Vec<&str> = frg.blocks.iter().map(|block| block.split.as_str()).collect();
    assert_eq!(splits, ["official", "cv", "folds"]);
    let official = &frg.blocks[0];
    assert_eq!((official.pictures, official.shared), ((48, 12), Some(0)));
    assert_eq!(official.facts.all_zero, ["f003.png"], "named, and not dropped");
    assert!(official.facts.with_flat_channel > 40, "{:?}", official.facts);
    let rgz = experiment(folder.path(), "rgz --encoders mirabest --only features,PCA,scales").unwrap();
    assert_eq!((rgz.blocks[0].pictures.0, rgz.blocks[0].groups), (48, 24), "a source that is listed twice counts once");
    let rings = rgz.blocks[0].rows.iter().find(|row| row.name == "ring features").unwrap();
    assert!(rings.accuracy.value > 0.8, "{rings:?}");
    let claim = experiment(folder.path(), "claim --only rgz").unwrap();
    assert_eq!(claim.verdict.len(), 6, "{:?}", claim.verdict);
    let ablation = experiment(folder.path(), "ablation --only no,temperature").unwrap();
    assert!(ablation.verdict[0].contains("base") && ablation.blocks[0].rows.len() == 2 * 9, "{:?}", ablation.verdict);
}

#[test]
fn pools_share_and_leave_out_sky() {
    let folder = tempfile::tempdir().unwrap();
    make_data(folder.path(), 40);
    let sources = PoolSources { data: folder.path().to_path_buf(), simulated: None };
    let (union, facts) = sources.read(Pool::Union, 64).unwrap();
    assert_eq!((union.len(), facts.frames, facts.all_zero.as_slice()), (80, 80, ["f003.png".to_owned()].as_slice()));
    assert_eq!(union.pixels(5).unwrap().dim(), (64, 64));
    // Object 7 is pictures 14 and 15 of either set.
    let kept = strict(&union, &[(17.0, 30.0)]);
    let ids: Vec<&str> = (0..kept.len()).map(|i| kept.id(i)).collect();
    assert!(ids.len() == 76 && ["m014.png", "m015.png", "f014.png", "f015.png"].iter().all(|id| !ids.contains(id)));
    let (third, half) = (share(&union, 0.3).unwrap(), share(&union, 0.5).unwrap());
    let half: Vec<u64> = (0..half.len()).map(|i| half.address(i)).collect();
    assert!(half.len() == 40 && (0..third.len()).all(|i| half.contains(&third.address(i))), "shares are nested");
    assert!(share(&union, 0.0).is_err() && share(&union, f64::NAN).is_err());
    let missing = sources.read(Pool::Simulated, 64).err().unwrap().to_string();
    assert!(missing.contains("--simulated"), "{missing}");
}

#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn real_data_pools_and_sets_have_their_counts() {
    let data = std::path::PathBuf::from(std::env::var_os("RADIO_SSL_DATA").expect("RADIO_SSL_DATA"));
    let sources = PoolSources { data: data.clone(), simulated: None };
    let read = |pool| sources.read(pool, 96).unwrap();
    let (mirabest, facts) = read(Pool::Mirabest);
    assert_eq!((mirabest.len(), facts.all_zero.len()), (1003, 0));
    let (union, facts) = read(Pool::Union);
    assert_eq!(
        (union.len(), facts.all_zero.as_slice()),
        (3004, ["22.446_0.776_3_Proctor_Tab1.png".to_owned()].as_slice())
    );
    assert!(facts.with_flat_channel > 1990, "nearly every first-frg picture has one: {}", facts.with_flat_channel);
    let set = |name| LabelledSet::read(name, &data).unwrap();
    let a = set(SetName::Mirabest);
    assert_eq!([0, 1].map(|class| a.labels.iter().filter(|label| **label == class).count()), [317, 348]);
    let test = a.splits[0].folds.test(0);
    let kept = strict(&union, &a.positions(&test));
    // Every test object is in the pool at least once, nine in ten of them twice.
    assert!(union.len() - kept.len() > 18 * test.len() / 10, "{} of {}", kept.len(), union.len());
    let b = set(SetName::FirstFrg);
    let predicted: Vec<usize> = b.splits.iter().map(|split| split.folds.predicted().len()).collect();
    assert_eq!((predicted, b.facts.all_zero.len()), (vec![200, 367, 2001], 1));
    let c = set(SetName::Rgz);
    let counts: Vec<usize> = (0..6).map(|class| c.labels.iter().filter(|label| **label == class).count()).collect();
    assert_eq!(counts, [34, 27, 99, 9, 53, 41]);
}
