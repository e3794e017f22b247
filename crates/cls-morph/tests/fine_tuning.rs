//! Training with labels on small synthetic images: it learns, resumes to the bit, and fails with reasons.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use cls_morph::classifier::config::HeadStart;
use cls_morph::classifier::loss::Loss;
use cls_morph::features::Turns;
use cls_morph::{ClassError, Classifier, ClassifierConfig, FineTuning, fine_tune, one_class_each};
use ndarray::{Array2, Array4, Axis};
use radio_augment::{FrameSource, Recipe};
use radio_tensor::resnet::{Depth, ResNetConfig};
use radio_tensor::trunk::Trunk;
use radio_tensor::vit::ViTConfig;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One round source (even images) or two apart (odd ones), somewhere, on noise.
struct Doubles(usize);

impl FrameSource for Doubles {
    fn len(&self) -> usize {
        self.0
    }
    fn address(&self, i: usize) -> u64 {
        i as u64 * 3 + 11
    }
    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        let mut rng = ChaCha8Rng::seed_from_u64(i as u64);
        let (y, x, angle) =
            (rng.random_range(15.0..25.0f32), rng.random_range(15.0..25.0f32), rng.random_range(0.0..3.1f32));
        let apart = if i.is_multiple_of(2) { 0.0 } else { 7.0 };
        Ok(Array2::from_shape_fn((40, 40), |(row, col)| {
            let lobe = |side: f32| {
                let (dy, dx) =
                    (row as f32 - y - side * apart * angle.sin(), col as f32 - x - side * apart * angle.cos());
                (-(dy * dy + dx * dx) / 8.0).exp()
            };
            lobe(1.0) + lobe(-1.0) + 0.03 * rng.random_range(-1.0..1.0f32)
        }))
    }
}

const IMAGES: usize = 26;

fn labels(n: usize) -> Vec<usize> {
    (0..n).map(|i| i % 2).collect()
}

fn classes() -> Vec<String> {
    vec!["single".into(), "double".into()]
}

fn config() -> ClassifierConfig {
    ClassifierConfig {
        batch_size: 8,
        epochs: 3,
        warmup_epochs: 1,
        peak_lr: 3e-3,
        backbone: ResNetConfig { depth: Depth::ResNet18, width: 4 }.into(),
        recipe: Recipe::paper(32),
        ..ClassifierConfig::laptop(9, 32, 8, 3)
    }
}

/// The same with a vision transformer.
fn vit() -> ClassifierConfig {
    let backbone = ViTConfig { size: 32, patch: 8, width: 24, blocks: 2, heads: 2, hidden: 48 };
    ClassifierConfig { backbone: backbone.into(), ..config() }
}

fn start(config: ClassifierConfig) -> FineTuning {
    FineTuning::new(config, classes(), one_class_each(&labels(IMAGES), 2), None).unwrap()
}

