//! Every kernel this processor has, and AMX in emulation, in both precisions, against slow sums in f64; the bf16 trunk against the f32 trunk.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use std::sync::{Arc, mpsc};
use std::time::Duration;

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use radio_tensor::batch_norm::{self, Affine, Shortcut};
use radio_tensor::conv2d::Conv2d;
use radio_tensor::element::{Bf16, Element};
use radio_tensor::kernel::Kernel;
use radio_tensor::nhwc::{Map, Workspace};
use radio_tensor::pool::{MaxPool, global_average, global_average_backward};
use radio_tensor::resnet::{Depth, Precision, ResNet, ResNetConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod emulated_amx;

/// All kernels of this processor, and AMX: emulated where the processor lacks it.
fn kernels() -> impl Iterator<Item = Kernel> {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        emulated_amx::install();
        // SAFETY: emulated in this process from now on.
        unsafe { radio_tensor::kernel::trust_amx() };
    }
    Kernel::ALL.into_iter().filter(|k| k.is_available())
}

fn random_map<E: Element>(n: usize, h: usize, w: usize, c: usize, rng: &mut ChaCha8Rng) -> Map<E> {
    let mut map = Map::zeros(n, h, w, c);
    map.values_mut().fill_with(|| E::narrow(rng.random_range(-1.0..1.0)));
    map
}

/// y, dx and dw by the definition of the convolution, in f64, each term added where it belongs.
fn slow_passes<E: Element>(conv: &Conv2d, x: &Map<E>, weight: &[f32], dy: &Map<E>) -> [Vec<f64>; 3] {
    let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weight.len()]);
    let (k, i, o) = (conv.kernel, conv.in_channels, conv.out_channels);
    for (pixel, tap) in (0..dy.pixels()).flat_map(|p| (0..k * k).map(move |t| (p, t))) {
        let (image, row, col) = (pixel / (dy.h * dy.w), pixel / dy.w % dy.h, pixel % dy.w);
        let r = (row * conv.stride + tap / k).checked_sub(conv.pad).filter(|&r| r < x.h);
        let c = (col * conv.stride + tap % k).checked_sub(conv.pad).filter(|&c| c < x.w);
        let (Some(r), Some(c)) = (r, c) else { continue };
        for (input, output) in (0..i).flat_map(|input| (0..o).map(move |output| (input, output))) {
            let (at_x, at_w, at_y) =
                (((image * x.h + r) * x.w + c) * i + input, (tap * i + input) * o + output, pixel * o + output);
            let w = f64::from(E::narrow(weight[at_w]).widen());
            let (xv, dv) = (f64::from(x.values()[at_x].widen()), f64::from(dy.values()[at_y].widen()));
            y[at_y] += xv * w;
            dx[at_x] += dv * w;
            dw[at_w] += xv * dv;
        }
    }
    [y, dx, dw]
}

/// Within half a unit in the last place of `E`, plus f32 rounding of the sum.
fn close<E: Element>(what: &str, got: impl Iterator<Item = f32>, want: &[f64]) {
    let relative = if E::PER_WORD == 2 { 1.0 / 256.0 } else { 0.0 };
    let mut count = 0;
    for (place, (got, want)) in got.zip(want).enumerate() {
        let off = (f64::from(got) - want).abs();
        assert!(off <= relative * want.abs() + 2e-4, "{what}[{place}]: {got}, want {want}");
        count += 1;
    }
    assert_eq!(count, want.len(), "{what}");
}

