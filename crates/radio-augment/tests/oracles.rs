//! The fast code against the slow obvious one, on random images of odd sizes; and identities that hold exactly.

#![allow(clippy::unwrap_used)]

mod support;

use ndarray::{Array2, Array3, ArrayView2};
use proptest::prelude::*;
use radio_augment::*;

/// An image from a seed: noise, ties, a few huge values, and blanks if asked for.
fn image(rows: usize, cols: usize, seed: u64, blank_share: f64) -> Array2<f32> {
    Array2::from_shape_fn((rows, cols), |(y, x)| {
        let i = seed.wrapping_mul(1 << 20) + 3 * (y * cols + x) as u64;
        let (u, kind) = (support::splitmix(i), support::splitmix(i + 1));
        if support::splitmix(i + 2) < blank_share {
            f32::NAN
        } else if kind < 0.05 {
            (100.0 * u) as f32
        } else if kind < 0.2 {
            (5.0 * u).floor() as f32
        } else {
            (u - 0.5) as f32
        }
    })
}

/// Sum of weight x value over the pixels that are not blank, divided by their weight; and that weight.
fn weighted(image: ArrayView2<f32>, taps: impl Iterator<Item = (i64, i64, f64)>) -> (f64, f64) {
    let (rows, cols) = image.dim();
    let (mut sum, mut weight) = (0.0, 0.0);
    for (y, x, w) in taps {
        let v = f64::from(image[[y.clamp(0, rows as i64 - 1) as usize, x.clamp(0, cols as i64 - 1) as usize]]);
        if !v.is_nan() {
            (sum, weight) = (sum + w * v, weight + w);
        }
    }
    (sum / weight, weight)
}

fn place(i: usize, from: usize, to: usize) -> f64 {
    (i as f64 + 0.5) * from as f64 / to as f64 - 0.5
}

/// Bilinear by its definition: a triangle of half-width 1 about each place.
fn slow_bilinear(image: ArrayView2<f32>, rows: usize, cols: usize) -> Vec<(f64, f64)> {
    slow_resize(image, rows, cols, |d| (1.0 - d).max(0.0))
}

fn slow_bicubic(image: ArrayView2<f32>, rows: usize, cols: usize) -> Vec<(f64, f64)> {
    slow_resize(image, rows, cols, |d| {
        if d <= 1.0 {
            1.25 * d.powi(3) - 2.25 * d * d + 1.0
        } else if d < 2.0 {
            -0.75 * (d.powi(3) - 5.0 * d * d + 8.0 * d - 4.0)
        } else {
            0.0
        }
    })
}

fn slow_resize(
    image: ArrayView2<f32>,
    rows: usize,
    cols: usize,
    weight: impl Fn(f64) -> f64 + Copy,
) -> Vec<(f64, f64)> {
    let mut out = Vec::new();
    for i in 0..rows {
        for j in 0..cols {
            let (y, x) = (place(i, image.nrows(), rows), place(j, image.ncols(), cols));
            let near = |p: f64| (p.floor() as i64 - 2)..=(p.floor() as i64 + 3);
            let taps = near(y).flat_map(|a| {
                near(x).map(move |b| (a, b, weight((y - a as f64).abs()) * weight((x - b as f64).abs())))
            });
            out.push(weighted(image, taps));
        }
    }
    out
}

fn assert_resized(got: &Array2<f32>, want: &[(f64, f64)], what: &str) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let (want, weight) = *want;
        if (weight - 0.5).abs() < 1e-5 {
            continue; // rounding decides whether such a pixel is blank
        }
        let close = (f64::from(*got) - want).abs() <= 2e-5 * want.abs().max(100.0);
        assert!(if weight > 0.5 { close } else { got.is_nan() }, "{what} {i}: {got} vs {want} with weight {weight}");
    }
}

fn sorted(values: &[f32]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn slow_median(sorted: &[f64]) -> f64 {
    0.5 * (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2])
}