/// Trains to the end, with a checkpoint after `stop_at` steps and a fresh process (as it were) from there.
fn train(config: &ClassifierConfig, stop_at: Option<u64>, folder: &Path) -> FineTuning {
    let source: Arc<dyn FrameSource> = Arc::new(Doubles(IMAGES));
    let path = folder.join("training.safetensors");
    let mut run = start(config.clone());
    let complete = fine_tune(&mut run, source.clone(), |run, now| {
        if Some(now.step) == stop_at {
            run.checkpoint([("note", "test".to_owned())]).unwrap().write(&path).unwrap();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    if stop_at.is_none() {
        assert!(complete);
        return run;
    }
    assert!(!complete);
    let mut run = FineTuning::resume(config.clone(), classes(), one_class_each(&labels(IMAGES), 2), &path).unwrap();
    assert!(fine_tune(&mut run, source, |_, _| ControlFlow::Continue(())).unwrap());
    run
}

fn answers(run: FineTuning) -> Array2<f64> {
    run.into_classifier().predict(Arc::new(Doubles(12)), Turns::Four, 5, |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn resumed_at_any_step_the_run_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let at_probe = ClassifierConfig { head: HeadStart::Probe, ..config() };
    let stored = ClassifierConfig { stored_statistics: true, ..at_probe.clone() };
    for config in [config(), ClassifierConfig { frozen: true, ..config() }, at_probe, stored, vit()] {
        let whole = train(&config, None, folder.path());
        assert_eq!(whole.steps(), 9); // 26 images, batches of 8, incomplete ones left out, 3 epochs
        let losses = whole.losses().to_vec();
        let want = answers(whole);
        for stop in [1, 3, 8] {
            let resumed = train(&config, Some(stop), folder.path());
            assert_eq!(resumed.losses(), losses, "stopped after step {stop}");
            assert_eq!(answers(resumed), want, "stopped after step {stop}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| answers(train(&config(), None, folder.path())))
    };
    let one = run(1);
    assert_eq!(one.dim(), (12, 2));
    assert!(one == run(2) && one == run(3));
}

/// Images it never saw, after forty epochs.
#[test]
fn singles_and_doubles_are_told_apart() {
    let mut run = start(ClassifierConfig { epochs: 40, warmup_epochs: 2, ..config() });
    fine_tune(&mut run, Arc::new(Doubles(IMAGES)), |_, _| ControlFlow::Continue(())).unwrap();
    let p = run.into_classifier();
    let p = p.predict(Arc::new(Doubles(76)), Turns::Four, 32, |_| ControlFlow::Continue(())).unwrap();
    let right = (IMAGES..76).filter(|&i| (p[(i, 1)] > p[(i, 0)]) == (i % 2 == 1)).count();
    assert!(right >= 44, "{right} of 50");
    assert!(p.rows().into_iter().all(|row| (row.sum() - 1.0).abs() < 1e-9));
}

#[test]
fn a_frozen_trunk_stays_as_it_was() {
    let rng = ChaCha8Rng::seed_from_u64(77);
    let trunk = || Trunk::new(config().backbone, &mut rng.clone()).unwrap();
    let (before, statistics) = (trunk().parameters().to_vec(), trunk().running().to_vec());
    let frozen = ClassifierConfig { frozen: true, ..config() };
    let mut run = FineTuning::new(frozen, classes(), one_class_each(&labels(IMAGES), 2), Some(trunk())).unwrap();
    fine_tune(&mut run, Arc::new(Doubles(IMAGES)), |_, _| ControlFlow::Continue(())).unwrap();
    assert!(run.losses().last().unwrap() != run.losses().first().unwrap());
    let classifier = run.into_classifier();
    assert_eq!(classifier.trunk.parameters(), before);
    assert_eq!(classifier.trunk.running(), statistics);
}

#[test]
fn a_checkpoint_gives_the_classifier_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classifier.safetensors");
    let mut classifier = train(&config(), None, folder.path()).into_classifier();
    classifier.temperature = 1.7;
    classifier.checkpoint(&config()).unwrap().write(&path).unwrap();
    let again = Classifier::read(&path).unwrap();
    assert_eq!((again.classes.clone(), again.temperature), (classes(), 1.7));
    let predict = |c: &Classifier, turns, batch| {
        c.predict(Arc::new(Doubles(9)), turns, batch, |_| ControlFlow::Continue(())).unwrap()
    };
    assert_eq!(predict(&again, Turns::Four, 9), predict(&classifier, Turns::Four, 4));
    assert_ne!(predict(&again, Turns::Four, 9), predict(&again, Turns::One, 9));
    // Turned images get the same answer where all four turns are averaged.
    let images = Array4::from_shape_fn((1, 3, 32, 32), |(_, c, y, x)| ((y * 7 + x * 3 + c) % 11) as f32 / 10.0);
    let turned = radio_augment::quarter_turns(images.index_axis(Axis(0), 0), 1).insert_axis(Axis(0));
    let one = again.probabilities(&images, Turns::Four).unwrap();
    let other = again.probabilities(&turned, Turns::Four).unwrap();
    assert!((one[(0, 0)] - other[(0, 0)]).abs() < 1e-6);
}

/// At a rate of zero the head stays where it starts: at random, or where it tells the training images apart.
#[test]
fn a_head_that_starts_at_the_probe_is_right_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let answers = |config: &ClassifierConfig| {
        let classifier = train(config, None, folder.path()).into_classifier();
        classifier.predict(Arc::new(Doubles(IMAGES)), Turns::Four, 8, |_| ControlFlow::Continue(())).unwrap()
    };
    let still = |head, loss| ClassifierConfig { head, loss, peak_lr: 0.0, floor_lr: 0.0, frozen: true, ..config() };
    let right = |head: HeadStart, loss: Loss| {
        let found = answers(&still(head, loss));
        (0..IMAGES).filter(|&i| (found[(i, 1)] > found[(i, 0)]) == (i % 2 == 1)).count()
    };
    for loss in [Loss::CrossEntropy, Loss::Focal { alpha: 0.25, gamma: 2.0 }] {
        let (probe, random) = (right(HeadStart::Probe, loss), right(HeadStart::Random, loss));
        assert!(probe >= IMAGES - 3 && random < probe, "{loss:?}: {probe} and {random} of {IMAGES}");
    }
    let kept = ClassifierConfig { peak_lr: 0.0, ..config() }.from_encoder(20);
    assert_eq!(answers(&kept), answers(&still(HeadStart::Probe, Loss::CrossEntropy)), "no step, no change");
    assert_eq!(ClassifierConfig::from_toml(&kept.to_toml().unwrap()).unwrap(), kept);
    let nothing = ClassifierConfig { head: HeadStart::Random, ..kept };
    assert!(matches!(nothing.check(), Err(ClassError::Setting { name: "epochs", .. })));
    let text = config().to_toml().unwrap();
    assert!(!text.contains("head"), "a random head has the text of before: {text}");
    let probe = ClassifierConfig { head: HeadStart::Probe, ..config() };
    assert_eq!(ClassifierConfig::from_toml(&probe.to_toml().unwrap()).unwrap(), probe);
}

#[test]
fn several_labels_train_with_the_focal_loss() {
    let focal = ClassifierConfig { loss: Loss::Focal { alpha: 0.25, gamma: 2.0 }, epochs: 12, ..config() };
    // Class 0: two lobes; class 1: always; class 2: never.
    let targets = Array2::from_shape_fn((IMAGES, 3), |(i, class)| [i % 2 == 1, true, false][class]);
    let names = ["double", "source", "ghost"].map(String::from).to_vec();
    let mut run = FineTuning::new(focal, names, targets, None).unwrap();
    fine_tune(&mut run, Arc::new(Doubles(IMAGES)), |_, _| ControlFlow::Continue(())).unwrap();
    let p = answers(run);
    let mean = |class: usize| p.column(class).mean().unwrap();
    assert!(mean(1) > 0.6 && mean(2) < 0.4, "{} {}", mean(1), mean(2));
}

#[test]
fn wrong_runs_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    let targets = || one_class_each(&labels(IMAGES), 2);
    train(&config(), None, folder.path()).checkpoint([]).unwrap().write(&path).unwrap();
    let other = |config: ClassifierConfig, names: Vec<String>, targets: Array2<bool>| {
        FineTuning::resume(config, names, targets, &path).err().unwrap()
    };
    let error = other(ClassifierConfig { seed: 10, ..config() }, classes(), targets());
    assert!(matches!(error, ClassError::OtherRun { what: "configuration", .. }), "{error}");
    let error = other(config(), vec!["a".into(), "b".into()], targets());
    assert!(matches!(error, ClassError::OtherRun { what: "classes", .. }), "{error}");
    let mut swapped = labels(IMAGES);
    swapped.swap(2, 5);
    let error = other(config(), classes(), one_class_each(&swapped, 2));
    assert!(matches!(error, ClassError::OtherRun { what: "labels", .. }), "{error}");
    let error = fine_tune(&mut start(config()), Arc::new(Doubles(3)), |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, ClassError::OtherRun { what: "number of images", .. }), "{error}");
    let mut run = start(ClassifierConfig { peak_lr: 1e30, warmup_epochs: 0, ..config() });
    let error = fine_tune(&mut run, Arc::new(Doubles(IMAGES)), |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, ClassError::Diverged { .. }), "{error}");
    let two = Array2::from_elem((4, 2), true);
    let error = FineTuning::new(config(), classes(), two, None).err().unwrap();
    assert!(matches!(error, ClassError::Length { what: "classes of an image", .. }), "{error}");
    let wide = ResNetConfig { depth: Depth::ResNet18, width: 8 };
    let wide = Trunk::new(wide.into(), &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    let error = FineTuning::new(config(), classes(), targets(), Some(wide)).err().unwrap();
    assert!(matches!(error, ClassError::OtherRun { what: "network", .. }), "{error}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(Classifier::read(&path).err().unwrap(), ClassError::Tensor(_)));
}

#[test]
fn a_transformer_is_fine_tuned_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classifier.safetensors");
    let mut run = start(ClassifierConfig { epochs: 40, warmup_epochs: 2, ..vit() });
    fine_tune(&mut run, Arc::new(Doubles(IMAGES)), |_, _| ControlFlow::Continue(())).unwrap();
    let (first, last) = (run.losses()[0], run.losses()[run.losses().len() - 1]);
    assert!(last < 0.8 * first, "{first} {last}");
    let classifier = run.into_classifier();
    classifier.checkpoint(&vit()).unwrap().write(&path).unwrap();
    let again = Classifier::read(&path).unwrap();
    assert_eq!(again.trunk.parameters(), classifier.trunk.parameters());
    let image = Array4::from_elem((1, 3, 32, 32), 0.5);
    assert!(matches!(again.class_map(image, 0), Err(ClassError::Tensor(_))), "it has no maps of the classes");
    let torn = ClassifierConfig { recipe: Recipe::paper(36), ..vit() }.check().unwrap_err().to_string();
    assert!(torn.contains("patches") && torn.contains("36 pixels"), "{torn}");
}

/// A network whose head was made for the features at one source shows another source of that shape where it is.
#[test]
fn the_class_map_is_highest_where_the_network_looks() {
    let image = |cells: &[(usize, usize)]| {
        let centre = |cell: usize| 32.0 * cell as f32 + 15.5;
        Array4::from_shape_fn((1, 3, 224, 224), |(_, c, y, x)| {
            let light = |&(row, col): &(usize, usize)| {
                (-((y as f32 - centre(row)).powi(2) + (x as f32 - centre(col)).powi(2)) / 40.0).exp()
            };
            (cells.iter().map(light).sum::<f32>() * (1.0 - 0.2 * c as f32)).min(1.0)
        })
    };
    let trunk = ResNetConfig { depth: Depth::ResNet18, width: 8 };
    let trunk = Trunk::new(trunk.into(), &mut ChaCha8Rng::seed_from_u64(3)).unwrap();
    let mut classifier = FineTuning::new(
        ClassifierConfig { backbone: trunk.config(), ..config() },
        classes(),
        one_class_each(&[0, 1], 2),
        Some(trunk),
    )
    .unwrap()
    .into_classifier();
    let shown = image(&[(2, 2)]);
    let tensor = candle_core::Tensor::from_vec(
        shown.iter().copied().collect::<Vec<f32>>(),
        (1, 3, 224, 224),
        &candle_core::Device::Cpu,
    )
    .unwrap();
    let maps: Vec<f32> = classifier.trunk.pyramid(&tensor).unwrap()[3].flatten_all().unwrap().to_vec1().unwrap();
    let features = classifier.trunk.config().features();
    for k in 0..features {
        let map = &maps[k * 49..(k + 1) * 49];
        let weight = map[2 * 7 + 2] - map.iter().sum::<f32>() / 49.0;
        classifier.head.parameters_mut()[0].values[features + k] = weight;
        classifier.head.parameters_mut()[0].values[k] = 0.01 * (k % 5) as f32;
    }
    for cell in [(2, 2), (4, 4), (3, 2), (4, 3)] {
        let map = classifier.class_map(image(&[cell]), 1).unwrap();
        let best = map.indexed_iter().reduce(|a, b| if b.1 > a.1 { b } else { a }).unwrap();
        assert_eq!((best.0.1, best.0.2), cell, "{map:?}");
    }
    // With weights of one sign nothing is cut off, and the map sums to the logit.
    let map = classifier.class_map(image(&[(1, 4)]), 0).unwrap();
    let image = image(&[(1, 4)]);
    let p = classifier.probabilities(&image, Turns::One).unwrap();
    let other: f64 = {
        let features =
            cls_morph::features::embed_turned(&classifier.trunk, &image, Turns::One, Default::default()).unwrap();
        classifier.head.logits(features.view())[(0, 0)]
    };
    assert!((f64::from(map.sum()) - other).abs() < 1e-3 * other.abs() && other > 0.0 && p[(0, 0)].is_finite());
    assert!(classifier.class_map(image, 2).is_err());
}
