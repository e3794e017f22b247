//! Rings: values known on paper, invariance under turns and mirrors, and the definition written out in Python.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use std::f32::consts::PI;

use frame_features::{FeatureError, RingConfig, ring_feature_names, ring_features};
use ndarray::{Array3, ArrayView3, Axis};
use serde::Deserialize;

/// A lopsided picture without any symmetry, some of it blank, two channels.
fn asymmetric(rows: usize, cols: usize) -> Array3<f32> {
    Array3::from_shape_fn((2, rows, cols), |(c, y, x)| match (7 * y * y + 3 * x * y + 5 * x + 11 + 29 * c) % 64 {
        63 => f32::NAN,
        v => v as f32 / 64.0,
    })
}

fn brightness(rows: usize, cols: usize, of: impl Fn(f32, f32) -> f32) -> Array3<f32> {
    Array3::from_shape_fn((1, rows, cols), |(_, y, x)| {
        let (dy, dx) = (y as f32 - 0.5 * (rows as f32 - 1.0), x as f32 - 0.5 * (cols as f32 - 1.0));
        of(dx.hypot(dy), dy.atan2(dx))
    })
}

/// Values of one quantity over all rings of channel 0.
fn column(features: &[f32], names: &[String], quantity: &str) -> Vec<f32> {
    let suffix = format!("_{quantity}");
    let of_channel_0 = names.iter().zip(features).filter(|(name, _)| name.starts_with("channel0_"));
    of_channel_0.filter(|(name, _)| name.ends_with(&suffix)).map(|(_, value)| *value).collect()
}

fn rings_of(channels: &Array3<f32>, config: &RingConfig) -> (Vec<f32>, Vec<String>) {
    let features = ring_features(channels.view(), config).unwrap();
    let names = ring_feature_names(channels.dim().0, config);
    assert_eq!(features.len(), names.len());
    (features, names)
}

#[test]
fn quarter_turns_and_mirrors_give_the_same_features() {
    for (rows, cols) in [(24, 24), (23, 23), (17, 30)] {
        let channels = asymmetric(rows, cols);
        for subtract_ring_mean in [false, true] {
            let config = RingConfig { outer_radius: 1.3, subtract_ring_mean, ..RingConfig::sixteen_rings() };
            let expected = ring_features(channels.view(), &config).unwrap();
            assert!(expected.iter().filter(|v| **v > 0.01).count() > 100, "the picture must say something");
            let mut turned: ArrayView3<f32> = channels.view();
            for turn in 0..8 {
                // Transposing and turning upside down in alternation runs through all eight symmetries of the square.
                if turn % 2 == 0 {
                    turned.swap_axes(1, 2)
                } else {
                    turned.invert_axis(Axis(1))
                }
                let found = ring_features(turned, &config).unwrap();
                for (i, (a, b)) in expected.iter().zip(&found).enumerate() {
                    assert!((a - b).abs() < 2e-7, "{rows}x{cols} symmetry {turn} column {i}: {a} vs {b}");
                }
            }
        }
    }
}

#[test]
fn a_ring_on_the_sky_is_found_in_its_ring() {
    // 64 pixels, 16 rings: each 2 pixels wide. Radius 20 to 22 is ring 10.
    let sky = brightness(64, 64, |r, _| f32::from((20.0..22.0).contains(&r)));
    let (features, names) = rings_of(&sky, &RingConfig::sixteen_rings());
    for quantity in ["mean", "max"] {
        for (ring, value) in column(&features, &names, quantity).into_iter().enumerate() {
            assert_eq!(value, if ring == 10 { 1.0 } else { 0.0 }, "{quantity} of ring {ring}");
        }
    }
    for quantity in ["spread", "m1", "m2", "m4"] {
        assert!(column(&features, &names, quantity).iter().all(|v| *v == 0.0), "{quantity}");
    }
    // Half of the circle looked at, with half of the rings: the same rings.
    let half = RingConfig { rings: 8, outer_radius: 0.5, ..RingConfig::sixteen_rings() };
    let (inner, names) = rings_of(&brightness(64, 64, |r, _| r / 64.0), &half);
    let (all, all_names) = rings_of(&brightness(64, 64, |r, _| r / 64.0), &RingConfig::sixteen_rings());
    assert_eq!(column(&inner, &names, "mean"), column(&all, &all_names, "mean")[..8]);
}

#[test]
fn a_dipole_excites_m1_only_and_a_quadrupole_m2_only() {
    for (order, angle) in [(1u32, 0.3f32), (2, 1.1), (4, 0.2)] {
        let sky = brightness(64, 64, |_, phi| 0.5 + 0.4 * (order as f32 * (phi - angle)).cos());
        let (features, names) = rings_of(&sky, &RingConfig::sixteen_rings());
        for m in [1u32, 2, 4] {
            // mean(0.4 cos(m φ) exp(i m φ)) = 0.2; the innermost rings hold too few pixels to tell.
            for (ring, value) in column(&features, &names, &format!("m{m}")).into_iter().enumerate().skip(4) {
                let expected = if m == order { 0.2 } else { 0.0 };
                assert!((value - expected).abs() < 0.02, "cos {order}φ, m = {m}, ring {ring}: {value}");
            }
        }
        let spread = column(&features, &names, "spread");
        assert!(spread.iter().skip(4).all(|s| (s - 0.4 / 2f32.sqrt()).abs() < 0.02), "{spread:?}");
    }
}

