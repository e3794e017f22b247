//! The sources that end up on the sky, cell by cell and over many seeds, against the counts they are drawn from.

use radio_sim::counts::CountTable;
use radio_sim::population::visit_field;
use radio_sim::{SimConfig, Tier};

/// Number of sources per flux in 8 bins of half a decade, 20 seeds: chi squared below its 99.9 % point, and the published
/// density above 135 uJy within 3 standard deviations.
#[test]
fn sources_of_twenty_seeds_follow_the_counts() {
    let edges: Vec<f64> = (0..=8).map(|i| 1e-5 * 10f64.powf(0.5 * f64::from(i))).collect();
    let (mut seen, mut bright, mut area) = ([0f64; 8], 0f64, 0f64);
    let config = SimConfig::emu_pilot(Tier::Tiny, 1);
    let counts = CountTable::new(&config.counts, config.frequency_mhz);
    for seed in 0..20 {
        let config = SimConfig { seed, ..config.clone() };
        for cell in (0..144).map(|k| (k / 12, k % 12)) {
            area += (256.0 * config.pixel_arcsec / 3600.0).powi(2);
            visit_field(&config, &counts, cell, |source| {
                // Close neighbours come on top of the counts; only they have no size at all.
                if source.size > 0.0 {
                    let flux = source.gaussian.flux;
                    bright += f64::from(u8::from(flux > 135e-6));
                    if let Some(bin) = (0..8).rev().find(|bin| flux >= edges[*bin]) {
                        seen[bin] += 1.0;
                    }
                }
            });
        }
    }
    let chi2: f64 = (0..8)
        .map(|bin| {
            let top = if bin == 7 { 0.0 } else { counts.density_above(edges[bin + 1]) };
            let want = area * (counts.density_above(edges[bin]) - top);
            assert!(want > 50.0, "bin {bin} expects only {want}");
            (seen[bin] - want).powi(2) / want
        })
        .sum();
    // The number of sources is free, so 8 degrees of freedom.
    assert!(chi2 < 26.1, "chi2 {chi2}");
    assert!((bright - 953.0 * area).abs() < 3.0 * (953.0 * area).sqrt(), "{} per deg2", bright / area);
}
