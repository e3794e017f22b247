//! Kernels against slow obvious versions in f64, and gradients against finite differences.
//!
//! Sizes are odd on purpose, strides do not divide them, and ties and two consumers occur: the cases in which
//! published CPU kernels were found wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use radio_tensor::TensorError;
use radio_tensor::batch_norm::{self, Affine, Shortcut};
use radio_tensor::conv2d::Conv2d;
use radio_tensor::nhwc::Nhwc;
use radio_tensor::pool::{MaxPool, global_average, global_average_backward};
use radio_tensor::resnet::{Depth, ResNet, ResNetConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random_map(n: usize, h: usize, w: usize, c: usize, rng: &mut ChaCha8Rng) -> Nhwc {
    let mut map = Nhwc::zeros(n, h, w, c);
    map.values_mut().fill_with(|| rng.random_range(-1.0..1.0));
    map
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Convolution by its definition, in f64.
fn slow_conv(conv: &Conv2d, x: &Nhwc, weight: &[f32]) -> Vec<f64> {
    let (oh, ow) = conv.output_size(x.h, x.w);
    let mut y = Vec::new();
    for (n, row, col, out) in (0..x.n).flat_map(|n| {
        (0..oh).flat_map(move |r| (0..ow).flat_map(move |c| (0..conv.out_channels).map(move |o| (n, r, c, o))))
    }) {
        let mut sum = 0.0;
        for (kr, kc, input) in (0..conv.kernel)
            .flat_map(|kr| (0..conv.kernel).flat_map(move |kc| (0..conv.in_channels).map(move |i| (kr, kc, i))))
        {
            let r = (row * conv.stride + kr) as isize - conv.pad as isize;
            let c = (col * conv.stride + kc) as isize - conv.pad as isize;
            if r >= 0 && c >= 0 && (r as usize) < x.h && (c as usize) < x.w {
                let pixel = x.values()[((n * x.h + r as usize) * x.w + c as usize) * x.c + input];
                let w = weight[((kr * conv.kernel + kc) * conv.in_channels + input) * conv.out_channels + out];
                sum += f64::from(pixel) * f64::from(w);
            }
        }
        y.push(sum);
    }
    y
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Forward equals the definition; both backward passes are the transposes of the forward:
    /// <dy, conv(x, w)> = <backward_data(dy, w), x> = <backward_weight(x, dy), w>, and each is linear.
    #[test]
    fn conv2d_and_its_transposes(
        n in 1usize..4, h in 1usize..13, w in 1usize..13, input in 1usize..6, out in 1usize..7,
        kernel in prop::sample::select(vec![1usize, 2, 3, 5, 7]), stride in 1usize..4, pad in 0usize..4, seed in any::<u64>(),
    ) {
        let conv = Conv2d { in_channels: input, out_channels: out, kernel, stride, pad };
        let (oh, ow) = conv.output_size(h, w);
        prop_assume!(oh > 0 && ow > 0);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let x = random_map(n, h, w, input, &mut rng);
        let weight: Vec<f32> = (0..conv.weights()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let start = random_map(n, oh, ow, out, &mut rng);
        let mut y = Nhwc::zeros(n, oh, ow, out);
        y.values_mut().copy_from_slice(start.values());
        conv.forward(&x, &weight, &mut y, false);
        let want = slow_conv(&conv, &x, &weight);
        for (got, want) in y.values().iter().zip(&want) {
            prop_assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
        }
        let mut added = Nhwc::zeros(n, oh, ow, out);
        added.values_mut().copy_from_slice(start.values());
        conv.forward(&x, &weight, &mut added, true);
        for ((added, start), y) in added.values().iter().zip(start.values()).zip(y.values()) {
            prop_assert!((added - start - y).abs() < 1e-4);
        }

        let dy = random_map(n, oh, ow, out, &mut rng);
        let product = dot(dy.values(), y.values());
        let old = random_map(n, h, w, input, &mut rng);
        let mut dx = Nhwc::zeros(n, h, w, input);
        dx.values_mut().copy_from_slice(old.values());
        conv.backward_data(&dy, &weight, &mut dx, true); // a second consumer: adds
        prop_assert!((dot(dx.values(), x.values()) - dot(old.values(), x.values()) - product).abs() < 1e-3);
        conv.backward_data(&dy, &weight, &mut dx, false); // the only consumer: overwrites
        prop_assert!((dot(dx.values(), x.values()) - product).abs() < 1e-3);
        let mut dw = vec![f32::NAN; conv.weights()];
        conv.backward_weight(&x, &dy, &mut dw);
        prop_assert!((dot(&dw, &weight) - product).abs() < 1e-3);
        // The inner products fix one direction only: check one random entry of each against the definition.
        let entry = rng.random_range(0..x.len());
        let mut unit = Nhwc::zeros(n, h, w, input);
        unit.values_mut()[entry] = 1.0;
        let response = slow_conv(&conv, &unit, &weight);
        let want: f64 = response.iter().zip(dy.values()).map(|(r, d)| r * f64::from(*d)).sum();
        prop_assert!((f64::from(dx.values()[entry]) - want).abs() < 1e-4);
        let entry = rng.random_range(0..dw.len());
        let mut unit = vec![0.0; dw.len()];
        unit[entry] = 1.0;
        let want: f64 = slow_conv(&conv, &x, &unit).iter().zip(dy.values()).map(|(r, d)| r * f64::from(*d)).sum();
        prop_assert!((f64::from(dw[entry]) - want).abs() < 1e-4);
    }
}

/// More pixels than one task and one partition hold, so that the joins are crossed.
#[test]
fn conv2d_across_task_borders() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (kernel, stride, pad) in [(3, 1, 1), (3, 2, 1), (1, 2, 0), (7, 2, 3)] {
        let conv = Conv2d { in_channels: 3, out_channels: 4, kernel, stride, pad };
        let x = random_map(3, 41, 37, 3, &mut rng);
        let weight: Vec<f32> = (0..conv.weights()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let (oh, ow) = conv.output_size(41, 37);
        let mut y = Nhwc::zeros(3, oh, ow, 4);
        conv.forward(&x, &weight, &mut y, false);
        let want = slow_conv(&conv, &x, &weight);
        let worst = y.values().iter().zip(&want).fold(0f64, |m, (g, w)| m.max((f64::from(*g) - w).abs()));
        assert!(worst < 1e-4, "{conv:?}: {worst}");
        let dy = random_map(3, oh, ow, 4, &mut rng);
        let mut dx = Nhwc::zeros(3, 41, 37, 3);
        conv.backward_data(&dy, &weight, &mut dx, false);
        let mut dw = vec![0.0; conv.weights()];
        conv.backward_weight(&x, &dy, &mut dw);
        let product = dot(dy.values(), y.values());
        assert!((dot(dx.values(), x.values()) - product).abs() < 2e-2, "{conv:?}");
        assert!((dot(&dw, &weight) - product).abs() < 2e-2, "{conv:?}");
    }
}

/// Batch norm + residual + ReLU, forward by definition and backward by central differences in every input.
#[test]
fn batch_norm_with_shortcut() {
    let (n, h, w, c) = (3, 5, 3, 4);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut x = random_map(n, h, w, c, &mut rng);
    for (i, v) in x.values_mut().iter_mut().enumerate() {
        *v = *v * (1.0 + (i % c) as f32) + 50.0 * (i % c) as f32; // far from zero: large squares nearly cancel
    }
    let shortcut = random_map(n, h, w, c, &mut rng);
    let dy = random_map(n, h, w, c, &mut rng);
    let gamma: Vec<f32> = (0..c).map(|_| rng.random_range(0.5..1.5)).collect();
    let beta: Vec<f32> = (0..c).map(|_| rng.random_range(-0.5..0.5)).collect();

    // The definition, in f64.
    let slow = |x: &[f64], gamma: &[f64], beta: &[f64]| -> Vec<f64> {
        let pixels = x.len() / c;
        let mut y = vec![0.0; x.len()];
        for channel in 0..c {
            let values: Vec<f64> = (0..pixels).map(|p| x[p * c + channel]).collect();
            let mean = values.iter().sum::<f64>() / pixels as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / pixels as f64;
            for p in 0..pixels {
                let hat = (values[p] - mean) / (variance + 1e-5).sqrt();
                let other = f64::from(shortcut.values()[p * c + channel]);
                y[p * c + channel] = (hat * gamma[channel] + beta[channel] + other).max(0.0);
            }
        }
        y
    };
    let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let loss = |y: &[f64]| y.iter().zip(dy.values()).map(|(y, d)| y * f64::from(*d)).sum::<f64>();

    let statistics = batch_norm::batch_statistics(&x);
    let affine = Affine::of_batch(&statistics, &gamma, &beta);
    let mut y = Nhwc::zeros(n, h, w, c);
    batch_norm::apply_relu(&x, &affine, Shortcut::Identity(&shortcut), &mut y);
    for (got, want) in y.values().iter().zip(slow(&wide(x.values()), &wide(&gamma), &wide(&beta))) {
        assert!((f64::from(*got) - want).abs() < 1e-4, "{got} {want}");
    }
    // A shortcut with its own line, here the identity's, gives the same.
    let own = Affine { scale: vec![1.0; c], shift: vec![0.0; c] };
    let mut again = Nhwc::zeros(n, h, w, c);
    batch_norm::apply_relu(&x, &affine, Shortcut::Normalised(&shortcut, &own), &mut again);
    assert_eq!(y.values(), again.values());

    let mut g = Nhwc::zeros(n, h, w, c);
    g.values_mut().copy_from_slice(dy.values());
    batch_norm::relu_backward(&y, &mut g);
    let (mut dgamma, mut dbeta) = (vec![0.0; c], vec![0.0; c]);
    let mut dx = Nhwc::zeros(n, h, w, c);
    dx.values_mut().copy_from_slice(x.values());
    batch_norm::backward(&mut dx, &statistics, &gamma, &g, &mut dgamma, &mut dbeta);
    let difference = |at: &dyn Fn(f64) -> f64| (at(1e-5) - at(-1e-5)) / 2e-5;
    let (x64, gamma64, beta64) = (wide(x.values()), wide(&gamma), wide(&beta));
    let nudged = |values: &[f64], i: usize, e: f64| {
        values.iter().enumerate().map(|(j, v)| v + if i == j { e } else { 0.0 }).collect::<Vec<_>>()
    };
    for i in 0..x64.len() {
        let want = difference(&|e| loss(&slow(&nudged(&x64, i, e), &gamma64, &beta64)));
        assert!((f64::from(dx.values()[i]) - want).abs() < 2e-3, "dx[{i}] {} {want}", dx.values()[i]);
    }
    for i in 0..c {
        let want = difference(&|e| loss(&slow(&x64, &nudged(&gamma64, i, e), &beta64)));
        assert!((f64::from(dgamma[i]) - want).abs() < 1e-3, "dgamma[{i}] {} {want}", dgamma[i]);
        let want = difference(&|e| loss(&slow(&x64, &gamma64, &nudged(&beta64, i, e))));
        assert!((f64::from(dbeta[i]) - want).abs() < 1e-3, "dbeta[{i}] {} {want}", dbeta[i]);
    }
}

/// Ties go to the first of the window, the padding never wins, and overlapping windows add up.
#[test]
fn max_pool_ties_padding_and_overlap() {
    let pool = MaxPool { kernel: 3, stride: 2, pad: 1 };
    let mut x = Nhwc::zeros(1, 5, 4, 1);
    x.values_mut().fill(-2.0); // ties everywhere, and below the padding's 0
    x.values_mut()[5] = 7.0; // row 1, column 1: seen by all four windows that cover it
    let (h, w) = pool.output_size(5, 4);
    assert_eq!((h, w), (3, 2));
    let mut y = Nhwc::zeros(1, h, w, 1);
    let mut winners = Vec::new();
    pool.forward(&x, &mut y, &mut winners);
    assert_eq!(y.values(), [7.0, 7.0, 7.0, 7.0, -2.0, -2.0]);
    let mut dy = Nhwc::zeros(1, h, w, 1);
    dy.values_mut().copy_from_slice(&[1.0, 10.0, 100.0, 1000.0, 0.5, 0.25]);
    let mut dx = Nhwc::zeros(1, 5, 4, 1);
    dx.values_mut().fill(f32::NAN); // overwritten
    pool.backward(&dy, &winners, &mut dx);
    let mut want = vec![0.0; 20];
    want[5] = 1111.0;
    want[12] = 0.5; // window rows 3..5, columns -1..1: first inside is row 3, column 0
    want[13] = 0.25; // row 3, column 1
    assert_eq!(dx.values(), want);
}

/// A broken map must not be hidden: NaN wins the pool wherever it stands, and passes the ReLU.
#[test]
fn a_nan_is_not_hidden() {
    let pool = MaxPool { kernel: 2, stride: 2, pad: 0 };
    for place in 0..4 {
        let mut x = Nhwc::zeros(1, 2, 2, 1);
        x.values_mut().copy_from_slice(&[1.0, 2.0, 3.0, -1.0]);
        x.values_mut()[place] = f32::NAN;
        let mut y = Nhwc::zeros(1, 1, 1, 1);
        pool.forward(&x, &mut y, &mut Vec::new());
        assert!(y.values()[0].is_nan(), "place {place}");
        let mut z = Nhwc::zeros(1, 2, 2, 1);
        batch_norm::apply_relu(&x, &Affine { scale: vec![1.0], shift: vec![0.0] }, Shortcut::None, &mut z);
        assert!(z.values()[place].is_nan(), "place {place}");
    }
}

#[test]
fn global_average_is_the_transpose_of_its_backward() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let x = random_map(2, 3, 5, 4, &mut rng);
    let g: Vec<f32> = (0..8).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut dx = Nhwc::zeros(2, 3, 5, 4);
    global_average_backward(&g, &mut dx);
    assert!((dot(&g, &global_average(&x)) - dot(dx.values(), x.values())).abs() < 1e-5);
    assert!((global_average(&x)[5] - (0..15).map(|p| x.values()[(15 + p) * 4 + 1]).sum::<f32>() / 15.0).abs() < 1e-6);
}

fn small_trunk() -> ResNet {
    ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 8 }, &mut ChaCha8Rng::seed_from_u64(21))
}