fn check_passes<E: Element>(conv: Conv2d, (n, h, w): (usize, usize, usize), seed: u64) {
    let (oh, ow) = conv.output_size(h, w);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let x: Map<E> = random_map(n, h, w, conv.in_channels, &mut rng);
    let dy: Map<E> = random_map(n, oh, ow, conv.out_channels, &mut rng);
    let weight: Vec<f32> = (0..conv.weights()).map(|_| rng.random_range(-1.0..1.0)).collect();
    let [want_y, want_dx, want_dw] = slow_passes(&conv, &x, &weight, &dy);
    let old: Map<E> = random_map(n, h, w, conv.in_channels, &mut rng);
    let want_added: Vec<f64> = want_dx.iter().zip(old.values()).map(|(d, o)| d + f64::from(o.widen())).collect();
    for kernel in kernels() {
        let what = |pass: &str| format!("{kernel:?} {pass} {conv:?} on {n}x{h}x{w}");
        let mut y: Map<E> = random_map(n, oh, ow, conv.out_channels, &mut rng);
        let moments = conv.forward_with_moments_on(&x, &conv.prepare::<E>(kernel, &weight), &mut y);
        close::<E>(&what("forward"), y.values().iter().map(|v| v.widen()), &want_y);
        // The statistics are those of the stored (rounded) values.
        let (fused, again) = (moments.statistics(), batch_norm::batch_statistics(&y));
        let pairs = fused.mean.iter().zip(&again.mean).chain(fused.inv_std.iter().zip(&again.inv_std));
        for (a, b) in pairs {
            assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{}: {a} {b}", what("statistics"));
        }
        let mut dx: Map<E> = random_map(n, h, w, conv.in_channels, &mut rng);
        conv.backward_data_on(kernel, &dy, &weight, &mut dx, false);
        close::<E>(&what("backward-data"), dx.values().iter().map(|v| v.widen()), &want_dx);
        dx.values_mut().copy_from_slice(old.values());
        conv.backward_data_on(kernel, &dy, &weight, &mut dx, true);
        close::<E>(&what("added backward-data"), dx.values().iter().map(|v| v.widen()), &want_added);
        let mut dw = vec![f32::NAN; conv.weights()];
        conv.backward_weight_on(kernel, &x, &dy, &mut dw);
        close::<f32>(&what("backward-weight"), dw.into_iter(), &want_dw);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_kernel_computes_the_convolution(
        n in 1usize..4, h in 1usize..12, w in 1usize..12,
        input in prop::sample::select(vec![1usize, 2, 3, 4, 6, 16, 66]),
        out in prop::sample::select(vec![1usize, 2, 3, 4, 10, 64, 70]),
        kernel in prop::sample::select(vec![1usize, 2, 3, 5]), stride in 1usize..4, pad in 0usize..3, seed in any::<u64>(),
    ) {
        let conv = Conv2d { in_channels: input, out_channels: out, kernel, stride, pad };
        let (oh, ow) = conv.output_size(h, w);
        prop_assume!(oh > 0 && ow > 0);
        check_passes::<f32>(conv, (n, h, w), seed);
        check_passes::<Bf16>(conv, (n, h, w), seed);
    }
}

/// Many tasks, pixel partitions, panels and word blocks: every join is crossed.
#[test]
fn every_kernel_across_its_borders() {
    let conv =
        |in_channels, out_channels, kernel, stride, pad| Conv2d { in_channels, out_channels, kernel, stride, pad };
    for (conv, size) in [
        (conv(2, 4, 3, 1, 1), (3, 41, 37)),
        (conv(4, 2, 3, 2, 1), (3, 41, 37)),
        (conv(3, 8, 7, 2, 0), (2, 41, 36)),
        (conv(300, 130, 1, 1, 0), (1, 5, 5)),
        (conv(270, 2, 3, 1, 1), (1, 3, 4)),
        (conv(2, 270, 3, 2, 1), (1, 5, 4)),
    ] {
        check_passes::<f32>(conv, size, 3);
        check_passes::<Bf16>(conv, size, 4);
    }
}

fn trunk(precision: Precision) -> ResNet {
    let mut trunk = ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 16 }, &mut ChaCha8Rng::seed_from_u64(21));
    trunk.set_precision(precision);
    trunk
}

fn images(n: usize, h: usize, w: usize) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(22);
    Tensor::from_vec((0..n * 3 * h * w).map(|_| rng.random::<f32>()).collect::<Vec<_>>(), (n, 3, h, w), &Device::Cpu)
        .unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Root mean square of the difference, relative to that of `want`.
fn distance(got: &[f32], want: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let off: f64 = got.iter().zip(want).map(|(g, w)| square(f64::from(*g) - f64::from(*w))).sum();
    (off / want.iter().map(|w| square(f64::from(*w))).sum::<f64>()).sqrt()
}

