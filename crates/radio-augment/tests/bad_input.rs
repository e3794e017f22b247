//! Cutouts a survey really has: all blank, flat, at the edge of the map, of one pixel, not square. The right error, no panic.

#![allow(clippy::unwrap_used)]

mod support;

use ndarray::{Array2, Array3};
use radio_augment::*;

fn noise(rows: usize, cols: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, cols), |(y, x)| support::splitmix((y * cols + x) as u64) as f32)
}

#[test]
fn nothing_but_blanks() {
    for cutout in [Array2::from_elem((9, 7), f32::NAN), Array2::from_elem((9, 7), f32::INFINITY)] {
        let error = Recipe::paper(16).channels(cutout.view()).unwrap_err();
        assert_eq!(error, RecipeError::AllBlank { rows: 9, cols: 7, pixels: 63 });
        assert!(error.to_string().contains("9 x 7"), "{error}");
    }
    let empty = Array2::zeros((0, 5));
    assert!(matches!(Recipe::paper(16).channels(empty.view()), Err(RecipeError::AllBlank { pixels: 0, .. })));
    assert!(matches!(Recipe::paper(16).finish(Array3::zeros((3, 0, 5))), Err(RecipeError::AllBlank { pixels: 0, .. })));
    let upstream = Recipe { blanks: BlankRule::ZeroIsBlank, ..Recipe::paper(16) };
    assert!(matches!(upstream.channels(Array2::zeros((4, 4)).view()), Err(RecipeError::AllBlank { pixels: 16, .. })));
}

#[test]
fn a_flat_cutout_is_refused() {
    for value in [0.0f32, 0.25, -3e-5] {
        let flat = Array2::from_elem((12, 12), value);
        let error = Recipe::paper(16).channels(flat.view()).unwrap_err();
        assert_eq!(error, RecipeError::ConstantChannel { channel: 0, value: f64::from(value) });
        assert!(error.to_string().contains("expected at least two"), "{error}");
    }
    assert!(matches!(
        Recipe::paper(16).channels(Array2::ones((1, 1)).view()),
        Err(RecipeError::ConstantChannel { .. })
    ));
}

#[test]
fn the_blank_limit_is_inclusive() {
    let mut cutout = noise(10, 10);
    cutout.iter_mut().take(30).for_each(|v| *v = f32::NAN);
    let channels = Recipe::paper(10).channels(cutout.view()).unwrap(); // 30 %: the first three rows
    assert!(channels.slice(ndarray::s![.., ..3, ..]).iter().all(|v| *v == 0.0));
    assert!(channels.slice(ndarray::s![.., 3.., ..]).iter().filter(|v| **v > 0.0).count() > 200);
    cutout[[3, 0]] = f32::NEG_INFINITY;
    assert_eq!(Recipe::paper(10).limits(cutout.view()), Err(RecipeError::TooBlank { found: 0.31, limit: 0.3 }));
    let generous = Recipe { max_blank_fraction: 1.0, ..Recipe::paper(10) };
    assert!(generous.channels(cutout.view()).is_ok());
}

#[test]
fn frames_that_are_not_square_keep_their_shape() {
    let cutout = noise(40, 20) + 1.0;
    let channels = Recipe::paper(20).channels(cutout.view()).unwrap(); // 20 x 10, five zero columns on either side
    for c in 0..3 {
        let filled: Vec<usize> =
            (0..20).filter(|x| channels.slice(ndarray::s![c, .., *x]).iter().any(|v| *v > 0.0)).collect();
        assert_eq!(filled, (5..15).collect::<Vec<_>>());
    }
    let small = Recipe { upscale: false, ..Recipe::paper(50) };
    let channels = small.channels(cutout.view()).unwrap();
    let filled = |axis: usize| {
        let lanes = channels
            .index_axis(ndarray::Axis(0), 0)
            .axis_iter(ndarray::Axis(axis))
            .map(|lane| lane.iter().any(|v| *v > 0.0))
            .collect::<Vec<_>>();
        (lanes.iter().position(|v| *v).unwrap(), lanes.iter().rposition(|v| *v).unwrap())
    };
    assert_eq!((filled(0), filled(1)), ((5, 44), (15, 34)));
}

