//! The views of the first presets, bit for bit: trained encoders and published figures depend on them.

#![allow(clippy::unwrap_used)]

mod support;

use ndarray::{Array2, Array3};
use radio_augment::*;

fn cutout(side: usize, blank: bool) -> Array2<f32> {
    Array2::from_shape_fn((side, side + 5), |(y, x)| {
        let noise: f64 = (0..4).map(|k| support::splitmix((4 * (y * 300 + x) + k) as u64)).sum::<f64>() - 2.0;
        let source = if y.abs_diff(side / 3) < 5 && x.abs_diff(side / 2) < 4 { 2e-3 } else { 0.0 };
        if blank && x < side / 6 { f32::NAN } else { (3e-5 * noise + source) as f32 }
    })
}

/// FNV-1a over the bits.
fn fingerprint(hash: u64, channels: &Array3<f32>) -> u64 {
    channels
        .iter()
        .flat_map(|v| v.to_bits().to_le_bytes())
        .fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn views_of_the_first_presets_keep_their_bits() {
    let mut found = Vec::new();
    for augmenter in [Augmenter::hulk(), Augmenter::banner()] {
        for (order, blanks) in [(StageOrder::PaperCode, BlankRule::Nan), (StageOrder::Paper, BlankRule::ZeroIsBlank)] {
            let mut hash = 0xcbf2_9ce4_8422_2325;
            for (side, size, blank) in [(128, 112, false), (96, 64, true), (40, 96, true), (200, 48, false)] {
                let recipe = Recipe { order, blanks, ..Recipe::paper(size) };
                let cutout = cutout(side, blank);
                let limits = recipe.limits(cutout.view()).unwrap();
                for seed in 0..12 {
                    let stretched = recipe.stretch(cutout.view(), &limits);
                    let view = recipe.view(stretched, &augmenter, &mut view_rng(seed, 0, 0, 0));
                    hash = view.map_or(hash ^ seed, |view| fingerprint(hash, &view));
                }
            }
            found.push(hash);
        }
    }
    assert_eq!(found, [9921123733640171320, 10609791789855055103, 16604415824838268484, 11984424120115434443]);
}
