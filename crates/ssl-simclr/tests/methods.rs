//! Both methods through kills, threads, the monitor and collapse: what must hold whatever is learnt from.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

mod sky;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use radio_augment::{Augmenter, Recipe};
use radio_tensor::checkpoint::Checkpoint;
use radio_tensor::resnet::{Depth, Precision, ResNetConfig};
use radio_tensor::vit::ViTConfig;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sky::Sky;
use ssl_simclr::byol::ByolConfig;
use ssl_simclr::config::{CollapseStop, ProjectorConfig};
use ssl_simclr::{Encoder, KnnMonitor, Method, Pretraining, SimClrConfig, SimClrError, TrainingEvents, pretrain};

const FRAMES: usize = 27;

fn simclr() -> SimClrConfig {
    SimClrConfig {
        batch_size: 8,
        epochs: 3,
        warmup_epochs: 1,
        peak_lr: 3e-3,
        backbone: ResNetConfig { depth: Depth::ResNet18, width: 4 }.into(),
        projector: ProjectorConfig { hidden: 16, output: 8 },
        recipe: Recipe::paper(32).into(),
        ..SimClrConfig::paper(9)
    }
}

/// The same with a vision transformer.
fn vit() -> SimClrConfig {
    let backbone = ViTConfig { size: 32, patch: 8, width: 24, blocks: 2, heads: 2, hidden: 48 };
    SimClrConfig { backbone: backbone.into(), ..simclr() }
}

fn byol() -> SimClrConfig {
    with_byol(simclr())
}

fn with_byol(config: SimClrConfig) -> SimClrConfig {
    config.with_byol(ByolConfig { predictor_hidden: 16, target_momentum: 0.9, final_momentum: 1.0 })
}

fn monitor(every: u64) -> KnnMonitor {
    KnnMonitor::new(Arc::new(Sky(20)), (0..20).map(|i| i % 3).collect(), every).unwrap()
}

/// Goes on for `steps` steps at most; returns the bytes of the checkpoint after them.
fn go_on(run: &mut Pretraining, steps: u64, path: &Path) -> Vec<u8> {
    let end = run.steps() + steps;
    pretrain(run, Arc::new(Sky(FRAMES)), |_, now| match now.step < end {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    })
    .unwrap();
    run.checkpoint([]).unwrap().write(path).unwrap();
    std::fs::read(path).unwrap()
}

/// Twenty kills at random batches for each method, a few for a batch in chunks and in bf16 and for vision transformers; one to three of
/// them in one run.
#[test]
fn killed_twenty_times_the_checkpoint_has_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let halved = |config| SimClrConfig { chunk: Some(4), precision: Precision::Bf16, ..config };
    for (config, enough) in
        [(simclr(), 20), (byol(), 20), (halved(byol()), 5), (vit(), 20), (halved(with_byol(vit())), 5)]
    {
        let mut whole = Pretraining::new(config.clone(), FRAMES).unwrap();
        whole.set_monitor(Some(monitor(2)));
        let want = go_on(&mut whole, 9, &path);
        assert_eq!((whole.steps(), whole.log().knn.len()), (9, 2), "after epoch 2 and the last");
        let mut kills = 0;
        while kills < enough {
            let mut run = Pretraining::new(config.clone(), FRAMES).unwrap();
            let mut got = Vec::new();
            while run.steps() < 9 {
                run.set_monitor(Some(monitor(2)));
                got = go_on(&mut run, rng.random_range(2..7), &path);
                kills += usize::from(run.steps() < 9);
                run = Pretraining::resume(config.clone(), FRAMES, &path).unwrap();
            }
            assert!(got == want, "{:?}, after {kills} kills", config.method);
        }
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    for config in [byol(), vit(), with_byol(vit())] {
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let path = folder.path().join(threads.to_string());
            pool.install(|| go_on(&mut Pretraining::new(config.clone(), FRAMES).unwrap(), 5, &path))
        };
        let one = bits(1);
        assert!(one == bits(2) && one == bits(3), "{config:?}");
    }
}

