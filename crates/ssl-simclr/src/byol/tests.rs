//! BYOL against PyTorch and against a slow version with plain loops: loss, gradients, one whole step.
use candle_core::{Device, Tensor};
use radio_tensor::parameter::Parameter;
use radio_tensor::resnet::{Depth, ResNetConfig};
use radio_tensor::trunk::{Backbone, Trunk};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::heads::project;
use super::*;
use crate::config::ProjectorConfig;
use crate::{Pretraining, SimClrConfig};

const PROJECTOR: ProjectorConfig = ProjectorConfig { hidden: 6, output: 4 };
const BYOL: ByolConfig = ByolConfig { predictor_hidden: 7, target_momentum: 0.9, final_momentum: 1.0 };

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The numbers of the golden script: `base + scale sin(1 + 0.7 i + 1.3 k)`.
fn fill(n: usize, k: f64, scale: f64, base: f64) -> Vec<f32> {
    (0..n).map(|i| (base + scale * (1.0 + 0.7 * i as f64 + 1.3 * k).sin()) as f32).collect()
}

/// Weights of a network from tensor number `k` on.
fn fill_network(parameters: &mut [Parameter], k: f64) {
    for (place, p) in parameters.iter_mut().enumerate() {
        let (scale, base) = [(0.5, 0.0), (0.3, 1.0), (0.2, 0.0), (0.5, 0.0)][place];
        p.values = fill(p.values.len(), k + place as f64, scale, base);
    }
}

fn tensor(values: Vec<f32>, width: usize) -> Tensor {
    Tensor::from_vec(values.clone(), (values.len() / width, width), &Device::Cpu).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// PyTorch 2.15.0 in f64: `Sequential(Linear(bias=False), BatchNorm1d, ReLU, Linear(bias=False))` in training mode three
/// times, `2 - 2 cosine_similarity` in both directions, weights and inputs by `fill`; 4 cutouts, 5 features.
#[test]
fn loss_and_gradients_match_pytorch() {
    #[rustfmt::skip]
    let d_features = [
        -0.0547112676, -0.0172624121, 0.0283052255, 0.0605604733, 0.0643331842, 0.0432646061, 0.0701841302, 0.0640949612,
        0.0278609304, -0.0214765312, -0.0816378676, -0.0913882767, -0.0581573513, 0.00242588517, 0.0618681899, 0.156716991,
        0.0617935247, -0.0621924013, -0.156928269, -0.17785832, 0.0388983691, 0.0397136172, 0.0218509306, -0.00628859011,
        -0.0314704886, -0.5112873, -0.355216363, -0.03208162, 0.30614161, 0.500381658, 0.169333945, 0.138047663, 0.0418354082,
        -0.0740526926, -0.155112655, 0.239422525, 0.154128117, -0.00365515292, -0.159719347, -0.240665037,
    ];
    #[rustfmt::skip]
    let gradients: [&[f64]; 8] = [
        &[-0.147502624, 0.0771866546, 0.265573844, 0.329057505, 0.237780279, -0.0103551581, 0.0385496452, 0.069323948,
            0.0674941148, 0.0339207448, 0.0890981926, 0.445706625, 0.592692267, 0.460925475, 0.11237823, -0.0606632833,
            -0.128881382, -0.136484553, -0.0798969062, 0.0142675042, -0.0567758901, -0.082034322, -0.0687107305,
            -0.0230714088, 0.033418757, 0.103396554, 0.111144711, 0.0666197739, -0.00923748407, -0.0807502089],
        &[0.127022212, 0.948057783, -1.38091575, 1.13675349, -0.384427063, -0.519508074],
        &[-0.0187277835, 0.849167587, -1.51229927, 1.20577466, -0.364281072, -0.475169581],
        &[-3.98994179, 0.752506595, -0.695287832, -0.291970503, 1.09566548, -1.72164062, -8.95024731, 6.46997483,
            -4.92685472, 2.90647383, -3.20954431, 1.16622262, -9.70111168, 9.14451281, -6.84124485, 4.7379581, -6.00525527,
            3.50559313, -5.88939163, 7.51824353, -5.53809063, 4.34110665, -5.97660084, 4.19622842],
        &[10.4264502, -4.2488198, -6.26039047, 10.3872681, 6.81683012, -3.1260905, -3.75163073, 6.80464562, -0.776946589,
            0.372729225, 0.411477517, -0.776191836, -0.241551218, 0.124106357, 0.11986225, -0.241633887, -2.16221861,
            1.14637761, 1.03817055, -2.1643263, -2.26806898, 1.28396169, 1.00911675, -2.2734225, -0.772787181, 0.494913003,
            0.28751427, -0.776826967],
        &[-0.890426482, -0.479356917, 0.871192274, 0.320731294, 1.33611762, 0.496506141, -0.409033086],
        &[-0.829642657, 0.576453706, 1.13672344, 0.325896493, 1.38969059, -0.0635113312, -0.664319965],
        &[1.99525889, 1.38997954, 1.28417965, 0.819380355, 0.778413242, 0.798465235, 1.23109078, -1.68228138,
            -0.770619187, -1.04864326, -0.454947591, -0.622199439, -0.482641673, -0.741532594, 1.11797802, -0.085532268,
            0.253499932, -0.0457886281, 0.087554732, 0.142432517, 0.168152064, 3.38284505, 0.576964525, 2.2600731,
            0.329921036, 1.38045565, 0.348302649, 2.34849931],
    ];
    let mut heads = Heads::new(5, PROJECTOR, BYOL, &mut rng(1));
    let mut target = heads.projector().to_vec();
    fill_network(&mut heads.parameters_mut()[..4], 0.0);
    fill_network(&mut heads.parameters_mut()[4..], 4.0);
    fill_network(&mut target, 8.0);
    let targets = project(&tensor(fill(40, 13.0, 1.0, 0.0), 5), &target).unwrap();
    let got = heads.contrast(&tensor(fill(40, 12.0, 1.0, 0.0), 5), &targets).unwrap();
    assert!((got.loss - 3.588_547_7).abs() < 2e-5, "{}", got.loss);
    assert!((got.embedding_std - 0.758_797_5).abs() < 1e-5, "{}", got.embedding_std);
    let close = |what: &str, got: &[f32], want: &[f64]| {
        let largest = want.iter().fold(0f64, |m, v| m.max(v.abs()));
        assert_eq!(got.len(), want.len(), "{what}");
        for (got, want) in got.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-4 * largest, "{what}: {got} {want}");
        }
    };
    close("features", &flat(&got.d_features), &d_features);
    for ((p, got), want) in heads.parameters().iter().zip(&got.gradients).zip(gradients) {
        close(&p.name, got, want);
    }
}

