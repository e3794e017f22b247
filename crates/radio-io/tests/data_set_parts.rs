//! Parts of a data set that do not see each other's sky, and draws balanced by complexity.

mod made_manifest;

use std::collections::BTreeSet;

use made_manifest::{Test, manifest, mosaic, window};
use radio_io::{
    Error, Manifest,
    data_set::{
        Curation, LeakGuard, Part, SkySplit, Window, curate, draw_classes, find_leaks, guard_entries, sky_folds,
        split_by_sky, table1,
    },
    separation_arcsec,
};

/// Half-overlapping frames of 256 pixels over the whole of a mosaic of `side` pixels.
fn half_overlapping(mosaic: u32, side: u32) -> Vec<(u32, Window)> {
    let starts = || (0..=side - 256).step_by(128);
    starts().flat_map(|row| starts().map(move |col| (mosaic, window(row, col, 256)))).collect()
}

const SPLIT: SkySplit = SkySplit { shares: [0.6, 0.2, 0.2], block_deg: 0.5, guard_arcsec: 60.0, seed: 3 };

/// Two mosaics of 4096 pixels (2.3 degrees) that overlap by a third, and one across the seam of the sky near the pole.
fn blind() -> Result<Manifest, Box<dyn std::error::Error>> {
    let mosaics =
        vec![mosaic("a", 4096, (80.0, -50.0))?, mosaic("b", 4096, (82.4, -50.3))?, mosaic("c", 2048, (0.1, 88.0))?];
    let windows: Vec<_> = [half_overlapping(0, 4096), half_overlapping(1, 4096), half_overlapping(2, 2048)]
        .into_iter()
        .flatten()
        .collect();
    manifest(mosaics, &windows)
}

fn members(parts: &[Part], part: Part) -> Vec<usize> {
    (0..parts.len()).filter(|&i| parts[i] == part).collect()
}

/// By the leak guard, which looks at every pair of the two parts.
fn assert_apart(manifest: &Manifest, parts: &[Part], radius_arcsec: f64) -> Test {
    let entries = guard_entries(manifest, None)?;
    let used = [Part::Train, Part::Valid, Part::Test];
    for (n, a) in used.iter().enumerate() {
        for b in &used[..n] {
            let pick = |part| members(parts, part).into_iter().map(|i| entries[i].clone()).collect::<Vec<_>>();
            let report = find_leaks(&pick(*a), &pick(*b), &LeakGuard { radius_arcsec, looks: None })?;
            assert!(report.pairs.is_empty(), "{a:?} and {b:?}: {:?}", &report.pairs[..1]);
        }
    }
    Ok(())
}

#[test]
fn no_part_sees_the_sky_of_another() -> Test {
    let manifest = blind()?;
    for (seed, guard_arcsec) in [(1, 0.0), (2, 300.0), (3, 900.0)] {
        let parts = split_by_sky(&manifest, &SkySplit { seed, guard_arcsec, ..SPLIT })?;
        assert_apart(&manifest, &parts, guard_arcsec)?;
        let share = |part| members(&parts, part).len() as f64 / parts.len() as f64;
        let [train, valid, test] = [Part::Train, Part::Valid, Part::Test].map(share);
        assert!(
            (0.05..0.25).contains(&test) && (0.05..0.25).contains(&valid) && train > 0.15,
            "{train} {valid} {test}"
        );
        assert!(train > valid && share(Part::Border) < 0.65, "border {}", share(Part::Border));
        // A brute look at one pair of parts, in case the guard shares a fault with the split.
        for &a in &members(&parts, Part::Test) {
            for &b in &members(&parts, Part::Train) {
                let (one, other) = (&manifest.rows[a], &manifest.rows[b]);
                let shares_pixels = one.mosaic == other.mosaic && one.window.overlaps(&other.window);
                let apart = separation_arcsec(one.sky.ok_or("sky")?, other.sky.ok_or("sky")?);
                // Frames of 512" overlap whenever their centres are nearer than a side.
                assert!(!shares_pixels && apart > guard_arcsec.max(511.0), "{} {}: {apart}", one.id, other.id);
            }
        }
    }
    Ok(())
}