/// Sorts, drops, sorts again.
fn slow_clip(values: &[f32], low: f64, up: f64, rounds: usize) -> (f64, f64) {
    let mut kept = sorted(values);
    let mut bounds = (0.0, 0.0);
    for _ in 0..rounds {
        let (n, median) = (kept.len(), slow_median(&kept));
        let mean = kept.iter().sum::<f64>() / n as f64;
        let std = (kept.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64).sqrt();
        bounds = (median - low * std, median + up * std);
        kept.retain(|v| (bounds.0..=bounds.1).contains(v));
        if kept.len() == n || kept.is_empty() {
            break;
        }
    }
    bounds
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resizing_matches_the_definition(
        rows in 1usize..20, cols in 1usize..20, to_rows in 1usize..30, to_cols in 1usize..30, seed in 0u64..1000,
        blanks in prop::sample::select(vec![0.0, 0.2]),
    ) {
        let image = image(rows, cols, seed, blanks);
        let bilinear = resize_bilinear(image.view(), to_rows, to_cols, Edge::Repeat);
        assert_resized(&bilinear, &slow_bilinear(image.view(), to_rows, to_cols), "bilinear");
        let bicubic = resize_bicubic(image.view(), to_rows, to_cols);
        assert_resized(&bicubic, &slow_bicubic(image.view(), to_rows, to_cols), "bicubic");
    }

    #[test]
    fn blur_matches_the_definition(
        rows in 1usize..14, cols in 1usize..40, sigma in 0.3f64..4.0, side in prop::sample::select(vec![1usize, 5, 9, 13]),
        seed in 0u64..1000, blanks in prop::sample::select(vec![0.0, 0.2]),
    ) {
        let image = image(rows, cols, seed, blanks);
        let blurred = gaussian_blur(image.view().insert_axis(ndarray::Axis(0)), sigma, side);
        let radius = side as i64 / 2;
        let mirror = |i: i64, n: usize| {
            let mut i = i;
            while i < 0 || i >= n as i64 {
                i = if n == 1 { 0 } else if i < 0 { -i } else { 2 * (n as i64 - 1) - i };
            }
            i
        };
        for ((y, x), v) in image.indexed_iter() {
            let got = blurred[[0, y, x]];
            let (mut sum, mut weight) = (0.0, 0.0);
            for dy in -radius..=radius {
                for dx in -radius..=radius {
                    let w = (-((dy * dy + dx * dx) as f64) / (2.0 * sigma * sigma)).exp();
                    let near = image[[mirror(y as i64 + dy, rows) as usize, mirror(x as i64 + dx, cols) as usize]];
                    if !near.is_nan() {
                        (sum, weight) = (sum + w * f64::from(near), weight + w);
                    }
                }
            }
            prop_assert!(if v.is_nan() { got.is_nan() } else { (f64::from(got) - sum / weight).abs() < 1e-4 }, "({y}, {x}): {got}");
        }
    }

    #[test]
    fn percentiles_match_sorting(n in 1usize..12_000, q in 0.0f64..100.0, seed in 0u64..1000) {
        let values = image(1, n, seed, 0.0).into_raw_vec_and_offset().0;
        let sorted = sorted(&values);
        let at = q / 100.0 * (n - 1) as f64;
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        let want = low + (high - low) * at.fract();
        let got = percentile(&values, q).unwrap();
        prop_assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{got} vs {want}");
    }

    #[test]
    fn clipping_matches_sorting(n in 1usize..12_000, low in 1.0f64..6.0, up in 1.0f64..30.0, rounds in 1usize..7, seed in 0u64..1000) {
        let values = image(1, n, seed, 0.0).into_raw_vec_and_offset().0;
        let want = slow_clip(&values, low, up, rounds);
        let got = sigma_clip_bounds(&values, low, up, rounds).unwrap();
        prop_assert!((got.low - want.0).abs() < 1e-9 && (got.high - want.1).abs() < 1e-9, "{got:?} vs {want:?}");
    }

    #[test]
    fn turning_and_mirroring_come_round(rows in 1usize..40, cols in 1usize..40, seed in 0u64..1000) {
        let frame = Array3::from_shape_fn((3, rows, cols), |(c, y, x)| support::splitmix(seed + ((c * rows + y) * cols + x) as u64) as f32);
        let turned = (0..4).fold(frame.clone(), |frame, _| quarter_turns(frame.view(), 1));
        prop_assert_eq!(&turned, &frame);
        prop_assert_eq!(quarter_turns(quarter_turns(frame.view(), 1).view(), 2), quarter_turns(frame.view(), 3));
        for direction in [FlipDraw::Horizontal, FlipDraw::Vertical] {
            prop_assert_eq!(&flip(flip(frame.clone(), direction), direction), &frame);
        }
        let both = flip(flip(frame.clone(), FlipDraw::Horizontal), FlipDraw::Vertical);
        prop_assert_eq!(both, quarter_turns(frame.view(), 2));
        let mirrored_diagonal = flip(quarter_turns(frame.view(), 1), FlipDraw::Horizontal);
        prop_assert_eq!(mirrored_diagonal, frame.permuted_axes([0, 2, 1]));
    }

    /// The one-pass jitter against its stages, blanks and odd channel counts included.
    #[test]
    fn the_fused_jitter_is_its_stages(
        n_channels in 1usize..5, rows in 1usize..9, cols in 1usize..30, seed in 0u64..1000, blank_share in prop::sample::select(vec![0.0, 0.2]),
        brightness in -0.4f64..0.4, contrast in 0.6f64..1.4, saturation in 0.6f64..1.4, hue in -0.1f64..0.1,
        blanks in prop::sample::select(vec![BlankRule::Nan, BlankRule::ZeroIsBlank]),
    ) {
        let blank_value = if blanks == BlankRule::Nan { f32::NAN } else { 0.0 };
        let flat = image(n_channels * rows, cols, seed, blank_share).mapv(|v| if v.is_nan() { blank_value } else { v });
        let frame = flat.into_shape_with_order((n_channels, rows, cols)).unwrap();
        let draw = JitterDraw { brightness, contrast, saturation, hue };
        let fused = color_jitter(frame.clone(), &draw, blanks);
        let staged = add_brightness(jitter_min_max(frame.clone(), blanks), brightness);
        let staged = shift_hue(scale_saturation(scale_contrast(staged, contrast), saturation), hue);
        let staged = clip_to_unit(staged);
        let all_blank = |c: usize| frame.index_axis(ndarray::Axis(0), c).iter().all(|v| v.is_nan() || (*v == 0.0 && blank_value == 0.0));
        prop_assume!(!(0..n_channels).any(all_blank)); // such a channel has no mean
        prop_assert!(support::largest_difference(&fused, &staged) < 5e-6);
    }

    /// Whatever the chain draws: same size, blanks only where NaN was near, and the recipe's end is finite in [0, 1].
    #[test]
    fn views_are_finite_and_in_range(
        rows in 5usize..40, cols in 5usize..40, size in 1usize..40, seed in 0u64..1000,
        order in prop::sample::select(vec![StageOrder::Paper, StageOrder::PaperCode]),
        blanks in prop::sample::select(vec![BlankRule::Nan, BlankRule::ZeroIsBlank]), upscale: bool,
    ) {
        let recipe = Recipe { order, blanks, upscale, ..Recipe::paper(size) };
        let cutout = image(rows, cols, seed, 0.1);
        let Ok(limits) = recipe.limits(cutout.view()) else { return Ok(()) };
        let stretched = recipe.stretch(cutout.view(), &limits);
        prop_assert_eq!(stretched.dim(), (3, rows, cols));
        let augmented = Augmenter::hulk().apply_with_blanks(stretched.clone(), blanks, &mut view_rng(seed, 0, 0, 0));
        prop_assert_eq!(augmented.dim(), (3, rows, cols));
        let results = [recipe.channels(cutout.view()), recipe.view(stretched, &Augmenter::hulk(), &mut view_rng(seed, 0, 0, 1))];
        for channels in results.into_iter().flatten() {
            prop_assert_eq!(channels.dim(), (3, size, size));
            prop_assert!(channels.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }
}

/// A sample that points elsewhere: the exact answer comes all the same.
#[test]
fn order_statistics_survive_a_misleading_layout() {
    for n in [5_000usize, 65_536] {
        let mut values = vec![0.0f32; n];
        let stride = n / 1024;
        for (i, v) in values.iter_mut().enumerate() {
            *v = if i % stride == 0 { 1e6 } else { (i % 1000) as f32 };
        }
        let sorted = sorted(&values);
        for q in [0.0, 1.0, 50.0, 99.9, 100.0] {
            let at = q / 100.0 * (n - 1) as f64;
            let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
            assert!((percentile(&values, q).unwrap() - (low + (high - low) * at.fract())).abs() < 1e-6);
        }
        values.sort_by(f32::total_cmp);
        assert_eq!(percentile(&values, 50.0), Some(slow_median(&sorted)));
        values.reverse();
        assert_eq!(percentile(&values, 50.0), Some(slow_median(&sorted)));
    }
}

/// Weights of blanks are kept from one channel to the next only while the blanks are the same.
#[test]
fn channels_with_blanks_of_their_own_do_not_mix() {
    let planes: Vec<Array2<f32>> =
        [0.2, 0.2, 0.0, 0.3].iter().enumerate().map(|(c, share)| image(20, 30, 5 + c as u64 / 2, *share)).collect();
    let views: Vec<ArrayView2<f32>> = planes.iter().map(|plane| plane.view()).collect();
    let frame = ndarray::stack(ndarray::Axis(0), &views).unwrap();
    let crop = CropDraw { fraction: 0.8, top: 2, left: 5 };
    for step in [StepDraw::CropResize(crop), StepDraw::Blur(1.5), StepDraw::QuarterTurns(1)] {
        let change = |frame: ndarray::ArrayView3<f32>| step.apply(frame.to_owned(), BlankRule::Nan);
        let together = change(frame.view());
        assert!(together.iter().any(|v| v.is_nan()));
        for c in 0..4 {
            let alone = change(frame.slice(ndarray::s![c..c + 1, .., ..]));
            assert_eq!(support::largest_difference(&alone, together.slice(ndarray::s![c..c + 1, .., ..])), 0.0, "{c}");
        }
    }
}
