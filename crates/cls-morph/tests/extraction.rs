//! Features of images: turns, scales, statistics taken anew, and a trunk that is left as it was.
#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;

use cls_morph::features::{Extraction, Layers, MiddleOf, Scale, Turns, embed_turned, extract};
use ndarray::{Array2, Axis, s};
use radio_augment::{FrameSource, Recipe};
use radio_tensor::resnet::{Depth, ResNet, ResNetConfig};
use radio_tensor::trunk::Trunk;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Lopsided images; with `turned` each is turned by a quarter.
struct Images {
    n: usize,
    turned: bool,
}

impl FrameSource for Images {
    fn len(&self) -> usize {
        self.n
    }
    fn address(&self, i: usize) -> u64 {
        i as u64
    }
    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        let image = Array2::from_shape_fn((48, 48), |(y, x)| {
            let r2 = (y as f32 - 20.0 - (i % 3) as f32).powi(2) / 9.0 + (x as f32 - 27.0).powi(2) / (2.0 + i as f32);
            (-r2).exp() + 0.01 * ((y * 5 + x * 3 + i) % 13) as f32
        });
        Ok(if self.turned { image.reversed_axes().slice(s![.., ..;-1]).to_owned() } else { image })
    }
}

fn features(turned: bool, extraction: &Extraction) -> Array2<f32> {
    let mut trunk: Trunk =
        ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 4 }, &mut ChaCha8Rng::seed_from_u64(1)).into();
    let (parameters, running) = (trunk.parameters().to_vec(), trunk.running().to_vec());
    let source: Arc<dyn FrameSource> = Arc::new(Images { n: 10, turned });
    let go_on = |_| ControlFlow::Continue(());
    let found = extract(&mut trunk, &source, &Recipe::paper(32), extraction, go_on).unwrap().unwrap();
    assert!(trunk.parameters() == parameters && trunk.running() == running, "the trunk is left as it was");
    found
}

fn plain() -> Extraction {
    let scales = vec![Scale { crop: None, size: 32 }];
    Extraction { scales, turns: Turns::One, layers: Layers::Last, recompute_batch_norm: false, batch_size: 4 }
}

fn apart(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    let size = a.iter().map(|v| v.abs()).fold(0.0, f32::max);
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / size
}

#[test]
fn averaged_over_turns_features_do_not_feel_a_turn() {
    // Under a thousand pixels zscale samples all of them, and a turned image is stretched to the same values.
    let one = Extraction { scales: vec![Scale { crop: Some(28), size: 32 }], ..plain() };
    let four = Extraction { turns: Turns::Four, ..one.clone() };
    assert!(apart(&features(false, &four), &features(true, &four)) < 1e-4);
    assert!(apart(&features(false, &one), &features(true, &one)) > 1e-2);
}

#[test]
fn scales_stand_side_by_side_and_native_ones_are_not_shrunk() {
    let native = Scale::native(32);
    let both = Extraction { scales: vec![plain().scales[0], native], ..plain() };
    let found = features(false, &both);
    assert_eq!(found.dim(), (10, 64));
    assert_eq!(found.slice(s![.., ..32]), features(false, &plain()));
    let alone = features(false, &Extraction { scales: vec![native], ..plain() });
    assert_eq!(found.slice(s![.., 32..]), alone);
    let middle = MiddleOf { source: Arc::new(Images { n: 3, turned: false }), side: 32 };
    let whole = middle.source.pixels(1).unwrap();
    assert_eq!(middle.pixels(1).unwrap(), whole.slice(s![8..40, 8..40]));
    let large = MiddleOf { source: Arc::new(Images { n: 3, turned: false }), side: 100 };
    assert_eq!(large.pixels(1).unwrap(), whole);
}

#[test]
fn statistics_of_the_images_change_features_and_batches_do_not() {
    let anew = Extraction { recompute_batch_norm: true, ..plain() };
    assert!(apart(&features(false, &plain()), &features(false, &anew)) > 0.05);
    let one_by_one = Extraction { batch_size: 1, ..plain() };
    assert_eq!(features(false, &plain()), features(false, &one_by_one));
    // Features of images that the statistics come from have a spread of their own in every map.
    let found = features(false, &anew);
    assert!(found.std_axis(Axis(0), 0.0).iter().filter(|&&v| v > 0.0).count() > 16);
}

#[test]
fn nothing_to_do_is_an_error_and_a_break_is_not() {
    let mut trunk: Trunk =
        ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 4 }, &mut ChaCha8Rng::seed_from_u64(1)).into();
    let source: Arc<dyn FrameSource> = Arc::new(Images { n: 10, turned: false });
    let recipe = Recipe::paper(32);
    let stop = |_| ControlFlow::Break(());
    assert!(extract(&mut trunk, &source, &recipe, &plain(), stop).unwrap().is_none());
    for broken in [Extraction { scales: vec![], ..plain() }, Extraction { batch_size: 0, ..plain() }] {
        assert!(extract(&mut trunk, &source, &recipe, &broken, stop).is_err());
    }
    let flat = Extraction { scales: vec![Scale { crop: None, size: 0 }], ..plain() };
    assert!(extract(&mut trunk, &source, &recipe, &flat, stop).is_err());
}

#[test]
fn the_dihedral_mean_does_not_feel_a_mirror_and_stages_end_in_the_last_map() {
    let trunk: Trunk =
        ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 4 }, &mut ChaCha8Rng::seed_from_u64(1)).into();
    let images = ndarray::Array4::from_shape_fn((3, 3, 32, 32), |(n, c, y, x)| {
        (((n + 1) * y * 7 + x * (3 + c)) % 17) as f32 / 17.0
    });
    let mirrored = images.slice(s![.., .., .., ..;-1]).to_owned();
    let of = |images: &ndarray::Array4<f32>, turns, layers| embed_turned(&trunk, images, turns, layers).unwrap();
    for layers in [Layers::Last, Layers::EveryStage] {
        let four = [of(&images, Turns::Four, layers), of(&mirrored, Turns::Four, layers)];
        let dihedral = [of(&images, Turns::Dihedral, layers), of(&mirrored, Turns::Dihedral, layers)];
        assert!(apart(&dihedral[0], &dihedral[1]) < 1e-5 && apart(&four[0], &four[1]) > 1e-4, "{layers:?}");
        assert_eq!(dihedral[0].ncols(), layers.features(&trunk.config()));
    }
    let stages = of(&images, Turns::One, Layers::EveryStage);
    assert_eq!(stages.ncols(), 2 * (4 + 8 + 16 + 32));
    // The mean over the last stage is the usual feature; the maximum over the first, behind its mean, is nowhere smaller.
    assert!(apart(&stages.slice(s![.., 56..88]).to_owned(), &of(&images, Turns::One, Layers::Last)) < 1e-5);
    let (mean, most) = (stages.slice(s![.., ..4]).to_owned(), stages.slice(s![.., 4..8]).to_owned());
    assert!(mean.iter().zip(&most).all(|(mean, most)| most >= mean) && mean != most);
}
