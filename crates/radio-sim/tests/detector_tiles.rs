//! Detector tiles over the three skies: shares of the classes, files that agree with each other, no sky in both halves.

use radio_io::Mosaic;
use radio_sim::detector_tiles::draw::{class_counts, draw_tiles};
use radio_sim::detector_tiles::tile::DetectorSky;
use radio_sim::detector_tiles::{TileSettings, write_detector_tiles};
use radio_sim::rgz::Use;
use radio_sim::{SimConfig, SkyName, Tier};
use std::collections::BTreeSet;
use std::path::Path;

fn configs() -> Vec<SimConfig> {
    SkyName::ALL.into_iter().map(|sky| SimConfig::preset(sky, Tier::Tiny, 1)).collect()
}

/// Small skies have few blocks and few large objects: small blocks, equal halves.
fn settings() -> TileSettings {
    TileSettings { train: 40, test: 30, block: 256, test_share: 0.5, ..TileSettings::published(1) }
}

#[test]
fn shares_are_near_the_published_ones_and_the_halves_share_no_sky() {
    let skies: Vec<DetectorSky> = configs().iter().map(|c| DetectorSky::new(c).unwrap()).collect();
    let settings = settings();
    let halves = [Use::Train, Use::Test].map(|part| draw_tiles(&skies, &settings, part));
    assert_eq!(halves, [Use::Train, Use::Test].map(|part| draw_tiles(&skies, &settings, part)));
    assert_eq!([halves[0].len(), halves[1].len()], [40, 30]);
    for (tiles, shares) in halves.iter().zip([settings.train_shares, settings.test_shares]) {
        let places: BTreeSet<_> = tiles.iter().map(|t| (t.sky, t.row, t.col)).collect();
        assert_eq!(places.len(), tiles.len(), "no tile twice");
        let counts = class_counts(tiles);
        let total: usize = counts.iter().sum();
        println!("{counts:?} of {total}");
        // FLAGGED objects are too rare on three tiny skies.
        for class in 0..4 {
            let (found, want) = (counts[class] as f64 / total as f64, shares[class] / 100.0);
            let error = 3.0 * (want / total as f64).sqrt();
            assert!((found - want).abs() < error.max(0.03), "class {class}: {found:.3} for {want:.3}");
        }
        let off: f64 =
            counts.iter().zip(shares).map(|(&n, share)| (n as f64 / total as f64 - share / 100.0).abs()).sum();
        assert!(0.5 * off < 0.10, "{:.3} from the published shares: {counts:?}", 0.5 * off);
    }
    let block = settings.block;
    let blocks = |tiles: &[radio_sim::detector_tiles::draw::Tile]| -> BTreeSet<(usize, usize, usize)> {
        for t in tiles {
            assert_eq!((t.row / block, t.col / block), ((t.row + 131) / block, (t.col + 131) / block));
        }
        tiles.iter().map(|t| (t.sky, t.row / block, t.col / block)).collect()
    };
    assert!(blocks(&halves[0]).is_disjoint(&blocks(&halves[1])));
}

#[test]
fn lists_masks_and_images_agree() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TileSettings { train: 6, test: 4, label_images: true, ..settings() };
    let made = write_detector_tiles(&configs()[..1], &settings, folder.path(), |_| {}).unwrap();
    assert_eq!(made.tiles, [6, 4]);
    for (part, objects) in ["train", "test"].into_iter().zip(made.objects) {
        let half = folder.path().join(part);
        let json =
            |path: &Path| -> serde_json::Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
        let coco = json(&half.join("coco.json"));
        let listed = std::fs::read_to_string(half.join("filelist.txt")).unwrap();
        let mut found = 0;
        for (number, name) in listed.lines().enumerate() {
            let tile = json(&half.join(name));
            let image = Mosaic::open(&half.join(tile["img"].as_str().unwrap())).unwrap().full().unwrap();
            assert!(image.dim() == (132, 132) && image.iter().all(|v| v.is_finite()));
            assert_eq!(coco["images"][number]["file_name"], tile["img"]);
            let objs = tile["objs"].as_array().unwrap();
            let annotations: Vec<&serde_json::Value> = coco["annotations"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|a| a["image_id"] == number + 1 && a["iscrowd"] == 0)
                .collect();
            assert_eq!(objs.len(), annotations.len());
            for (o, a) in objs.iter().zip(annotations) {
                let mask = Mosaic::open(&half.join(o["mask"].as_str().unwrap())).unwrap().full().unwrap();
                let px = mask.iter().filter(|v| **v != 0.0).count();
                assert!(px > 4 && o["npix"] == px && a["area"] == px);
                // The run lengths, drawn column by column, are the mask.
                let (mut at, mut ink) = (0, false);
                for n in a["segmentation"]["counts"].as_array().unwrap() {
                    for k in at..at + n.as_u64().unwrap() as usize {
                        assert_eq!(mask[[k % 132, k / 132]] != 0.0, ink);
                    }
                    (at, ink) = (at + n.as_u64().unwrap() as usize, !ink);
                }
                assert_eq!(at, 132 * 132);
                found += 1;
            }
            let stem = name.strip_suffix(".json").unwrap();
            let labels = Mosaic::open(&half.join(format!("labels/{stem}.fits"))).unwrap().full().unwrap();
            assert!(labels.iter().all(|v| *v >= 0.0 && *v <= objs.len() as f32));
        }
        assert_eq!(found, objects.iter().sum::<usize>());
    }
    let wrong = TileSettings { side: 8, ..settings };
    assert!(write_detector_tiles(&configs()[..1], &wrong, folder.path(), |_| {}).is_err());
}
