//! Every kernel between guard pages: whatever reads or writes outside its buffers kills this test.
//!
//! The buffers are those that the passes use, allocated at their exact sizes: maps, weights, packed weights, gradients, and the
//! threads' own scratch (new threads for every case). A map's spare cache line and the zeros behind packed weights
//! belong to their allocations; that no value there counts is tested with NaN beside the kernels (`src/indirect.rs`).
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

mod emulated_amx;
mod guarded_heap;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use candle_core::{Device, Tensor};
use guarded_heap::{GuardedHeap, Placement, place, placed};
use radio_tensor::batch_norm::{self, Affine, Shortcut};
use radio_tensor::conv2d::Conv2d;
use radio_tensor::element::{Bf16, Element};
use radio_tensor::kernel::{Kernel, trust_amx};
use radio_tensor::nhwc::Map;
use radio_tensor::pool::{MaxPool, global_average, global_average_backward};
use radio_tensor::resnet::{Depth, Precision, ResNet, ResNetConfig};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static HEAP: GuardedHeap = GuardedHeap;

fn filled<E: Element>(n: usize, h: usize, w: usize, c: usize, seed: usize) -> Map<E> {
    let mut map = Map::zeros(n, h, w, c);
    map.values_mut()
        .iter_mut()
        .enumerate()
        .for_each(|(i, v)| *v = E::narrow(((i * 7 + seed) % 13) as f32 / 8.0 - 0.75));
    map
}

fn line(c: usize, seed: usize) -> Vec<f32> {
    (0..c).map(|i| ((i * 5 + seed) % 9) as f32 / 8.0 - 0.3).collect()
}

fn flat<E: Element>(map: &Map<E>) -> Vec<f32> {
    map.values().iter().map(|v| v.widen()).collect()
}

/// All passes of one convolution.
fn convolution<E: Element>(kernel: Kernel, conv: Conv2d, (n, h, w): (usize, usize, usize)) -> Vec<Vec<f32>> {
    let (oh, ow) = conv.output_size(h, w);
    let weight = line(conv.weights(), 1);
    let prepared = conv.prepare::<E>(kernel, &weight);
    let (x, other): (Map<E>, Map<E>) = (filled(n, h, w, conv.in_channels, 2), filled(n, oh, ow, conv.out_channels, 3));
    let mut y: Map<E> = Map::zeros(n, oh, ow, conv.out_channels);
    let mut out = Vec::new();
    conv.forward_on(&x, &prepared, &mut y);
    out.push(flat(&y));
    let statistics = conv.forward_with_moments_on(&x, &prepared, &mut y).statistics();
    out.extend([flat(&y), statistics.mean, statistics.inv_std]);
    let (one, own) =
        (Affine { scale: line(y.c, 4), shift: line(y.c, 5) }, Affine { scale: line(y.c, 6), shift: line(y.c, 7) });
    for shortcut in [Shortcut::None, Shortcut::Identity(&other), Shortcut::Normalised(&other, &own)] {
        conv.forward_relu_on(&x, &prepared, &one, shortcut, &mut y);
        out.push(flat(&y));
    }
    let mut dx: Map<E> = Map::zeros(n, h, w, conv.in_channels);
    for accumulate in [false, true] {
        conv.backward_data_on(kernel, &other, &weight, &mut dx, accumulate);
        out.push(flat(&dx));
    }
    let mut dw = vec![0.0; conv.weights()];
    conv.backward_weight_on(kernel, &x, &other, &mut dw);
    out.push(dw);
    out
}

/// All passes that are no convolution.
fn other_passes<E: Element>((n, h, w, c): (usize, usize, usize, usize)) -> Vec<Vec<f32>> {
    let (mut x, mut dy): (Map<E>, Map<E>) = (filled(n, h, w, c, 1), filled(n, h, w, c, 2));
    let (other, mut y): (Map<E>, Map<E>) = (filled(n, h, w, c, 3), Map::zeros(n, h, w, c));
    let statistics = batch_norm::batch_statistics(&x);
    let (gamma, beta) = (line(c, 4), line(c, 5));
    let affine = Affine::of_batch(&statistics, &gamma, &beta);
    let mut out = Vec::new();
    for shortcut in [Shortcut::None, Shortcut::Identity(&other), Shortcut::Normalised(&other, &affine)] {
        batch_norm::apply_relu(&x, &affine, shortcut, &mut y);
        out.push(flat(&y));
    }
    let pool = MaxPool { kernel: 3, stride: 2, pad: 1 };
    let (ph, pw) = pool.output_size(h, w);
    let (mut pooled, mut winners): (Map<E>, _) = (Map::zeros(n, ph, pw, c), Vec::new());
    pool.forward(&x, &mut pooled, &mut winners);
    out.push(flat(&pooled));
    pool.forward_of_relu(&x, &affine, &mut pooled, &mut winners);
    let mut back: Map<E> = Map::zeros(n, h, w, c);
    pool.backward(&pooled, &winners, &mut back);
    out.extend([flat(&pooled), flat(&back)]);
    let sums = pool.backward_to_norm(&pooled, &winners, (&x, &affine, &statistics.mean), &mut back);
    let (mut dgamma, mut dbeta) = (vec![0.0; c], vec![0.0; c]);
    let mut dx = x.converted::<E>();
    batch_norm::backward_from_sums(&mut dx, &statistics, &gamma, &back, &sums, &mut dgamma, &mut dbeta);
    out.extend([flat(&dx), dgamma.clone(), dbeta.clone()]);
    let mut masked = dy.converted::<E>();
    batch_norm::relu_backward(&y, &mut masked);
    let mut dx = x.converted::<E>();
    batch_norm::backward(&mut dx, &statistics, &gamma, &masked, &mut dgamma, &mut dbeta);
    out.push(flat(&dx));
    batch_norm::masked_backward(&mut x, &statistics, &gamma, &y, &mut dy, &mut dgamma, &mut dbeta);
    out.extend([flat(&x), flat(&dy), dgamma, dbeta, global_average(&pooled)]);
    global_average_backward(&line(n * c, 6), &mut back);
    out.push(flat(&back));
    let mut nchw = back.to_nchw();
    x.copy_from_nchw(&nchw);
    nchw.extend(x.to_nchw());
    out.push(nchw);
    out
}

