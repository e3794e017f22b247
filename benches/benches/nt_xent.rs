//! How many pairs a second does NT-Xent contrast, forward and backward?
#![allow(clippy::expect_used)] // a bench that cannot be set up may stop
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use ssl_simclr::nt_xent::nt_xent_with_gradient;
use std::hint::black_box;

/// Width of the paper's embedding.
const DIM: usize = 128;

fn nt_xent(c: &mut Criterion) {
    let mut group = c.benchmark_group("nt_xent_forward_backward");
    group.sample_size(10);
    for pairs in [128usize, 512, 2048, 4096] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let z: Vec<f32> = (0..2 * pairs * DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
        group.throughput(Throughput::Elements(pairs as u64)); // reads as pairs per second
        group.bench_with_input(BenchmarkId::from_parameter(pairs), &z, |b, z| {
            b.iter(|| nt_xent_with_gradient(black_box(z), DIM, 0.1));
        });
    }
    group.finish();
}

criterion_group!(benches, nt_xent);
criterion_main!(benches);