#[test]
fn blank_pixels_do_not_count_and_empty_rings_are_zero() {
    // One quarter of a flat sky is blank, and a whole ring of it.
    let mut sky = brightness(64, 64, |r, phi| {
        let blank = (0.0..PI / 2.0).contains(&phi) || (30.0..32.0).contains(&r);
        if blank { f32::NAN } else { 0.7 }
    });
    sky[(0, 40, 20)] = f32::INFINITY;
    let (features, names) = rings_of(&sky, &RingConfig::sixteen_rings());
    for (i, ring) in features.chunks(6).enumerate() {
        assert_eq!(ring[0], if i == 15 { 0.0 } else { 0.7 }, "mean of ring {i}");
        assert_eq!(ring[1], if i == 15 { 0.0 } else { 0.7 }, "maximum of ring {i}");
        assert!(ring[2..].iter().all(|v| v.abs() < 1e-7), "ring {i}: {ring:?}");
    }
    // About zero, the hole is a dipole: the choice matters and is the one documented.
    let about_zero = RingConfig { subtract_ring_mean: false, ..RingConfig::sixteen_rings() };
    let m1 = column(&ring_features(sky.view(), &about_zero).unwrap(), &names, "m1");
    assert!(m1[10] > 0.1, "{m1:?}");
}

#[test]
fn single_pixels_and_bad_input() {
    let config = RingConfig::sixteen_rings();
    let one = ring_features(Array3::from_elem((1, 1, 1), 0.5).view(), &config).unwrap();
    assert_eq!(one[..6], [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
    assert!(one[6..].iter().all(|v| *v == 0.0));

    let empty = ring_features(Array3::zeros((1, 0, 5)).view(), &config);
    assert_eq!(empty, Err(FeatureError::Empty { channels: 1, rows: 0, cols: 5 }));
    let mut half_blank = Array3::zeros((2, 3, 4));
    half_blank.index_axis_mut(Axis(0), 1).fill(f32::NAN);
    let blank = ring_features(half_blank.view(), &config);
    assert_eq!(blank, Err(FeatureError::AllBlank { channel: 1, rows: 3, cols: 4 }));
    for bad in [
        RingConfig { rings: 0, ..config.clone() },
        RingConfig { outer_radius: 0.0, ..config.clone() },
        RingConfig { outer_radius: f64::NAN, ..config.clone() },
        RingConfig { orders: vec![1, 0], ..config.clone() },
        RingConfig { orders: vec![17], ..config.clone() },
    ] {
        let found = ring_features(Array3::zeros((1, 3, 4)).view(), &bad);
        assert!(matches!(found, Err(FeatureError::Setting { .. })), "{bad:?}");
    }
}

#[test]
fn names_follow_the_values() {
    let config = RingConfig { rings: 2, orders: vec![2], ..RingConfig::sixteen_rings() };
    let names = ring_feature_names(2, &config);
    assert_eq!(
        names[..5],
        ["mean", "max", "spread", "m2"]
            .map(|q| format!("channel0_ring00_{q}"))
            .into_iter()
            .chain(["channel0_ring01_mean".to_string()])
            .collect::<Vec<_>>()[..]
    );
    assert_eq!(names[8], "channel1_ring00_mean");
    let mut channels = Array3::zeros((2, 8, 8));
    channels[(1, 3, 3)] = 1.0;
    let features = ring_features(channels.view(), &config).unwrap();
    assert_eq!(names[features.iter().position(|v| *v == 1.0).unwrap()], "channel1_ring00_max");
}

#[derive(Deserialize)]
struct Definition {
    rings: usize,
    outer_radius: f64,
    orders: Vec<u32>,
    picture: Vec<Vec<Option<f32>>>,
    about_zero: Vec<f32>,
    about_ring_mean: Vec<f32>,
}

/// `rings.py` computes the same from the definition, with complex exponentials of the angle.
#[test]
fn features_are_those_of_the_definition() {
    let json = include_str!("../../../data-fixtures/frame-features/rings.json");
    let golden: Definition = serde_json::from_str(json).unwrap();
    let (rows, cols) = (golden.picture.len(), golden.picture[0].len());
    let channels = Array3::from_shape_fn((1, rows, cols), |(_, y, x)| golden.picture[y][x].unwrap_or(f32::NAN));
    for (subtract_ring_mean, expected) in [(false, &golden.about_zero), (true, &golden.about_ring_mean)] {
        let (rings, outer_radius, orders) = (golden.rings, golden.outer_radius, golden.orders.clone());
        let config = RingConfig { rings, outer_radius, orders, subtract_ring_mean };
        let found = ring_features(channels.view(), &config).unwrap();
        assert_eq!(found.len(), expected.len());
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() < 1e-6, "column {i}: {a}, by definition {b}");
        }
    }
}
