//! The surest errors of a classifier as a page of pictures, by true class (the paper's Fig. A.1): often the label is wrong.
use std::path::Path;

use anyhow::{Context, Result};
use cls_morph::classifier::confident_errors::confident_errors;
use ndarray::{Array2, ArrayView2};
use radio_augment::FrameSource;
use rayon::prelude::*;

use super::images::Pictures;
use crate::report::page::{document, escape, gallery_section, provenance};
use crate::report::{FrameGroup, Gallery, GalleryFrame};

/// Errors shown of each class.
const MOST_ERRORS: usize = 12;

/// Predictions of labelled pictures, and who made them.
pub struct Judged<'a> {
    /// The pictures.
    pub pictures: &'a Pictures,
    /// Place among the pictures of every row below.
    pub places: &'a [usize],
    /// Class of every row.
    pub labels: &'a [usize],
    /// Names of the classes.
    pub classes: &'a [String],
    /// Probabilities, `[rows, classes]`.
    pub probabilities: ArrayView2<'a, f64>,
    /// What predicted, in words.
    pub method: String,
    /// What is needed to make the page again; name and value.
    pub facts: Vec<(String, String)>,
}

/// Writes the page.
///
/// # Errors
/// If lengths differ, a picture that is shown cannot be read, or the file cannot be written.
pub fn write_error_gallery(judged: &Judged, path: &Path) -> Result<()> {
    let page = error_page(judged)?;
    atomic_file::write_atomically(path, |file| std::io::Write::write_all(file, page.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The page: for each true class the wrong predictions of highest probability.
fn error_page(judged: &Judged) -> Result<String> {
    let errors = confident_errors(judged.probabilities, judged.labels, judged.labels.len())?;
    let mut body = format!(
        "<header>\n<p class=\"eyebrow\">radio-ssl · classify</p>\n<h1>The surest errors</h1>\n<p class=\"verdict lead\">{} of {} pictures were called something else \
         than their label says ({}).</p>\n<p class=\"verdict\">The number beside each is the probability of the wrong class. Where a picture looks like what it was called, \
         the label may be the error.</p>\n</header>\n",
        errors.len(),
        judged.labels.len(),
        escape(&judged.method)
    );
    for (class, name) in judged.classes.iter().enumerate() {
        let wrong: Vec<_> = errors.iter().filter(|error| error.truth == class).collect();
        let all = judged.labels.iter().filter(|&&label| label == class).count();
        if wrong.is_empty() {
            continue;
        }
        let frames: Result<Vec<GalleryFrame>> = wrong[..wrong.len().min(MOST_ERRORS)]
            .par_iter()
            .enumerate()
            .map(|(rank, error)| {
                let place = judged.places[error.row];
                let picture = &judged.pictures.list[place];
                Ok(GalleryFrame {
                    id: picture.id.clone(),
                    rank: rank + 1,
                    score: error.probability,
                    labels: vec![format!("{name} → {}", judged.classes[error.predicted])],
                    group: FrameGroup::Unlabelled,
                    sky_deg: sky(judged.pictures, place),
                    pixels: upright(judged.pictures, place)
                        .with_context(|| format!("picture {}", picture.path.display()))?,
                })
            })
            .collect();
        let gallery = Gallery {
            title: format!("Labelled {name}: {} of {all} called something else", wrong.len()),
            frames: frames?,
            ..Gallery::default()
        };
        body += &gallery_section(&gallery)?;
        if wrong.len() > MOST_ERRORS {
            body += &format!("<p class=\"legend\">The {MOST_ERRORS} surest of {}.</p>\n", wrong.len());
        }
    }
    if errors.is_empty() {
        body += "<p>Every prediction agrees with its label.</p>\n";
    }
    body += &provenance(&judged.facts);
    Ok(document("The surest errors", "", &body))
}

/// Pixels with the row that a screen shows lowest first: a PNG file begins at the top.
fn upright(pictures: &Pictures, place: usize) -> Result<Array2<f32>> {
    let pixels = pictures.pixels(place).map_err(anyhow::Error::from_boxed)?;
    Ok(if pictures.list[place].is_png() { pixels.slice_move(ndarray::s![..;-1, ..]) } else { pixels })
}

/// Position of a picture, where the table has one in degrees.
fn sky(pictures: &Pictures, place: usize) -> Option<(f64, f64)> {
    let of = |name: &str| Some(pictures.table.numbers(name).ok()?[pictures.rows[place]]);
    of("ra").zip(of("dec")).filter(|(ra, dec)| ra.is_finite() && dec.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::images::ImageOptions;
    use ndarray::array;

    #[test]
    fn the_surest_errors_of_each_class_are_shown_and_no_other_picture() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = "file,class\n".to_owned();
        for place in 0..5 {
            let picture = Array2::from_shape_fn((9, 9), |(row, col)| (row * 9 + col + 20 * place) as u8);
            radio_io::write_gray_png(&folder.path().join(format!("p{place}.png")), &picture).unwrap();
            table += &format!("p{place}.png,{}\n", ["a<b", "c"][place % 2]);
        }
        std::fs::write(folder.path().join("l.csv"), table).unwrap();
        let options = ImageOptions::of_files(folder.path().to_path_buf(), folder.path().join("l.csv"));
        let pictures = Pictures::open(&options).unwrap();
        let (labels, classes) = pictures.labels("class").unwrap();
        // Pictures 1 to 4 are predicted; 2 and 3 wrongly.
        let places = [1, 2, 3, 4];
        let labels: Vec<usize> = places.iter().map(|&place| labels[place]).collect();
        let probabilities = array![[0.1, 0.9], [0.2, 0.8], [0.95, 0.05], [0.7, 0.3]];
        let judged = Judged {
            pictures: &pictures,
            places: &places,
            labels: &labels,
            classes: &classes,
            probabilities: probabilities.view(),
            method: "<method>".into(),
            facts: vec![("seed".into(), "1".into())],
        };
        let page = error_page(&judged).unwrap();
        assert!(page.contains("2 of 4 pictures") && page.contains("&lt;method&gt;"));
        assert_eq!(page.matches("data:image/png").count(), 2);
        for (id, shown) in [("p1.png", false), ("p2.png", true), ("p3.png", true), ("p4.png", false)] {
            assert_eq!(page.contains(id), shown, "{id}");
        }
        assert!(page.contains("Labelled a&lt;b: 1 of 2") && page.contains("a&lt;b → c") && page.contains("c → a&lt;b"));
        let found = upright(&pictures, 2).unwrap();
        assert_eq!(found[(8, 0)], 40.0, "the top of the PNG is the last row");
        let all_right = array![[0.1, 0.9], [0.8, 0.2], [0.1, 0.9], [0.7, 0.3]];
        let right = Judged { probabilities: all_right.view(), ..judged };
        assert!(error_page(&right).unwrap().contains("Every prediction agrees"));
    }
}
