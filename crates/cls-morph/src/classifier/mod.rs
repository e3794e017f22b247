//! A trunk with a linear head: training from a checkpoint or from scratch, prediction, calibration, and what it looked at.
pub mod calibration;
pub mod class_map;
pub mod config;
pub mod confident_errors;
pub mod fine_tune;
pub mod head;
pub mod loss;
pub mod predict;