/// Features, embedding, image gradient and all weight gradients of one step.
fn step(precision: Precision, kernel: Kernel, (n, h, w): (usize, usize, usize)) -> Vec<(String, Vec<f32>)> {
    let mut trunk = trunk(precision);
    trunk.set_kernel(kernel).unwrap();
    let features = trunk.forward(&images(n, h, w)).unwrap();
    // A fixed direction: that of the features themselves is nearly one batch norm removes, and so all rounding.
    let width = features.dims()[1];
    let direction: Vec<f32> = (0..n * width).map(|i| ((i * 37 % 23) as f32 - 11.0) / 11.0).collect();
    let direction = Tensor::from_vec(direction, (n, width), &Device::Cpu).unwrap();
    let (gradients, d_images) = trunk.backward_to_images(&direction).unwrap();
    let embedded = trunk.embed(&images(n, h, w)).unwrap();
    let mut all = vec![
        ("features".to_owned(), flat(&features)),
        ("embedding".to_owned(), flat(&embedded)),
        ("images".to_owned(), flat(&d_images)),
    ];
    all.extend(trunk.parameters().iter().map(|p| p.name.clone()).zip(gradients));
    all
}

/// The kernels add in different orders: f32 agrees to rounding; in bf16 that decides now and then how a map's value
/// is rounded and on which side of a ReLU it falls, which the backward passes multiply.
#[test]
fn the_trunk_on_every_kernel() {
    for (precision, features_bound, gradient_bound) in [(Precision::F32, 1e-5, 1e-4), (Precision::Bf16, 0.03, 0.4)] {
        let want = step(precision, Kernel::Portable, (8, 71, 64));
        for kernel in kernels() {
            for ((name, got), (_, want)) in step(precision, kernel, (8, 71, 64)).iter().zip(&want) {
                let off = distance(got, want);
                let forward = name == "features" || name == "embedding";
                let bound = if forward { features_bound } else { gradient_bound };
                assert!(off < bound, "{precision:?} {kernel:?} {name}: off by {off}");
            }
        }
    }
}

/// An untrained ResNet-18 is a harsh case: PyTorch's bf16 autocast differs from its f32 by 0.030 in the features and by up
/// to 0.50 in a gradient (0.41 in the images'), for eight random images of 64 pixels.
#[test]
fn the_bf16_trunk_follows_the_f32_trunk() {
    for kernel in kernels() {
        let (narrow, wide) = (step(Precision::Bf16, kernel, (8, 64, 64)), step(Precision::F32, kernel, (8, 64, 64)));
        for ((name, got), (_, want)) in narrow.iter().zip(&wide) {
            let off = distance(got, want);
            let bound = if name == "features" || name == "embedding" { 0.04 } else { 0.7 };
            assert!(off > 0.0 && off < bound, "{kernel:?} {name}: off by {off}");
        }
    }
}

