//! How many cutouts a second does each augmenter take, and how many the whole chain, on one thread?
#![allow(clippy::expect_used)] // a bench that cannot be set up may stop
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array2, Array3};
use radio_augment::{AugmentStep, Augmenter, BlankRule, Recipe};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

/// A 256-pixel cutout: noise of 30 uJy/beam, fifteen points, one extended source, one blank corner.
fn cutout() -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let sources: Vec<[f32; 4]> = (0..16)
        .map(|i| {
            let (y, x) = (rng.random_range(0.0..256.0), rng.random_range(0.0..256.0));
            if i == 15 { [128.0, 128.0, 3e-4, 20.0] } else { [y, x, 10f32.powf(rng.random_range(-4.0..-1.5)), 2.5] }
        })
        .collect();
    Array2::from_shape_fn((256, 256), |(y, x)| {
        if y < 16 && x < 32 {
            return f32::NAN;
        }
        let light = |s: &[f32; 4]| {
            let d2 = (y as f32 - s[0]).powi(2) + (x as f32 - s[1]).powi(2);
            s[2] * (-d2 / (2.0 * s[3] * s[3])).exp()
        };
        let noise: f32 = (0..4).map(|_| rng.random_range(-0.5f32..0.5)).sum::<f32>() * 5.2e-5;
        noise + sources.iter().map(light).sum::<f32>()
    })
}

fn name(step: &AugmentStep) -> &'static str {
    match step {
        AugmentStep::CropResize { .. } => "crop_resize",
        AugmentStep::ColorJitter { .. } => "color_jitter",
        AugmentStep::FlipEither { .. } => "flip_either",
        AugmentStep::FlipHorizontal { .. } => "flip_horizontal",
        AugmentStep::FlipVertical { .. } => "flip_vertical",
        AugmentStep::QuarterTurn { .. } => "quarter_turn",
        AugmentStep::Blur { .. } => "blur",
        AugmentStep::Threshold { .. } => "threshold",
        _ => "not in Table 2",
    }
}

/// Each augmenter whenever it is drawn (its probability left out of the time), at 3 × 224 × 224.
fn each_augmenter(c: &mut Criterion) {
    let recipe = Recipe::paper(224);
    let channels: Array3<f32> = recipe.channels(cutout().view()).expect("a usable cutout");
    let (_, rows, cols) = channels.dim();
    let mut group = c.benchmark_group("augmenter");
    group.throughput(Throughput::Elements(1)); // reads as cutouts per second
    for step in &Augmenter::hulk().steps {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        group.bench_function(name(step), |b| {
            b.iter_batched(
                || {
                    let draw = (0..1000).find_map(|_| step.draw(rows, cols, &mut rng).pop()).expect("drawn at last");
                    (draw, channels.clone())
                },
                |(draw, channels)| draw.apply(black_box(channels), BlankRule::Nan),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Table 2's chain, the recipe's two halves, and a whole view from a 256-pixel cutout.
fn whole_chain(c: &mut Criterion) {
    let recipe = Recipe::paper(224);
    let cutout = cutout();
    let channels = recipe.channels(cutout.view()).expect("a usable cutout");
    let limits = recipe.limits(cutout.view()).expect("a usable cutout");
    let stretched = recipe.stretch(cutout.view(), &limits);
    let augmenter = Augmenter::hulk();
    let mut group = c.benchmark_group("chain");
    group.throughput(Throughput::Elements(1));
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    group.bench_function("table2_224", |b| {
        b.iter_batched(
            || channels.clone(),
            |channels| augmenter.apply(black_box(channels), &mut rng),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("recipe_limits", |b| b.iter(|| recipe.limits(black_box(cutout.view()))));
    group.bench_function("recipe_whole", |b| b.iter(|| recipe.channels(black_box(cutout.view()))));
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    group.bench_function("view_of_a_stretched_cutout", |b| {
        b.iter_batched(
            || stretched.clone(),
            |channels| recipe.view(black_box(channels), &augmenter, &mut rng),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, each_augmenter, whole_chain);
criterion_main!(benches);