/// Dense, batch norm, ReLU, dense, in f64 with plain loops.
fn slow_network(x: &[Vec<f64>], parameters: &[Parameter]) -> Vec<Vec<f64>> {
    let dense = |x: &[Vec<f64>], p: &Parameter| -> Vec<Vec<f64>> {
        let rows: Vec<&[f32]> = p.values.chunks(p.shape[1]).collect();
        let dot = |x: &[f64], w: &[f32]| x.iter().zip(w).map(|(x, w)| x * f64::from(*w)).sum();
        x.iter().map(|x| rows.iter().map(|w| dot(x, w)).collect()).collect()
    };
    let mut hidden = dense(x, &parameters[0]);
    let n = hidden.len() as f64;
    for j in 0..hidden[0].len() {
        let mean = hidden.iter().map(|row| row[j]).sum::<f64>() / n;
        let variance = hidden.iter().map(|row| (row[j] - mean).powi(2)).sum::<f64>() / n;
        let (scale, offset) = (f64::from(parameters[1].values[j]), f64::from(parameters[2].values[j]));
        for row in &mut hidden {
            row[j] = ((row[j] - mean) / (variance + 1e-5).sqrt() * scale + offset).max(0.0);
        }
    }
    dense(&hidden, &parameters[3])
}

fn slow_loss(online: &[Vec<f64>], target: &[Vec<f64>], heads: &[Parameter], projector: &[Parameter]) -> f64 {
    let predictions = slow_network(&slow_network(online, &heads[..4]), &heads[4..]);
    let targets = slow_network(target, projector);
    let cosine = |a: &[f64], b: &[f64]| {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        // A row whose hidden values are all below 0 is a row of zeros.
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12)
    };
    let n = online.len() / 2;
    let distance = |i: usize| 2.0 - 2.0 * cosine(&predictions[i], &targets[(i + n) % (2 * n)]);
    (0..2 * n).map(distance).sum::<f64>() / n as f64
}

