//! Flux statistics and complexity of skies whose answer is known.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use std::f64::consts::TAU;

use frame_features::{
    ComplexityConfig, FLUX_STATISTICS, FeatureError, complexity_names, flux_statistics, gzip_complexity,
};
use ndarray::{Array2, Array3, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RMS_JY_BEAM: f64 = 30e-6;

/// Normal noise of 30 µJy/beam around `level_jy_beam` (Box and Muller).
fn noise(rows: usize, cols: usize, level_jy_beam: f64, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((rows, cols), || {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let normal = radius * (TAU * rng.random::<f64>()).cos();
        (level_jy_beam + RMS_JY_BEAM * normal) as f32
    })
}

fn value(statistics: &[f32], name: &str) -> f32 {
    assert_eq!(statistics.len(), FLUX_STATISTICS.len());
    statistics[FLUX_STATISTICS.iter().position(|n| *n == name).unwrap()]
}

#[test]
fn noise_with_two_sources_and_a_blank_strip() {
    let mut cutout = noise(200, 160, 1e-4, 1);
    // Two squares of 50 and 20 rms above the level, 6 x 6 and 3 x 4 pixels.
    for (rows, cols, snr) in [(20..26, 30..36, 50.0), (120..123, 90..94, 20.0)] {
        for (y, x) in rows.flat_map(|y| cols.clone().map(move |x| (y, x))) {
            cutout[(y, x)] = (1e-4 + snr * RMS_JY_BEAM) as f32;
        }
    }
    cutout.column_mut(0).fill(f32::NAN);
    let statistics = flux_statistics(cutout.view()).unwrap();
    let close = |name: &str, expected: f64, tolerance: f64| {
        let found = f64::from(value(&statistics, name));
        assert!((found - expected).abs() <= tolerance, "{name}: {found}, expected {expected} +- {tolerance}");
    };
    close("rms_jy_beam", RMS_JY_BEAM, 0.02 * RMS_JY_BEAM);
    close("median_jy_beam", 1e-4, 0.03 * RMS_JY_BEAM);
    close("max_snr", 50.0, 1.5);
    close("blank_fraction", 1.0 / 160.0, 1e-7);
    close("n_islands", 2.0, 0.0);
    close("area_above_5_rms_px", 48.0, 0.0);
    // Touching noise pixels above 2.5 rms join; about 20 neighbours at 0.6 % each.
    close("largest_island_px", 37.0, 1.0);
    // 0.135 % of 31,800 noise pixels lie above 3 rms (43), at about 3.3 rms each.
    close("area_above_3_rms_px", 48.0 + 43.0, 25.0);
    close("sum_above_3_rms_jy_beam", (36.0 * 50.0 + 12.0 * 20.0 + 43.0 * 3.3) * RMS_JY_BEAM, 150.0 * RMS_JY_BEAM);
    for (name, expected) in [
        ("snr_p1", -2.326),
        ("snr_p5", -1.645),
        ("snr_p25", -0.674),
        ("snr_p50", 0.0),
        ("snr_p75", 0.674),
        ("snr_p95", 1.645),
        ("snr_p99", 2.34),
    ] {
        close(name, expected, 0.08);
    }
    // Turning the cutout moves nothing, to the last bit.
    let mut turned = cutout.t().to_owned();
    turned.invert_axis(Axis(0));
    assert_eq!(flux_statistics(turned.view()).unwrap(), statistics);
    // A change of unit scales what has a unit and nothing else.
    let milli = flux_statistics((&cutout * 1024.0).view()).unwrap();
    for (i, name) in FLUX_STATISTICS.iter().enumerate() {
        let expected = if name.ends_with("jy_beam") { 1024.0 * statistics[i] } else { statistics[i] };
        assert_eq!(milli[i], expected, "{name}");
    }
}

#[test]
fn constant_single_and_blank_cutouts() {
    for shape in [(1, 1), (5, 3)] {
        let mut statistics = flux_statistics(Array2::from_elem(shape, 0.25).view()).unwrap();
        assert_eq!(value(&statistics, "median_jy_beam"), 0.25);
        statistics[1] = 0.0;
        assert!(statistics.iter().all(|v| *v == 0.0), "{statistics:?}");
    }
    let blank = flux_statistics(Array2::from_elem((4, 6), f32::NAN).view());
    assert_eq!(blank, Err(FeatureError::AllBlank { channel: 0, rows: 4, cols: 6 }));
    assert_eq!(
        flux_statistics(Array2::zeros((0, 6)).view()),
        Err(FeatureError::Empty { channels: 1, rows: 0, cols: 6 })
    );
    // More than half zeros: the root mean square stands in. One pixel of 8 among 64: sqrt(64 / 64) = 1.
    let mut mostly_zero = Array2::zeros((8, 8));
    mostly_zero[(2, 6)] = 8.0;
    let statistics = flux_statistics(mostly_zero.view()).unwrap();
    let found = ["rms_jy_beam", "max_snr", "n_islands", "largest_island_px"].map(|name| value(&statistics, name));
    assert_eq!(found, [1.0, 8.0, 1.0, 1.0]);
}

fn with_discs(n_discs: usize) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut sky = Array2::<f32>::zeros((128, 128));
    for _ in 0..n_discs {
        let (cy, cx, level) = (rng.random_range(10..118), rng.random_range(10..118), rng.random_range(0.3..1.0f32));
        for ((y, x), pixel) in sky.indexed_iter_mut() {
            if y.abs_diff(cy).pow(2) + x.abs_diff(cx).pow(2) < 30 {
                *pixel = pixel.max(level);
            }
        }
    }
    sky
}

