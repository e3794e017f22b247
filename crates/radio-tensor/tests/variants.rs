//! The pre-activation trunk, the bottleneck trunk and the pyramid: gradients against finite differences, bf16 against f32.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use candle_core::{Device, Tensor};
use radio_tensor::TensorError;
use radio_tensor::resnet::{Depth, InputScaling, Precision, Pyramid, ResNet, ResNetConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn trunk(depth: Depth, width: usize) -> ResNet {
    ResNet::new(ResNetConfig { depth, width }, &mut ChaCha8Rng::seed_from_u64(21))
}

fn images(n: usize, h: usize, w: usize) -> Tensor {
    random(&[n, 3, h, w], 22)
}

fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn product(a: &Tensor, b: &Tensor) -> f64 {
    flat(a).iter().zip(flat(b)).map(|(a, b)| f64::from(*a) * f64::from(b)).sum()
}

/// The directional derivative along a parameter's own gradient, by central differences, is the gradient's length.
fn check_parameters(trunk: &mut ResNet, names: &[&str], gradients: &[Vec<f32>], loss: impl Fn(&mut ResNet) -> f64) {
    for name in names {
        let place = trunk.parameters().iter().position(|p| p.name == *name).unwrap_or_else(|| panic!("{name}"));
        let direction = gradients[place].clone();
        let norm = direction.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>().sqrt();
        assert!(norm > 0.0, "{name}");
        let mut at = |step: f64| {
            let old = trunk.parameters()[place].values.clone();
            for (w, d) in trunk.parameters_mut()[place].values.iter_mut().zip(&direction) {
                *w += (step * f64::from(*d) / norm) as f32;
            }
            let value = loss(trunk);
            trunk.parameters_mut()[place].values = old;
            value
        };
        // Small enough for the curvature, large enough for the rounding of the loss.
        let step = (0.02 / norm).clamp(1e-5, 4e-3);
        let got = (at(step) - at(-step)) / (2.0 * step);
        assert!((got - norm).abs() < 0.03 * norm, "{name}: difference {got}, gradient {norm}");
    }
}

const PRE_ACTIVATION: [&str; 9] = [
    "bn_data.bias",
    "conv0.weight",
    "stage1_unit1_bn1.weight",
    "stage1_unit1_sc.weight",
    "stage1_unit2_conv1.weight",
    "stage2_unit1_sc.weight",
    "stage3_unit2_bn2.weight",
    "stage4_unit2_conv2.weight",
    "bn1.bias",
];

/// Odd, non-square images: no size divides another.
#[test]
fn the_pre_activation_trunk_against_finite_differences() {
    let mut trunk = trunk(Depth::PreActResNet18, 8);
    let x = images(6, 125, 101);
    let weights = random(&[6, 64], 5);
    trunk.forward(&x).unwrap();
    let gradients = trunk.backward(&weights).unwrap();
    let loss = |trunk: &mut ResNet| product(&trunk.forward(&x).unwrap(), &weights);
    check_parameters(&mut trunk, &PRE_ACTIVATION, &gradients, loss);
}

#[test]
fn the_bottleneck_trunk_against_finite_differences() {
    let mut trunk = trunk(Depth::ResNet50, 4);
    assert_eq!(trunk.config().features(), 128);
    let x = images(3, 75, 61);
    let weights = random(&[3, 128], 5);
    trunk.forward(&x).unwrap();
    let gradients = trunk.backward(&weights).unwrap();
    let names = ["conv1.weight", "layer1.0.conv3.weight", "layer2.0.conv2.weight", "layer4.2.bn3.bias"];
    check_parameters(&mut trunk, &names, &gradients, |trunk| product(&trunk.forward(&x).unwrap(), &weights));
}

/// The images' gradient, through their own batch norm and a scaling before it.
#[test]
fn the_gradient_of_scaled_images_against_finite_differences() {
    for depth in [Depth::ResNet18, Depth::PreActResNet18] {
        let mut trunk = trunk(depth, 8);
        trunk.set_input_scaling(Some(InputScaling::IMAGENET)).unwrap();
        let x = images(2, 65, 43);
        let weights = random(&[2, 64], 5);
        trunk.forward(&x).unwrap();
        let (_, d) = trunk.backward_to_images(&weights).unwrap();
        let norm = product(&d, &d).sqrt();
        let mut at = |step: f64| {
            let moved = (&x + (&d * (step / norm)).unwrap()).unwrap();
            product(&trunk.forward(&moved).unwrap(), &weights)
        };
        let got = (at(5e-3) - at(-5e-3)) / 1e-2;
        assert!((got - norm).abs() < 0.03 * norm, "{depth:?}: difference {got}, gradient {norm}");
    }
}

/// The gradients that enter at every map of the pyramid reach the parameters below it.
#[test]
fn the_pyramid_against_finite_differences() {
    let cases = [
        (Depth::ResNet18, vec!["conv1.weight", "layer2.0.conv1.weight", "layer3.0.downsample.0.weight"]),
        (Depth::PreActResNet18, vec!["conv0.weight", "stage2_unit1_bn1.weight", "stage3_unit1_bn1.bias"]),
    ];
    for (depth, names) in cases {
        let mut trunk = trunk(depth, 8);
        let x = images(2, 75, 61);
        let maps = trunk.forward_pyramid(&x).unwrap();
        let weights: Pyramid = std::array::from_fn(|i| random(maps[i].dims(), 40 + i as u64));
        for (stage, map) in maps.iter().enumerate() {
            assert_eq!(map.dims()[1], trunk.config().stage_channels(stage));
        }
        let gradients = trunk.backward_pyramid(&weights).unwrap();
        let loss = |trunk: &mut ResNet| {
            let maps = trunk.forward_pyramid(&x).unwrap();
            maps.iter().zip(&weights).map(|(m, w)| product(m, w)).sum()
        };
        check_parameters(&mut trunk, &names, &gradients, loss);
        let wrong: Pyramid = std::array::from_fn(|_| random(&[2, 8, 3, 3], 1));
        trunk.forward_pyramid(&x).unwrap();
        assert!(matches!(trunk.backward_pyramid(&wrong), Err(TensorError::Shape { .. })));
        assert!(matches!(trunk.backward_pyramid(&weights), Err(TensorError::NoSavedState(_))));
    }
}

/// The last map of the pyramid, averaged, is the features, in both modes.
#[test]
fn features_are_the_mean_of_the_last_map() {
    for depth in Depth::ALL {
        let mut trunk = trunk(depth, 4);
        let x = images(2, 64, 48);
        for (map, features) in [
            (trunk.pyramid(&x).unwrap()[3].clone(), trunk.embed(&x).unwrap()),
            (trunk.forward_pyramid(&x).unwrap()[3].clone(), trunk.forward(&x).unwrap()),
        ] {
            let mean = map.mean((2, 3)).unwrap();
            let worst = flat(&mean).iter().zip(flat(&features)).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst < 1e-4, "{depth:?}: {worst}");
        }
    }
}

