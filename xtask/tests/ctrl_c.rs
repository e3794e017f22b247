//! Ctrl-C ends an experiment at its next step, with a word of what to do and the exit code of an interrupt.
#![allow(clippy::unwrap_used)]
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use ndarray::Array2;

/// MiraBest as its folder is laid out: one lobe or two, two pictures to a piece of sky.
fn make_pictures(folder: &std::path::Path) {
    std::fs::create_dir_all(folder.join("mirabest/cutouts")).unwrap();
    let mut labels = String::from("file,class,confident,ra,dec,size_arcsec\n");
    for i in 0..40_usize {
        let two = i / 2 % 2;
        let picture = Array2::from_shape_fn((110, 110), |(row, col)| {
            let lobe = |at: f32| 230.0 * (-((row as f32 - 54.5).powi(2) + (col as f32 - at).powi(2)) / 18.0).exp();
            (lobe(54.5 - 12.0 * two as f32).max(lobe(54.5 + 12.0 * two as f32))
                + ((row * 31 + col * 17 + i) % 12) as f32) as u8
        });
        let file = format!("m{i:03}.png");
        radio_io::write_gray_png(&folder.join("mirabest/cutouts").join(&file), &picture).unwrap();
        labels += &format!("{file},{},1,{},30.0,40\n", ["FRI", "FRII"][two], 10 + i / 2);
    }
    std::fs::write(folder.join("mirabest/labels.csv"), labels).unwrap();
}

#[test]
fn ctrl_c_stops_an_experiment() {
    let folder = tempfile::tempdir().unwrap();
    make_pictures(folder.path());
    let mut experiment = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["experiment", "mirabest", "--quick", "--data", ".", "--out", "out", "--work", "work"])
        .current_dir(&folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(experiment.stderr.take().unwrap()).lines().map_while(Result::ok);
    let first = said.next().unwrap();
    assert!(Command::new("kill").args(["-INT", &experiment.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = said.collect();
    assert_eq!(experiment.wait().unwrap().code(), Some(130), "{first}\n{}", rest.join("\n"));
    assert!(rest.last().unwrap().contains("run the same command again"), "{rest:?}");
    assert!(!folder.path().join("out/mirabest.json").exists(), "stopped before the end");
}