/// Maps in bf16 give, through every pass that is no convolution, what their values give in f32, to 1e-2 of the largest.
#[test]
fn bf16_passes_follow_f32() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let (n, h, w, c) = (3, 9, 7, 6);
    let x: Map<Bf16> = random_map(n, h, w, c, &mut rng);
    let other: Map<Bf16> = random_map(n, h, w, c, &mut rng);
    let dy: Map<Bf16> = random_map(n, h, w, c, &mut rng);
    let gamma: Vec<f32> = (0..c).map(|_| rng.random_range(0.5..1.5)).collect();
    let beta: Vec<f32> = (0..c).map(|_| rng.random_range(-0.5..0.5)).collect();
    fn all<E: Element>(x: &Map<E>, other: &Map<E>, dy: &Map<E>, gamma: &[f32], beta: &[f32]) -> Vec<Vec<f32>> {
        let flat = |map: &Map<E>| map.values().iter().map(|v| v.widen()).collect::<Vec<f32>>();
        let like = |map: &Map<E>| Map::<E>::zeros(map.n, map.h, map.w, map.c);
        let statistics = batch_norm::batch_statistics(x);
        let line = Affine::of_batch(&statistics, gamma, beta);
        let mut out = vec![statistics.mean.clone(), statistics.inv_std.clone()];
        let mut y = like(x);
        for shortcut in [Shortcut::None, Shortcut::Normalised(other, &line), Shortcut::Identity(other)] {
            batch_norm::apply_relu(x, &line, shortcut, &mut y);
            out.push(flat(&y));
        }
        let (mut dx, mut g) = (x.converted::<E>(), dy.converted::<E>());
        let (mut dgamma, mut dbeta) = (vec![0.0; x.c], vec![0.0; x.c]);
        batch_norm::masked_backward(&mut dx, &statistics, gamma, &y, &mut g, &mut dgamma, &mut dbeta);
        // One read or two: the same gradients.
        let (mut dx2, mut g2) = (x.converted::<E>(), dy.converted::<E>());
        let (mut dgamma2, mut dbeta2) = (vec![0.0; x.c], vec![0.0; x.c]);
        batch_norm::relu_backward(&y, &mut g2);
        batch_norm::backward(&mut dx2, &statistics, gamma, &g2, &mut dgamma2, &mut dbeta2);
        assert!(flat(&dx) == flat(&dx2) && flat(&g) == flat(&g2) && dgamma == dgamma2 && dbeta == dbeta2);
        out.extend([flat(&dx), flat(&g), dgamma, dbeta]);
        // The stem's pool of ReLU, and its way back to the batch norm, against the passes one by one.
        let pool = MaxPool { kernel: 3, stride: 2, pad: 1 };
        let (ph, pw) = pool.output_size(x.h, x.w);
        let (mut fused, mut pooled) = (Map::<E>::zeros(x.n, ph, pw, x.c), Map::<E>::zeros(x.n, ph, pw, x.c));
        let (mut winners, mut winners2) = (Vec::new(), Vec::new());
        pool.forward_of_relu(x, &line, &mut fused, &mut winners);
        batch_norm::apply_relu(x, &line, Shortcut::None, &mut y);
        pool.forward(&y, &mut pooled, &mut winners2);
        assert_eq!(flat(&fused), flat(&pooled));
        let (mut back, mut back2) = (like(x), like(x));
        let sums = pool.backward_to_norm(&fused, &winners, (x, &line, &statistics.mean), &mut back);
        pool.backward(&fused, &winners, &mut back2);
        batch_norm::relu_backward(&y, &mut back2);
        assert_eq!(flat(&back), flat(&back2));
        out.push(flat(&back));
        let (mut dx, mut dx2) = (x.converted::<E>(), x.converted::<E>());
        let [mut a, mut b, mut a2, mut b2] = [(); 4].map(|()| vec![0.0; x.c]);
        batch_norm::backward_from_sums(&mut dx, &statistics, gamma, &back, &sums, &mut a, &mut b);
        batch_norm::backward(&mut dx2, &statistics, gamma, &back, &mut a2, &mut b2);
        assert!(distance(&flat(&dx), &flat(&dx2)) < 3e-3 && distance(&a, &a2) < 1e-5 && distance(&b, &b2) < 1e-5);
        out.push(global_average(&fused));
        let mut spread = like(x);
        global_average_backward(&vec![0.7; x.n * x.c], &mut spread);
        out.push(flat(&spread));
        out
    }
    let narrow = all(&x, &other, &dy, &gamma, &beta);
    let wide = all::<f32>(&x.converted(), &other.converted(), &dy.converted(), &gamma, &beta);
    for (place, (narrow, wide)) in narrow.iter().zip(&wide).enumerate() {
        let largest = wide.iter().fold(0f32, |m, v| m.max(v.abs()));
        let worst = narrow.iter().zip(wide).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst <= 1e-2 * largest && largest > 0.0, "result {place}: off by {worst} of {largest}");
    }
}

