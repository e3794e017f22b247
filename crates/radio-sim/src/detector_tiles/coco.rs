//! The same tiles as one COCO file: images, categories, annotations with run-length masks.
//!
//! Masks are COCO's uncompressed run lengths: column by column from the first array row, beginning with a count of zeros.
//! Objects between the catalogue and the detection limit have `iscrowd = 1`, which tells the COCO tools that a detection on
//! them counts neither way. Rows count as in the FITS array (the first one is the southernmost).

use super::draw::Tile;
use super::tile::{TileClass, TileObject};
use serde::Serialize;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CocoFile {
    /// Where it comes from.
    pub info: CocoInfo,
    /// Images.
    pub images: Vec<CocoImage>,
    /// Objects.
    pub annotations: Vec<CocoAnnotation>,
    /// Classes.
    pub categories: Vec<CocoCategory>,
}

/// Where the file comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CocoInfo {
    /// What it holds.
    pub description: String,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CocoImage {
    /// Number, from 1.
    pub id: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Path from the folder of the file.
    pub file_name: String,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CocoAnnotation {
    /// Number, from 1.
    pub id: usize,
    /// Its image.
    pub image_id: usize,
    /// Its class.
    pub category_id: usize,
    /// Mask.
    pub segmentation: RunLengths,
    /// Pixels of the mask.
    pub area: usize,
    /// First column, first row, columns, rows.
    pub bbox: [i32; 4],
    /// 1 where a detection counts neither way.
    pub iscrowd: u8,
}

/// A mask as run lengths.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunLengths {
    /// Zeros, ones, zeros, ... in column order.
    pub counts: Vec<u32>,
    /// Rows and columns.
    pub size: [usize; 2],
}

/// A class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CocoCategory {
    /// Number of the published scheme; 0 is the background.
    pub id: usize,
    /// Name.
    pub name: String,
    /// Group.
    pub supercategory: String,
}

/// The file of a list of tiles with their images' paths.
pub fn coco_file(tiles: &[Tile], images: &[String], side: usize, description: String) -> CocoFile {
    let mut annotations = Vec::new();
    for (image_id, tile) in (1..).zip(tiles) {
        for object in &tile.objects {
            let [r0, r1, c0, c1] = object.bounds();
            annotations.push(CocoAnnotation {
                id: annotations.len() + 1,
                image_id,
                category_id: object.class as usize,
                segmentation: run_lengths(object, side),
                area: object.px,
                bbox: [c0, r0, c1 - c0, r1 - r0],
                iscrowd: u8::from(object.ignore),
            });
        }
    }
    let images = (1..)
        .zip(images)
        .map(|(id, file_name)| CocoImage { id, width: side, height: side, file_name: file_name.clone() })
        .collect();
    let categories = TileClass::ALL
        .into_iter()
        .map(|c| CocoCategory {
            id: c as usize,
            name: c.name().to_owned(),
            supercategory: if c == TileClass::Spurious { "artefact" } else { "source" }.to_owned(),
        })
        .collect();
    CocoFile { info: CocoInfo { description }, images, annotations, categories }
}

/// Run lengths of a mask on a square image.
pub fn run_lengths(object: &TileObject, side: usize) -> RunLengths {
    // Column-major places of the mask.
    let mut places: Vec<u32> =
        object.runs.iter().flat_map(|r| (r.first..r.end).map(move |c| c as u32 * side as u32 + r.row as u32)).collect();
    places.sort_unstable();
    let (mut counts, mut at) = (Vec::new(), 0u32);
    for chunk in places.chunk_by(|a, b| a + 1 == *b) {
        counts.push(chunk[0] - at);
        counts.push(chunk.len() as u32);
        at = chunk[0] + chunk.len() as u32;
    }
    let total = (side * side) as u32;
    if at < total {
        counts.push(total - at);
    }
    RunLengths { counts, size: [side, side] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Run;

    fn object(runs: Vec<Run>) -> TileObject {
        let px = runs.iter().map(|r| (r.end - r.first) as usize).sum();
        TileObject {
            class: TileClass::Compact,
            name: "S1".into(),
            islands: 1,
            snr: 9.0,
            flux: 1e-3,
            border: true,
            near_artefact: false,
            ignore: false,
            runs,
            px,
        }
    }

    /// Expected counts from pycocotools 2.0.11: `mask.encode` of the same array, decoded again to uncompressed counts.
    #[test]
    fn run_lengths_go_down_the_columns() {
        let run = |row, first, end| Run { row, first, end };
        // Rows 1 and 2 of a 4 x 4 image: .xx. and .xxx
        assert_eq!(run_lengths(&object(vec![run(1, 1, 3), run(2, 1, 4)]), 4).counts, [5, 2, 2, 2, 3, 1, 1]);
        // The first and the last pixel.
        assert_eq!(run_lengths(&object(vec![run(0, 0, 1), run(3, 3, 4)]), 4).counts, [0, 1, 14, 1]);
    }
}
