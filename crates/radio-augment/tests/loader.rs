//! The loader: same bits for any number of threads, views that differ, order, resuming, and every way it can fail.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    collections::HashSet,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ndarray::{Array2, Axis, s};
use radio_augment::*;

/// Frames of 40 x 40 pixels, each with a source in its own place; odd frames have a blank edge.
struct Sky {
    n: usize,
    bad: Option<(usize, Bad)>,
    reads: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Bad {
    Unreadable,
    AllBlank,
    Panics,
}

impl Sky {
    fn new(n: usize) -> Self {
        Self { n, bad: None, reads: AtomicUsize::new(0) }
    }

    fn with_bad(n: usize, frame: usize, bad: Bad) -> Self {
        Self { bad: Some((frame, bad)), ..Self::new(n) }
    }
}

impl FrameSource for Sky {
    fn len(&self) -> usize {
        self.n
    }

    fn origin(&self, i: usize) -> u32 {
        u32::from(i.is_multiple_of(3))
    }

    fn address(&self, i: usize) -> u64 {
        1_000_000 + 7 * i as u64
    }

    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        match self.bad {
            Some((bad, Bad::Unreadable)) if bad == i => return Err("the disk is on fire".into()),
            Some((bad, Bad::AllBlank)) if bad == i => return Ok(Array2::from_elem((40, 40), f32::NAN)),
            Some((bad, Bad::Panics)) if bad == i => panic!("a bug in a frame source"),
            _ => {}
        }
        let (cy, cx) = (5.0 + (i * 3 % 31) as f32, 5.0 + (i * 11 % 29) as f32);
        Ok(Array2::from_shape_fn((40, 40), |(y, x)| {
            let noise = support::splitmix((i * 1600 + y * 40 + x) as u64) as f32 * 1e-5;
            let r2 = (y as f32 - cy).powi(2) + (x as f32 - cx).powi(2);
            if i % 2 == 1 && x < 4 { f32::NAN } else { noise + 1e-3 * (-r2 / 8.0).exp() }
        }))
    }
}

fn loader(sky: Sky) -> ViewLoader {
    ViewLoader::new(Arc::new(sky), Recipe::paper(32), Augmenter::hulk(), 7)
}

fn pool(threads: usize) -> Arc<rayon::ThreadPool> {
    Arc::new(rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap())
}

#[test]
fn a_single_view_is_the_first_of_the_pair() {
    let loader = loader(Sky::new(6));
    let pairs = loader.views(3, &[4, 1]).unwrap();
    assert_eq!(loader.single_views(3, &[4, 1]).unwrap(), pairs.slice(s![..2, .., .., ..]));
    assert!(loader.single_views(3, &[6]).is_err());
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let frames: Vec<usize> = (0..13).rev().collect();
    let views: Vec<_> = [1, 2, 5].map(|n| loader(Sky::new(13)).with_pool(pool(n)).views(3, &frames).unwrap()).into();
    assert_eq!(views[0].dim(), (26, 3, 32, 32));
    assert!(views.iter().all(|other| *other == views[0]));
    // Called from inside another pool, one frame at a time, with the limits already there: still the same.
    let warm = loader(Sky::new(13));
    assert!(warm.refused_frames().is_empty());
    for (row, frame) in frames.iter().enumerate() {
        let pair = pool(3).install(|| warm.views(3, &[*frame]).unwrap());
        assert_eq!(pair.index_axis(Axis(0), 0), views[0].index_axis(Axis(0), row));
        assert_eq!(pair.index_axis(Axis(0), 1), views[0].index_axis(Axis(0), 13 + row));
    }
}

#[test]
fn views_of_a_frame_differ_from_each_other_and_between_epochs_and_seeds() {
    let sky = || Sky::new(6);
    let frames = [0, 1, 2, 3, 4, 5];
    let here = loader(sky()).views(0, &frames).unwrap();
    let later = loader(sky()).views(1, &frames).unwrap();
    let other_seed =
        ViewLoader::new(Arc::new(sky()), Recipe::paper(32), Augmenter::hulk(), 8).views(0, &frames).unwrap();
    let rows = here.outer_iter().chain(later.outer_iter()).chain(other_seed.outer_iter());
    let distinct: HashSet<Vec<u32>> = rows.map(|view| view.iter().map(|v| v.to_bits()).collect()).collect();
    assert_eq!(distinct.len(), 36);
    assert!(here.iter().all(|v| (0.0..=1.0).contains(v)));
}

