//! Frames with a margin: what a turn or a shift brings into the view is sky, not blanks.

#![allow(clippy::unwrap_used)]

use ndarray::{Array2, s};
use radio_augment::{AugmentStep, Augmenter, Recipe, RecipeError, StageOrder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Noise-like and positive, so that a blank corner would show as the only zeros.
fn picture(side: usize) -> Array2<f32> {
    Array2::from_shape_fn((side, side), |(row, col)| 2.0 + ((row * 31 + col * 17) % 29) as f32 / 29.0)
}

fn turned(recipe: &Recipe, picture: &Array2<f32>) -> ndarray::Array3<f32> {
    let chain = Augmenter { steps: vec![AugmentStep::Rotate { probability: 1.0, degrees: [45.0, 45.0] }] };
    let limits = recipe.limits(picture.view()).unwrap();
    let stretched = recipe.stretch(picture.view(), &limits);
    recipe.view(stretched, &chain, &mut ChaCha8Rng::seed_from_u64(1)).unwrap()
}

#[test]
fn the_middle_is_kept_at_its_own_resolution() {
    let picture = picture(96);
    let recipe = Recipe { margin: 16, ..Recipe::paper(64) };
    let limits = recipe.limits(picture.view()).unwrap();
    let stretched = recipe.stretch(picture.view(), &limits);
    let by_hand = stretched.slice(s![.., 16..80, 16..80]).to_owned();
    assert_eq!(recipe.channels(picture.view()).unwrap(), Recipe::paper(64).finish(by_hand).unwrap());
}

#[test]
fn of_a_larger_picture_a_native_recipe_sees_the_middle_alone() {
    let native = Recipe { margin: 16, native: true, ..Recipe::paper(64) };
    assert_eq!((native.frame_side(), Recipe::paper(64).frame_side()), (Some(96), None));
    let mut wide = picture(150);
    let middle = wide.slice(s![27..123, 27..123]).to_owned();
    wide.slice_mut(s![..27, ..]).fill(f32::NAN); // neither blank nor bright sky outside counts
    wide.slice_mut(s![123.., ..]).fill(1e6);
    let plain = Recipe { native: false, ..native.clone() };
    assert_eq!(native.channels(wide.view()).unwrap(), plain.channels(middle.view()).unwrap());
    assert_eq!(turned(&native, &wide), turned(&plain, &middle));
    let small = picture(80);
    assert_eq!(native.channels(small.view()).unwrap(), plain.channels(small.view()).unwrap());
    let again: Recipe = serde_json::from_str(&serde_json::to_string(&native).unwrap()).unwrap();
    assert_eq!(again, native);
    assert!(!serde_json::to_string(&plain).unwrap().contains("native"), "files of before read the same");
}

#[test]
fn a_turn_by_any_angle_brings_in_no_blank_corner() {
    let blank = |view: &ndarray::Array3<f32>| {
        let corner = view.slice(s![0, ..6, ..6]);
        corner.iter().filter(|&&v| v == 0.0).count()
    };
    // Half of the diagonal of 64 pixels is 45.3: a frame of 96 holds it under every angle.
    let with = turned(&Recipe { margin: 16, ..Recipe::paper(64) }, &picture(96));
    let without = turned(&Recipe::paper(64), &picture(64));
    assert!(blank(&with) < 4, "{}", blank(&with));
    assert_eq!(blank(&without), 36);
}

#[test]
fn nothing_but_margin_is_refused_and_the_papers_order_has_none() {
    let recipe = Recipe { margin: 16, ..Recipe::paper(64) };
    let refused = recipe.channels(picture(32).view()).unwrap_err();
    assert!(matches!(refused, RecipeError::WithinMargin { margin: 16, rows: 32, cols: 32 }), "{refused}");
    assert!(refused.to_string().contains("more than 32 pixels a side, found 32 x 32"), "{refused}");
    let paper = Recipe { order: StageOrder::Paper, ..recipe.clone() };
    assert!(paper.check().unwrap_err().to_string().contains("margin"));
    let text = serde_json::to_string(&Recipe::paper(64)).unwrap();
    assert!(!text.contains("margin"), "a recipe without one has the text of before: {text}");
    assert_eq!(serde_json::from_str::<Recipe>(&serde_json::to_string(&recipe).unwrap()).unwrap(), recipe);
}