/// What the monitor writes is its own log, and all else is as without it.
#[test]
fn the_monitor_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for config in [simclr(), byol()] {
        let bits = |monitor: Option<KnnMonitor>| {
            let mut run = Pretraining::new(config.clone(), FRAMES).unwrap();
            run.set_monitor(monitor);
            let mut told = Vec::new();
            pretrain(&mut run, Arc::new(Sky(FRAMES)), |_, now| {
                told.extend(now.knn.map(|knn| (now.step, knn)));
                ControlFlow::Continue(())
            })
            .unwrap();
            assert!(told.iter().map(|(_, knn)| *knn).eq(run.log().knn.iter().copied()));
            run.checkpoint([]).unwrap().write(&path).unwrap();
            (Checkpoint::read(&path).unwrap().checkpoint, told)
        };
        let ((plain, nothing), (mut watched, told)) = (bits(None), bits(Some(monitor(1))));
        assert!(nothing.is_empty());
        assert_eq!(told.iter().map(|(step, knn)| (*step, knn.epoch)).collect::<Vec<_>>(), [(3, 1), (6, 2), (9, 3)]);
        assert!(told.iter().all(|(_, knn)| (0.0..=1.0).contains(&knn.accuracy)), "{told:?}");
        watched.tensors.retain(|name, _| !name.starts_with("log.knn"));
        assert!(plain == watched);
    }
    let error = KnnMonitor::new(Arc::new(Sky(20)), vec![0; 19], 1).err().unwrap();
    assert!(matches!(error, SimClrError::MonitorLabels { frames: 20, labels: 19 }), "{error}");
    assert!(KnnMonitor::new(Arc::new(Sky(20)), vec![0; 20], 0).is_err());
}

/// Both methods learn something: BYOL's distance falls far, and its embeddings stay apart.
#[test]
fn byol_brings_views_together_without_collapse() {
    let config = SimClrConfig { epochs: 30, augmenter: Augmenter::banner(), ..byol() };
    let mut run = Pretraining::new(config, FRAMES).unwrap();
    pretrain(&mut run, Arc::new(Sky(FRAMES)), |_, now| {
        assert!(now.loss >= 0.0 && now.loss <= 8.0 && now.embedding_std > 0.05, "{now:?}");
        ControlFlow::Continue(())
    })
    .unwrap();
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let (start, end) = (mean(&run.losses()[..6]), mean(&run.losses()[84..]));
    assert!(end < 0.75 * start, "distance {start} at the start, {end} at the end");
}

/// A spread that no run can hold stops it after so many steps, whether or not it was resumed in between.
#[test]
fn a_collapsed_run_stops_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for (config, method) in [(simclr(), Method::SimClr), (byol(), Method::Byol)] {
        let config = SimClrConfig { collapse: CollapseStop { below: 1.0, steps: 5 }, ..config };
        for stop in [9, 2] {
            let mut run = Pretraining::new(config.clone(), FRAMES).unwrap();
            if stop < 9 {
                go_on(&mut run, stop, &path);
                run = Pretraining::resume(config.clone(), FRAMES, &path).unwrap();
            }
            let error = pretrain(&mut run, Arc::new(Sky(FRAMES)), |_, _| ControlFlow::Continue(())).unwrap_err();
            let SimClrError::Collapsed { step, epoch, found, limit, steps, advice, .. } = &error else {
                panic!("{error}");
            };
            assert_eq!((*step, *epoch, *limit, *steps), (4, 1, 1.0, 5), "{method:?}");
            assert!(*found < 1.0 && advice.contains("peak_lr"), "{error}");
            assert_eq!(run.steps(), 5, "the state is there to be looked at");
        }
        let off = SimClrConfig { collapse: CollapseStop { below: 0.0, steps: 1 }, ..config };
        let mut run = Pretraining::new(off, FRAMES).unwrap();
        assert!(pretrain(&mut run, Arc::new(Sky(FRAMES)), |_, _| ControlFlow::Continue(())).unwrap());
    }
}

/// An offset that drowns all differences gives every cutout the same embedding: below the limit as it is by default.
#[test]
fn constant_embeddings_are_a_collapse() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let collapse = CollapseStop { steps: 20, ..CollapseStop::default() };
    let config = SimClrConfig { peak_lr: 0.0, floor_lr: 0.0, epochs: 10, collapse, ..simclr() };
    let mut file = Pretraining::new(config.clone(), FRAMES).unwrap().checkpoint([]).unwrap();
    let (_, last) = file.tensors.get_mut("projector.2.bias").unwrap();
    last.iter_mut().for_each(|v| *v = 1e4);
    file.write(&path).unwrap();
    let mut run = Pretraining::resume(config, FRAMES, &path).unwrap();
    let error = pretrain(&mut run, Arc::new(Sky(FRAMES)), |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, SimClrError::Collapsed { step: 19, steps: 20, .. }), "{error}");
}