/// After many equal batches the running statistics are the batch's: both modes then agree, to the bias of the variance.
#[test]
fn training_and_evaluation_agree_once_the_statistics_have_settled() {
    let mut trunk = trunk(Depth::PreActResNet18, 4);
    let x = images(4, 96, 96);
    for running in trunk.running_mut() {
        assert!(running.mean.iter().all(|&m| m == 0.0) && running.variance.iter().all(|&v| v == 1.0));
    }
    trunk.forward(&x).unwrap();
    let after = trunk.running()[0].mean[0];
    let mean = flat(&x).chunks(96 * 96).step_by(3).flatten().map(|&v| f64::from(v)).sum::<f64>() / (4.0 * 96.0 * 96.0);
    assert!((f64::from(after) - 0.01 * mean).abs() < 1e-7, "{after} {mean}: one batch counts 0.01");
    let mut features = Vec::new();
    for _ in 0..600 {
        features = flat(&trunk.forward(&x).unwrap());
    }
    let evaluated = flat(&trunk.embed(&x).unwrap());
    let largest = features.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = features.iter().zip(&evaluated).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst < 0.1 * largest, "{worst} of {largest}");
}

/// In bf16 features and gradients point the same way as in f32.
#[test]
fn bf16_follows_f32() {
    for depth in [Depth::ResNet18, Depth::PreActResNet18, Depth::ResNet50] {
        let x = images(8, 128, 128);
        let run = |precision| {
            let mut trunk = trunk(depth, 8);
            trunk.set_precision(precision);
            let features = trunk.forward(&x).unwrap();
            let gradients = trunk.backward(&random(features.dims(), 6)).unwrap();
            (flat(&features), gradients.concat(), flat(&trunk.embed(&x).unwrap()))
        };
        let (wide, narrow) = (run(Precision::F32), run(Precision::Bf16));
        let cosine = |a: &[f32], b: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        println!(
            "{depth:?} {} {} {}",
            cosine(&wide.0, &narrow.0),
            cosine(&wide.1, &narrow.1),
            cosine(&wide.2, &narrow.2)
        );
        assert!(cosine(&wide.2, &narrow.2) > 0.999, "{depth:?} evaluated {}", cosine(&wide.2, &narrow.2));
        assert!(wide.0 != narrow.0);
        if depth == Depth::ResNet50 {
            continue; // fifty untrained layers of batch norm amplify rounding: only the evaluation says something
        }
        assert!(cosine(&wide.0, &narrow.0) > 0.999, "{depth:?} features {}", cosine(&wide.0, &narrow.0));
        assert!(cosine(&wide.1, &narrow.1) > 0.85, "{depth:?} gradients {}", cosine(&wide.1, &narrow.1));
    }
}

