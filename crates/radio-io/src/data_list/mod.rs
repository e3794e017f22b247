//! Lists of images as other tools write them: sclassifier's (reference-facts A6, A7), caesar's detection lists (A8), and COCO.
//!
//! Reading a list opens no image and no mask; masks are read when they are asked for. What a list's own rules leave out is
//! reported, never dropped in silence.

pub mod class_dictionary;
pub mod coco;
pub mod detection;
mod json;
mod polygon;
pub mod rle;
pub mod sclassifier;
pub mod sclassifier_tables;

pub use class_dictionary::ClassDictionary;
pub use coco::CocoSet;
pub use detection::{DetectionList, DetectionOptions};
pub use rle::RunLengths;
pub use sclassifier::{DataList, DataRecord, OneOrMany};