#[test]
fn complexity_grows_with_structure() {
    let config = ComplexityConfig::two_scales();
    let bytes = |sky: &Array2<f32>| gzip_complexity(sky.view().insert_axis(Axis(0)), &config).unwrap();
    let skies = [0, 1, 3, 10, 30].map(with_discs).to_vec();
    let mut sizes: Vec<Vec<f32>> = skies.iter().map(bytes).collect();
    sizes.push(bytes(&noise(128, 128, 0.0, 2)));
    for scale in [0, 2] {
        let at_scale: Vec<f32> = sizes.iter().map(|s| s[scale]).collect();
        assert!(at_scale.is_sorted_by(|a, b| 1.1 * a < *b), "column {scale}: {at_scale:?}");
    }
    // Relative to shuffled pixels: a constant sky is 1, discs are ordered, noise is not.
    for scale in [1, 3] {
        let [constant, discs, noise] = [0, 3, 5].map(|sky| sizes[sky][scale]);
        assert!(constant == 1.0 && discs < 0.8 && noise > 0.95, "column {scale}: {constant} {discs} {noise}");
    }
    // The unit does not matter, and twice the same is the same.
    assert_eq!(bytes(&(&skies[3] * 1e-6)), sizes[3]);
    assert_eq!(bytes(&skies[3]), sizes[3]);
}

#[test]
fn complexity_of_channels_in_order_and_of_bad_input() {
    let config = ComplexityConfig { sides: vec![32, 16, 8], threshold_percentile: 50.0 };
    let mut channels = Array3::zeros((2, 40, 30));
    channels.index_axis_mut(Axis(0), 1).assign(&noise(40, 30, 0.0, 3));
    let sizes = gzip_complexity(channels.view(), &config).unwrap();
    let names = complexity_names(2, &config);
    assert_eq!(sizes.len(), names.len());
    assert_eq!(
        [&names[0], &names[3], &names[6]],
        ["channel0_gzip32_bytes", "channel0_gzip16_relative", "channel1_gzip32_bytes"]
    );
    assert!(sizes[6] > 5.0 * sizes[0] && sizes[6] > sizes[8] && sizes[8] > sizes[10], "{sizes:?}");
    let second = gzip_complexity(channels.slice(ndarray::s![1..2, .., ..]), &config).unwrap();
    assert_eq!(second, sizes[6..]);

    assert_eq!(gzip_complexity(Array3::from_elem((1, 1, 1), 3.0).view(), &config).unwrap(), sizes[..6]);
    channels.index_axis_mut(Axis(0), 0).fill(f32::NAN);
    let blank = gzip_complexity(channels.view(), &config);
    assert_eq!(blank, Err(FeatureError::AllBlank { channel: 0, rows: 40, cols: 30 }));
    let empty = gzip_complexity(Array3::zeros((0, 2, 2)).view(), &config);
    assert_eq!(empty, Err(FeatureError::Empty { channels: 0, rows: 2, cols: 2 }));
    for bad in [
        ComplexityConfig { sides: vec![0], ..config.clone() },
        ComplexityConfig { threshold_percentile: f64::NAN, ..config.clone() },
        ComplexityConfig { threshold_percentile: 101.0, ..config.clone() },
    ] {
        let found = gzip_complexity(Array3::zeros((1, 2, 2)).view(), &bad);
        assert!(matches!(found, Err(FeatureError::Setting { .. })), "{bad:?}");
    }
}