const TRUNK: Backbone = Backbone::ResNet(ResNetConfig { depth: Depth::ResNet18, width: 4 });

fn run() -> Pretraining {
    let config = SimClrConfig {
        batch_size: 6,
        epochs: 5,
        warmup_epochs: 1,
        backbone: TRUNK,
        projector: PROJECTOR,
        ..SimClrConfig::paper(3).with_byol(BYOL)
    };
    Pretraining::new(config, 6).unwrap()
}

fn views(seed: u64) -> Tensor {
    let mut rng = rng(seed);
    let pixels: Vec<f32> = (0..12 * 3 * 32 * 32).map(|_| rng.random()).collect();
    Tensor::from_vec(pixels, (12, 3, 32, 32), &Device::Cpu).unwrap()
}

/// Features of the views by these weights, by a trunk of its own.
fn features(parameters: &[Parameter]) -> Vec<Vec<f64>> {
    let mut trunk = Trunk::new(TRUNK, &mut rng(0)).unwrap();
    trunk.parameters_mut().clone_from_slice(parameters);
    let rows: Vec<Vec<f32>> = trunk.forward(&views(7)).unwrap().to_vec2().unwrap();
    rows.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect()
}

/// Loss and gradients of a step, after one step that has parted target and online network: the loss by the slow version;
/// gradients of trunk and heads by central differences of it **with the target held fixed**, which is what stopping the gradient
/// means. Were the target to follow, the differences would not fit: that is looked at too.
#[test]
fn a_step_equals_the_slow_version() {
    let mut run = run();
    run.step(0.02, |_| Ok(views(1))).unwrap();
    let target = run.target().unwrap().clone();
    let (contrast, gradients) = run.gradients(|_| Ok(views(7))).unwrap();
    assert_eq!(run.target().unwrap().projector, target.projector, "a backward pass leaves the target alone");
    assert!(run.target().unwrap().parameters().eq(target.parameters()));

    let online = run.trunk().parameters().to_vec();
    let heads = run.head_parameters().to_vec();
    let target: Vec<Parameter> = target.parameters().cloned().collect();
    let (target_trunk, target_projector) = target.split_at(online.len());
    let fixed = features(target_trunk);
    let loss = slow_loss(&features(&online), &fixed, &heads, target_projector);
    assert!((f64::from(contrast.loss) - loss).abs() < 1e-4, "{} {loss}", contrast.loss);

    let norm = |g: &[f32]| g.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let moved = |parameters: &[Parameter], place: usize, direction: &[f32], step: f64| {
        let mut moved = parameters.to_vec();
        let scale = step / norm(direction);
        moved[place]
            .values
            .iter_mut()
            .zip(direction)
            .for_each(|(v, g)| *v = (f64::from(*v) + scale * f64::from(*g)) as f32);
        moved
    };
    let (mut seen, mut unlike) = (0, 0);
    for place in (0..gradients.len()).step_by(6) {
        // Small: with few values to a statistic in the last stage the loss bends strongly.
        let (gradient, step) = (&gradients[place], 1e-4);
        let at = |step: f64| {
            let nudged = features(&moved(&online, place, gradient, step));
            (
                slow_loss(&nudged, &fixed, &heads, target_projector),
                slow_loss(&nudged, &nudged, &heads, target_projector),
            )
        };
        let (up, down) = (at(step), at(-step));
        let difference = (up.0 - down.0) / (2.0 * step);
        let want = norm(gradient);
        assert!(
            (difference - want).abs() < 0.03 * want + 2e-2,
            "trunk {place}: difference {difference}, gradient {want}"
        );
        seen += usize::from(want > 0.5);
        unlike += usize::from(((up.1 - down.1) / (2.0 * step) - want).abs() > 0.2 * want);
    }
    assert!(
        seen >= 4 && unlike >= 3,
        "{seen} gradients are large enough to be seen, {unlike} tell a target that follows"
    );
    let own = features(&online);
    for (place, gradient) in contrast.gradients.iter().enumerate() {
        let at = |step: f64| slow_loss(&own, &fixed, &moved(&heads, place, gradient, step), target_projector);
        let (difference, want) = ((at(1e-3) - at(-1e-3)) / 2e-3, norm(gradient));
        assert!((difference - want).abs() < 0.02 * want + 1e-3, "{}: {difference} {want}", heads[place].name);
    }
}