fn images(n: usize, h: usize, w: usize) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    Tensor::from_vec((0..n * 3 * h * w).map(|_| rng.random::<f32>()).collect::<Vec<_>>(), (n, 3, h, w), &Device::Cpu)
        .unwrap()
}

/// The trunk's directional derivative along its own gradient, by central differences, on an odd, non-square image.
#[test]
fn the_whole_trunk_against_finite_differences() {
    along_its_own_gradient(&mut small_trunk(), 2e-3);
}

/// With statistics as constants: what a training step computes is what prediction computes, and they stay.
#[test]
fn stored_statistics_are_constants() {
    let mut trunk = small_trunk();
    trunk.recompute_running::<TensorError>([Ok(images(5, 75, 61))]).unwrap();
    trunk.set_stored_statistics(true);
    let (before, x) = (trunk.running().to_vec(), images(3, 75, 61));
    let values = |features: Tensor| features.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (trained, predicted) = (values(trunk.forward(&x).unwrap()), values(trunk.embed(&x).unwrap()));
    assert!(trained.iter().zip(&predicted).all(|(a, b)| (a - b).abs() < 1e-5 * (1.0 + b.abs())));
    assert!(trunk.running() == before);
    // Nothing here takes out a common factor or offset: the trunk bends far sooner along its first weights.
    along_its_own_gradient(&mut trunk, 5e-5);
    trunk.recompute_running::<TensorError>([Ok(x)]).unwrap();
    assert!(trunk.running() != before, "taking them anew still does");
}

