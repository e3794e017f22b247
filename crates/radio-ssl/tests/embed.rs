//! `radio-ssl embed`: the same bits in any format, in shards of any size, and after a kill; what is refused.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

mod tiny_sky;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use radio_io::FeatureTable;
use radio_ssl::feature_files::{FeatureFormat, read_features, shard_path};
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::resnet::{Depth, ResNetConfig};
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use ssl_simclr::SimClrConfig;
use tiny_sky::{contains, files, survey};

/// An encoder nobody trained, of 32 features.
fn checkpoint(folder: &Path, seed: u64) -> PathBuf {
    let backbone = ResNetConfig { depth: Depth::ResNet18, width: 4 };
    let mut file = Checkpoint::default();
    file.put_trunk(&Trunk::new(backbone.into(), &mut ChaCha8Rng::seed_from_u64(seed)).unwrap());
    let config = SimClrConfig { backbone: backbone.into(), ..SimClrConfig::laptop(7, 32, 16, 3) };
    file.text.insert("simclr.toml".into(), config.to_toml().unwrap());
    let path = folder.join(format!("encoder{seed}.safetensors"));
    file.write(&path).unwrap();
    path
}

/// A folder with a survey of 256 frames and an encoder.
fn sky() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), |_| Some("COMPACT"));
    let encoder = checkpoint(folder.path(), 1);
    (folder, survey, encoder)
}

fn command(survey: &Path, encoder: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_radio-ssl"));
    command.arg("embed").arg(survey).arg("--checkpoint").arg(encoder).arg("--out").arg(out).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether it succeeded, and all it said.
fn said(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap();
    let words = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), words)
}

fn embedded(survey: &Path, encoder: &Path, out: &Path, more: &[&str]) -> String {
    let (success, words) = said(command(survey, encoder, out, more));
    assert!(success, "{words}");
    words
}

fn refused(survey: &Path, encoder: &Path, out: &Path, more: &[&str], parts: &[&str]) {
    let (success, words) = said(command(survey, encoder, out, more));
    assert!(!success, "{words}");
    contains(&words, parts);
}

fn bits(table: &FeatureTable) -> (Vec<String>, Vec<u32>) {
    (table.ids.clone(), table.features.iter().map(|value| value.to_bits()).collect())
}

#[test]
fn shards_of_any_size_and_format_hold_the_bits_of_the_whole() {
    let (folder, survey, encoder) = sky();
    let whole = folder.path().join("whole.parquet");
    let words = embedded(&survey, &encoder, &whole, &[]);
    contains(&words, &["256 frames, 32 features: ", "whole.parquet", "frames/s"]);
    let whole = FeatureTable::read_parquet(&whole).unwrap();
    assert_eq!((whole.len(), whole.features.ncols()), (256, 32));
    assert!(whole.features.iter().all(|value| value.is_finite()));
    let cases = [
        ("a.parquet", "7", 37),
        ("b.npy", "100", 3),
        ("c.csv", "255", 2),
        ("d.txt", "256", 1),
        ("e.parquet", "4000000000", 1),
    ];
    for (name, rows, shards) in cases {
        let out = folder.path().join(name);
        let words = embedded(&survey, &encoder, &out, &["--shard-rows", rows, "--threads", "1"]);
        contains(&words, &[&format!("256 frames, 32 features in {shards} shards: ")]);
        assert!(shard_path(&out, shards - 1, shards).exists() && !shard_path(&out, shards, shards + 1).exists());
        let table = read_features(&[out]).unwrap();
        assert_eq!(bits(&table), bits(&whole), "{name}");
        if name != "d.txt" {
            assert!(table.ra_deg.iter().chain(&table.dec_deg).all(|degrees| degrees.is_nan()), "a map without a sky");
            assert_eq!(
                (&table.rms_jy_beam, &table.blank_fraction),
                (&whole.rms_jy_beam, &whole.blank_fraction),
                "{name}"
            );
        }
        assert_eq!(name.ends_with("parquet"), table.metadata == whole.metadata, "{name}");
    }
    let out = folder.path().join("f.parquet");
    embedded(&survey, &encoder, &out, &["--format", "npy"]);
    assert_eq!(FeatureFormat::of_contents(&out).unwrap(), FeatureFormat::Npy);
    assert_eq!(bits(&read_features(&[out]).unwrap()), bits(&whole));
}

