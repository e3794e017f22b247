//! Parity with astropy, OpenCV, scikit-image and NumPy: golden values from the folder named by RADIO_SSL_GOLDEN.

#![allow(clippy::unwrap_used)] // a missing golden value fails the test

mod support;

use ndarray::{Array3, Axis, s};
use radio_augment::*;
use support::{Golden, largest_difference, largest_entry, numbers};

/// zscale limits within 1e-6 of their range, pixels within 2e-6.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_zscale_matches_astropy() {
    let golden = Golden::open("preprocess");
    let images = golden.notes["images"].as_object().unwrap();
    assert_eq!(images.len(), 20);
    let mut n_pixels = 0;
    for (name, note) in images {
        let image = golden.image(&format!("{name}.input"));
        for contrast in [0.25, 0.4] {
            let note = &note[format!("zscale_{contrast}")];
            let limits = zscale_limits(image.as_slice().unwrap(), contrast);
            let (Some(low), Some(high)) = (note["vmin"].as_f64(), note["vmax"].as_f64()) else {
                assert!(note["error"].is_string() && limits.is_none(), "{name}: {note} vs {limits:?}");
                continue;
            };
            let limits = limits.unwrap();
            let tolerance = 1e-6 * (high - low);
            let off = (limits.low - low).abs().max((limits.high - high).abs());
            assert!(off <= tolerance, "{name} {contrast}: {limits:?} vs {low}, {high}");

            let stretch = StretchLimits { clip: limits, zscale: [Some(limits); 3] };
            let channels = Recipe::paper(32).stretch(image.view(), &stretch);
            let want = golden.image(&format!("{name}.zscale_{contrast}"));
            // Infinite pixels are blank here and saturated there.
            let want =
                ndarray::Zip::from(&want).and(&image).map_collect(|w, v| if v.is_finite() { *w } else { f32::NAN });
            for channel in channels.outer_iter() {
                let off = largest_difference(channel, &want);
                assert!(off <= 2e-6, "{name} {contrast}: pixels off by {off:e}");
                n_pixels += want.len();
            }
        }
    }
    assert!(n_pixels > 1_000_000);
}

/// Bounds within 1e-6 of their size, after five rounds and until stable.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_sigma_clip_matches_astropy() {
    let golden = Golden::open("preprocess");
    let mut compared = 0;
    for (name, note) in golden.notes["images"].as_object().unwrap() {
        let image = golden.image(&format!("{name}.input"));
        let good: Vec<f32> = image.iter().copied().filter(|v| v.is_finite() && *v != 0.0).collect();
        for (key, rounds) in [("sigma_clip_maxiters_5", 5), ("sigma_clip_until_stable", usize::MAX)] {
            let note = &note[key];
            let bounds = sigma_clip_bounds(&good, 5.0, 30.0, rounds);
            let (Some(low), Some(high)) = (note["low"].as_f64(), note["high"].as_f64()) else {
                assert!(note["error"].is_string() && bounds.is_none(), "{name}: {note} vs {bounds:?}");
                continue;
            };
            let bounds = bounds.unwrap();
            assert_eq!(good.len() as u64, note["used"].as_u64().unwrap(), "{name}");
            for (got, want) in [(bounds.low, low), (bounds.high, high)] {
                assert!((got - want).abs() <= 1e-6 * want.abs(), "{name} {key}: {got} vs {want}");
            }
            let inside = good.iter().filter(|v| (bounds.low..=bounds.high).contains(&f64::from(**v))).count();
            assert_eq!(inside as u64, note["kept"].as_u64().unwrap(), "{name} {key}");
            compared += 1;
        }
    }
    assert_eq!(compared, 38);
}

/// Clip and two zscales, MinMax over every pixel, resize: the paper's order, zeros are data. Within 1e-5.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_preprocess_chain_matches() {
    let golden = Golden::open("preprocess");
    let recipe = Recipe { order: StageOrder::Paper, ..Recipe::paper(224) };
    let got = recipe.channels(golden.image("scorpio_1.input").view()).unwrap();
    let off = largest_difference(&got, &golden.channels("scorpio_1.chain"));
    assert!(off <= 1e-5, "off by {off:e}");
}

/// Half-pixel bilinear of torch, scikit-image and OpenCV; within 5e-6.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_imaging_resize_matches() {
    let golden = Golden::open("imaging");
    for (name, rows, cols) in [("real_256", 224, 224), ("small_7x9", 4, 5), ("small_7x9", 7, 9), ("small_7x9", 13, 20)]
    {
        let got = resize_bilinear(golden.image(&format!("{name}.input")).view(), rows, cols, Edge::Repeat);
        for kind in ["torch_bilinear", "skimage_order1", "cv2_linear"] {
            let want = golden.image(&format!("{name}.resize_{rows}x{cols}.{kind}"));
            // Enlarging, scikit-image mirrors the image at its edge, the others repeat the edge pixel.
            let border = usize::from(kind == "skimage_order1" && rows == 13);
            let inner = s![border..rows - border, border..cols - border];
            let off = largest_difference(got.slice(inner), want.slice(inner));
            assert!(off <= 5e-6, "{name} {rows}x{cols} {kind}: off by {off:e}");
        }
    }
}