/// Both rows of a pair show one frame: without random steps they are its channels.
#[test]
fn rows_n_apart_are_partners() {
    let still = ViewLoader::new(Arc::new(Sky::new(5)), Recipe::paper(32), Augmenter { steps: vec![] }, 7);
    let frames = [4, 0, 3];
    let (views, channels) = (still.views(0, &frames).unwrap(), still.channels_batch(&frames).unwrap());
    assert_eq!(views.slice(s![..3, .., .., ..]), channels);
    assert_eq!(views.slice(s![3.., .., .., ..]), channels);
    for (row, frame) in frames.into_iter().enumerate() {
        let want = Recipe::paper(32).channels(Sky::new(5).pixels(frame).unwrap().view()).unwrap();
        assert_eq!(channels.index_axis(Axis(0), row), want);
    }
    assert_eq!(still.views(0, &[]).unwrap().dim(), (0, 3, 32, 32));
}

#[test]
fn batches_follow_the_epochs_order_and_resume() {
    let loader = Arc::new(loader(Sky::new(11)));
    let order = loader.epoch_order(2, 11);
    let batches: Vec<_> = loader.batches(2, 3, 0).collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.len(), 3); // the last two frames are left out
    for (batch, frames) in batches.iter().zip(order.chunks(3)) {
        assert_eq!(*batch, loader.views(2, frames).unwrap());
    }
    let resumed: Vec<_> = loader.batches(2, 3, 1).collect::<Result<_, _>>().unwrap();
    assert_eq!(resumed, batches[1..]);
    assert_eq!(loader.batches(2, 3, 3).count(), 0);
    assert_eq!(loader.batches(2, 3, 99).count(), 0);
}

#[test]
fn sampling_with_replacement_repeats_frames() {
    let loader = loader(Sky::new(50)).with_sampling(Sampling::WithReplacement, 1);
    let order = loader.epoch_order(0, 50);
    assert_eq!(order.len(), 50);
    assert!(order.iter().collect::<HashSet<_>>().len() < 45);
}

/// Batches go on at any place, and in chunks, with the same frames.
#[test]
fn batches_of_one_origin_resume() {
    let loader = Arc::new(loader(Sky::new(50)).with_sampling(Sampling::ByOrigin, 8));
    let order = loader.epoch_order(3, 50);
    assert_ne!(order, loader.epoch_order(4, 50));
    let mut both = HashSet::new();
    for batch in order.chunks_exact(8) {
        let origins: HashSet<bool> = batch.iter().map(|frame| frame % 3 == 0).collect();
        assert_eq!(origins.len(), 1, "{batch:?}");
        both.extend(origins);
    }
    assert_eq!(both.len(), 2);
    let all: Vec<_> = loader.batches(3, 8, 0).collect::<Result<_, _>>().unwrap();
    let rest: Vec<_> = loader.batches(3, 8, 4).collect::<Result<_, _>>().unwrap();
    assert_eq!((all.len(), &all[4..]), (6, &rest[..]));
    let half = loader.batches(3, 4, 9).next().unwrap().unwrap();
    assert_eq!(half, loader.views(3, &order[36..40]).unwrap());
}

#[test]
fn dropping_the_iterator_stops_the_thread_soon() {
    let source = Arc::new(Sky::new(4000));
    let loader = Arc::new(ViewLoader::new(source.clone(), Recipe::paper(32), Augmenter::banner(), 1));
    let mut batches = loader.batches(0, 4, 0);
    assert!(batches.next().unwrap().is_ok());
    let start = Instant::now();
    drop(batches);
    assert!(start.elapsed() < Duration::from_secs(5));
    let read = source.reads.load(Ordering::Relaxed);
    assert!((4..=16).contains(&read), "{read} frames were read for four batches at most");
    assert_eq!(Arc::strong_count(&loader), 1, "the thread still holds the loader");
}

#[test]
fn fewer_frames_than_a_batch_is_one_error() {
    let mut batches = Arc::new(loader(Sky::new(3))).batches(0, 4, 0);
    assert!(matches!(batches.next(), Some(Err(LoaderError::TooFewFrames { found: 3, batch_size: 4 }))));
    assert!(batches.next().is_none());
    let mut batches = Arc::new(loader(Sky::new(0))).batches(0, 1, 0);
    assert!(matches!(batches.next(), Some(Err(LoaderError::TooFewFrames { found: 0, batch_size: 1 }))));
    let mut batches = Arc::new(loader(Sky::new(3))).batches(0, 0, 0);
    assert!(matches!(batches.next(), Some(Err(LoaderError::Setting(error))) if error.name == "batch_size"));
}