/// From a run of the other method the encoder alone is taken, and BYOL's target starts as a copy of the online network.
#[test]
fn a_second_stage_by_the_other_method() {
    let folder = tempfile::tempdir().unwrap();
    let (from_simclr, from_byol) = (folder.path().join("simclr"), folder.path().join("byol"));
    let mut first = Pretraining::new(simclr(), FRAMES).unwrap();
    go_on(&mut first, 4, &from_simclr);
    let second = Pretraining::start_from(byol(), FRAMES, &from_simclr).unwrap();
    assert_eq!(second.trunk().parameters(), first.trunk().parameters());
    let online = second.trunk().parameters().iter();
    assert!(second.target().unwrap().parameters().zip(online).all(|(target, online)| target == online));
    let mut third = Pretraining::new(byol(), FRAMES).unwrap();
    go_on(&mut third, 4, &from_byol);
    let fourth = Pretraining::start_from(byol(), FRAMES, &from_byol).unwrap();
    let (before, after) = (third.checkpoint([]).unwrap().tensors, fourth.checkpoint([]).unwrap().tensors);
    for name in ["conv1.weight", "projector.0.weight", "predictor.3.weight"] {
        assert_eq!(before[name], after[name], "{name}");
        let target = format!("optimizer.target.{name}");
        assert_eq!(after.contains_key(&target), name != "predictor.3.weight");
        assert!(after.get(&target).is_none_or(|copy| *copy == after[name]), "{name}");
    }
    assert!(matches!(
        Pretraining::resume(simclr(), FRAMES, &from_byol).err().unwrap(),
        SimClrError::OtherRun { what: "configuration", .. }
    ));
}

/// Logs that contradict the steps, absurd steps, and a target network with a tensor missing: typed errors, no memory taken.
#[test]
fn damaged_states_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let mut run = Pretraining::new(byol(), FRAMES).unwrap();
    run.set_monitor(Some(monitor(1)));
    go_on(&mut run, 4, &path);
    let whole = Checkpoint::read(&path).unwrap().checkpoint;
    let refused = |damage: &dyn Fn(&mut Checkpoint)| {
        let mut file = whole.clone();
        damage(&mut file);
        file.write(&path).unwrap();
        let error = Pretraining::resume(byol(), FRAMES, &path).err().unwrap();
        assert!(matches!(error, SimClrError::Tensor(_)), "{error}");
        error.to_string()
    };
    for steps in ["5", "18446744073709551615", "many"] {
        refused(&|file| {
            file.text.insert("optimizer.steps".into(), steps.into());
            file.tensors.remove("log.embedding_std");
        });
    }
    for name in
        ["optimizer.target.conv1.weight", "optimizer.target.bn1.running_var", "predictor.1.bias", "log.knn_accuracy"]
    {
        let error = refused(&|file| drop(file.tensors.remove(name).unwrap()));
        assert!(error.contains(name), "{error}");
    }
    for (name, shape) in [("log.knn_epoch", vec![1, 1]), ("log.embedding_std", vec![2, 2])] {
        let error = refused(&|file| file.tensors.get_mut(name).unwrap().0.clone_from(&shape));
        assert!(error.contains(name), "{error}");
    }
}