#[test]
fn a_killed_run_continues_to_the_same_bytes() {
    let (folder, survey, encoder) = sky();
    for (name, shards) in [("features.parquet", 16), ("features.npy", 16)] {
        let (calm, killed) = (folder.path().join("calm"), folder.path().join("killed"));
        [&calm, &killed].iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        embedded(&survey, &encoder, &calm.join(name), &["--shard-rows", "16"]);
        let out = killed.join(name);
        // Killed at three places; a place that is passed before the kill comes is a later one.
        for shard in [0, 4, 9] {
            let mut child = command(&survey, &encoder, &out, &["--shard-rows", "16"]);
            let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let start = Instant::now();
            while !shard_path(&out, shard, shards).exists() && child.try_wait().unwrap().is_none() {
                assert!(start.elapsed() < Duration::from_secs(60), "no shard was written");
                std::thread::sleep(Duration::from_millis(1));
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let words = embedded(&survey, &encoder, &out, &["--shard-rows", "16"]);
        contains(&words, &[" of 16 shards are there, ", " of them found"]);
        let leftover = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with(".writing-");
        let relative = |folder: &Path| -> Vec<(PathBuf, Vec<u8>)> {
            let all = files(folder).into_iter().filter(|(path, _)| !leftover(path));
            all.map(|(path, bytes)| (path.strip_prefix(folder).unwrap().to_path_buf(), bytes)).collect()
        };
        assert!(relative(&killed) == relative(&calm), "{name}: other files after a kill");
        // What a kill leaves between a shard and its entry, and what a user removes.
        let record = out.with_file_name(format!("{name}.embed.json"));
        let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
        text["finished"].as_object_mut().unwrap().remove("15");
        std::fs::write(&record, text.to_string()).unwrap();
        std::fs::remove_file(shard_path(&out, 1, shards)).unwrap();
        let words = embedded(&survey, &encoder, &out, &["--shard-rows", "16"]);
        contains(&words, &["14 of 16 shards are there, 32 of 256 frames are left"]);
        assert!(relative(&killed) == relative(&calm), "{name}: other files after a removal");
        // Once more: nothing is left to do, and nothing changes.
        let words = embedded(&survey, &encoder, &out, &["--shard-rows", "16"]);
        contains(&words, &["16 of 16 shards are there, 0 of 256 frames are left", "16 of them found"]);
        [&calm, &killed].iter().for_each(|folder| std::fs::remove_dir_all(folder).unwrap());
    }
}

#[test]
fn shards_of_another_run_are_refused() {
    let (folder, survey, encoder) = sky();
    let out = folder.path().join("f.parquet");
    let shards = ["--shard-rows", "128"];
    embedded(&survey, &encoder, &out, &shards);
    let first = shard_path(&out, 0, 2);
    let other = checkpoint(folder.path(), 2);
    refused(
        &survey,
        &other,
        &out,
        &shards,
        &["f.parquet.embed.json", "of another run", "the encoder's weights", "--out"],
    );
    refused(&survey, &encoder, &out, &["--shard-rows", "100"], &["--shard-rows: expected 100, found 128"]);
    refused(&survey, &encoder, &out, &["--shard-rows", "128", "--format", "csv"], &["the format: expected csv"]);
    // The same weights, another pre-processing.
    let mut file = Checkpoint::read(&encoder).unwrap().checkpoint;
    let text = file.text["simclr.toml"].replacen("seed = 7", "seed = 8", 1);
    file.text.insert("simclr.toml".into(), text);
    let changed = folder.path().join("changed.safetensors");
    file.write(&changed).unwrap();
    refused(&survey, &changed, &out, &shards, &["the encoder's settings"]);
    // The same places, one pixel changed; and then as it was.
    let mosaic = folder.path().join("m.fits");
    let good = std::fs::read(&mosaic).unwrap();
    let mut pixels = tiny_sky::pixels(0);
    pixels[(100, 100)] += 1e-6;
    tiny_sky::write_mosaic(&mosaic, &pixels, 0.004);
    refused(&survey, &encoder, &out, &shards, &["the frames: expected"]);
    std::fs::write(&mosaic, good).unwrap();
    embedded(&survey, &encoder, &out, &shards);
    // A shard put there by somebody else; a shard without its record; a record that is none.
    let whole = folder.path().join("whole.parquet");
    embedded(&survey, &encoder, &whole, &[]);
    std::fs::copy(&whole, &first).unwrap();
    refused(&survey, &encoder, &out, &shards, &["f-00000-of-00002.parquet", "not what this run wrote"]);
    let record = folder.path().join("f.parquet.embed.json");
    std::fs::remove_file(&record).unwrap();
    refused(&survey, &encoder, &out, &shards, &["f-00000-of-00002.parquet", "is there", "f.parquet.embed.json"]);
    std::fs::write(&record, "{}").unwrap();
    refused(&survey, &encoder, &out, &shards, &["f.parquet.embed.json: no record of shards"]);
    refused(&survey, &encoder, &folder.path().join("f.fits"), &[], &["--out", ".parquet, .npy"]);
    refused(&survey, &encoder, &folder.path().join("f.csv"), &["--shard-rows", "0"], &["--shard-rows"]);
}
