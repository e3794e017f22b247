//! The training loop on small synthetic cutouts: it learns, resumes to the bit, and fails with reasons.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

mod sky;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use radio_augment::{Augmenter, FrameSource, Recipe};
use radio_tensor::resnet::{Depth, ResNetConfig};
use sky::Sky;
use ssl_simclr::config::ProjectorConfig;
use ssl_simclr::pretrain::ORIGIN_KEY;
use ssl_simclr::{Encoder, Pretraining, SimClrConfig, SimClrError, pretrain};

fn config() -> SimClrConfig {
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

/// Trains to the end, with a checkpoint after `stop_at` steps and a fresh process (as it were) from there.
fn train(stop_at: Option<u64>, folder: &Path) -> Pretraining {
    let source: Arc<dyn FrameSource> = Arc::new(Sky(27));
    let path = folder.join("checkpoint.safetensors");
    let mut run = Pretraining::new(config(), 27).unwrap();
    let complete = pretrain(&mut run, source.clone(), |run, now| {
        if Some(now.step) == stop_at {
            run.checkpoint([("run.toml", "name = \"test\"".to_owned())]).unwrap().write(&path).unwrap();
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
    let mut run = Pretraining::resume(config(), 27, &path).unwrap();
    assert!(pretrain(&mut run, source, |_, _| ControlFlow::Continue(())).unwrap());
    run
}

fn features(run: Pretraining) -> Array2<f32> {
    Encoder::new(run.into_trunk(), config().recipe).embed(Arc::new(Sky(27)), 10, |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn resumed_at_any_step_the_run_ends_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let whole = train(None, folder.path());
    assert_eq!(whole.steps(), 9); // 27 cutouts, batches of 8, incomplete ones left out, 3 epochs
    let losses = whole.losses().to_vec();
    let want = features(whole);
    for stop in [1, 3, 5, 8] {
        let resumed = train(Some(stop), folder.path());
        assert_eq!(resumed.losses(), losses, "stopped after step {stop}");
        assert_eq!(features(resumed), want, "stopped after step {stop}");
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| features(train(None, folder.path())))
    };
    let one = run(1);
    assert_eq!(one.dim(), (27, 32));
    assert!(one == run(2) && one == run(3));
}

/// Thirty epochs pull the loss well below its start; untrained it lies near ln(2N - 1) = 2.7.
#[test]
fn the_loss_falls() {
    let config = SimClrConfig { epochs: 30, ..config() };
    let mut run = Pretraining::new(config, 27).unwrap();
    pretrain(&mut run, Arc::new(Sky(27)), |_, _| ControlFlow::Continue(())).unwrap();
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let (start, end) = (mean(&run.losses()[..6]), mean(&run.losses()[84..]));
    assert!(end < 0.7 * start, "loss {start} at the start, {end} at the end");
}

#[test]
fn a_checkpoint_gives_the_encoder_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder.safetensors");
    let run = train(None, folder.path());
    run.checkpoint([]).unwrap().write(&path).unwrap();
    let encoder = Encoder::read(&path).unwrap();
    assert_eq!((encoder.features(), encoder.recipe()), (32, &config().recipe));
    let again = encoder.embed(Arc::new(Sky(27)), 27, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(again, features(run), "and batches of another size give the same features");
}

/// A second stage starts from all weights of the first, with nothing else of it, and is known by its checkpoints.
#[test]
fn a_second_stage_starts_from_the_weights_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.safetensors"), folder.path().join("second.safetensors"));
    let stage_1 = train(None, folder.path());
    stage_1.checkpoint([]).unwrap().write(&first).unwrap();
    let next = SimClrConfig { peak_lr: 1e-3, augmenter: Augmenter::banner(), ..config() };
    let mut run = Pretraining::start_from(next.clone(), 27, &first).unwrap();
    assert_eq!(
        (run.trunk().parameters(), run.trunk().running()),
        (stage_1.trunk().parameters(), stage_1.trunk().running())
    );
    assert_eq!((run.steps(), run.losses().len()), (0, 0));
    let start = run.checkpoint([]).unwrap();
    let before = stage_1.checkpoint([]).unwrap();
    for (name, tensor) in &start.tensors {
        match name.as_str() {
            other if other.starts_with("log.") => assert!(tensor.1.is_empty(), "{other}"),
            other if other.starts_with("optimizer.") => assert!(tensor.1.iter().all(|v| *v == 0.0), "{other}"),
            other => assert_eq!(tensor, &before.tensors[other], "{other}"),
        }
    }
    pretrain(&mut run, Arc::new(Sky(27)), |run, now| {
        run.checkpoint([]).unwrap().write(&second).unwrap();
        if now.step == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    let run = Pretraining::resume(next.clone(), 27, &second).unwrap();
    let origin = &run.checkpoint([]).unwrap().text[ORIGIN_KEY];
    assert_eq!(SimClrConfig::from_toml(origin).unwrap(), config());
    let wider = SimClrConfig { projector: ProjectorConfig { hidden: 17, output: 8 }, ..next };
    let error = Pretraining::start_from(wider, 27, &first).err().unwrap().to_string();
    assert!(error.contains("projector.0.weight") && error.contains("17"), "{error}");
}

/// A published encoder has no projector: the trunk is taken, the projector is new. One with half a projector is damaged.
#[test]
fn a_start_from_an_encoder_alone_has_a_new_projector() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slim.safetensors");
    let trained = train(None, folder.path());
    let mut file = trained.checkpoint([]).unwrap();
    file.tensors.retain(|name, _| ["optimizer.", "log.", "projector."].iter().all(|part| !name.starts_with(part)));
    file.write_bf16(&path).unwrap();
    let run = Pretraining::start_from(config(), 27, &path).unwrap();
    assert_eq!(run.head_parameters(), Pretraining::new(config(), 27).unwrap().head_parameters());
    for (ours, theirs) in run.trunk().parameters().iter().zip(trained.trunk().parameters()) {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= b.abs() / 256.0;
        assert!(ours.values.iter().zip(theirs.values.iter()).all(near), "{}", ours.name);
    }
    let bias = trained.checkpoint([]).unwrap().tensors["projector.0.bias"].clone();
    file.tensors.insert("projector.0.bias".into(), bias);
    file.write(&path).unwrap();
    let error = Pretraining::start_from(config(), 27, &path).err().unwrap().to_string();
    assert!(error.contains("projector.0.weight"), "{error}");
}

#[test]
fn wrong_runs_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    let error = Pretraining::new(config(), 7).err().unwrap();
    assert!(matches!(error, SimClrError::TooFewFrames { batch_size: 8, frames: 7 }), "{error}");
    train(None, folder.path()).checkpoint([]).unwrap().write(&path).unwrap();
    let error = Pretraining::resume(SimClrConfig { seed: 10, ..config() }, 27, &path).err().unwrap();
    assert!(matches!(error, SimClrError::OtherRun { what: "configuration", .. }), "{error}");
    let error = Pretraining::resume(config(), 28, &path).err().unwrap();
    assert!(matches!(error, SimClrError::OtherRun { what: "number of cutouts", .. }), "{error}");
    let mut run = Pretraining::new(config(), 27).unwrap();
    let error = pretrain(&mut run, Arc::new(Sky(26)), |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, SimClrError::OtherRun { .. }), "{error}");
    let mut run = Pretraining::new(SimClrConfig { peak_lr: 1e30, warmup_epochs: 0, ..config() }, 27).unwrap();
    let error = pretrain(&mut run, Arc::new(Sky(27)), |_, _| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, SimClrError::Diverged { .. }), "{error}");
}
