//! The stages behind the `radio-ssl` command and `cargo xtask reproduce-table4`.
//!
//! This is the one layer that knows all crates: it turns files into files, shows progress on standard error, and
//! reads the environment. Science lives below.
//!
//! Reading order: [`table4::reproduce_table4`], the whole experiment from top to bottom; [`stages`], what each
//! step leaves on disk; [`run_config`], every number of a run; [`report`], the page.
pub mod table4;

pub mod stages;

pub mod run_report;

pub mod run_config;

pub mod anomalies;

pub mod anomaly_scores;

pub mod frames;

pub mod frame_check;

pub mod held_out;

pub mod ridge_probe;

pub mod comparison;

pub mod intervals;

pub mod sky_objects;

pub mod ranking_quality;

pub mod baselines;

pub mod sky_split;

pub mod report;

pub mod classify;

pub mod compute;

pub mod convert;

pub mod cutouts;

pub mod dataset;

pub mod doctor;

pub mod embedding;

pub mod experiments;

pub mod feature_files;

pub mod figures;

pub mod manifest_frames;

pub mod map;

pub mod model_card;

pub mod monitor;

pub mod name_join;

pub mod interrupt;

pub mod pretraining;
pub mod progress;

mod run_map;

pub mod similarity;

pub mod simulation;