/// Same bits on one, two and five threads.
#[test]
fn bits_of_the_pre_activation_trunk_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let mut trunk = trunk(Depth::PreActResNet18, 8);
            let features = trunk.forward(&images(9, 64, 64)).unwrap();
            let gradients = trunk.backward(&features).unwrap();
            (flat(&features), gradients, trunk.running().to_vec())
        })
    };
    let one = run(1);
    assert!(one.1.iter().all(|g| g.iter().any(|&v| v != 0.0)), "every parameter has a gradient");
    assert!(one == run(2) && one == run(5));
}

#[test]
fn a_scaling_is_applied_to_the_images() {
    for depth in [Depth::ResNet18, Depth::PreActResNet18] {
        let x = images(2, 40, 40);
        let mut plain = trunk(depth, 4);
        let mut scaled = trunk(depth, 4);
        let scaling = InputScaling { scale: 2.0, mean: [0.1, 0.2, 0.3], std: [0.5, 2.0, 4.0] };
        scaled.set_input_scaling(Some(scaling)).unwrap();
        let line = |values: [f32; 3]| Tensor::from_slice(&values, (1, 3, 1, 1), &Device::Cpu).unwrap();
        let by_hand = (&x * 2.0).unwrap().broadcast_sub(&line(scaling.mean)).unwrap();
        let by_hand = by_hand.broadcast_div(&line(scaling.std)).unwrap();
        for (a, b) in [
            (plain.embed(&by_hand).unwrap(), scaled.embed(&x).unwrap()),
            (plain.forward(&by_hand).unwrap(), scaled.forward(&x).unwrap()),
        ] {
            let worst = flat(&a).iter().zip(flat(&b)).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst < 1e-4, "{depth:?} {worst}");
        }
        let error = scaled.set_input_scaling(Some(InputScaling { std: [0.0; 3], ..scaling })).unwrap_err();
        assert!(error.to_string().contains("divisors above 0"), "{error}");
    }
}
