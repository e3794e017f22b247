//! The FIRST-like sky against real cutouts and the recipes of the new skies: noise correlation, level, deepest pixels.

use radio_io::robust_rms;
use radio_sim::noise::noise_window;
use radio_sim::{SimConfig, Sky, Tier, render_window};

/// Autocorrelation at lags 1 to 6 px: the recipe within 0.02, and real cutouts (mean of rows and columns) within 0.05.
#[test]
fn noise_is_correlated_as_in_real_cutouts() {
    let n = 1024;
    let noise = noise_window(&SimConfig::first(Tier::Tiny, 3), 40, -70, n, n);
    let variance = noise.iter().map(|v| f64::from(v * v)).sum::<f64>() / (n * n) as f64;
    assert!((variance.sqrt() - 1.0).abs() < 0.015, "{variance}");
    let recipe = [0.78, 0.42, 0.23, 0.18, 0.16, 0.14];
    let real = [0.755, 0.385, 0.24, 0.22, 0.19, 0.145];
    for (lag, (recipe, real)) in (1..).zip(recipe.into_iter().zip(real)) {
        let mut sum = 0.0;
        for r in 0..n {
            let line = &noise[r * n..(r + 1) * n];
            sum += line.iter().zip(&line[lag..]).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        }
        let found = sum / (n * (n - lag)) as f64 / variance;
        println!("lag {lag}: {found:.3}, recipe {recipe}, real {real}");
        assert!((found - recipe).abs() < 0.02, "lag {lag}: {found}");
        assert!((found - real).abs() < 0.05, "lag {lag}: {found}");
    }
}

/// Deepest pixel of 150-px cutouts round radio galaxies, in clipped rms: real ones have -5.3, -4.1, -3.5 at 5, 50, 95 %.
#[test]
fn cutouts_are_as_deep_as_real_ones() {
    let mut deepest = Vec::new();
    let mut levels = Vec::new();
    for seed in 1..11 {
        let sky = Sky::new(&SimConfig::first(Tier::Tiny, seed)).unwrap();
        for o in sky.objects.iter().filter(|o| o.flux > 10e-3) {
            let (r, c) = (o.y.round() - 75.0, o.x.round() - 75.0);
            if r >= 0.0 && c >= 0.0 && r <= 1898.0 && c <= 1898.0 {
                let cutout = render_window(&sky, r as usize, c as usize, 150, 150);
                let rms = robust_rms(cutout.iter());
                levels.push(f64::from(rms) * 1e6);
                deepest.push(f64::from(cutout.iter().fold(0f32, |a, b| a.min(*b)) / rms));
            }
        }
    }
    deepest.sort_by(f64::total_cmp);
    levels.sort_by(f64::total_cmp);
    let at = |v: &[f64], q: f64| v[(q * v.len() as f64) as usize];
    let found = [at(&deepest, 0.05), at(&deepest, 0.5), at(&deepest, 0.95)];
    println!("{} cutouts, deepest {found:.2?}, rms {:.0} uJy/beam", deepest.len(), at(&levels, 0.5));
    assert!(deepest.len() > 25);
    for (found, real) in found.into_iter().zip([-5.3, -4.1, -3.5]) {
        assert!((found - real).abs() < 0.5, "{found} for {real}");
    }
}

/// The noise of the Galactic sky: autocorrelation at lags 1 to 6 px against the sum of two Gaussians it is made of.
#[test]
fn noise_of_the_galactic_sky_follows_its_recipe() {
    let n = 1024;
    let config = SimConfig::smgps(Tier::Tiny, 3);
    let noise = noise_window(&config, -30, 500, n, n);
    let variance = noise.iter().map(|v| f64::from(v * v)).sum::<f64>() / (n * n) as f64;
    assert!((variance.sqrt() - 1.0).abs() < 0.015, "{variance}");
    for lag in 1..=6 {
        let sum: f64 = (0..n)
            .map(|r| &noise[r * n..(r + 1) * n])
            .map(|line| line.iter().zip(&line[lag..]).map(|(a, b)| f64::from(a * b)).sum::<f64>())
            .sum();
        let found = sum / (n * (n - lag)) as f64 / variance;
        // A Gaussian kernel of sigma s gives exp(-d^2 / 4 s^2).
        let part = |beams: f64| (-(lag as f64 * 2.354_82 / (beams * config.beam_px())).powi(2) / 4.0).exp();
        let share = config.noise.wide_share;
        let want = (1.0 - share) * part(config.noise.kernel_beams) + share * part(config.noise.wide_kernel_beams);
        assert!((found - want).abs() < 0.02, "lag {lag}: {found} for {want}");
    }
}
