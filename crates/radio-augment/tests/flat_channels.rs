//! Pictures in which nearly every pixel is 0, as published 8-bit sets have them: flat channels, and the stated fallback.

#![allow(clippy::unwrap_used)]

use ndarray::Array2;
use radio_augment::{BlankRule, FlatRule, Recipe, RecipeError, StageOrder};

/// Zeros, and a source of a few pixels between 1 and 255.
fn picture() -> Array2<f32> {
    let mut picture = Array2::zeros((60, 60));
    for (place, value) in [(28, 1.0f32), (29, 120.0), (30, 255.0), (31, 60.0)] {
        picture[(30, place)] = value;
        picture[(31, place)] = value.max(4.0) / 2.0;
    }
    picture
}

fn recipe(flat: FlatRule) -> Recipe {
    Recipe { blanks: BlankRule::ZeroIsBlank, order: StageOrder::Paper, flat, ..Recipe::paper(60) }
}

#[test]
fn zscale_of_a_floored_picture_is_flat_and_becomes_a_mask() {
    let refused = recipe(FlatRule::Refuse).channels(picture().view()).unwrap_err();
    assert!(matches!(refused, RecipeError::ConstantChannel { channel: 1, .. }), "{refused}");
    let channels = recipe(FlatRule::Mask).channels(picture().view()).unwrap();
    let mask = picture().mapv(|v| f32::from(u8::from(v > 0.0)));
    assert_eq!(channels.index_axis(ndarray::Axis(0), 2), mask);
    let first = channels.index_axis(ndarray::Axis(0), 0);
    assert!(first[(30, 30)] == 1.0 && first[(30, 28)] == 0.0 && first[(30, 29)] > 0.3, "channel 0 is not flat");
}

#[test]
fn nothing_but_zeros_becomes_zeros_and_nothing_but_nan_is_refused() {
    for blanks in [BlankRule::ZeroIsBlank, BlankRule::Nan] {
        for order in [StageOrder::Paper, StageOrder::PaperCode] {
            let recipe = Recipe { blanks, order, ..recipe(FlatRule::Mask) };
            let channels = recipe.channels(Array2::zeros((40, 40)).view()).unwrap();
            assert!(channels.iter().all(|&v| v == 0.0));
            let ones = recipe.channels(Array2::from_elem((40, 40), 3.0).view()).unwrap();
            // The clipped channel (zscale maps a constant to 0), away from the edge, where a resize may mix in zeros.
            let first = ones.index_axis(ndarray::Axis(0), 0);
            assert_eq!(first[(30, 30)], 1.0, "{blanks:?} {order:?}");
            let refused = recipe.channels(Array2::from_elem((40, 40), f32::NAN).view()).unwrap_err();
            assert!(matches!(refused, RecipeError::AllBlank { .. }));
        }
    }
}

/// A recipe without the rule has the text it had before there was one.
#[test]
fn the_rule_is_written_only_where_it_is_not_the_default() {
    let text = serde_json::to_string(&recipe(FlatRule::Refuse)).unwrap();
    assert!(!text.contains("flat"));
    assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe(FlatRule::Refuse));
    let text = serde_json::to_string(&recipe(FlatRule::Mask)).unwrap();
    assert!(text.contains(r#""flat":"mask""#));
    assert_eq!(serde_json::from_str::<Recipe>(&text).unwrap(), recipe(FlatRule::Mask));
}