#[test]
fn the_seed_chooses_and_the_order_of_rows_does_not() -> Test {
    let manifest = blind()?;
    let parts = split_by_sky(&manifest, &SPLIT)?;
    assert_eq!(parts, split_by_sky(&manifest, &SPLIT)?);
    assert_ne!(parts, split_by_sky(&manifest, &SkySplit { seed: 4, ..SPLIT })?);
    let backwards: Vec<usize> = (0..manifest.len()).rev().collect();
    let turned = split_by_sky(&manifest.select(&backwards, "backwards")?, &SPLIT)?;
    assert!(turned.iter().rev().eq(&parts));
    let parted = manifest.with_parts(&parts, "split, seed 3")?;
    assert_eq!(parted.history, ["split, seed 3"]);
    let counts = table1(&parted).parts;
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), manifest.len());
    assert!(manifest.with_parts(&parts[1..], "").is_err());
    let without = split_by_sky(&manifest, &SkySplit { shares: [1.0, 0.0, 0.0], ..SPLIT })?;
    assert!(without.iter().all(|part| *part == Part::Train));
    Ok(())
}

/// Cutouts around sources: pairs that overlap are kept together, and none is lost at a border.
#[test]
fn small_groups_stay_whole() -> Test {
    let mut windows = Vec::new();
    for n in 0..20 {
        for m in 0..20 {
            windows.push((0, window(200 * n, 200 * m, 60)));
            // A neighbour of every third source overlaps it.
            if (n + m) % 3 == 0 {
                windows.push((0, window(200 * n + 40, 200 * m + 30, 50)));
            }
        }
    }
    let manifest = manifest(vec![mosaic("a", 4096, (180.0, 20.0))?], &windows)?;
    let split = SkySplit { block_deg: 0.3, guard_arcsec: 0.0, ..SPLIT };
    let parts = split_by_sky(&manifest, &split)?;
    assert!(members(&parts, Part::Border).is_empty());
    assert_apart(&manifest, &parts, 0.0)?;
    let share = members(&parts, Part::Train).len() as f64 / parts.len() as f64;
    assert!((0.55..0.65).contains(&share), "{share}");
    for pair in
        manifest.rows.windows(2).zip(parts.windows(2)).filter(|(rows, _)| rows[0].window.overlaps(&rows[1].window))
    {
        assert_eq!(pair.1[0], pair.1[1]);
    }
    Ok(())
}

#[test]
fn folds_cover_everything_once_and_do_not_touch() -> Test {
    let manifest = blind()?;
    let folds = sky_folds(&manifest, 4, 0.5, 60.0, 11)?;
    let mut tested = vec![0; manifest.len()];
    for test in 0..4 {
        let parts = folds.parts(test);
        assert_apart(&manifest, &parts, 60.0)?;
        let members = members(&parts, Part::Test);
        assert!((manifest.len() / 6..manifest.len() / 3).contains(&members.len()), "{}", members.len());
        members.into_iter().for_each(|i| tested[i] += 1);
    }
    assert!(tested.iter().all(|times| *times == 1));
    assert!(matches!(sky_folds(&manifest, 1, 0.5, 0.0, 1), Err(Error::DataSetSetting { key: "folds", .. })));
    Ok(())
}

#[test]
fn without_a_sky_whole_mosaics_are_divided() -> Test {
    let mut mosaics = Vec::new();
    let mut windows = Vec::new();
    for n in 0..10 {
        let mut record = mosaic(&format!("m{n}"), 1024, (0.0, 0.0))?;
        record.wcs.clear();
        record.pixel_arcsec = None;
        mosaics.push(record);
        windows.extend(half_overlapping(n, 1024));
    }
    let manifest = manifest(mosaics, &windows)?;
    let parts = split_by_sky(&manifest, &SPLIT)?;
    assert!(members(&parts, Part::Border).is_empty());
    assert_eq!(members(&parts, Part::Test).len(), manifest.len() / 5);
    for (row, part) in manifest.rows.iter().zip(&parts) {
        let first = manifest.rows.iter().position(|other| other.mosaic == row.mosaic).ok_or("is there")?;
        assert_eq!(*part, parts[first]);
    }
    Ok(())
}

#[test]
fn settings_out_of_range_are_refused() -> Test {
    let manifest = blind()?;
    for (split, key) in [
        (SkySplit { shares: [0.0; 3], ..SPLIT }, "shares"),
        (SkySplit { shares: [1.0, -1.0, 1.0], ..SPLIT }, "shares"),
        (SkySplit { shares: [f64::NAN, 1.0, 1.0], ..SPLIT }, "shares"),
        (SkySplit { block_deg: 0.0, ..SPLIT }, "block_deg"),
        (SkySplit { block_deg: f64::NAN, ..SPLIT }, "block_deg"),
        (SkySplit { guard_arcsec: -1.0, ..SPLIT }, "guard_arcsec"),
    ] {
        let refused = split_by_sky(&manifest, &split).err().ok_or("must be refused")?;
        assert!(matches!(refused, Error::DataSetSetting { .. }) && refused.to_string().starts_with(key), "{refused}");
    }
    assert!(split_by_sky(&manifest.select(&[], "")?, &SPLIT)?.is_empty());
    Ok(())
}