/// OpenCV's blur with its automatic kernel, and torchvision's with another; border reflect101. Within 5e-6.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_imaging_blur_matches() {
    let golden = Golden::open("imaging");
    let input = golden.image("crop_64x48.input").insert_axis(Axis(0));
    for sigma in [1.0f64, 1.7, 2.0, 3.0] {
        let torch_side = 2 * (4.0 * sigma + 0.5) as usize + 1;
        let opencv_side = (8.0 * sigma + 1.0).round_ties_even() as usize | 1;
        let label = format!("crop_64x48.blur_{sigma:.1}");
        for (key, side) in [
            (format!("{label}.torchvision_kernel{torch_side}_reflect101"), torch_side),
            (format!("{label}.cv2_auto_kernel_reflect101"), opencv_side),
        ] {
            let off = largest_difference(&gaussian_blur(input.view(), sigma, side), &golden.image(&key));
            assert!(off <= 5e-6, "{key}: off by {off:e}");
        }
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_imaging_percentiles_match_numpy() {
    let golden = Golden::open("imaging");
    let qs = numbers(&golden.notes["q"]);
    let percentiles = golden.notes["percentiles"].as_object().unwrap();
    assert_eq!((qs.len(), percentiles.len()), (9, 7));
    for (name, want) in percentiles {
        let name = name.trim_end_matches("(nanpercentile)");
        let values: Vec<f32> = match golden.notes["inline"].get(name) {
            Some(inline) => numbers(inline).into_iter().map(|v| v as f32).collect(),
            None => golden.image(&format!("{name}.input")).into_iter().filter(|v| !v.is_nan()).collect(),
        };
        for (q, want) in qs.iter().zip(numbers(want)) {
            let got = percentile(&values, *q).unwrap();
            assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{name} {q}: {got} vs {want}");
        }
    }
}

/// Asserts that two images agree within 1e-6 of the largest entry.
fn assert_close(key: &str, got: &Array3<f32>, want: &Array3<f32>) {
    assert_eq!(got.dim(), want.dim(), "{key}");
    let off = largest_difference(got, want) / largest_entry(want);
    assert!(off <= 1e-6, "{key}: off by {off:e} of the largest entry");
}

fn input_of(golden: &Golden, key: &str) -> Array3<f32> {
    golden.channels(&format!("{}.input", key.split_once('.').unwrap().0))
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_augment_crop_and_turns_match() {
    let golden = Golden::open("augment");
    let crops = golden.notes["crop_resize"].as_object().unwrap();
    assert_eq!(crops.len(), 15);
    for (key, note) in crops {
        let number = |name: &str| note[name].as_u64().unwrap() as usize;
        let draw = CropDraw { fraction: note["fraction"].as_f64().unwrap(), top: number("top"), left: number("left") };
        assert_close(key, &crop_resize(input_of(&golden, key).view(), draw), &golden.channels(key));
    }

    let frame = golden.channels("three_64x48.input");
    for (key, got) in [
        ("flip_horizontal", flip(frame.clone(), FlipDraw::Horizontal)),
        ("flip_vertical", flip(frame.clone(), FlipDraw::Vertical)),
        ("rot90_1", quarter_turns(frame.view(), 1)),
        ("rot90_2", quarter_turns(frame.view(), 2)),
        ("rot90_3", quarter_turns(frame.view(), 3)),
    ] {
        assert_eq!(got, golden.channels(&format!("three_64x48.{key}")), "{key}");
    }
    for turns in [1, 3] {
        let key = format!("three_64x48.rot90_{turns}_size_kept");
        assert_close(&key, &quarter_turns_keeping_size(frame.view(), turns), &golden.channels(&key));
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_augment_blur_matches() {
    let golden = Golden::open("augment");
    for (sigma, side) in golden.notes["kernel_sides"].as_object().unwrap() {
        assert_eq!(blur_kernel_side(sigma.parse().unwrap()) as u64, side.as_u64().unwrap());
    }
    let blurred: Vec<String> = golden.names().into_iter().filter(|name| name.contains(".blur_")).collect();
    assert_eq!(blurred.len(), 10);
    for key in blurred {
        let sigma: f64 = key.split_once(".blur_").unwrap().1.parse().unwrap();
        let got = gaussian_blur(input_of(&golden, &key).view(), sigma, blur_kernel_side(sigma));
        assert_close(&key, &got, &golden.channels(&key));
    }
}

/// Exactly the same pixels vanish.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_augment_threshold_matches() {
    let golden = Golden::open("augment");
    let notes = golden.notes["threshold"].as_object().unwrap();
    assert_eq!(notes.len(), 9);
    for (key, note) in notes {
        let q: f64 = key.split_once(".threshold_").unwrap().1.parse().unwrap();
        let input = input_of(&golden, key);
        for (channel, cut) in input.outer_iter().zip(numbers(&note["cuts"])) {
            let good: Vec<f32> = channel.iter().copied().filter(|v| *v != 0.0).collect();
            let got = percentile(&good, q).unwrap();
            assert!((got - cut).abs() <= 1e-12 * cut.abs(), "{key}: cut {got} vs {cut}");
        }
        let got = threshold_percentile(input, q, BlankRule::ZeroIsBlank);
        let zeros: Vec<f64> = got.outer_iter().map(|c| c.iter().filter(|v| **v == 0.0).count() as f64).collect();
        assert_eq!(zeros, numbers(&note["zeros"]), "{key}");
        if golden.names().contains(key) {
            assert_eq!(got, golden.channels(key), "{key}");
        }
    }
}

fn jitter_draw(note: &serde_json::Value) -> JitterDraw {
    let number = |name: &str| note[name].as_f64().unwrap();
    JitterDraw {
        brightness: number("brightness"),
        contrast: number("contrast"),
        saturation: number("saturation"),
        hue: number("hue"),
    }
}

/// Each stage follows our own stage before it, and the fused jitter gives the last.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_augment_jitter_matches_stage_by_stage() {
    let golden = Golden::open("augment");
    let (names, mut compared) = (golden.names(), 0);
    for image in ["one_256", "three_96", "three_64x48"] {
        for (index, note) in golden.notes["jitter"].as_array().unwrap().iter().enumerate() {
            let draw = jitter_draw(note);
            let input = golden.channels(&format!("{image}.input"));
            let fused = color_jitter(input.clone(), &draw, BlankRule::ZeroIsBlank);
            let mut stage = jitter_min_max(input, BlankRule::ZeroIsBlank);
            for name in ["min_max", "brightness", "contrast", "saturation", "hue", "clip"] {
                stage = match name {
                    "brightness" => add_brightness(stage, draw.brightness),
                    "contrast" => scale_contrast(stage, draw.contrast),
                    "saturation" => scale_saturation(stage, draw.saturation),
                    "hue" => shift_hue(stage, draw.hue),
                    "clip" => clip_to_unit(stage),
                    _ => stage,
                };
                let key = format!("{image}.jitter_{index}.{name}");
                if names.contains(&key) {
                    assert_close(&key, &stage, &golden.channels(&key));
                    compared += 1;
                }
            }
            let key = format!("{image}.jitter_{index}.clip");
            if names.contains(&key) {
                assert_close(&format!("{key} (fused)"), &fused, &golden.channels(&key));
            }
        }
    }
    assert_eq!(compared, 21);
}

/// Every step of one chain from the stored step before it.
#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_augment_chain_matches_step_by_step() {
    let golden = Golden::open("augment");
    let note = &golden.notes["chain"];
    let crop = CropDraw {
        fraction: note["crop"]["fraction"].as_f64().unwrap(),
        top: note["crop"]["top"].as_u64().unwrap() as usize,
        left: note["crop"]["left"].as_u64().unwrap() as usize,
    };
    assert_eq!((note["horizontal_flip"].as_bool(), note["vertical_flip"].as_bool()), (Some(true), Some(false)));
    let draws = [
        ("crop_resize", StepDraw::CropResize(crop)),
        ("color_jitter", StepDraw::ColorJitter(jitter_draw(&note["jitter"]))),
        ("flip", StepDraw::Flip(FlipDraw::Horizontal)),
        ("rotate", StepDraw::QuarterTurns(note["quarter_turns_clockwise"].as_u64().unwrap() as u32)),
        ("blur", StepDraw::Blur(note["sigma"].as_f64().unwrap())),
        ("threshold", StepDraw::Threshold(note["percentile"].as_f64().unwrap())),
    ];
    let mut before = golden.channels("three_96.input");
    for (name, draw) in draws {
        let want = golden.channels(&format!("three_96.chain.{name}"));
        assert_close(name, &draw.apply(before, BlankRule::ZeroIsBlank), &want);
        before = want;
    }
    let cuts = numbers(&note["cuts"]);
    let blurred = golden.channels("three_96.chain.blur");
    for (c, cut) in cuts.iter().enumerate() {
        let good: Vec<f32> = blurred.slice(s![c, .., ..]).iter().copied().filter(|v| *v != 0.0).collect();
        assert!((percentile(&good, 52.6).unwrap() - cut).abs() <= 1e-12);
    }
}
