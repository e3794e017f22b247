//! The parallel view loader: frames in, batches of augmented views out, the same bits for any number of threads.

use std::{
    error::Error,
    sync::{Arc, OnceLock},
};

use ndarray::{Array2, Array3, Array4, Axis};
use rayon::{ThreadPool, prelude::*};

use crate::{
    Augmenter, LoaderError, Preparation, RecipeError, Sampling, SettingError, StretchLimits,
    batches::Batches,
    epoch_order,
    scratch::{copy_of_channels, recycle},
    view_rng,
    view_rng::origin_epoch_order,
};

/// Where the loader gets its cutouts from.
pub trait FrameSource: Send + Sync {
    /// Number of frames.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What identifies frame `i` for ever, whatever else is in the source: its random draws come from it.
    fn address(&self, i: usize) -> u64;

    /// Where frame `i` came from, a number for each telescope or publisher; matters to [`Sampling::ByOrigin`] alone.
    fn origin(&self, _i: usize) -> u32 {
        0
    }

    /// Pixels `[H, W]` of frame `i`, Jy/beam, NaN blank.
    ///
    /// # Errors
    /// If they cannot be read.
    fn pixels(&self, i: usize) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>>;
}

/// A draw that leaves a channel flat (everything cut off, say) is thrown away and drawn again, at most this often.
const DRAWS: usize = 8;

/// Makes batches of views, in parallel.
pub struct ViewLoader {
    source: Arc<dyn FrameSource>,
    preparation: Preparation,
    augmenter: Augmenter,
    seed: u64,
    sampling: Sampling,
    /// Frames of one origin that stay together, under [`Sampling::ByOrigin`].
    together: usize,
    pool: Option<Arc<ThreadPool>>,
    /// Of a recipe; filled when a frame is first used. What is in it never differs from what would be computed.
    limits: Vec<OnceLock<StretchLimits>>,
}

impl ViewLoader {
    /// A loader that shuffles without replacement and works on rayon's global pool.
    ///
    /// `preparation` is a [`Recipe`](crate::Recipe) or a [`Preprocessing`](crate::Preprocessing).
    #[must_use]
    pub fn new(
        source: Arc<dyn FrameSource>,
        preparation: impl Into<Preparation>,
        augmenter: Augmenter,
        seed: u64,
    ) -> Self {
        let preparation = preparation.into();
        let limits = (0..source.len()).map(|_| OnceLock::new()).collect();
        Self { source, preparation, augmenter, seed, sampling: Sampling::default(), together: 1, pool: None, limits }
    }

    /// Chooses how an epoch takes its frames; [`Sampling::ByOrigin`] keeps `batch_size` frames of one origin together, the
    /// others have no use for that number.
    #[must_use]
    pub fn with_sampling(mut self, sampling: Sampling, batch_size: usize) -> Self {
        (self.sampling, self.together) = (sampling, batch_size);
        self
    }

    /// Works on this pool instead of rayon's global one.
    #[must_use]
    pub fn with_pool(mut self, pool: Arc<ThreadPool>) -> Self {
        self.pool = Some(pool);
        self
    }

