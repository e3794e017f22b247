//! One manifest over ten thousand mosaics: nothing is opened too early, and few files are open at a time.

use std::{error::Error as StdError, fs, path::Path, time::Instant};

use ndarray::Array2;
use radio_io::{
    EdgePolicy, FrameSettings, Manifest, MosaicEntry, MosaicPool, Survey, Wcs, data_set::Watch, data_set::table1,
    write_image,
};
use rayon::prelude::*;

type Test = Result<(), Box<dyn StdError>>;

const MOSAICS: usize = 10_000;

/// How many descriptors and how many maps of this process belong to files of a folder.
#[cfg(target_os = "linux")]
fn open_files(folder: &Path) -> std::io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir("/proc/self/fd")? {
        count += usize::from(fs::read_link(entry?.path()).is_ok_and(|target| target.starts_with(folder)));
    }
    let folder = folder.to_string_lossy();
    Ok(count + fs::read_to_string("/proc/self/maps")?.lines().filter(|line| line.contains(&*folder)).count())
}

#[test]
#[cfg(target_os = "linux")]
fn ten_thousand_mosaics_need_few_open_files() -> Test {
    let folder = tempfile::tempdir()?;
    let there = folder.path().canonicalize()?;
    let template = there.join("template.fits");
    let cards = Wcs::north_up("TAN", (150.0, 2.0), (3.5, 3.5), 1.0)?.cards();
    write_image(&template, &Array2::from_shape_fn((8, 8), |(row, col)| (row * 8 + col) as f32), &cards)?;
    let mut bytes = fs::read(&template)?;
    let first_pixel = bytes.len() - 2880;
    let mut mosaics = Vec::with_capacity(MOSAICS);
    for number in 0..MOSAICS {
        bytes[first_pixel..first_pixel + 4].copy_from_slice(&(1000.0 + number as f32).to_be_bytes());
        let path = there.join(format!("m{number:05}.fits"));
        fs::write(&path, &bytes)?;
        mosaics.push(MosaicEntry::of_file(path, &format!("m{number:05}")));
    }
    let frames = FrameSettings { size: 8, step: 8, edge: EdgePolicy::Drop, max_blank_fraction: 0.3 };
    let survey = Survey { name: "many".into(), mosaics, frames, labels: None };
    let begun = Instant::now();
    let manifest = Manifest::scan_blind(&survey, None, &Watch::default())?;
    let made = begun.elapsed();
    assert_eq!((manifest.len(), open_files(&there)?), (MOSAICS, 0));
    let path = there.join("many.parquet");
    manifest.write(&path)?;

    let begun = Instant::now();
    let manifest = Manifest::read(&path)?;
    let pool = MosaicPool::new(&manifest, MosaicPool::DEFAULT_CAPACITY);
    let first = pool.pixels(&manifest, MOSAICS - 1)?;
    let started = begun.elapsed();
    eprintln!("made in {made:?}; {MOSAICS} mosaics ready in {started:?}; {} bytes", fs::metadata(&path)?.len());
    assert!(started.as_secs_f64() < 2.0, "start-up took {started:?}");
    assert_eq!((first[[0, 0]], pool.open_count(), open_files(&there)?), (1000.0 + (MOSAICS - 1) as f32, 1, 1));

    // Every mosaic, in an order that runs all over them, from four threads.
    let threads = 4;
    let workers = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let most = workers.install(|| {
        (0..MOSAICS)
            .into_par_iter()
            .try_fold(
                || 0,
                |most, step| -> Result<usize, String> {
                    let index = step * 7919 % MOSAICS;
                    let pixels = pool.pixels(&manifest, index).map_err(|refused| refused.to_string())?;
                    if pixels[[0, 0]] != 1000.0 + index as f32 || pixels[[7, 7]] != 63.0 {
                        return Err(format!("mosaic {index} gave other pixels"));
                    }
                    let open =
                        if step % 97 == 0 { open_files(&there).map_err(|refused| refused.to_string())? } else { 0 };
                    Ok(most.max(open))
                },
            )
            .try_reduce(|| 0, |a, b| Ok(a.max(b)))
    })?;
    // A mosaic that a thread holds, and for a moment the descriptor through which its map was made.
    let limit = MosaicPool::DEFAULT_CAPACITY + 2 * threads;
    assert!((32..=limit).contains(&most), "{most} files were open, at most {limit} expected");
    assert_eq!(pool.open_count(), MosaicPool::DEFAULT_CAPACITY);
    assert_eq!(table1(&manifest).all.images, MOSAICS);
    Ok(())
}

#[test]
fn the_mosaic_not_used_for_longest_is_closed() -> Test {
    let folder = tempfile::tempdir()?;
    let mut mosaics = Vec::new();
    for number in 0..3 {
        let path = folder.path().join(format!("{number}.fits"));
        write_image(&path, &Array2::from_shape_fn((4, 4), |(row, col)| (row + col + number) as f32), &[])?;
        mosaics.push(MosaicEntry::of_file(path, &number.to_string()));
    }
    let frames = FrameSettings { size: 4, step: 4, edge: EdgePolicy::Drop, max_blank_fraction: 0.3 };
    let survey = Survey { name: "three".into(), mosaics, frames, labels: None };
    let manifest = Manifest::scan_blind(&survey, None, &Watch::default())?;
    let pool = MosaicPool::new(&manifest, 2);
    let first = pool.mosaic(0)?;
    pool.mosaic(1)?;
    assert!(std::sync::Arc::ptr_eq(&first, &pool.mosaic(0)?), "still open");
    pool.mosaic(2)?;
    assert!(std::sync::Arc::ptr_eq(&first, &pool.mosaic(0)?), "1 was used before 0");
    pool.mosaic(1)?;
    pool.mosaic(2)?;
    assert!(!std::sync::Arc::ptr_eq(&first, &pool.mosaic(0)?), "now it was closed");
    assert_eq!(pool.open_count(), 2);
    assert!(pool.mosaic(3).is_err());
    Ok(())
}