/// Convolution, batch norm and ReLU in one pass equal the passes one by one.
#[test]
fn fused_evaluation_equals_the_passes() {
    fn check<E: Element>(kernel: Kernel) {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let conv = Conv2d { in_channels: 4, out_channels: 70, kernel: 3, stride: 1, pad: 1 };
        let x: Map<E> = random_map(2, 15, 17, 4, &mut rng);
        let other: Map<E> = random_map(2, 15, 17, 70, &mut rng);
        let weight: Vec<f32> = (0..conv.weights()).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut draw = || (0..70).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
        let line = Affine { scale: draw(), shift: draw() };
        let own = Affine { scale: draw(), shift: draw() };
        let prepared = conv.prepare::<E>(kernel, &weight);
        let shortcuts = || [Shortcut::None, Shortcut::Identity(&other), Shortcut::Normalised(&other, &own)];
        for (one, two) in shortcuts().into_iter().zip(shortcuts()) {
            let [mut sums, mut want, mut got] = [(); 3].map(|()| Map::<E>::zeros(2, 15, 17, 70));
            conv.forward_on(&x, &prepared, &mut sums);
            batch_norm::apply_relu(&sums, &line, one, &mut want);
            conv.forward_relu_on(&x, &prepared, &line, two, &mut got);
            for (got, want) in got.values().iter().zip(want.values()) {
                let (got, want) = (got.widen(), want.widen());
                let bound = if E::PER_WORD == 2 { 0.05 } else { 1e-5 };
                assert!((got - want).abs() <= bound * want.abs().max(1.0), "{kernel:?}: {got} {want}");
            }
        }
    }
    for kernel in kernels() {
        check::<f32>(kernel);
        check::<Bf16>(kernel);
    }
}

/// Same bits on one, two and five threads, for every kernel and precision.
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for (precision, kernel) in
        [Precision::F32, Precision::Bf16].into_iter().flat_map(|p| kernels().map(move |k| (p, k)))
    {
        // Emulation is slow; this many images still make many tasks.
        let images = if kernel == Kernel::Amx { (2, 48, 48) } else { (9, 64, 64) };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| step(precision, kernel, images))
        };
        let one = run(1);
        assert!(one.iter().all(|(_, values)| values.iter().any(|&v| v != 0.0)));
        assert!(one == run(2) && one == run(5), "{precision:?} {kernel:?}");
    }
}

/// New weights must reach the next forward: the kernels keep a copy in their own order.
#[test]
fn changed_weights_are_seen() {
    for precision in [Precision::F32, Precision::Bf16] {
        let mut trunk = trunk(precision);
        let x = images(2, 64, 64);
        let before = flat(&trunk.embed(&x).unwrap());
        trunk.parameters_mut()[0].values.iter_mut().for_each(|w| *w *= -1.0);
        assert_ne!(before, flat(&trunk.embed(&x).unwrap()), "{precision:?}");
    }
}

#[test]
fn switching_precision_drops_the_step_under_way() {
    let mut trunk = trunk(Precision::F32);
    let features = trunk.forward(&images(2, 64, 64)).unwrap();
    trunk.set_precision(Precision::Bf16);
    assert!(trunk.backward(&features).is_err());
    assert_eq!(trunk.precision(), Precision::Bf16);
    let available: Vec<Kernel> = kernels().collect();
    for kernel in Kernel::ALL {
        assert_eq!(trunk.set_kernel(kernel).is_ok(), available.contains(&kernel));
    }
}

/// A recycled map full of NaN, an odd number of channels: what the tiles read behind the last value must not count.
#[test]
fn a_dirty_workspace_leaves_no_trace() {
    fn check<E: Element>(kernel: Kernel) {
        let workspace = Workspace::default();
        let mut dirty: Map<E> = workspace.take(1, 1, 1, 32);
        dirty.values_mut().fill(E::narrow(f32::NAN));
        workspace.give(dirty);
        let conv = Conv2d { in_channels: 3, out_channels: 4, kernel: 3, stride: 1, pad: 0 };
        let mut x: Map<E> = workspace.take(1, 3, 3, 3); // 27 values, and as many cache lines as 32
        x.values_mut().fill(E::narrow(1.0));
        let mut y: Map<E> = Map::zeros(1, 1, 1, 4);
        conv.forward_on(&x, &conv.prepare::<E>(kernel, &vec![0.5; conv.weights()]), &mut y);
        assert!(y.values().iter().all(|v| v.widen() == 13.5), "{kernel:?}");
        let mut dw = vec![0.0; conv.weights()];
        conv.backward_weight_on(kernel, &x, &y, &mut dw);
        assert!(dw.iter().all(|&v| v == 13.5), "{kernel:?}");
    }
    for kernel in kernels() {
        check::<f32>(kernel);
        check::<Bf16>(kernel);
    }
}