    /// The frames.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn FrameSource> {
        &self.source
    }

    /// The order in which epoch `epoch` takes frames `0..n`, of which there are not more than in the source.
    #[must_use]
    pub fn epoch_order(&self, epoch: u64, n: usize) -> Vec<usize> {
        if self.sampling == Sampling::ByOrigin {
            let origins: Vec<u32> = (0..n).map(|i| self.source.origin(i)).collect();
            return origin_epoch_order(self.seed, epoch, &origins, self.together);
        }
        epoch_order(self.seed, epoch, n, self.sampling)
    }

    /// Two augmented views of every frame, `[2N, C, S, S]`, finite; of a recipe three channels, in `[0, 1]`.
    ///
    /// Rows `0..N` are the first views, rows `N..2N` the second views of the same frames in the same order. The random draws of
    /// a view depend on (seed, epoch, address of the frame, 0 or 1) alone, so a frame listed twice gives the same views twice.
    /// A draw that leaves a channel flat is drawn again from the same stream, up to eight times.
    ///
    /// # Errors
    /// The first frame in the list that cannot be read or used, by index; a setting out of range.
    pub fn views(&self, epoch: u64, frames: &[usize]) -> Result<Array4<f32>, LoaderError> {
        self.augmenter.check()?;
        let shape = self.shape()?;
        let view_len = shape.0 * shape.1 * shape.2;
        let mut batch = vec![0.0; 2 * frames.len() * view_len];
        let (first, second) = batch.split_at_mut(frames.len() * view_len);
        let outcomes: Vec<Result<(), LoaderError>> = self.in_pool(|| {
            let pairs = first.par_chunks_mut(view_len).zip(second.par_chunks_mut(view_len));
            pairs.zip(frames).map(|((first, second), &frame)| self.fill_views(epoch, frame, [first, second])).collect()
        });
        outcomes.into_iter().collect::<Result<(), _>>()?;
        as_batch(2 * frames.len(), shape, batch)
    }

    /// One augmented view of every frame, `[N, C, S, S]`: the first of [`ViewLoader::views`]. For training with labels.
    ///
    /// # Errors
    /// As [`ViewLoader::views`].
    pub fn single_views(&self, epoch: u64, frames: &[usize]) -> Result<Array4<f32>, LoaderError> {
        self.augmenter.check()?;
        let shape = self.shape()?;
        let view_len = shape.0 * shape.1 * shape.2;
        let mut batch = vec![0.0; frames.len() * view_len];
        let outcomes: Vec<Result<(), LoaderError>> = self.in_pool(|| {
            let outputs = batch.par_chunks_mut(view_len).zip(frames);
            outputs.map(|(out, &frame)| self.fill_views(epoch, frame, [out])).collect()
        });
        outcomes.into_iter().collect::<Result<(), _>>()?;
        as_batch(frames.len(), shape, batch)
    }

    /// The channels of every frame, `[N, C, S, S]`, finite; of a recipe three, in `[0, 1]`. No augmentation. For embedding.
    ///
    /// # Errors
    /// As [`ViewLoader::views`].
    pub fn channels_batch(&self, frames: &[usize]) -> Result<Array4<f32>, LoaderError> {
        let shape = self.shape()?;
        let frame_len = shape.0 * shape.1 * shape.2;
        let mut batch = vec![0.0; frames.len() * frame_len];
        let outcomes: Vec<Result<(), LoaderError>> = self.in_pool(|| {
            let outputs = batch.par_chunks_mut(frame_len).zip(frames);
            let fill = |(out, &frame): (&mut [f32], &usize)| {
                let channels =
                    self.preparation.finish(self.ready(frame)?).map_err(|source| self.refused(frame, source))?;
                copy_into(channels, out);
                Ok(())
            };
            outputs.map(fill).collect()
        });
        outcomes.into_iter().collect::<Result<(), _>>()?;
        as_batch(frames.len(), shape, batch)
    }

    /// The batches of one epoch from `start_batch` on (0 for all), prepared ahead by a thread of their own.
    ///
    /// Each is [`ViewLoader::views`] of `batch_size` frames in the order of [`ViewLoader::epoch_order`]; frames that do not
    /// fill a batch are left out. After an error nothing follows. Dropping the iterator stops the thread.
    pub fn batches(self: &Arc<Self>, epoch: u64, batch_size: usize, start_batch: usize) -> Batches {
        Batches::start(Arc::clone(self), epoch, batch_size, start_batch)
    }

    /// Every frame the recipe refuses, with the reason; computes and keeps the limits of all the others.
    ///
    /// Frames in increasing order; also those that cannot be read. What augmentation might do to a frame is not looked at.
    pub fn refused_frames(&self) -> Vec<(usize, LoaderError)> {
        let check = |frame: usize| {
            let channels = self.preparation.finish(self.ready(frame)?).map_err(|source| self.refused(frame, source))?;
            recycle(channels);
            Ok(())
        };
        self.in_pool(|| {
            (0..self.source.len())
                .into_par_iter()
                .filter_map(|frame| check(frame).err().map(|error: LoaderError| (frame, error)))
                .collect()
        })
    }

    fn fill_views<const N: usize>(
        &self,
        epoch: u64,
        frame: usize,
        outputs: [&mut [f32]; N],
    ) -> Result<(), LoaderError> {
        let address = self.source.address(frame);
        let mut ready = self.ready(frame)?;
        for (view, out) in outputs.into_iter().enumerate() {
            // The last view takes what the others copied.
            let mut next = if view + 1 < N { copy_of_channels(&ready) } else { std::mem::take(&mut ready) };
            let mut rng = view_rng(self.seed, epoch, address, view as u64);
            let mut draws = 1;
            let drawn = loop {
                match self.preparation.view(next, &self.augmenter, &mut rng) {
                    Err(RecipeError::ConstantChannel { .. } | RecipeError::AllBlank { .. }) if draws < DRAWS => {
                        draws += 1;
                        next = self.ready(frame)?;
                    }
                    drawn => break drawn,
                }
            };
            copy_into(drawn.map_err(|source| self.refused(frame, source))?, out);
        }
        Ok(())
    }

    /// A frame's channels as the augmenter takes them.
    fn ready(&self, frame: usize) -> Result<Array3<f32>, LoaderError> {
        let slot = self.limits.get(frame).ok_or(LoaderError::NoSuchFrame { frame, len: self.limits.len() })?;
        let address = self.source.address(frame);
        let cutout = self.source.pixels(frame).map_err(|source| LoaderError::Source { frame, address, source })?;
        let refused = |source| self.refused(frame, source);
        let recipe = match &self.preparation {
            Preparation::Steps(steps) => return steps.start(cutout.view().insert_axis(Axis(0))).map_err(refused),
            Preparation::Recipe(recipe) => recipe,
        };
        let limits = match slot.get() {
            Some(limits) => *limits,
            None => {
                let limits = recipe.limits(cutout.view()).map_err(refused)?;
                *slot.get_or_init(|| limits)
            }
        };
        Ok(recipe.stretch(cutout.view(), &limits))
    }

    fn refused(&self, frame: usize, source: RecipeError) -> LoaderError {
        LoaderError::Recipe { frame, address: self.source.address(frame), source }
    }

    fn in_pool<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// The shape of every view; none of its sides is 0.
    fn shape(&self) -> Result<(usize, usize, usize), SettingError> {
        let shape = self.preparation.output_shape()?;
        if shape.0 == 0 {
            let (found, expected) = ("0".to_string(), "1 or more channels at the end".to_string());
            return Err(SettingError { name: "steps", found, expected });
        }
        Ok(shape)
    }
}

fn as_batch(
    rows: usize,
    (channels, height, width): (usize, usize, usize),
    pixels: Vec<f32>,
) -> Result<Array4<f32>, LoaderError> {
    Array4::from_shape_vec((rows, channels, height, width), pixels)
        .map_err(|error| LoaderError::Worker { reason: error.to_string() })
}

fn copy_into(view: Array3<f32>, out: &mut [f32]) {
    match view.as_slice() {
        Some(pixels) if pixels.len() == out.len() => out.copy_from_slice(pixels),
        _ => out.iter_mut().zip(&view).for_each(|(out, v)| *out = *v),
    }
    recycle(view);
}