#[test]
fn a_bad_frame_is_named_and_ends_the_epoch() {
    for (bad, text) in [(Bad::Unreadable, "cannot read"), (Bad::AllBlank, "blank")] {
        let loader = Arc::new(loader(Sky::with_bad(9, 5, bad)));
        let results: Vec<_> = loader.batches(0, 3, 0).collect();
        let error = results.into_iter().last().unwrap().unwrap_err();
        let frame = match &error {
            LoaderError::Source { frame, address, .. } | LoaderError::Recipe { frame, address, .. } => {
                (*frame, *address)
            }
            other => panic!("{other}"),
        };
        assert_eq!(frame, (5, 1_000_035));
        let whole = format!("{error}: {}", error.source().unwrap());
        assert!(whole.contains("frame 5") && whole.contains(text), "{whole}");
        // The same error from either kind of batch, and always the first in the list.
        assert!(matches!(
            loader.channels_batch(&[1, 5, 2]),
            Err(LoaderError::Source { frame: 5, .. } | LoaderError::Recipe { frame: 5, .. })
        ));
        assert!(matches!(loader.views(0, &[1, 99, 5]), Err(LoaderError::NoSuchFrame { frame: 99, len: 9 })));
        let refused: Vec<usize> = loader.refused_frames().into_iter().map(|(frame, _)| frame).collect();
        assert_eq!(refused, [5]);
    }
}

#[test]
fn a_source_that_panics_becomes_an_error() {
    let loader = Arc::new(loader(Sky::with_bad(4, 2, Bad::Panics)));
    let results: Vec<_> = loader.batches(0, 4, 0).collect();
    assert!(matches!(results.as_slice(), [Err(LoaderError::Worker { .. })]));
}

/// A list of steps makes the views of the recipe it spells out; another list has its own shape; one without a size is refused.
#[test]
fn lists_of_steps_load_as_well() {
    let list = |steps: Preprocessing| ViewLoader::new(Arc::new(Sky::new(6)), steps, Augmenter::hulk(), 7);
    let frames = [0, 3, 5];
    let (ours, recipe) = (list(Preprocessing::paper(32)), loader(Sky::new(6)));
    assert_eq!(ours.views(1, &frames).unwrap(), recipe.views(1, &frames).unwrap());
    assert_eq!(ours.channels_batch(&frames).unwrap(), recipe.channels_batch(&frames).unwrap());
    assert_eq!(list(Preprocessing::released_model(24)).channels_batch(&frames).unwrap().dim(), (3, 1, 24, 24));
    let error = list(Preprocessing::mask_rcnn_tf1()).views(0, &frames).unwrap_err();
    assert!(matches!(&error, LoaderError::Setting(error) if error.name == "steps"), "{error}");

    for preparation in [Preparation::from(Recipe::paper(32)), Preprocessing::chan3(32).into()] {
        let text = serde_json::to_string(&preparation).unwrap();
        assert_eq!(serde_json::from_str::<Preparation>(&text).unwrap(), preparation);
        let error = serde_json::from_str::<Preparation>(&text.replace("blanks", "blank")).unwrap_err().to_string();
        assert!(error.contains("steps") && error.contains("size"), "{error}");
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let blur = AugmentStep::Blur { probability: 2.0, sigma: [1.0, 3.0] };
    let loader = ViewLoader::new(Arc::new(Sky::new(2)), Recipe::paper(32), Augmenter { steps: vec![blur] }, 7);
    assert!(matches!(loader.views(0, &[0]), Err(LoaderError::Setting(error)) if error.name == "blur probability"));
    let loader = ViewLoader::new(Arc::new(Sky::new(2)), Recipe::paper(0), Augmenter::hulk(), 7);
    assert!(matches!(loader.views(0, &[0]), Err(LoaderError::Setting(error)) if error.name == "size"));
    assert!(matches!(loader.channels_batch(&[0]), Err(LoaderError::Setting(error)) if error.name == "size"));
}

/// A brightness that cuts everything to 0 or 1 comes up half of the time; such draws are thrown away.
#[test]
fn draws_that_leave_nothing_are_drawn_again() {
    let glare = |probability| AugmentStep::ColorJitter {
        probability,
        brightness: 1000.0,
        contrast: 0.0,
        saturation: 0.0,
        hue: 0.0,
        strength: 1.0,
    };
    let with = |probability| {
        ViewLoader::new(Arc::new(Sky::new(8)), Recipe::paper(32), Augmenter { steps: vec![glare(probability)] }, 3)
    };
    let frames = [0, 1, 2, 3, 4, 5, 6, 7];
    let (views, channels) = (with(0.5).views(0, &frames).unwrap(), with(0.5).channels_batch(&frames).unwrap());
    assert_eq!(views.slice(s![..8, .., .., ..]), channels);
    let error = with(1.0).views(0, &frames).unwrap_err();
    let flat = |source: &RecipeError| matches!(source, RecipeError::ConstantChannel { channel: 0, .. });
    assert!(matches!(&error, LoaderError::Recipe { frame: 0, source, .. } if flat(source)), "{error}");
}
