//! Contact sheet of frames: each peculiar kind (left) beside an ordinary complex frame that could hold its twin (right).
//!
//! `cargo run -p radio-sim --example frames -- FOLDER sheet.png`, where FOLDER holds a survey made by [`radio_sim::simulate`].
//! Grey levels are quantiles of the frame, close to what zscale shows.

use ndarray::{Array2, s};
use radio_io::{Mosaic, Table, write_gray_png};
use std::{collections::HashMap, error::Error, path::Path};

const SIDE: usize = 256;
const COLUMNS: usize = 6;

/// A frame as grey levels, north up: from the 3 % quantile to 5 robust sigma above the median.
fn grey(frame: &Array2<f32>) -> Array2<u8> {
    let mut sorted: Vec<f32> = frame.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize];
    let (low, high) = (at(0.03), at(0.5) + 5.0 * (at(0.5) - at(0.16)));
    let level = |v: f32| if v.is_nan() { 0 } else { (255.0 * ((v - low) / (high - low)).clamp(0.0, 1.0)) as u8 };
    frame.slice(s![..;-1, ..]).mapv(level)
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out] = words.as_slice() else { return Err("usage: frames FOLDER SHEET.png".into()) };
    let folder = Path::new(folder);
    let mosaic = Mosaic::open(&folder.join("mosaic.fits"))?;
    let objects = Table::read(&folder.join("objects.parquet"))?;
    let ids = objects.column("id")?.integers().ok_or("ids")?;
    let kinds: HashMap<String, &String> =
        ids.iter().flatten().map(i64::to_string).zip(objects.texts("kind")?).collect();
    let frames = Table::read(&folder.join("frames.parquet"))?;
    let (row, column) = (frames.numbers("row")?, frames.numbers("column")?);
    let (labels, holds) = (frames.texts("labels")?, frames.texts("peculiar_objects")?);
    let has_twin = frames.column("has_twin")?;
    let (mut odd, mut twins, mut other, mut seen) = (Vec::new(), Vec::new(), Vec::new(), HashMap::new());
    for i in 0..frames.rows() {
        let place = (row[i] as usize, column[i] as usize);
        if let Some(kind) = holds[i].split(';').next().and_then(|id| kinds.get(id)) {
            let n = seen.entry(kind.as_str()).or_insert(0);
            *n += 1;
            if *n % 4 == 1 && *n < 12 {
                odd.push(((*kind).clone(), place));
            }
        } else if has_twin.cell(i) == "True" && twins.len() < 400 {
            twins.push(place);
        } else if ["ARTEFACT", "MOSAICKING", "DIFFUSE", "FILAMENT"].iter().any(|l| labels[i].contains(l)) {
            other.push(place);
        }
    }
    odd.sort();
    let pick = |list: &[(usize, usize)], i: usize, n: usize| list.get(i * list.len() / n.max(1)).copied();
    let n = odd.len();
    let rows: Vec<_> =
        odd.iter().enumerate().map(|(i, (kind, p))| (kind, Some(*p), pick(&twins, i, n), pick(&other, i, n))).collect();
    let mut sheet = Array2::from_elem((rows.len().div_ceil(2) * SIDE, COLUMNS * SIDE), 128u8);
    for (i, (kind, a, b, c)) in rows.into_iter().enumerate() {
        println!("row {} half {}: {kind} at {a:?}, twin {b:?}, other {c:?}", i / 2, i % 2);
        for (j, (row, col)) in [a, b, c].into_iter().enumerate().filter_map(|(j, p)| p.map(|p| (j, p))) {
            let (r, k) = (i / 2 * SIDE, (i % 2 * 3 + j) * SIDE);
            sheet.slice_mut(s![r..r + SIDE - 2, k..k + SIDE - 2]).assign(&grey(&mosaic.window(
                row,
                col,
                SIDE - 2,
                SIDE - 2,
            )?));
        }
    }
    write_gray_png(Path::new(out), &sheet)?;
    Ok(())
}
