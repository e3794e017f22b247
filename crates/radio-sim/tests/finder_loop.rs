//! A plain threshold finder on the finished maps finds what the truth says, and little else (specification section 8).
//!
//! The finder does what any finder does: it takes off a background (the median round each place), and marks what then reaches 5
//! times the noise; it knows the noise with confusion and artefacts, which others measure. An island belongs to an object of the
//! table if they share a pixel. One that does not is judged by what its brightest pixel is made of, where map = sources +
//! Galactic emission + artefacts + noise: it is *false* if noise is more than half of it. So a source just below the limit of
//! the table that noise lifts above 5 sigma is no false island, and neither is a ridge of the Milky Way.

use ndarray::{Array2, s};
use radio_sim::truth::{ArtefactBoxes, true_objects};
use radio_sim::{SimConfig, SimError, Sky, SkyName, Tier, render_window};

const SIDE: usize = 1536;
const FIRST: usize = 256;

/// Number of the 8-connected island above 5 sigma that each pixel belongs to, 0 for none; the brightest pixel of each.
fn islands(snr: &Array2<f32>) -> (Array2<u32>, Vec<(usize, usize)>) {
    let mut label = Array2::<u32>::zeros(snr.dim());
    let mut tops = Vec::new();
    for start in snr.indexed_iter().filter(|(_, v)| **v >= 5.0).map(|(place, _)| place) {
        if label[start] != 0 {
            continue;
        }
        let n = tops.len() as u32 + 1;
        let mut top = start;
        let mut stack = vec![start];
        label[start] = n;
        while let Some((r, c)) = stack.pop() {
            if snr[[r, c]] > snr[top] {
                top = (r, c);
            }
            for (i, j) in (0..9).map(|k| (r + k / 3, c + k % 3)) {
                let (i, j) = (i.wrapping_sub(1), j.wrapping_sub(1));
                if i < SIDE && j < SIDE && snr[[i, j]] >= 5.0 && label[[i, j]] == 0 {
                    label[[i, j]] = n;
                    stack.push((i, j));
                }
            }
        }
        tops.push(top);
    }
    (label, tops)
}

/// Median of the map in boxes of ten beams, known every half box and bilinear between.
fn background(map: &Array2<f32>, beam: f64) -> Array2<f32> {
    let half = (5.0 * beam).ceil() as usize;
    let n = SIDE.div_ceil(half) + 1;
    let range = |k: usize| (k * half).saturating_sub(half).min(SIDE - half)..(k * half + half).min(SIDE);
    let nodes = Array2::from_shape_fn((n, n), |(i, j)| {
        let mut box_: Vec<f32> = map.slice(s![range(i), range(j)]).iter().copied().filter(|v| v.is_finite()).collect();
        let middle = box_.len() / 2;
        if box_.is_empty() { 0.0 } else { *box_.select_nth_unstable_by(middle, f32::total_cmp).1 }
    });
    Array2::from_shape_fn((SIDE, SIDE), |(r, c)| {
        let (i, j, ty, tx) = (r / half, c / half, (r % half) as f32 / half as f32, (c % half) as f32 / half as f32);
        let across = |i: usize| nodes[[i, j]] + tx * (nodes[[i, j + 1]] - nodes[[i, j]]);
        across(i) + ty * (across(i + 1) - across(i))
    })
}

/// What the islands of a map are.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    /// Objects of S/N 7 to 9 whose mask lies wholly on the map, and how many of them share a pixel with an island.
    bright: usize,
    seen: usize,
    islands: usize,
    /// On an object of the table.
    objects: usize,
    /// The rest, by the largest of what they are made of: sources below the table's limit, Galactic emission, artefacts, noise.
    faint: usize,
    diffuse: usize,
    artefacts: usize,
    noise: usize,
}

fn look(config: &SimConfig, into: &mut Found) -> Result<(), SimError> {
    let sky = Sky::new(config)?;
    let boxes = ArtefactBoxes::new(&sky);
    let objects = true_objects(&sky, &boxes);
    let noisy = render_window(&sky, FIRST, FIRST, SIDE, SIDE);
    let artefacts = sky.artefact_window(FIRST as i64, FIRST as i64, SIDE, SIDE);
    let model = sky.model_window(FIRST as i64, FIRST as i64, SIDE, SIDE);
    let mut galactic = Array2::<f32>::zeros((SIDE, SIDE));
    if let Some(field) = &sky.galactic {
        field.add_to(&mut galactic.view_mut(), FIRST as i64, FIRST as i64);
    }
    let sigma = |r: usize, c: usize| {
        let (row, col) = ((FIRST + r) as i64, (FIRST + c) as i64);
        sky.local_sigma(row, col).map_or(f32::NAN, |s| s.hypot(boxes.at(row, col)) as f32)
    };
    let map = &noisy - &background(&noisy, sky.beam.fwhm);
    let snr = Array2::from_shape_fn((SIDE, SIDE), |(r, c)| map[[r, c]] / sigma(r, c));
    let (label, tops) = islands(&snr);
    let mut known = vec![false; tops.len() + 1];
    for object in &objects {
        let (mut seen, mut whole) = (false, true);
        for run in &object.mask.runs {
            for c in run.first..run.end {
                let (r, c) = (i64::from(run.row) - FIRST as i64, i64::from(c) - FIRST as i64);
                if r < 0 || c < 0 || r >= SIDE as i64 || c >= SIDE as i64 {
                    whole = false;
                    continue;
                }
                let island = label[[r as usize, c as usize]];
                known[island as usize] = true;
                seen |= island != 0;
            }
        }
        if whole && (7.0..9.0).contains(&object.snr) {
            into.bright += 1;
            into.seen += usize::from(seen);
        }
    }
    into.islands += tops.len();
    for (number, top) in tops.iter().enumerate() {
        if known[number + 1] {
            into.objects += 1;
            continue;
        }
        let (a, g) = (artefacts[*top], galactic[*top]);
        let sources = model[*top] - g;
        // Seams move the level a little; that counts as noise.
        let noise = noisy[*top] - model[*top] - a;
        let largest = sources.max(g).max(a);
        if noise > 0.5 * map[*top] {
            into.noise += 1;
        } else if largest == a {
            into.artefacts += 1;
        } else if largest == g {
            into.diffuse += 1;
        } else {
            into.faint += 1;
        }
    }
    Ok(())
}

#[test]
fn a_threshold_finder_finds_the_truth_and_little_else() {
    for (name, seeds) in [(SkyName::Emu, 6..8), (SkyName::Smgps, 6..8), (SkyName::First, 6..12)] {
        let mut found = Found::default();
        for seed in seeds {
            let mut config = SimConfig::preset(name, Tier::Tiny, seed);
            // The closed form of artefacts is for speed only.
            config.artefacts.bank = config.artefacts.bank.max(4);
            config.artefacts.pattern_px = 512;
            look(&config, &mut found).unwrap();
        }
        let wrong = found.noise as f64 / found.islands as f64;
        println!("{name:?}: {found:?}, {:.2} % false", 100.0 * wrong);
        assert!(found.seen as f64 > 0.9 * found.bright as f64, "{name:?}: {found:?}");
        assert!(wrong < 0.01, "{name:?}: {found:?}");
        // And what is no object of the table, false or not, is little.
        assert!((found.islands - found.objects) * 20 < found.islands, "{name:?}: {found:?}");
    }
}