fn along_its_own_gradient(trunk: &mut ResNet, step: f64) {
    let x = images(3, 75, 61);
    let weights: Vec<f32> = (0..3 * 64).map(|i| ((i * 37 % 23) as f32 - 11.0) / 11.0).collect();
    let weights = Tensor::from_vec(weights, (3, 64), &Device::Cpu).unwrap();
    let loss = |trunk: &mut ResNet| -> f64 {
        let f = trunk.forward(&x).unwrap();
        f64::from((f * &weights).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap())
    };
    trunk.forward(&x).unwrap();
    let gradients = trunk.backward(&weights).unwrap();
    for kind in [
        "conv1.weight",
        "layer1.0.conv2.weight",
        "layer2.0.downsample.0.weight",
        "layer3.1.bn1.weight",
        "layer4.0.bn2.bias",
    ] {
        let place = trunk.parameters().iter().position(|p| p.name == kind).unwrap();
        let direction = gradients[place].clone();
        let norm = dot(&direction, &direction).sqrt();
        let mut at = |step: f64| {
            let old = trunk.parameters()[place].values.clone();
            for (w, d) in trunk.parameters_mut()[place].values.iter_mut().zip(&direction) {
                *w += (step * f64::from(*d) / norm) as f32;
            }
            let value = loss(trunk);
            trunk.parameters_mut()[place].values = old;
            value
        };
        let got = (at(step) - at(-step)) / (2.0 * step);
        assert!((got - norm).abs() < 0.03 * norm, "{kind}: difference {got}, gradient {norm}");
    }
}

/// Same bits on one, two and five threads: features, every gradient, running statistics.
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let mut trunk = small_trunk();
            let features = trunk.forward(&images(9, 64, 64)).unwrap();
            let gradients = trunk.backward(&features).unwrap();
            (features.flatten_all().unwrap().to_vec1::<f32>().unwrap(), gradients, trunk.running().to_vec())
        })
    };
    let one = run(1);
    assert!(one.1.iter().all(|g| g.iter().any(|&v| v != 0.0)), "every parameter has a gradient");
    assert!(one == run(2) && one == run(5));
}

#[test]
fn wrong_calls_are_typed_errors() {
    let mut trunk = small_trunk();
    let features = Tensor::zeros((2, 64), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(matches!(trunk.backward(&features), Err(TensorError::NoSavedState(_))));
    let gray = Tensor::zeros((2, 1, 32, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
    let error = trunk.forward(&gray).unwrap_err().to_string();
    assert!(error.contains("[n, 3, h, w]") && error.contains("[2, 1, 32, 32]"), "{error}");
    trunk.forward(&images(2, 32, 32)).unwrap();
    let wrong = Tensor::zeros((3, 64), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(trunk.backward(&wrong).is_err());
}