/// What a broken map left in the threads' scratch must not count either: the AMX tiles take whole steps of it.
#[test]
fn scratch_of_a_broken_map_leaves_no_trace() {
    fn passes<E: Element>(kernel: Kernel, conv: Conv2d, value: f32) -> [Vec<f32>; 3] {
        let (mut x, mut y): (Map<E>, Map<E>) = (Map::zeros(1, 9, 9, conv.in_channels), Map::zeros(1, 9, 9, 64));
        x.values_mut().fill(E::narrow(value));
        let weight = vec![0.5; conv.weights()];
        conv.forward_on(&x, &conv.prepare::<E>(kernel, &weight), &mut y);
        let forward = y.values().iter().map(|v| v.widen()).collect();
        y.values_mut().fill(E::narrow(value));
        let mut dw = vec![0.0; conv.weights()];
        conv.backward_weight_on(kernel, &x, &y, &mut dw);
        conv.backward_data_on(kernel, &y, &weight, &mut x, false);
        [forward, x.values().iter().map(|v| v.widen()).collect(), dw]
    }
    fn check<E: Element>(kernel: Kernel) {
        let conv = |in_channels| Conv2d { in_channels, out_channels: 64, kernel: 3, stride: 1, pad: 1 };
        let fresh = || rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let want = fresh().install(|| passes::<E>(kernel, conv(2), 1.0));
        let got = fresh().install(|| {
            passes::<E>(kernel, conv(70), f32::NAN);
            passes::<E>(kernel, conv(2), 1.0)
        });
        assert!(want.iter().flatten().all(|v| v.is_finite()) && got == want, "{kernel:?}");
    }
    for kernel in kernels() {
        check::<f32>(kernel);
        check::<Bf16>(kernel);
    }
}

/// A NaN or an infinity reaches every output pixel that reads it; beyond these, at most the left neighbours.
#[test]
fn a_broken_value_is_never_lost() {
    fn check<E: Element>(kernel: Kernel, channels: usize, pad: usize, broken: f32) {
        let conv = Conv2d { in_channels: channels, out_channels: 4, kernel: 3, stride: 1, pad };
        let mut x: Map<E> = Map::zeros(1, 9, 9, channels);
        x.values_mut().fill(E::narrow(1.0));
        x.values_mut()[(4 * 9 + 5) * channels] = E::narrow(broken);
        let (h, w) = conv.output_size(9, 9);
        let mut y: Map<E> = Map::zeros(1, h, w, 4);
        conv.forward_on(&x, &conv.prepare::<E>(kernel, &vec![0.5; conv.weights()]), &mut y);
        for (place, value) in y.values().iter().enumerate() {
            let (row, col) = (place / 4 / w, place / 4 % w);
            // Columns col - pad .. col - pad + 3 are read.
            let reads = |col: usize| (4 + pad - 2..=4 + pad).contains(&row) && (5 + pad - 2..=5 + pad).contains(&col);
            if reads(col) {
                assert!(!value.widen().is_finite(), "{kernel:?} {conv:?}: lost at {row}, {col}");
            } else if !reads(col + 1) {
                assert!(value.widen().is_finite(), "{kernel:?} {conv:?}: spread to {row}, {col}");
            }
        }
    }
    for (kernel, broken) in kernels().flat_map(|k| [(k, f32::NAN), (k, f32::INFINITY)]) {
        for (channels, pad) in [(3, 0), (2, 1)] {
            check::<f32>(kernel, channels, pad, broken);
            check::<Bf16>(kernel, channels, pad, broken);
        }
    }
}

