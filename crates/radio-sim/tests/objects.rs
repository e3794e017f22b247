//! Checks on whole objects and surveys: flux of every kind, twins, size of a survey without sources.

use radio_sim::address::{Address, Layer};
use radio_sim::gaussian::BeamShape;
use radio_sim::mask::object_image;
use radio_sim::population::ordinary_parts;
use radio_sim::shapes::{Kind, oddity};
use radio_sim::{SimConfig, Sky, Tier, render_window};

/// Sum of pixels over beam area is the flux, for every kind, faint and bright; the extent is about the stated size.
#[test]
fn every_kind_keeps_its_flux_in_the_image() {
    let config = SimConfig::emu_pilot(Tier::Tiny, 1);
    let beam = BeamShape::new(config.beam_px(), config.beam_px(), 0.0);
    for kind in Kind::ALL.into_iter().filter(|k| !matches!(k, Kind::Point | Kind::Multiple | Kind::Single)) {
        for (seed, flux, size) in [(1, 2e-3, 40.0), (2, 0.1, 90.0), (3, 2.0, 50.0)] {
            let mut rng = Address { seed, layer: Layer::Shape, y: 0, x: 0, index: 0 }.rng();
            let parts = if kind.is_peculiar() {
                oddity::peculiar(&mut rng, kind, config.beam_px() / size).place(flux, size, 0.7, 0.0, 0.0)
            } else {
                ordinary_parts(&mut rng, &config, kind, flux, size, 0.7, 0.0, 0.0)
            };
            let image = object_image(&parts, &beam);
            let sum: f64 = image.pixels.iter().map(|v| f64::from(*v)).sum();
            assert!((sum / (flux * beam.area) - 1.0).abs() < 1e-3, "{kind:?}: {} of {flux} Jy", sum / beam.area);
            let reach = parts.iter().map(|g| g.x.hypot(g.y)).fold(0.0, f64::max);
            assert!(
                reach <= size && (kind == Kind::Disc || reach >= 0.25 * size),
                "{kind:?}: reach {reach} of size {size}"
            );
        }
    }
}

/// Peculiar objects stay within the limits of their twins and of their kinds.
#[test]
fn peculiar_objects_are_ordinary_in_size_and_brightness() {
    let mut config = SimConfig::emu_pilot(Tier::Tiny, 21);
    config.peculiar.per_deg2 = 60.0;
    let sky = Sky::new(&config).unwrap();
    let odd: Vec<_> = sky.objects.iter().filter(|o| o.kind.is_peculiar()).collect();
    assert!(odd.len() > 60, "{}", odd.len());
    let forced = odd.iter().filter(|o| o.forced).count();
    assert!(forced * 20 <= odd.len(), "{forced} of {} forced", odd.len());
    for o in odd.iter().filter(|o| !o.forced) {
        let peak = object_image(&o.parts, &sky.beam).pixels.iter().copied().fold(0.0, f32::max);
        let inside = o.x >= 0.0 && o.y >= 0.0 && o.x < 2048.0 && o.y < 2048.0;
        if inside {
            let snr = f64::from(peak) / sky.local_sigma(o.y.round() as i64, o.x.round() as i64).unwrap();
            assert!((7.99..=300.01).contains(&snr), "{:?} at S/N {snr}", o.kind);
        }
        let (low, high, _) = oddity::limits(o.kind);
        assert!((low..=high).contains(&(o.size / sky.beam.fwhm)), "{:?} of {} pixels", o.kind, o.size);
        assert!(o.recognisable && o.twin > 0);
    }
    assert!(sky.objects.iter().filter(|o| !o.kind.is_peculiar()).all(|o| o.twin == 0));
}

/// Bowls take flux from wide objects only and leave the truth alone.
#[test]
fn bowls_are_negative_and_around_wide_objects() {
    let mut config = SimConfig::emu_pilot(Tier::Tiny, 6);
    config.population.clusters_per_deg2 = 20.0;
    let plain = Sky::new(&config).unwrap();
    config.artefacts.bowls = true;
    let bowled = Sky::new(&config).unwrap();
    assert!(plain.objects.iter().zip(&bowled.objects).all(|(a, b)| a.parts == b.parts && a.bowl.is_empty()));
    let deep: Vec<_> = bowled.objects.iter().filter(|o| !o.bowl.is_empty()).collect();
    assert!(!deep.is_empty() && deep.len() < bowled.objects.len() / 2, "{}", deep.len());
    for o in deep {
        let taken: f64 = o.bowl.iter().map(|g| g.flux).sum();
        assert!(taken < 0.0 && -taken <= o.flux, "{taken} of {}", o.flux);
    }
    let lower = render_window(&plain, 0, 0, 1024, 1024)
        .iter()
        .zip(&render_window(&bowled, 0, 0, 1024, 1024))
        .any(|(a, b)| b < a);
    assert!(lower);
}

/// Label shares of the demo against the expected ones; prints them.
#[test]
#[ignore = "writes half a gigabyte and takes half a minute"]
fn demo_label_shares_are_those_expected() {
    use radio_io::FrameLabel::*;
    let folder = tempfile::tempdir().unwrap();
    let made = radio_sim::simulate(&SimConfig::emu_pilot(Tier::Demo, 1), folder.path(), |_| {}).unwrap();
    let summary = made.summary;
    for (label, n) in &summary.label_counts {
        let share = 100.0 * *n as f64 / summary.frames as f64;
        println!("{label:>14} {share:6.2} %");
        let (low, high) = match label {
            Background => (0.1, 2.0),
            Compact => (95.0, 100.0),
            Extended => (5.0, 10.0),
            RadioGalaxy => (11.0, 25.0),
            Diffuse => (0.5, 3.0),
            DiffuseLarge => (0.1, 1.5),
            Filament => (0.0, 1.0),
            Artefact => (4.0, 9.0),
            Peculiar => (1.5, 3.0),
            Mosaicking => (2.0, 4.0),
        };
        assert!((low..=high).contains(&share), "{label}: {share} %");
    }
    assert!((25e-6..31e-6).contains(&summary.rms) && summary.forced_share < 0.05);
    let share = summary.groups[0] as f64 / summary.labelled as f64;
    assert!((share - 0.074).abs() < 0.006, "{share}");
}
