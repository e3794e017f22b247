//! How many images a second does the ResNet-18 trunk train on (forward and backward; with Adam), and embed, in f32 and bf16?
#![allow(clippy::expect_used)] // a bench that cannot be set up may stop
use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use radio_tensor::adam::{Adam, AdamConfig};
use radio_tensor::resnet::{Depth, Precision, ResNet, ResNetConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

fn trunk(c: &mut Criterion) {
    let mut group = c.benchmark_group("resnet18");
    group.sample_size(10);
    for (precision, name) in [(Precision::F32, "f32"), (Precision::Bf16, "bf16")] {
        for (batch, side) in [(32usize, 96usize), (8, 224), (1, 224)] {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut trunk = ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 64 }, &mut rng);
            trunk.set_precision(precision);
            let config = AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 };
            let mut adam = Adam::new(config, trunk.parameters());
            let pixels: Vec<f32> = (0..batch * 3 * side * side).map(|_| rng.random()).collect();
            let images = Tensor::from_vec(pixels, (batch, 3, side, side), &Device::Cpu).expect("a batch of images");
            let case = format!("{name}/{batch}x{side}");
            group.throughput(Throughput::Elements(batch as u64)); // reads as images per second
            group.bench_function(BenchmarkId::new("embed", &case), |b| {
                b.iter(|| trunk.embed(black_box(&images)).expect("embed"));
            });
            if batch == 1 {
                continue; // one image: a question of embedding only
            }
            group.bench_function(BenchmarkId::new("forward_backward", &case), |b| {
                b.iter(|| {
                    let features = trunk.forward(black_box(&images)).expect("forward");
                    trunk.backward(&features).expect("backward")
                });
            });
            // A step also packs the changed weights anew.
            group.bench_function(BenchmarkId::new("step", &case), |b| {
                b.iter(|| {
                    let features = trunk.forward(black_box(&images)).expect("forward");
                    let gradients = trunk.backward(&features).expect("backward");
                    adam.step(1e-6, trunk.parameters_mut(), &gradients).expect("Adam")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, trunk);
criterion_main!(benches);