/// One step and one embedding of a slim trunk.
fn trunk(kernel: Kernel, precision: Precision) -> Vec<Vec<f32>> {
    let mut trunk = ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 4 }, &mut ChaCha8Rng::seed_from_u64(3));
    trunk.set_precision(precision);
    trunk.set_kernel(kernel).unwrap();
    let images = Tensor::from_vec(line(2 * 3 * 35 * 33, 8), (2, 3, 35, 33), &Device::Cpu).unwrap();
    let features = trunk.forward(&images).unwrap();
    let (mut out, d_images) = trunk.backward_to_images(&features).unwrap();
    for tensor in [features, d_images, trunk.embed(&images).unwrap()] {
        out.push(tensor.flatten_all().unwrap().to_vec1().unwrap());
    }
    out
}

/// Runs on threads of its own, so that their scratch is allocated for this case alone; each placement gives the same bits.
fn between_guard_pages(what: &str, work: impl Fn() -> Vec<Vec<f32>> + Sync) {
    let run = |placement| {
        place(placement);
        let before = placed();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let results = pool.install(&work);
        drop(pool);
        assert!(placement == Placement::Plain || placed() > before + 10, "{what}: nothing was placed");
        results
    };
    let plain = run(Placement::Plain);
    for placement in [Placement::BeforePage, Placement::BehindPage] {
        // Said beforehand: a kernel that leaves its buffers ends the process.
        eprintln!("{placement:?}: {what}");
        assert!(run(placement) == plain, "{placement:?}: {what}");
    }
    place(Placement::Plain);
}

#[test]
fn no_kernel_leaves_its_buffers() {
    emulated_amx::install();
    // SAFETY: emulated from now on.
    unsafe { trust_amx() };
    let conv =
        |in_channels, out_channels, kernel, stride, pad| Conv2d { in_channels, out_channels, kernel, stride, pad };
    for kernel in Kernel::ALL.into_iter().filter(|k| k.is_available()) {
        for (conv, size) in [
            (conv(3, 64, 7, 2, 0), (1, 21, 20)),
            (conv(64, 64, 3, 1, 1), (1, 5, 7)),
            (conv(32, 64, 3, 2, 1), (2, 8, 8)),
            (conv(64, 32, 1, 2, 0), (1, 7, 6)),
            (conv(66, 70, 3, 1, 1), (1, 4, 3)),
            (conv(6, 10, 2, 3, 1), (3, 9, 5)),
            (conv(300, 260, 1, 1, 0), (1, 2, 3)),
            (conv(2, 4, 3, 1, 1), (1, 20, 21)),
            (conv(2, 2, 1, 1, 0), (1, 1, 1)),
            (conv(1, 3, 5, 1, 2), (1, 6, 6)),
        ] {
            between_guard_pages(&format!("{kernel:?} f32 {conv:?}"), || convolution::<f32>(kernel, conv, size));
            between_guard_pages(&format!("{kernel:?} bf16 {conv:?}"), || convolution::<Bf16>(kernel, conv, size));
        }
        for precision in [Precision::F32, Precision::Bf16] {
            between_guard_pages(&format!("{kernel:?} {precision:?} trunk"), || trunk(kernel, precision));
        }
    }
    for size in [(1, 1, 1, 1), (2, 5, 7, 3), (1, 16, 33, 16), (2, 9, 8, 64), (1, 8, 8, 70)] {
        between_guard_pages(&format!("f32 passes {size:?}"), || other_passes::<f32>(size));
        between_guard_pages(&format!("bf16 passes {size:?}"), || other_passes::<Bf16>(size));
    }
}

/// One value too far, on either side, or after the end of a buffer's life, ends the process.
#[test]
fn a_guard_page_kills() {
    const CASE: &str = "OUTSIDE_CASE";
    if let Ok(case) = std::env::var(CASE) {
        place(if case == "before" { Placement::BehindPage } else { Placement::BeforePage });
        let buffer = vec![1.0f32; 100];
        let pointer = buffer.as_ptr();
        // SAFETY: none where a case says so; the process ends there, which is what is tested.
        unsafe {
            let offset = match case.as_str() {
                "before" => -1,
                "behind" => 100,
                "inside" => 99,
                _ => 0,
            };
            if case == "freed" {
                drop(buffer);
            }
            black_box(pointer.offset(offset).read_volatile());
        }
        return;
    }
    for case in ["before", "behind", "freed", "inside"] {
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_guard_page_kills", "--nocapture"])
            .env(CASE, case)
            .output()
            .unwrap();
        let signal = (case != "inside").then_some(libc::SIGSEGV);
        assert_eq!(run.status.signal(), signal, "{case}: {run:?}");
    }
}