/// Killed with the events of the last steps unwritten, or with events of steps that are taken again: the file of the resumed
/// run tells every step once, and what it tells is what the run that was never killed tells.
#[test]
fn the_event_file_of_a_resumed_run_is_that_of_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let train = |run: &mut Pretraining, file: &Path, flush_until: u64, end: u64| {
        run.set_monitor(Some(monitor(1)));
        let mut events = TrainingEvents::open(file, run).unwrap();
        pretrain(run, Arc::new(Sky(FRAMES)), |run, now| {
            events.add(&now).unwrap();
            if now.step <= flush_until {
                events.flush().unwrap();
            }
            if now.step == 4 {
                run.checkpoint([]).unwrap().write(&path("state")).unwrap();
            }
            if now.step < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
        // What a kill loses: the buffer never reaches the file.
        if flush_until < end {
            std::mem::forget(events);
        }
    };
    let contents = |file: &Path| {
        // All but the wall time, field 1 of every event: 9 bytes at the start of a message.
        let bytes = std::fs::read(file).unwrap();
        let (mut place, mut events) = (0, Vec::new());
        while place < bytes.len() {
            let length = u64::from_le_bytes(bytes[place..place + 8].try_into().unwrap()) as usize;
            events.push(bytes[place + 12 + 9..place + 12 + length].to_vec());
            place += length + 16;
        }
        events
    };
    train(&mut Pretraining::new(simclr(), FRAMES).unwrap(), &path("whole"), 9, 9);
    let want = contents(&path("whole"));
    assert_eq!(want.len(), 1 + 9);
    // Killed at step 6, resumed at 4, with the events up to step 2 and up to step 6 in the file.
    for flushed in [2, 6] {
        let file = path(&flushed.to_string());
        train(&mut Pretraining::new(simclr(), FRAMES).unwrap(), &file, flushed, 6);
        train(&mut Pretraining::resume(simclr(), FRAMES, &path("state")).unwrap(), &file, 9, 9);
        assert_eq!(contents(&file), want, "flushed up to step {flushed}");
    }
}

/// Files from before there was a log of the spread go on, and hold no spread for the steps before.
#[test]
fn older_checkpoints_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let mut run = Pretraining::new(simclr(), FRAMES).unwrap();
    go_on(&mut run, 4, &path);
    let mut file = Checkpoint::read(&path).unwrap().checkpoint;
    file.tensors.remove("log.embedding_std").unwrap();
    assert!(!file.text["simclr.toml"].contains("method") && !file.text["simclr.toml"].contains("collapse"));
    file.write(&path).unwrap();
    let mut older = Pretraining::resume(simclr(), FRAMES, &path).unwrap();
    assert!(older.log().embedding_stds.iter().all(|std| std.is_nan()) && older.log().embedding_stds.len() == 4);
    go_on(&mut older, 9, &path);
    go_on(&mut run, 9, &path);
    assert_eq!(older.losses(), run.losses());
    assert_eq!(older.log().embedding_stds[4..], run.log().embedding_stds[4..]);
}

/// A vision transformer learns by the same loop; its checkpoint gives the encoder back, which also takes images of other sizes.
#[test]
fn a_vision_transformer_learns_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let config = SimClrConfig { epochs: 100, peak_lr: 1e-3, ..vit() };
    let text = config.to_toml().unwrap();
    assert!(text.contains("[backbone]\nkind = \"vit\"\nsize = 32\npatch = 8"), "{text}");
    assert_eq!(SimClrConfig::from_toml(&text).unwrap(), config);
    let mut run = Pretraining::new(config.clone(), FRAMES).unwrap();
    go_on(&mut run, 300, &path);
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let (start, end) = (mean(&run.losses()[..30]), mean(&run.losses()[270..]));
    assert!(end < 0.88 * start, "loss {start} at the start, {end} at the end");
    let embed = |encoder: Encoder| encoder.embed(Arc::new(Sky(9)), 4, |_| ControlFlow::Continue(())).unwrap();
    let features = embed(Encoder::read(&path).unwrap());
    assert_eq!(features.dim(), (9, 24));
    assert_eq!(features, embed(Encoder::new(run.into_trunk(), config.recipe.clone())));
    let larger = Checkpoint::read(&path).unwrap().trunk(config.backbone).unwrap();
    let larger = embed(Encoder::new(larger, Recipe::paper(48)));
    assert!(larger != features && larger.iter().all(|v| v.is_finite()));
    let torn = SimClrConfig { recipe: Recipe::paper(36).into(), ..config };
    let error = torn.check().unwrap_err().to_string();
    assert!(error.contains("patches") && error.contains("36 pixels for vit"), "{error}");
}

/// Sizes that the tensors do not have, or that no machine holds, are refused before memory is taken for them.
#[test]
fn transformers_that_a_file_only_claims() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    let run = Pretraining::new(vit(), FRAMES).unwrap();
    let whole = run.checkpoint([]).unwrap();
    for (from, to) in [
        ("width = 24", "width = 4096"),
        ("blocks = 2", "blocks = 200"),
        ("heads = 2", "heads = 7"),
        ("patch = 8", "patch = 0"),
        ("patch = 8", "patch = 16"),
        ("hidden = 48", "hidden = 18446744073709551615"),
        ("size = 32", "size = 4096"),
        ("kind = \"vit\"", "depth = \"resnet18\""),
    ] {
        let mut file = whole.clone();
        let text = file.text.get_mut("simclr.toml").unwrap();
        assert!(text.contains(from), "{text}");
        *text = text.replace(from, to);
        file.write(&path).unwrap();
        assert!(Encoder::read(&path).is_err(), "{to}");
    }
    for name in ["class_token", "encoder.pos_embedding", "encoder.layers.encoder_layer_1.mlp.3.bias"] {
        let mut file = whole.clone();
        file.tensors.remove(name).unwrap();
        file.write(&path).unwrap();
        let error = Encoder::read(&path).err().unwrap().to_string();
        assert!(error.contains(name), "{error}");
    }
}