/// After a step every target weight is the stated average, to the bit, and nothing else has moved it.
#[test]
fn the_target_is_an_exponential_moving_average() {
    let mut run = run();
    for step in 0..3 {
        let before: Vec<Parameter> = run.target().unwrap().parameters().cloned().collect();
        run.step(0.01, |_| Ok(views(step))).unwrap();
        let momentum = BYOL.momentum(step, 5);
        let online = run.trunk().parameters().iter().chain(&run.head_parameters()[..4]);
        let mut moved = 0;
        for ((target, before), online) in run.target().unwrap().parameters().zip(&before).zip(online) {
            assert_eq!(target.name, online.name);
            for ((target, before), online) in target.values.iter().zip(&before.values).zip(&online.values) {
                let want = momentum * f64::from(*before) + (1.0 - momentum) * f64::from(*online);
                assert_eq!(*target, want as f32);
                moved += usize::from(target != before);
            }
        }
        assert!(moved > 10_000, "{moved}");
    }
}

/// The target sees the batch it is shown, with statistics of its own, and the online trunk is as it was.
#[test]
fn the_target_runs_on_the_batch_and_leaves_the_trunk_alone() {
    let mut run = run();
    run.step(0.02, |_| Ok(views(1))).unwrap();
    let before = (run.trunk().parameters().to_vec(), run.trunk().running().to_vec());
    let mut target = run.target().unwrap().clone();
    let weights: Vec<Parameter> = target.parameters().take(before.0.len()).cloned().collect();
    let mut trunk = Trunk::new(TRUNK, &mut rng(0)).unwrap();
    trunk.parameters_mut().clone_from_slice(&before.0);
    trunk.running_mut().clone_from_slice(&before.1);
    let got = target.trunk.features(&mut trunk, &views(7)).unwrap();
    let want: Vec<f32> = features(&weights).concat().into_iter().map(|v| v as f32).collect();
    assert_eq!(flat(&got), want);
    assert_eq!((trunk.parameters(), trunk.running()), (&before.0[..], &before.1[..]));
    assert_ne!(&target, run.target().unwrap(), "running statistics of the target");
}

#[test]
fn the_momentum_rises_on_half_a_cosine() {
    let grill = ByolConfig::grill();
    assert_eq!((grill.momentum(0, 1000), grill.momentum(1000, 1000)), (0.996, 1.0));
    assert!((grill.momentum(500, 1000) - 0.998).abs() < 1e-12);
    assert!((grill.momentum(250, 1000) - (1.0 - 0.004 * (0.5f64.sqrt() + 1.0) / 2.0)).abs() < 1e-12);
    assert_eq!(grill.momentum(2000, 1000), 1.0);
    let upstream = ByolConfig::upstream();
    assert!((0..=10).all(|step| (upstream.momentum(step, 10) - 0.99).abs() < 1e-15));
}

#[test]
fn unequal_or_odd_views_are_refused() {
    let heads = Heads::new(5, PROJECTOR, BYOL, &mut rng(1));
    for (rows, targets) in [(8, 6), (7, 7), (0, 0)] {
        let views = Tensor::from_vec(vec![0.5f32; rows * 5], (rows, 5), &Device::Cpu).unwrap();
        let constants = Tensor::from_vec(vec![0.5f32; targets * 4], (targets, 4), &Device::Cpu).unwrap();
        assert!(heads.contrast(&views, &constants).is_err(), "{rows} {targets}");
    }
}
