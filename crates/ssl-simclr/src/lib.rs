//! Pre-training (SimCLR, BYOL) of an image encoder on unlabelled radio cutouts.
//!
//! Two random views of one cutout should land close together in the embedding; views of different cutouts far apart (SimCLR),
//! or wherever they are (BYOL). Nothing learns from a label: only the monitor ([`knn_monitor`]) reads any, and it changes no
//! bit of a run. FITS stays in `radio-io`.
//!
//! Reading order: [`pretrain::pretrain`], the whole training loop from top to bottom, then
//! [`nt_xent::nt_xent`], the loss, or [`byol`], and [`gradient_cache`], batches larger than memory, then [`SimClrConfig`],
//! every number a run depends on, and [`preset`], the paper's five models.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use ssl_simclr::{Temperature, nt_xent::nt_xent};
//!
//! // Two cutouts, two views each: rows 0 and 2 are a pair, rows 1 and 3 another.
//! let z = Tensor::new(&[[1f32, 0.], [0., 1.], [1., 0.], [0., 1.]], &Device::Cpu)?;
//! let loss: f32 = nt_xent(&z, Temperature::try_from(0.5)?)?.to_scalar()?;
//! assert!((loss - (1.0 + 2.0 * (-2.0f32).exp()).ln()).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
pub mod pretrain;

pub mod nt_xent;

pub mod gradient_cache;

pub mod projector;

pub mod byol;

pub mod head;

pub mod config;

pub mod preset;

pub mod embed;

pub mod knn_monitor;

mod training_log;

mod training_events;

mod error;
pub use config::{Method, SimClrConfig, Temperature};
pub use embed::Encoder;
pub use error::{Result, SimClrError};
pub use knn_monitor::{KnnAccuracy, KnnMonitor};
pub use preset::{Pool, Preset, Settings, Stage};
pub use pretrain::{Pretraining, StepReport, pretrain};
pub use training_events::TrainingEvents;
pub use training_log::TrainingLog;
