//! Whatever the size and the pixels, a description has its fixed length and is finite, or the error has a name.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use frame_features::{
    ComplexityConfig, FLUX_STATISTICS, FeatureError, PixelConfig, RingConfig, complexity_names, flux_statistics,
    gzip_complexity, pixel_row, ring_feature_names, ring_features,
};
use ndarray::Array3;
use proptest::prelude::*;

/// Any pixel a file can hold, blanks and extremes often.
fn pixel() -> impl Strategy<Value = f32> {
    prop_oneof![4 => 0f32..1.0, 2 => Just(f32::NAN), 1 => any::<f32>(), 1 => Just(f32::MAX), 1 => Just(f32::MIN), 1 => Just(0.0)]
}

fn channels() -> impl Strategy<Value = Array3<f32>> {
    (1usize..4, 1usize..20, 1usize..20).prop_flat_map(|(c, rows, cols)| {
        let pixels = prop::collection::vec(pixel(), c * rows * cols);
        pixels.prop_map(move |pixels| Array3::from_shape_vec((c, rows, cols), pixels).unwrap())
    })
}

/// Finite and of the right length exactly where every channel has data.
fn check(found: Result<Vec<f32>, FeatureError>, length: usize, has_data: bool) -> Result<(), TestCaseError> {
    match found {
        Ok(features) => {
            prop_assert!(has_data);
            prop_assert_eq!(features.len(), length);
            prop_assert!(features.iter().all(|v| v.is_finite()), "{:?}", features);
        }
        Err(error) => prop_assert!(!has_data && matches!(error, FeatureError::AllBlank { .. }), "{}", error),
    }
    Ok(())
}

proptest! {
    #[test]
    fn descriptions_are_finite_and_of_fixed_length(channels in channels(), outer_radius in 0.01f64..3.0) {
        let n_channels = channels.dim().0;
        let has_data = |plane: ndarray::ArrayView2<f32>| plane.iter().any(|v| v.is_finite());
        let all_have_data = channels.outer_iter().all(has_data);
        for subtract_ring_mean in [false, true] {
            let config = RingConfig { outer_radius, subtract_ring_mean, ..RingConfig::sixteen_rings() };
            let length = ring_feature_names(n_channels, &config).len();
            check(ring_features(channels.view(), &config), length, all_have_data)?;
        }
        let config = ComplexityConfig { sides: vec![16, 7], threshold_percentile: 50.0 };
        let length = complexity_names(n_channels, &config).len();
        check(gzip_complexity(channels.view(), &config), length, all_have_data)?;
        for average_turns in [false, true] {
            let config = PixelConfig { side: 5, average_turns };
            check(pixel_row(channels.view(), &config), n_channels * 25, all_have_data)?;
        }
        let first = channels.index_axis(ndarray::Axis(0), 0);
        check(flux_statistics(first), FLUX_STATISTICS.len(), has_data(first))?;
    }

    /// A pixel row averaged over turns does not know how the sky lies.
    #[test]
    fn averaged_pixel_rows_do_not_turn(side in 1usize..12, pixels in prop::collection::vec(0f32..1.0, 144)) {
        let sky = Array3::from_shape_fn((1, side, side), |(_, y, x)| pixels[y * side + x]);
        let mut turned = sky.view();
        turned.swap_axes(1, 2);
        turned.invert_axis(ndarray::Axis(1));
        let config = PixelConfig { side: 6, average_turns: true };
        let (a, b) = (pixel_row(sky.view(), &config).unwrap(), pixel_row(turned, &config).unwrap());
        prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
