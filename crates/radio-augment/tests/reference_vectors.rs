//! The image and the numbers of reference-facts J1 and J2, computed once with astropy, scikit-image and NumPy.

#![allow(clippy::unwrap_used)]

mod support;

use ndarray::Array2;
use radio_augment::*;
use support::reference_image;

/// The image as upstream sees it: NaN is 0.
fn zero_filled() -> Array2<f32> {
    reference_image(256).mapv(|v| if v.is_nan() { 0.0 } else { v })
}

fn good_pixels() -> Vec<f32> {
    zero_filled().into_iter().filter(|v| *v != 0.0).collect()
}

fn close(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance * want.abs(), "{got} vs {want}");
}

#[test]
fn the_image_itself() {
    let image = zero_filled();
    for (x, want) in [1.231_259_83e-5, -2.595_748_81e-5, -2.265_701_55e-5, -2.095_820_86e-5].into_iter().enumerate() {
        close(image[[128, x]].into(), want, 1e-7);
    }
    close(image[[90, 140]].into(), 1.984_009_52e-3, 1e-7);
    close(image.iter().map(|v| f64::from(*v)).sum(), 0.203_932_612_387, 1e-10);
    assert_eq!(good_pixels().len(), 60_415);
}

#[test]
fn sigma_clip_bounds_of_four_settings() {
    let good = good_pixels();
    for (low, up, want_low, want_high, outside) in [
        (5.0, 30.0, -2.173_719_534_86e-4, 1.305_870_205_05e-3, 45),
        (3.0, 3.0, -5.194_033_906_30e-5, 5.217_563_206_41e-5, 393),
        (10.0, 10.0, -1.809_561_518_20e-4, 1.812_804_317_29e-4, 242),
        // J2 lists this one as (0, 20), for astropy reads a 0 as its default of 3, and with fewer digits.
        (3.0, 20.0, -6.586_110_57e-5, 4.405_695_60e-4, 147),
    ] {
        let bounds = sigma_clip_bounds(&good, low, up, 5).unwrap();
        let tolerance = if up == 20.0 { 1e-7 } else { 1e-9 };
        close(bounds.low, want_low, tolerance);
        close(bounds.high, want_high, tolerance);
        let n = good.iter().filter(|v| !(bounds.low..=bounds.high).contains(&f64::from(**v))).count();
        assert_eq!(n, outside, "({low}, {up})");
    }
}

#[test]
fn zscale_limits_of_three_contrasts() {
    let image = zero_filled();
    for (contrast, low, high) in [
        (0.0, -2.539_456_00e-5, 2.554_753_93e-5),
        (0.25, -5.301_110_65e-5, 1.021_901_57e-4),
        (0.4, -5.301_110_65e-5, 6.386_884_81e-5),
    ] {
        let limits = zscale_limits(image.as_slice().unwrap(), contrast).unwrap();
        close(limits.low, low, 1e-8);
        close(limits.high, high, 1e-8);
    }
}

#[test]
fn percentiles_of_the_good_pixels() {
    let good = good_pixels();
    for (q, want) in
        [(40.0, -4.317_946_88e-6), (47.3, -9.757_145_79e-7), (50.0, 2.453_541_01e-7), (60.0, 4.826_214_90e-6)]
    {
        close(percentile(&good, q).unwrap(), want, 1e-8);
    }
}

#[test]
fn bilinear_resize_from_256_to_224() {
    let out = resize_bilinear(zero_filled().view(), 224, 224, Edge::Zero);
    for (y, x, want) in [
        (78, 122, 1.921_841_126_33e-3),
        (79, 122, 1.948_829_981_43e-3),
        (150, 3, -5.911_113_476_03e-6),
        (17, 100, 2.829_436_588_01e-6),
    ] {
        assert!((f64::from(out[[y, x]]) - want).abs() < 1e-9, "({y}, {x}): {} vs {want}", out[[y, x]]);
    }
    close(out.iter().map(|v| f64::from(*v)).sum(), 0.156_115_704_902, 1e-6);
}

/// Upstream's recipe to upstream's numbers, and the counts of exact zeros and ones.
#[test]
fn the_whole_recipe_under_upstreams_rule() {
    let recipe = Recipe { blanks: BlankRule::ZeroIsBlank, upscale: false, ..Recipe::paper(224) };
    let channels = recipe.channels(reference_image(256).view()).unwrap();
    let means = [0.033_902_065_2, 0.292_476_496, 0.392_345_704];
    let at_150_3 = [0.029_992_587_1, 0.272_836_099, 0.367_592_480];
    // J2 counts 195 and 229: scikit-image lets 5 and 6 pixels between four saturated ones fall one rounding short of 1. Ours are
    // the pixels whose four neighbours are all saturated.
    let ones = [28, 200, 235];
    for (c, channel) in channels.outer_iter().enumerate() {
        let mean = channel.iter().map(|v| f64::from(*v)).sum::<f64>() / channel.len() as f64;
        assert!((mean - means[c]).abs() < 1e-6, "channel {c}: mean {mean}");
        assert!((f64::from(channel[[150, 3]]) - at_150_3[c]).abs() < 1e-6, "channel {c}: {}", channel[[150, 3]]);
        assert_eq!(channel[[78, 122]], 1.0, "channel {c}");
        let count = |value: f32| channel.iter().filter(|v| **v == value).count();
        assert_eq!((count(0.0), count(1.0)), (3809, ones[c]), "channel {c}");
    }
}

/// With a real mask the zeros of the first rows are data, and only the NaN's surroundings know of the NaN.
#[test]
fn under_the_mask_rule_zeros_are_data() {
    let channels = Recipe::paper(224).channels(reference_image(256).view()).unwrap();
    let clip = channels.index_axis(ndarray::Axis(0), 0);
    assert!(clip[[5, 100]] > 0.02, "a zero is as good as the noise around it: {}", clip[[5, 100]]);
    let mut moved = reference_image(256);
    moved[[200, 200]] = 5e-5; // no blank at all; within the range of the noise
    let other = Recipe::paper(224).channels(moved.view()).unwrap();
    let differing = clip.indexed_iter().filter(|(at, v)| (*v - other[[0, at.0, at.1]]).abs() > 1e-3).count();
    assert!((1..=4).contains(&differing), "{differing} pixels differ");
}
