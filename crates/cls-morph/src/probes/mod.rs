//! Simple classifiers on frozen features: what an encoder knows, read with as little help as possible.
//!
//! A table of features, a label and a group per row go in; every row is predicted by a probe that saw neither it nor its group.
mod bowl;
pub mod draws;
pub mod folds;
pub mod knn;
pub mod logistic;
pub mod minimise;
pub mod multi_label;
pub mod probe;
mod row_space;
pub mod score;
pub mod standardise;