/// 1000 cutouts whose complexity is their number, a thousandth of it being extreme.
fn with_complexity() -> Result<Manifest, Box<dyn std::error::Error>> {
    let windows: Vec<_> = (0..1000).map(|n| (0, window(8 * (n / 40), 8 * (n % 40), 8))).collect();
    let mut manifest = manifest(vec![mosaic("a", 400, (10.0, 10.0))?], &windows)?;
    manifest.rows.iter_mut().enumerate().for_each(|(n, row)| row.complexity = n as f32 + 1.0);
    Ok(manifest)
}

#[test]
fn a_draw_has_the_shares_that_were_asked_for() -> Test {
    let manifest = with_complexity()?;
    let curation = Curation { quantiles: vec![0.5, 0.9, 0.99], shares: vec![1.0, 1.0, 1.0, 1.0], count: 30, seed: 5 };
    let drawn = curate(&manifest, &curation)?;
    let found: Vec<(usize, usize, usize)> = drawn.bins.iter().map(|bin| (bin.found, bin.wanted, bin.drawn)).collect();
    assert_eq!(found, [(500, 8, 8), (400, 8, 8), (90, 7, 7), (10, 7, 7)], "the remainder goes to the first of equals");
    assert_eq!(drawn.bins[1].complexity, (500.0, 900.0));
    assert!(drawn.indices.windows(2).all(|pair| pair[0] < pair[1]) && drawn.indices.len() == 30);
    assert_eq!(drawn.indices.iter().filter(|&&index| index >= 990).count(), 7);
    assert_eq!((drawn.manifest.len(), drawn.manifest.rows[3].id == manifest.rows[drawn.indices[3]].id), (30, true));
    assert!(drawn.manifest.history[0].contains("seed 5"), "{:?}", drawn.manifest.history);
    assert!((drawn.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!((drawn.weights[995] - 0.025).abs() < 1e-15 && (drawn.weights[0] - 0.25 / 500.0).abs() < 1e-15);
    // A bin that has too few gives all it has, and no other bin makes up for it.
    let many = curate(&manifest, &Curation { count: 200, ..curation.clone() })?;
    assert_eq!(many.bins.iter().map(|bin| bin.drawn).collect::<Vec<_>>(), [50, 50, 50, 10]);
    assert_ne!(curate(&manifest, &Curation { seed: 6, ..curation.clone() })?.indices, drawn.indices);
    // The same names are drawn whatever the order of the rows.
    let order: Vec<usize> = (0..1000).map(|n| n * 7 % 1000).collect();
    let shuffled = curate(&manifest.select(&order, "shuffled")?, &curation)?;
    let mut places: Vec<usize> = shuffled.indices.iter().map(|&index| order[index]).collect();
    places.sort_unstable();
    assert_eq!(places, drawn.indices);
    Ok(())
}

#[test]
fn equal_complexities_share_a_bin_and_mistakes_are_refused() -> Test {
    let mut manifest = with_complexity()?;
    manifest.rows.iter_mut().for_each(|row| row.complexity = row.complexity.min(3.0));
    let curation = Curation { quantiles: vec![0.5], shares: vec![0.5, 0.5], count: 10, seed: 1 };
    let drawn = curate(&manifest, &curation)?;
    assert_eq!(drawn.bins.iter().map(|bin| (bin.found, bin.drawn)).collect::<Vec<_>>(), [(1000, 5), (0, 0)]);
    for (quantiles, shares) in [
        (vec![0.5, 0.5], vec![1.0; 3]),
        (vec![0.0], vec![1.0; 2]),
        (vec![0.5], vec![1.0; 3]),
        (vec![f64::NAN], vec![1.0; 2]),
        (vec![0.5], vec![0.0; 2]),
    ] {
        let refused = curate(&manifest, &Curation { quantiles, shares, ..curation.clone() });
        assert!(matches!(refused, Err(Error::DataSetSetting { .. })), "{refused:?}");
    }
    manifest.rows[17].complexity = f32::NAN;
    let refused = curate(&manifest, &curation).err().ok_or("no complexity")?;
    assert!(matches!(&refused, Error::NoComplexity { id } if *id == manifest.rows[17].id), "{refused}");
    Ok(())
}

#[test]
fn table_1_counts_sizes_and_area() -> Test {
    let mosaics = vec![mosaic("a", 1024, (10.0, 0.0))?, mosaic("b", 1024, (50.0, 0.0))?];
    let mut windows = half_overlapping(0, 1024);
    windows.extend([(1, window(0, 0, 100)), (1, window(50, 50, 100)), (1, window(500, 500, 20))]);
    let mut manifest = manifest(mosaics, &windows)?;
    manifest.rows.iter_mut().enumerate().for_each(|(n, row)| row.rms_jy_beam = (n as f32 + 1.0) * 1e-6);
    let table = table1(&manifest);
    assert_eq!((table.all.images, table.mosaics.len(), table.mosaics[0].images), (52, 2, 49));
    let px2 = (2.0f64 / 3600.0).powi(2);
    assert!((table.mosaics[0].area_deg2 - 1024.0 * 1024.0 * px2).abs() < 1e-9, "overlaps count once");
    assert!((table.mosaics[1].area_deg2 - f64::from(100 * 100 * 2 - 50 * 50 + 20 * 20) * px2).abs() < 1e-9);
    let side = table.mosaics[1].side_px.ok_or("has images")?;
    assert_eq!((side.min, side.max), (20.0, 100.0));
    assert!((side.mean - 220.0 / 3.0).abs() < 1e-12);
    let rms = table.all.rms_ujy_beam.ok_or("has noise")?;
    assert!((rms[0] - 3.0).abs() < 1e-4 && (rms[1] - 26.0).abs() < 1e-4 && (rms[2] - 50.0).abs() < 1e-4, "{rms:?}");
    let text = table.to_string();
    let first = text.lines().nth(2).ok_or("has a line")?;
    assert!(first.contains("49") && first.contains("256") && first.contains("8.53"), "{text}");
    assert!(text.contains("data set made") && text.lines().count() == 5, "{text}");
    let empty = table1(&manifest.select(&[], "")?);
    assert!(empty.all.side_px.is_none() && empty.all.area_deg2 == 0.0 && empty.to_string().contains(" 0 "));
    Ok(())
}

#[test]
fn classes_are_drawn_in_equal_shares_and_rare_ones_whole() -> Test {
    let windows: Vec<_> = (0..100).map(|n| (0, window(n * 8, 0, 8))).collect();
    let mut manifest = manifest(vec![mosaic("m", 1024, (180.0, -30.0))?], &windows)?;
    for (n, row) in manifest.rows.iter_mut().enumerate() {
        row.labels = match n {
            0..60 => vec!["1C".to_owned()],
            60..80 => vec!["1C".to_owned(), "2C".to_owned()],
            80..85 => vec!["3C".to_owned(), "1C".to_owned()],
            _ => Vec::new(),
        };
    }
    let draw = draw_classes(&manifest, 31, 7)?;
    let classes: Vec<_> = draw.classes.iter().map(|c| (c.label.as_str(), c.found, c.wanted, c.drawn)).collect();
    assert_eq!(classes, [("1C", 60, 11, 11), ("2C", 20, 10, 10), ("3C", 5, 10, 5)]);
    assert_eq!((draw.unlabelled, draw.manifest.len(), draw.indices.len()), (15, 26, 26));
    assert!(draw.indices.windows(2).all(|pair| pair[0] < pair[1]) && draw.indices.iter().all(|&index| index < 85));
    assert!((80..85).all(|index| draw.indices.contains(&index)));
    assert!(draw.manifest.history[0].contains("26 of 100 by label"), "{:?}", draw.manifest.history);
    assert_eq!(draw_classes(&manifest, 31, 7)?.indices, draw.indices);
    assert_ne!(draw_classes(&manifest, 31, 8)?.indices, draw.indices);
    // What stands before a cutout in the list does not matter.
    manifest.rows.reverse();
    let again = draw_classes(&manifest, 31, 7)?;
    let names = |set: &Manifest| set.rows.iter().map(|row| row.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(names(&again.manifest), names(&draw.manifest));
    manifest.rows.iter_mut().for_each(|row| row.labels.clear());
    let refused = draw_classes(&manifest, 3, 1).expect_err("no labels");
    assert!(refused.to_string().contains("labels is on none of 100 cutouts"), "{refused}");
    Ok(())
}
