//! Where a classifier looked: pictures beside the map of their class, as a page.
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use cls_morph::Classifier;
use cls_morph::classifier::loss::Loss;
use cls_morph::features::Turns;
use image::{Rgb, RgbImage};
use ndarray::{Array2, Array4, ArrayView2, ArrayView3, Axis, s};
use radio_augment::{Augmenter, Edge, ViewLoader, resize_bilinear};

use super::predict::{PictureOptions, find};
use crate::interrupt::{self, Interrupted};
use crate::progress::Stage;
use crate::report::page::{base64, document, escape, provenance};
use crate::report::sky_tile::encode_png;
use crate::run_config::sha256_of;

/// Pictures at once while parts of them are covered.
const BATCH: usize = 64;
/// A picture on the page is enlarged to about this side, pixels.
const SHOWN_SIDE: usize = 160;

/// Options of `classify maps`.
#[derive(Debug, Clone, Args)]
pub struct MapOptions {
    /// The classifier (`classifier.safetensors` of `classify train`).
    #[arg(long, value_name = "FILE")]
    pub classifier: PathBuf,
    /// The pictures.
    #[command(flatten)]
    pub pictures: PictureOptions,
    /// The class whose evidence is shown [default: the most probable one of each picture].
    #[arg(long, value_name = "NAME")]
    pub class: Option<String>,
    /// Pictures on the page: those of the highest probability of the class.
    #[arg(long, value_name = "N", default_value_t = 48)]
    pub most: usize,
    /// Side of the square that is covered, pixels of the input [default: an eighth of it].
    #[arg(long, value_name = "PIXELS")]
    pub cover: Option<usize>,
    /// The page.
    #[arg(long, value_name = "FILE.html")]
    pub out: PathBuf,
}

/// One picture, and what speaks for its class in it.
struct Seen {
    id: String,
    class: usize,
    probability: f64,
    input: Array2<f32>,
    grad_cam: Option<Array2<f32>>,
    covered: Array2<f32>,
}

/// Writes the page.
///
/// # Errors
/// If the classifier or a picture cannot be used, the user interrupts, or the page cannot be written.
pub fn class_maps(options: &MapOptions) -> Result<()> {
    let classifier = Classifier::read(&options.classifier)?;
    let wanted = match &options.class {
        None => None,
        Some(name) => {
            let place = classifier.classes.iter().position(|class| class == name);
            Some(place.with_context(|| format!("--class {name}: the classes are {:?}", classifier.classes))?)
        }
    };
    let mut pictures = find(&options.pictures)?;
    let blind = Augmenter { steps: Vec::new() };
    let loader = |pictures| ViewLoader::new(Arc::new(pictures), classifier.recipe.clone(), blind.clone(), 0);
    let refused: Vec<usize> = loader(pictures.clone()).refused_frames().iter().map(|(place, _)| *place).collect();
    refused.iter().for_each(|&place| eprintln!("left out: {}", pictures.list[place].id));
    pictures.without(&refused);
    ensure!(!pictures.list.is_empty(), "{}: no picture can be used", options.pictures.images.display());
    let probabilities = classifier.predict(Arc::new(pictures.clone()), Turns::One, BATCH, |_| interrupt::flow())?;
    if probabilities.nrows() < pictures.list.len() {
        bail!(Interrupted);
    }
    let mut order: Vec<(usize, usize, f64)> = (0..pictures.list.len())
        .map(|row| {
            let class = wanted.unwrap_or_else(|| highest(probabilities.row(row)));
            (row, class, probabilities[(row, class)])
        })
        .collect();
    order.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    order.truncate(options.most);

    let loader = loader(pictures.clone());
    let mut stage = Stage::start("looking");
    let mut seen = Vec::new();
    for (done, &(row, class, probability)) in order.iter().enumerate() {
        let input = loader.channels_batch(&[row])?;
        let side = input.dim().2;
        let cover = options.cover.unwrap_or(side / 8).clamp(1, side);
        // Row 0 is the bottom of a FITS image and the top of a PNG.
        let upright = |map: Array2<f32>| match pictures.list[row].is_png() {
            true => map.slice_move(s![..;-1, ..]),
            false => map,
        };
        let grad_cam = match classifier.class_map(input.clone(), class) {
            Ok(maps) => Some(upright(resize_bilinear(maps.index_axis(Axis(0), 0), side, side, Edge::Repeat))),
            // A vision transformer has no such maps.
            Err(_) => None,
        };
        seen.push(Seen {
            id: pictures.list[row].id.clone(),
            class,
            probability,
            grad_cam,
            covered: upright(covered_map(&classifier, input.index_axis(Axis(0), 0), class, cover)?),
            input: upright(input.slice(s![0, 0, .., ..]).to_owned()),
        });
        stage.at(done as u64 + 1, order.len() as u64, "pictures");
        if interrupt::requested() {
            bail!(Interrupted);
        }
    }
    stage.end("");
    let page = page(options, &classifier, &seen)?;
    atomic_file::write_atomically(&options.out, |file| std::io::Write::write_all(file, page.as_bytes()))
        .with_context(|| format!("cannot write {}", options.out.display()))?;
    println!("{} pictures: {}", seen.len(), options.out.display());
    Ok(())
}

