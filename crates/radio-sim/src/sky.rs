//! The simulated sky, and any window of its map.
//!
//! [`Sky::new`] draws what has to be known as a whole: resolved objects, bright sources, the rms field. [`render_window`] then
//! makes any part of the map, with the same bits whatever the part.

use crate::address::CELL;
use crate::artefact::{Artefacts, BrightSource};
use crate::config::SimConfig;
use crate::counts::CountTable;
use crate::coverage::RmsField;
use crate::doubles::extra_doubles;
use crate::error::SimError;
use crate::galactic::GalacticField;
use crate::gaussian::{BeamShape, Stamp};
use crate::noise::noise_window;
use crate::population::{SkyObject, dig_bowl, rare_layers, rare_objects, resolve, visit_field};
use crate::shapes::Kind;
use crate::twin::{Judge, peculiar_objects};
use ndarray::Array2;
use rayon::prelude::*;

/// Cells outside the mosaic whose objects are drawn too, because they reach into it.
const MARGIN_CELLS: i64 = 3;
/// Unresolved sources reach at most this far from their cell, in pixels: four beams to a neighbour and its stamp.
const FIELD_REACH: i64 = 128;

/// Everything that determines the pixels of a survey.
#[derive(Debug, Clone)]
pub struct Sky {
    /// The numbers it was made from.
    pub config: SimConfig,
    /// Beam in pixels.
    pub beam: BeamShape,
    /// Source counts.
    pub counts: CountTable,
    /// Thermal noise and seams.
    pub rms: RmsField,
    /// Resolved objects by (layer, cell, number).
    pub objects: Vec<SkyObject>,
    /// Bright compact sources.
    pub bright: Vec<BrightSource>,
    /// Rings, rays and stripes.
    pub artefacts: Artefacts,
    /// Diffuse Galactic emission, if the survey shows any.
    pub galactic: Option<GalacticField>,
    /// Level subtracted from the map: the mean of the faint sky, Jy/beam.
    pub zero_level: f64,
    /// Rms of the unresolved faint sources, Jy/beam.
    pub confusion: f64,
    /// Row-major cells of the mosaic and one margin: which objects touch them.
    touching: Vec<Vec<u32>>,
    cells: i64,
}

impl Sky {
    /// Draws the sky.
    ///
    /// # Errors
    /// [`SimError::Config`] if the configuration contradicts itself.
    pub fn new(config: &SimConfig) -> Result<Self, SimError> {
        config.check()?;
        let counts = CountTable::new(&config.counts, config.frequency_mhz);
        let beam = BeamShape::new(config.beam_px(), config.beam_px(), 0.0);
        let beam_deg2 = beam.area * (config.pixel_arcsec / 3600.0).powi(2);
        // Sources below 5 sigma make the zero level and the confusion noise.
        let faint = 5.0 * 27.0 / 23.0 * config.noise.thermal_ujy * 1e-6;
        let zero_level = beam_deg2 * counts.moment_below(1.0, faint);
        let confusion = (0.5 * beam_deg2 * counts.moment_below(2.0, faint)).sqrt();
        let sigma = (config.noise.thermal_ujy * 1e-6).hypot(confusion);
        let rms = RmsField::new(config);
        let judge = Judge { config, counts: &counts, beam: &beam, rms: &rms, confusion, sigma };
        let cells = (config.side as i64 + CELL - 1) / CELL;
        let range = -MARGIN_CELLS..cells + MARGIN_CELLS;
        let all: Vec<(i64, i64)> = range.clone().flat_map(|y| range.clone().map(move |x| (y, x))).collect();
        let limit = config.artefacts.faintest_mjy * 1e-3;
        // Sources of the counts: those with a shape, and bright points.
        let field: Vec<(Vec<SkyObject>, Vec<BrightSource>)> = all
            .par_iter()
            .map(|cell| {
                let (mut objects, mut bright) = (Vec::new(), Vec::new());
                visit_field(config, &counts, *cell, |s| {
                    if s.resolved {
                        objects.push(resolve(config, *cell, s));
                    } else {
                        let peak = Stamp::new(&s.gaussian, &beam).peak;
                        if peak >= limit {
                            bright.push(BrightSource {
                                x: s.gaussian.x,
                                y: s.gaussian.y,
                                peak,
                                cell: *cell,
                                origin: (0, s.index),
                            });
                        }
                    }
                });
                (objects, bright)
            })
            .collect();
        let (mut objects, mut bright) = (Vec::new(), Vec::new());
        for (o, b) in field {
            objects.extend(o);
            bright.extend(b);
        }
        for (layer, density) in rare_layers(config) {
            let found: Vec<Vec<SkyObject>> =
                all.par_iter().map(|cell| rare_objects(config, layer, density, *cell)).collect();
            objects.extend(found.into_iter().flatten());
        }
        let extra: Vec<Vec<SkyObject>> =
            all.par_iter().map(|cell| extra_doubles(config, &beam, confusion, *cell)).collect();
        objects.extend(extra.into_iter().flatten());
        let odd: Vec<Vec<SkyObject>> = all.par_iter().map(|cell| peculiar_objects(&judge, *cell)).collect();
        objects.extend(odd.into_iter().flatten());
        if config.artefacts.bowls {
            objects.iter_mut().for_each(|o| dig_bowl(config, o));
        }
        for o in &objects {
            // Errors grow round compact parts.
            for (number, g) in o.parts.iter().enumerate() {
                let peak = Stamp::new(g, &beam).peak;
                if peak >= limit {
                    let origin = (o.layer as u32, o.index << 8 | number as u32);
                    bright.push(BrightSource { x: g.x, y: g.y, peak, cell: o.cell, origin });
                }
            }
        }
        let artefacts = Artefacts::new(config, &bright, range);
        let mut touching = vec![Vec::new(); (cells * cells) as usize];
        for (number, o) in objects.iter().enumerate() {
            let mut seen: Vec<usize> = Vec::new();
            for g in o.parts.iter().chain(&o.bowl) {
                let (r0, r1, c0, c1) = Stamp::new(g, &beam).bounds();
                for y in r0.div_euclid(CELL).max(0)..=r1.div_euclid(CELL).min(cells - 1) {
                    for x in c0.div_euclid(CELL).max(0)..=c1.div_euclid(CELL).min(cells - 1) {
                        seen.push((y * cells + x) as usize);
                    }
                }
            }
            seen.sort_unstable();
            seen.dedup();
            for cell in seen {
                touching[cell].push(number as u32);
            }
        }
        Ok(Self {
            config: config.clone(),
            rms,
            beam,
            counts,
            objects,
            bright,
            artefacts,
            galactic: GalacticField::new(config),
            zero_level,
            confusion,
            touching,
            cells,
        })
    }