/// Sizes that do not fit are refused by every pass of every kernel, in both precisions, before anything is read.
#[test]
fn shapes_that_do_not_fit_are_refused() {
    fn refused(what: &str, pass: impl FnOnce()) {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(pass)).is_err(), "{what}");
    }
    fn check<E: Element>(kernel: Kernel) {
        let conv = Conv2d { in_channels: 2, out_channels: 4, kernel: 3, stride: 1, pad: 1 };
        let weight = vec![0.5; conv.weights()];
        let prepared = conv.prepare::<E>(kernel, &weight);
        let line = Affine { scale: vec![1.0; 4], shift: vec![0.0; 4] };
        let good = ([2, 5, 6, 2], [2, 5, 6, 4]);
        let map = |[n, h, w, c]: [usize; 4]| Map::<E>::zeros(n, h, w, c);
        for axis in 0..8 {
            let (mut x, mut y) = good;
            *x.iter_mut().chain(&mut y).nth(axis).unwrap() += 2;
            let what = |pass: &str| format!("{kernel:?} {pass}: {x:?} {y:?}");
            refused(&what("forward"), || conv.forward_on(&map(x), &prepared, &mut map(y)));
            refused(&what("moments"), || drop(conv.forward_with_moments_on(&map(x), &prepared, &mut map(y))));
            refused(&what("relu"), || conv.forward_relu_on(&map(x), &prepared, &line, Shortcut::None, &mut map(y)));
            refused(&what("data"), || conv.backward_data_on(kernel, &map(y), &weight, &mut map(x), true));
            refused(&what("weight"), || conv.backward_weight_on(kernel, &map(x), &map(y), &mut weight.clone()));
        }
        let (x, y) = (map(good.0), map(good.1));
        for length in [weight.len() - 1, weight.len() + 1] {
            let mut wrong = vec![0.5; length];
            refused("prepare", || drop(conv.prepare::<E>(kernel, &wrong)));
            refused("data", || conv.backward_data_on(kernel, &y, &wrong, &mut map(good.0), false));
            refused("weight", || conv.backward_weight_on(kernel, &x, &y, &mut wrong));
        }
        let other = Conv2d { stride: 2, ..conv };
        refused("weights of another", || other.forward_on(&x, &prepared, &mut map([2, 3, 3, 4])));
        let short = Affine { scale: vec![1.0; 3], shift: vec![0.0; 3] };
        refused("line", || conv.forward_relu_on(&x, &prepared, &short, Shortcut::None, &mut map(good.1)));
        let small = map([2, 5, 5, 4]);
        refused("other", || conv.forward_relu_on(&x, &prepared, &line, Shortcut::Identity(&small), &mut map(good.1)));
    }
    for kernel in kernels() {
        check::<f32>(kernel);
        check::<Bf16>(kernel);
    }
    let conv = Conv2d { in_channels: 1, out_channels: 1, kernel: 1, stride: 1, pad: 0 };
    let (small, large): (Map<f32>, Map<f32>) = (Map::zeros(1, 2, 2, 1), Map::zeros(1, 3, 2, 1));
    refused("portable forward", || conv.forward(&large, &[1.0], &mut Map::zeros(1, 2, 2, 1), false));
    refused("portable data", || conv.backward_data(&small, &[1.0], &mut Map::zeros(1, 3, 2, 1), false));
    refused("portable weight", || conv.backward_weight(&large, &small, &mut [0.0]));
}

