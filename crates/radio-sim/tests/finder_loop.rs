//! A plain threshold finder on the finished maps finds what the truth says, and little else (specification section 8).

use ndarray::Array2;
use radio_sim::spurious::spurious_islands;
use radio_sim::truth::{ArtefactBoxes, true_objects};
use radio_sim::{SimConfig, Sky, SkyName, Tier, render_window};

const SIDE: usize = 1536;
const FIRST: usize = 256;

/// Number of the 8-connected island above 5 sigma that each pixel belongs to; 0 for none.
fn islands(snr: &Array2<f32>) -> (Array2<u32>, u32) {
    let mut label = Array2::<u32>::zeros(snr.dim());
    let mut n = 0;
    for start in snr.indexed_iter().filter(|(_, v)| **v >= 5.0).map(|(place, _)| place) {
        if label[start] != 0 {
            continue;
        }
        n += 1;
        let mut stack = vec![start];
        label[start] = n;
        while let Some((r, c)) = stack.pop() {
            for (i, j) in (0..9).map(|k| (r + k / 3, c + k % 3)) {
                let (i, j) = (i.wrapping_sub(1), j.wrapping_sub(1));
                if i < SIDE && j < SIDE && snr[[i, j]] >= 5.0 && label[[i, j]] == 0 {
                    label[[i, j]] = n;
                    stack.push((i, j));
                }
            }
        }
    }
    (label, n)
}

#[test]
fn a_threshold_finder_finds_the_truth_and_little_else() {
    for (name, complete, most_false) in
        [(SkyName::Emu, 0.9, 0.03), (SkyName::Smgps, 0.9, 0.10), (SkyName::First, 0.9, 0.08)]
    {
        let mut config = SimConfig::preset(name, Tier::Tiny, 6);
        // The closed form of artefacts is for speed only.
        config.artefacts.bank = config.artefacts.bank.max(4);
        config.artefacts.pattern_px = 512;
        let sky = Sky::new(&config).unwrap();
        let objects = true_objects(&sky, &ArtefactBoxes::new(&sky));
        let map = render_window(&sky, FIRST, FIRST, SIDE, SIDE);
        let artefacts = sky.artefact_window(FIRST as i64, FIRST as i64, SIDE, SIDE);
        let sigma =
            |r: usize, c: usize| sky.local_sigma((FIRST + r) as i64, (FIRST + c) as i64).map_or(f32::NAN, |s| s as f32);
        let snr = Array2::from_shape_fn((SIDE, SIDE), |(r, c)| map[[r, c]] / sigma(r, c));
        let (label, n) = islands(&snr);
        let mut known = vec![false; n as usize + 1];
        let (mut bright, mut found) = (0.0, 0.0);
        for object in &objects {
            let mut seen = false;
            let mut whole = true;
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
                bright += 1.0;
                found += f64::from(u8::from(seen));
            }
        }
        // Islands on artefacts are what SPURIOUS is for.
        for ((r, c), island) in label.indexed_iter() {
            known[*island as usize] |= artefacts[[r, c]].abs() >= sigma(r, c);
        }
        let wrong = known[1..].iter().filter(|k| !**k).count() as f64 / f64::from(n);
        let spurious = spurious_islands(&sky, &objects).len();
        println!(
            "{name:?}: {found} of {bright} found at S/N 7-9, {:.2} % of {n} islands false, {spurious} spurious",
            100.0 * wrong
        );
        assert!(found / bright > complete, "{name:?}: {}", found / bright);
        assert!(wrong < most_false, "{name:?}: {wrong}");
    }
}
