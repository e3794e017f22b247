//! Simulated radio surveys with exact truth: noise, source counts, shapes, artefacts, peculiar objects.
//!
//! Everything on the sky is a list of elliptical Gaussians, so the beam is exact and every object's truth is known from the
//! object alone. Every random number has an address (seed, layer, place, number), so a pixel depends neither on tiles nor on
//! threads. A simulated survey shows that a method and its code work; it never stands for published numbers.
//!
//! ```
//! use radio_sim::{SimConfig, Sky, Tier, render_window};
//! // One degree of an EMU-like sky, and a frame of its map in Jy/beam.
//! let sky = Sky::new(&SimConfig::emu_pilot(Tier::Tiny, 7))?;
//! let frame = render_window(&sky, 512, 768, 256, 256);
//! let brightest = frame.iter().copied().fold(0.0, f32::max);
//! assert!(frame.dim() == (256, 256) && brightest > 100e-6);
//! # Ok::<(), radio_sim::SimError>(())
//! ```
//!
//! Reading order: [`survey::simulate`], the whole survey from sky to files; [`sky::Sky`], what a survey is made of;
//! [`population`] and [`shapes`], who is on the sky and what it looks like; [`twin`], why peculiar objects are not given away
//! by their brightness; [`truth`] and [`frames`], masks and labels. [`config::SimConfig`] holds every number.

pub mod address;
pub mod array_pattern;
pub mod artefact;
pub mod config;
pub mod counts;
pub mod coverage;
pub mod detector_tiles;
pub mod doubles;
pub mod draw;
pub mod elementary;
pub mod error;
pub mod frames;
pub mod galactic;
pub mod gaussian;
pub mod map_figures;
pub mod mask;
pub mod noise;
pub mod population;
pub mod presets;
pub mod rgz;
pub mod shapes;
pub mod simulated_mosaic;
pub mod sky;
pub mod spurious;
pub mod survey;
pub mod tables;
pub mod truth;
pub mod truth_images;
pub mod truth_tables;
pub mod twin;

pub use config::{SimConfig, SkyName, Tier};
pub use error::SimError;
pub use shapes::Kind;
pub use sky::{Sky, render_window};
pub use survey::{Progress, SimulatedSurvey, SurveySummary, simulate, simulate_with};
pub use truth::{DetectionClass, TrueObject};
pub use truth_images::TruthImage;