/// How much each place speaks for `class`: the mean loss of log odds over all squares of side `cover`, half a side apart, that
/// cover it with 0.
///
/// # Shapes
/// `input`: `[3, s, s]`; result: `[s, s]`.
/// # Source
/// Zeiler and Fergus 2014 (arXiv:1311.2901), section 4.2.
fn covered_map(classifier: &Classifier, input: ArrayView3<f32>, class: usize, cover: usize) -> Result<Array2<f32>> {
    let side = input.dim().1;
    let mut places: Vec<usize> = (0..side.saturating_sub(cover)).step_by(cover.div_ceil(2)).collect();
    places.push(side - cover.min(side));
    let corners: Vec<(usize, usize)> = places.iter().flat_map(|&y| places.iter().map(move |&x| (y, x))).collect();
    let odds = |p: f64| (p.max(1e-9) / (1.0 - p).max(1e-9)).ln();
    let whole = input.insert_axis(Axis(0)).to_owned();
    let whole = odds(classifier.probabilities(&whole, Turns::One)?[(0, class)]);
    let (mut sum, mut count) = (Array2::<f32>::zeros((side, side)), Array2::<f32>::zeros((side, side)));
    for corners in corners.chunks(BATCH) {
        let mut batch = Array4::zeros((corners.len(), 3, side, side));
        for (mut image, &(y, x)) in batch.outer_iter_mut().zip(corners) {
            image.assign(&input);
            image.slice_mut(s![.., y..y + cover, x..x + cover]).fill(0.0);
        }
        let found = classifier.probabilities(&batch, Turns::One)?;
        for (row, &(y, x)) in corners.iter().enumerate() {
            let window = s![y..y + cover, x..x + cover];
            sum.slice_mut(window).mapv_inplace(|v| v + (whole - odds(found[(row, class)])) as f32);
            count.slice_mut(window).mapv_inplace(|v| v + 1.0);
        }
    }
    Ok(sum / count)
}

fn page(options: &MapOptions, classifier: &Classifier, seen: &[Seen]) -> Result<String> {
    let several = classifier.loss != Loss::CrossEntropy;
    let mut body = format!(
        "<header>\n<p class=\"eyebrow\">radio-ssl · classify</p>\n<h1>Where the classifier looked</h1>\n<p class=\"verdict lead\">{} pictures of the highest \
         probability of {}.</p>\n<p class=\"verdict\">Each: the first channel as the network sees it; Grad-CAM on the last maps{}; and what covering a square \
         with 0 takes from the log odds of the class (orange speaks for it, blue against).</p>\n</header>\n<div class=\"maps\">\n",
        seen.len(),
        escape(options.class.as_deref().unwrap_or(if several { "any class" } else { "their class" })),
        if seen.iter().any(|seen| seen.grad_cam.is_none()) { " (vision transformers have none)" } else { "" }
    );
    for seen in seen {
        let zero = Array2::zeros(seen.input.dim());
        let mut panels = vec![overlay(seen.input.view(), zero.view())];
        panels.extend(seen.grad_cam.iter().map(|map| overlay(seen.input.view(), map.view())));
        panels.push(overlay(seen.input.view(), seen.covered.view()));
        body += "<figure>";
        for panel in &panels {
            body += &format!("<img alt=\"\" src=\"data:image/png;base64,{}\">", base64(&encode_png(panel)?));
        }
        body += &format!(
            "<figcaption>{} <b>{} {:.0} %</b></figcaption></figure>\n",
            escape(&seen.id),
            escape(&classifier.classes[seen.class]),
            100.0 * seen.probability
        );
    }
    body += "</div>\n";
    body += &provenance(&[
        ("radio-ssl".into(), env!("CARGO_PKG_VERSION").into()),
        ("SHA-256 of the classifier".into(), sha256_of(&options.classifier)?),
        ("Grad-CAM".into(), "Selvaraju et al. 2017, arXiv:1610.02391".into()),
        ("covering".into(), "Zeiler and Fergus 2014, arXiv:1311.2901".into()),
    ]);
    let css = ".maps{display:grid;grid-template-columns:repeat(auto-fill,minmax(28rem,1fr));gap:1rem}\
        .maps figure{margin:0}.maps img{width:32%;image-rendering:pixelated;margin-right:1%}\
        .maps figcaption{font-size:.8rem;overflow-wrap:anywhere}\n";
    Ok(document("Where the classifier looked", css, &body))
}

/// The picture in grey, with what speaks for the class in orange and what speaks against it in blue, as a share of the strongest.
fn overlay(input: ArrayView2<f32>, map: ArrayView2<f32>) -> RgbImage {
    let strongest = map.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let (rows, cols) = input.dim();
    let enlarge = (SHOWN_SIDE / rows.max(1)).max(1) as u32;
    RgbImage::from_fn(cols as u32 * enlarge, rows as u32 * enlarge, |x, y| {
        let place = (rows - 1 - (y / enlarge) as usize, (x / enlarge) as usize);
        let grey = 255.0 * input[place].clamp(0.0, 1.0).sqrt();
        let share = if strongest > 0.0 { map[place] / strongest } else { 0.0 };
        let colour = if share > 0.0 { [255.0, 140.0, 0.0] } else { [60.0, 130.0, 255.0] };
        let weight = 0.65 * share.abs();
        Rgb(colour.map(|c: f32| (grey * (1.0 - weight) + c * weight).round() as u8))
    })
}

fn highest(row: ndarray::ArrayView1<f64>) -> usize {
    (0..row.len()).reduce(|best, place| if row[place] > row[best] { place } else { best }).unwrap_or(0)
}
