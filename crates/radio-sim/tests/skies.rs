//! The finished maps of the Galactic and the FIRST-like sky against the figures of the surveys (specification sections 1 to 3
//! and 8), on a square degree each.

use radio_sim::address::Layer;
use radio_sim::counts::CountTable;
use radio_sim::galactic::latitude_factor;
use radio_sim::map_figures::{MapFigures, map_figures};
use radio_sim::shapes::Kind;
use radio_sim::truth::{ArtefactBoxes, DetectionClass, TrueObject, true_objects};
use radio_sim::{SimConfig, SimError, Sky, SkyName, Tier, render_window};

fn measured(name: SkyName, seed: u64) -> Result<(Sky, Vec<TrueObject>, MapFigures), SimError> {
    let sky = Sky::new(&SimConfig::preset(name, Tier::Tiny, seed))?;
    let boxes = ArtefactBoxes::new(&sky);
    let objects = true_objects(&sky, &boxes);
    let figures = map_figures(&sky, &boxes, &sky)?;
    println!("{} seed {seed}: {figures:?}", sky.config.name);
    Ok((sky, objects, figures))
}

/// Published counts: 1,055 sources above 100 uJy at 1284 MHz, 89 above 1 mJy at 1400 MHz, per square degree; confusion 5 and
/// 9 uJy/beam.
#[test]
fn counts_and_confusion_are_those_of_the_surveys() {
    for (name, flux, want, confusion) in [(SkyName::Smgps, 100e-6, 1_055.0, 5e-6), (SkyName::First, 1e-3, 89.0, 9e-6)] {
        let config = SimConfig::preset(name, Tier::Tiny, 1);
        let found = CountTable::new(&config.counts, config.frequency_mhz).density_above(flux);
        let sky = Sky::new(&config).unwrap();
        println!("{}: {found:.1} per deg2, confusion {:.2} uJy/beam", config.name, sky.confusion * 1e6);
        assert!((found / want - 1.0).abs() < 0.02, "{found} for {want}");
        assert!((sky.confusion / confusion - 1.0).abs() < 0.25, "{}", sky.confusion);
    }
}

/// The Galactic sky: noise of 10 to 20 uJy/beam in the finished map, 33 extended sources per square degree.
#[test]
fn the_galactic_map_has_the_figures_of_the_survey() {
    let (mut extended, mut area, mut galactic) = (0.0, 0.0, 0.0);
    for seed in 1..4 {
        let (sky, objects, figures) = measured(SkyName::Smgps, seed).unwrap();
        assert!((10e-6..25e-6).contains(&figures.rms) && figures.median.abs() < 8e-6);
        assert!((figures.box_rms_over_truth - 1.0).abs() < 0.25, "{}", figures.box_rms_over_truth);
        // 1,400 sources lie above 5 times the noise with confusion.
        assert!((1_100.0..2_100.0).contains(&figures.islands_per_deg2), "{}", figures.islands_per_deg2);
        let large = |o: &&TrueObject| {
            o.detectable && matches!(o.class, DetectionClass::Extended | DetectionClass::ExtendedMultisland)
        };
        extended += objects.iter().filter(large).count() as f64;
        area += figures.area_deg2;
        let of_the_galaxy = |o: &&TrueObject| matches!(o.kind, Kind::Shell | Kind::HiiRegion | Kind::Bubble);
        galactic += objects.iter().filter(large).filter(of_the_galaxy).count() as f64;
        assert!(sky.galactic.is_some());
    }
    // The map lies in the plane, where Galactic objects crowd: brought to the mean of the survey.
    let config = SimConfig::smgps(Tier::Tiny, 1);
    let crowd = (0..8).map(|row| latitude_factor(&config, Layer::HiiRegions, (row, 0))).sum::<f64>() / 8.0;
    let mean = (extended - galactic * (1.0 - 1.0 / crowd)) / area;
    println!("{:.1} extended per deg2, {galactic} Galactic, mean of the strip {mean:.1}", extended / area);
    assert!((26.0..42.0).contains(&mean), "{mean}");
}

/// The FIRST-like sky: 140 to 150 uJy/beam, and about 90 islands per square degree.
#[test]
fn the_first_map_has_the_figures_of_the_survey() {
    let (mut islands, mut rms) = (0.0, 0.0);
    for seed in 1..4 {
        let (_, _, figures) = measured(SkyName::First, seed).unwrap();
        assert!((120e-6..165e-6).contains(&figures.rms) && figures.median.abs() < 20e-6);
        assert!((figures.box_rms_over_truth - 1.0).abs() < 0.08);
        assert!(figures.below_minus_5_sigma < 2e-5);
        islands += figures.islands_per_deg2 / 3.0;
        rms += figures.rms / 3.0;
    }
    println!("rms {:.1} uJy/beam, {islands:.0} islands per deg2", rms * 1e6);
    assert!((135e-6..155e-6).contains(&rms), "{rms}");
    assert!((90.0..220.0).contains(&islands), "{islands}");
}

/// Windows, tiles and threads of the new skies: the same bits.
#[test]
fn the_new_skies_do_not_depend_on_windows_or_threads() {
    for name in [SkyName::Smgps, SkyName::First] {
        let config = SimConfig::preset(name, Tier::Tiny, 3);
        let render = |threads: usize, tile: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let sky = Sky::new(&config).unwrap();
                let mut bits = vec![0u32; 300 * 300];
                for (r, c) in (0..300).step_by(tile).flat_map(|r| (0..300).step_by(tile).map(move |c| (r, c))) {
                    let (n, m) = (tile.min(300 - r), tile.min(300 - c));
                    let part = render_window(&sky, 700 + r, 900 + c, n, m);
                    for ((i, j), v) in part.indexed_iter() {
                        bits[(r + i) * 300 + c + j] = v.to_bits();
                    }
                }
                bits
            })
        };
        let whole = render(1, 300);
        assert!(whole == render(8, 97), "{name:?}");
        assert!(whole == render(2, 256), "{name:?}");
    }
}