/// Views into larger arrays, transposed or stepped, are as good as contiguous ones.
#[test]
fn memory_layout_does_not_matter() {
    let cutout = noise(30, 24);
    let want = Recipe::paper(16).channels(cutout.view()).unwrap();
    let turned = cutout.t().as_standard_layout().into_owned();
    assert_eq!(Recipe::paper(16).channels(turned.t()).unwrap(), want);
    let mut large = Array2::zeros((60, 48));
    large.slice_mut(ndarray::s![..;2, ..;2]).assign(&cutout);
    assert_eq!(Recipe::paper(16).channels(large.slice(ndarray::s![..;2, ..;2])).unwrap(), want);

    let recipe = Recipe::paper(16);
    let stretched = recipe.stretch(cutout.view(), &recipe.limits(cutout.view()).unwrap());
    let column_major = Array3::from_shape_fn(ndarray::ShapeBuilder::f(stretched.dim()), |at| stretched[at]);
    assert!(!column_major.is_standard_layout());
    for seed in 0..40 {
        let rng = || view_rng(seed, 0, 0, 0);
        let want = Augmenter::hulk().apply(stretched.clone(), &mut rng());
        let got = Augmenter::hulk().apply(column_major.clone(), &mut rng());
        assert_eq!(support::largest_difference(&got, &want), 0.0);
    }
    for draw in [
        StepDraw::ColorJitter(JitterDraw { brightness: 0.1, contrast: 1.2, saturation: 0.8, hue: 0.05 }),
        StepDraw::Threshold(50.0),
        StepDraw::Blur(1.5),
        StepDraw::Flip(FlipDraw::Vertical),
        StepDraw::QuarterTurns(1),
        StepDraw::CropResize(CropDraw { fraction: 0.8, top: 3, left: 1 }),
    ] {
        let (want, got) =
            (draw.apply(stretched.clone(), BlankRule::Nan), draw.apply(column_major.clone(), BlankRule::Nan));
        assert_eq!(support::largest_difference(&got, &want), 0.0, "{draw:?}");
    }
    assert_eq!(recipe.finish(column_major.clone()).unwrap(), recipe.finish(stretched.clone()).unwrap());
    assert_eq!(jitter_min_max(column_major, BlankRule::Nan), jitter_min_max(stretched, BlankRule::Nan));
}

#[test]
fn recipes_from_files_state_every_number_and_no_other() {
    let recipe = Recipe::paper(224);
    let text = serde_json::to_string(&recipe).unwrap();
    assert!(text.contains(r#""order":"paper-code""#) && text.contains(r#""blanks":"nan""#), "{text}");
    assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe);
    let extra = text.replace("\"size\"", "\"sise\":1,\"size\"");
    assert!(serde_json::from_str::<Recipe>(&extra).unwrap_err().to_string().contains("sise"));
    let missing = text.replace("\"sigma_up\":30.0,", "");
    assert!(serde_json::from_str::<Recipe>(&missing).unwrap_err().to_string().contains("sigma_up"));
}

#[test]
fn settings_out_of_range_are_refused() {
    let paper = || Recipe::paper(16);
    for (name, recipe) in [
        ("size", Recipe { size: 0, ..paper() }),
        ("sigma_low", Recipe { sigma_low: f64::NAN, ..paper() }),
        ("sigma_up", Recipe { sigma_up: -1.0, ..paper() }),
        ("clip_rounds", Recipe { clip_rounds: 0, ..paper() }),
        ("max_blank_fraction", Recipe { max_blank_fraction: 1.5, ..paper() }),
        ("zscale_contrasts", Recipe { zscale_contrasts: [0.0, -0.25, 0.4], ..paper() }),
    ] {
        let error = recipe.channels(noise(20, 20).view()).unwrap_err();
        assert!(matches!(&error, RecipeError::Setting(error) if error.name == name), "{error}");
        assert!(error.to_string().contains("expected") && error.to_string().contains("found"), "{error}");
    }
}

/// Pixels near the largest number there is.
#[test]
fn absurd_values_stay_finite() {
    let mut cutout = noise(20, 20);
    cutout[[3, 3]] = f32::MAX;
    cutout[[4, 4]] = f32::MIN;
    if let Ok(channels) = Recipe::paper(16).channels(cutout.view()) {
        assert!(channels.iter().all(|v| (0.0..=1.0).contains(v)));
    }
}