    /// Noise with confusion at a pixel, without artefacts, Jy/beam; `None` where the map is blank.
    pub fn local_sigma(&self, row: i64, col: i64) -> Option<f64> {
        self.rms.sigma(row, col).map(|s| f64::from(s).hypot(self.confusion))
    }

    /// Numbers of the resolved objects that touch a window, rising.
    fn objects_touching(&self, row: i64, col: i64, rows: usize, cols: usize) -> Vec<u32> {
        let last = self.cells - 1;
        let mut found = Vec::new();
        for y in row.div_euclid(CELL).max(0)..=(row + rows as i64 - 1).div_euclid(CELL).min(last) {
            for x in col.div_euclid(CELL).max(0)..=(col + cols as i64 - 1).div_euclid(CELL).min(last) {
                found.extend_from_slice(&self.touching[(y * self.cells + x) as usize]);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The sky without noise and artefacts in a window, Jy/beam.
    pub fn model_window(&self, row: i64, col: i64, rows: usize, cols: usize) -> Array2<f32> {
        let mut window = Array2::from_elem((rows, cols), -self.zero_level as f32);
        let mut view = window.view_mut();
        if let Some(field) = &self.galactic {
            field.add_to(&mut view, row, col);
        }
        let mut scratch = Vec::new();
        let cell = |v: i64| v.div_euclid(CELL).clamp(-MARGIN_CELLS, self.cells + MARGIN_CELLS - 1);
        for y in cell(row - FIELD_REACH)..=cell(row + rows as i64 + FIELD_REACH) {
            for x in cell(col - FIELD_REACH)..=cell(col + cols as i64 + FIELD_REACH) {
                visit_field(&self.config, &self.counts, (y, x), |s| {
                    if !s.resolved {
                        Stamp::new(&s.gaussian, &self.beam).add_to(&mut view, row, col, &mut scratch);
                    }
                });
            }
        }
        for number in self.objects_touching(row, col, rows, cols) {
            let object = &self.objects[number as usize];
            for g in object.parts.iter().chain(&object.bowl) {
                Stamp::new(g, &self.beam).add_to(&mut view, row, col, &mut scratch);
            }
        }
        window
    }

    /// The artefact image in a window, Jy/beam.
    pub fn artefact_window(&self, row: i64, col: i64, rows: usize, cols: usize) -> Array2<f32> {
        let mut window = Array2::zeros((rows, cols));
        self.artefacts.add_to(&mut window.view_mut(), row, col);
        window
    }

    /// Map and artefact image of a window: one step of the writer.
    pub fn map_and_artefacts(&self, row: i64, col: i64, rows: usize, cols: usize) -> (Array2<f32>, Array2<f32>) {
        let mut map = self.model_window(row, col, rows, cols);
        let artefacts = self.artefact_window(row, col, rows, cols);
        map += &artefacts;
        let noise = noise_window(&self.config, row, col, rows, cols);
        let mut sigma = vec![0f32; cols];
        for (i, mut line) in map.outer_iter_mut().enumerate() {
            let r = row + i as i64;
            self.rms.sigma_row(r, col, &mut sigma);
            if let Some(line) = line.as_slice_mut() {
                for ((v, n), s) in line.iter_mut().zip(&noise[i * cols..]).zip(&sigma) {
                    // Blank places have sigma NaN, and NaN they become.
                    *v += n * s;
                }
                self.rms.add_levels(r, col, line);
            }
        }
        (map, artefacts)
    }

    /// Number of objects per kind.
    pub fn kind_counts(&self) -> Vec<(Kind, usize)> {
        Kind::ALL
            .iter()
            .map(|k| (*k, self.objects.iter().filter(|o| o.kind == *k).count()))
            .filter(|(_, n)| *n > 0)
            .collect()
    }
}

/// Any window of the finished map, Jy/beam, NaN where blank; the bits are those of the file.
pub fn render_window(sky: &Sky, row: usize, col: usize, rows: usize, cols: usize) -> Array2<f32> {
    sky.map_and_artefacts(row as i64, col as i64, rows, cols).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tier;
    use ndarray::s;

    fn tiny() -> SimConfig {
        SimConfig::emu_pilot(Tier::Tiny, 4)
    }

    fn bits(a: ndarray::ArrayView2<f32>) -> Vec<u32> {
        a.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn windows_of_any_size_have_the_same_bits() {
        let sky = Sky::new(&tiny()).unwrap();
        let whole = render_window(&sky, 512, 640, 300, 400);
        for (r, c, n, m) in [(0, 0, 64, 64), (17, 33, 100, 211), (299, 1, 1, 399), (100, 200, 200, 7)] {
            let part = render_window(&sky, 512 + r, 640 + c, n, m);
            assert!(bits(part.view()) == bits(whole.slice(s![r..r + n, c..c + m])), "window {r} {c} {n} {m}");
        }
        assert!(whole.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn tiles_of_any_side_have_the_same_bits() {
        let sky = Sky::new(&tiny()).unwrap();
        let (row, col, side) = (700, 300, 1000);
        let whole = render_window(&sky, row, col, side, side);
        for tile in [256, 512] {
            let mut joined = Array2::<f32>::zeros((side, side));
            for (r, c) in (0..side).step_by(tile).flat_map(|r| (0..side).step_by(tile).map(move |c| (r, c))) {
                let (n, m) = (tile.min(side - r), tile.min(side - c));
                joined.slice_mut(s![r..r + n, c..c + m]).assign(&render_window(&sky, row + r, col + c, n, m));
            }
            assert!(bits(whole.view()) == bits(joined.view()), "tiles of {tile}");
        }
    }

    #[test]
    fn threads_do_not_change_the_sky() {
        let in_pool = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let sky = Sky::new(&tiny()).unwrap();
                (render_window(&sky, 0, 0, 200, 200), sky.objects)
            })
        };
        let (one, objects) = in_pool(1);
        for threads in [2, 8] {
            let (other, same) = in_pool(threads);
            assert!(bits(one.view()) == bits(other.view()) && objects == same, "{threads} threads");
        }
    }

    #[test]
    fn another_seed_shares_no_object() {
        let a = Sky::new(&tiny()).unwrap();
        let b = Sky::new(&SimConfig { seed: 5, ..tiny() }).unwrap();
        assert!(a.objects.iter().all(|o| b.objects.iter().all(|p| (o.x, o.y) != (p.x, p.y))));
        assert!(a.objects.len() > 20);
    }

    /// Clipped rms of the finished map: 25-30 uJy/beam, and its median near 0.
    #[test]
    fn the_finished_map_has_the_level_of_the_survey() {
        let sky = Sky::new(&tiny()).unwrap();
        let map = render_window(&sky, 300, 300, 700, 500);
        let mut v: Vec<f32> = map.iter().copied().collect();
        v.sort_by(f32::total_cmp);
        let at = |q: f64| f64::from(v[(q * v.len() as f64) as usize]) * 1e6;
        let rms = (at(0.5) - at(0.1587)).abs();
        println!("median {:.1}, 16 % to median {rms:.1} uJy", at(0.5));
        assert!((22.0..30.0).contains(&rms), "{rms}");
        assert!(at(0.5).abs() < 8.0, "{}", at(0.5));
    }
}
