//! How many images a second does the ResNet-18 trunk train on (forward and backward), and embed?
#![allow(clippy::expect_used)] // a bench that cannot be set up may stop
use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use radio_tensor::resnet::{Depth, ResNet, ResNetConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

fn trunk(c: &mut Criterion) {
    let mut group = c.benchmark_group("resnet18");
    group.sample_size(10);
    for (batch, side) in [(32usize, 96usize), (8, 224)] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut trunk = ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 64 }, &mut rng);
        let pixels: Vec<f32> = (0..batch * 3 * side * side).map(|_| rng.random()).collect();
        let images = Tensor::from_vec(pixels, (batch, 3, side, side), &Device::Cpu).expect("a batch of images");
        group.throughput(Throughput::Elements(batch as u64)); // reads as images per second
        group.bench_function(BenchmarkId::new("forward_backward", format!("{batch}x{side}")), |b| {
            b.iter(|| {
                let features = trunk.forward(black_box(&images)).expect("forward");
                trunk.backward(&features).expect("backward")
            });
        });
        group.bench_function(BenchmarkId::new("embed", format!("{batch}x{side}")), |b| {
            b.iter(|| trunk.embed(black_box(&images)).expect("embed"));
        });
    }
    group.finish();
}

criterion_group!(benches, trunk);
criterion_main!(benches);