/// No image, no pixel, no channel: nothing is read, and a sum over nothing is zero.
#[test]
fn empty_maps_pass_through() {
    fn check<E: Element>(kernel: Kernel, conv: Conv2d, (n, h, w): (usize, usize, usize)) {
        let (oh, ow) = conv.output_size(h, w);
        let full = |n, h, w, c| {
            let mut map: Map<E> = Map::zeros(n, h, w, c);
            map.values_mut().fill(E::narrow(3.0));
            map
        };
        let all = |map: &Map<E>, value: f32| map.values().iter().all(|v| v.widen() == value);
        let weight = vec![0.5; conv.weights()];
        let prepared = conv.prepare::<E>(kernel, &weight);
        let (mut x, mut y) = (full(n, h, w, conv.in_channels), full(n, oh, ow, conv.out_channels));
        assert!(x.is_empty() || y.is_empty());
        conv.backward_data_on(kernel, &y, &weight, &mut x, true);
        assert!(all(&x, 3.0));
        let mut dw = vec![1.0; conv.weights()];
        conv.backward_weight_on(kernel, &x, &y, &mut dw);
        assert!(dw.iter().all(|&v| v == 0.0));
        conv.backward_data_on(kernel, &y, &weight, &mut x, false);
        assert!(all(&x, 0.0));
        conv.forward_on(&x, &prepared, &mut y);
        assert!(all(&y, 0.0));
        conv.forward_with_moments_on(&x, &prepared, &mut y);
        let line = Affine { scale: vec![2.0; conv.out_channels], shift: vec![1.0; conv.out_channels] };
        conv.forward_relu_on(&x, &prepared, &line, Shortcut::Identity(&full(n, oh, ow, conv.out_channels)), &mut y);
        assert!(all(&y, 4.0));
        let statistics = batch_norm::batch_statistics(&y);
        let (mut g, mut a, mut b) = (full(n, oh, ow, y.c), vec![1.0; y.c], vec![1.0; y.c]);
        if y.is_empty() {
            batch_norm::relu_backward(&y, &mut g);
            batch_norm::backward(&mut g, &statistics, &line.scale, &y, &mut a, &mut b);
            let pool = MaxPool { kernel: 3, stride: 2, pad: 1 };
            let (ph, pw) = pool.output_size(oh, ow);
            let (mut pooled, mut winners) = (full(n, ph, pw, y.c), Vec::new());
            pool.forward_of_relu(&y, &line, &mut pooled, &mut winners);
            pool.backward(&pooled, &winners, &mut g);
            pool.backward_to_norm(&pooled, &winners, (&y, &line, &statistics.mean), &mut g);
            assert!(global_average(&y).iter().all(|&v| v == 0.0));
            global_average_backward(&vec![1.0; n * y.c], &mut g);
        }
    }
    let conv = |in_channels, out_channels, kernel| Conv2d { in_channels, out_channels, kernel, stride: 1, pad: 0 };
    for kernel in kernels() {
        for (conv, size) in [
            (conv(2, 4, 3), (0, 5, 5)),
            (conv(2, 4, 3), (2, 2, 5)),
            (conv(2, 4, 1), (2, 0, 5)),
            (conv(2, 4, 1), (2, 5, 0)),
            (conv(0, 4, 3), (2, 5, 5)),
            (conv(2, 0, 3), (2, 5, 5)),
            (Conv2d { pad: 1, ..conv(2, 4, 2) }, (1, 0, 3)),
        ] {
            check::<f32>(kernel, conv, size);
            check::<Bf16>(kernel, conv, size);
        }
    }
}

/// Embeddings arrive in a pool while the first one packs the weights: a thread that waits for its share of the packing
/// takes up another embedding, which must not wait for the first. (Under a lock, this came to a halt within 100 rounds.)
#[test]
fn embeddings_within_a_pool_do_not_wait_for_each_other() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (x, mut trunk) = (images(1, 32, 32), trunk(Precision::F32));
    let want = flat(&trunk.embed(&x).unwrap());
    for round in 0..100 {
        trunk.parameters_mut(); // the packed weights are dropped
        let shared = Arc::new(trunk);
        let (done, results) = mpsc::channel();
        for _ in 0..6 {
            let (shared, x, done) = (shared.clone(), x.clone(), done.clone());
            pool.spawn(move || {
                let got = flat(&shared.embed(&x).unwrap());
                drop(shared);
                done.send(got).unwrap();
            });
            std::thread::sleep(Duration::from_micros(50 + 20 * (round % 20)));
        }
        for _ in 0..6 {
            let got = results.recv_timeout(Duration::from_secs(60)).expect("a deadlock, or a failed embedding");
            assert!(got == want, "round {round}");
        }
        trunk = Arc::into_inner(shared).unwrap();
    }
}
