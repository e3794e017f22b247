//! Semi-curated draws: a blind set is mostly empty sky, and a network trained on it sees little else.
//!
//! The frames are put into bins by the quantiles of their complexity, and from each bin a stated share is drawn, so that ordinary
//! and complex frames are balanced (the outlook of the paper, reference-facts H3). No label is used. Complexity by compression
//! also grows with noise and artefacts: what is drawn is *unusual*, not *astrophysically interesting*.

use crate::error::Error;

use super::{keyed_order::drawn, manifest::Manifest};

/// What is to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Curation {
    /// Quantiles of complexity between the bins, increasing, each between 0 and 1: `[0.5, 0.9, 0.99]` makes four bins.
    pub quantiles: Vec<f64>,
    /// Share of each bin in the draw, one more than there are quantiles; any positive sum.
    pub shares: Vec<f64>,
    /// How many cutouts to draw, without repetition.
    pub count: usize,
    /// Chooses which.
    pub seed: u64,
}

/// One bin of a draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CuratedBin {
    /// Its complexities: above the first (or from it, in the lowest bin) up to the second.
    pub complexity: (f32, f32),
    /// Cutouts in it.
    pub found: usize,
    /// Cutouts that were to be drawn.
    pub wanted: usize,
    /// Cutouts that were drawn: fewer than wanted where the bin has no more. They are not made up for from other bins, so that
    /// the shares stay what was asked for as far as they can.
    pub drawn: usize,
}

/// A draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Curated {
    /// Rows that were drawn, increasing.
    pub indices: Vec<usize>,
    /// For every row of the manifest the weight that gives a weighted sampler the same shares: the share of its bin over the
    /// number of cutouts in it. They sum to 1, less the shares of empty bins.
    pub weights: Vec<f64>,
    /// The bins, from simple to complex.
    pub bins: Vec<CuratedBin>,
    /// The manifest of the drawn rows.
    pub manifest: Manifest,
}

/// Draws from a manifest whose cutouts all have a complexity. Which rows are drawn depends on the seed, their names and their
/// bins only.
///
/// # Errors
/// [`Error::DataSetSetting`], and [`Error::NoComplexity`] for the first cutout without one.
pub fn curate(manifest: &Manifest, curation: &Curation) -> Result<Curated, Error> {
    let Curation { quantiles, shares, count, seed } = curation;
    let refuse = |key, found: String, expected| Err(Error::DataSetSetting { key, found, expected });
    let is_inside = quantiles.iter().all(|quantile| *quantile > 0.0 && *quantile < 1.0);
    if !is_inside || !quantiles.windows(2).all(|pair| pair[0] < pair[1]) {
        return refuse("quantiles", format!("{quantiles:?}"), "increasing numbers between 0 and 1");
    }
    let total: f64 = shares.iter().sum();
    if shares.len() != quantiles.len() + 1
        || shares.iter().any(|share| !(*share >= 0.0 && share.is_finite()))
        || total <= 0.0
    {
        return refuse("shares", format!("{shares:?}"), "one number from 0 for each bin, not all 0");
    }
    if let Some(row) = manifest.rows.iter().find(|row| row.complexity.is_nan()) {
        return Err(Error::NoComplexity { id: row.id.clone() });
    }
    let mut sorted: Vec<f32> = manifest.rows.iter().map(|row| row.complexity).collect();
    sorted.sort_by(f32::total_cmp);
    // Nearest rank: a bin ends at a complexity that occurs, and equal complexities share a bin.
    let at = |quantile: f64| {
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied().unwrap_or(f32::NAN)
    };
    let (lowest, highest) = (at(0.0), at(1.0));
    let edges: Vec<f32> = quantiles.iter().map(|&quantile| at(quantile)).collect();
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); shares.len()];
    let bin_of = |complexity: f32| edges.iter().position(|edge| complexity <= *edge).unwrap_or(edges.len());
    manifest.rows.iter().enumerate().for_each(|(index, row)| members[bin_of(row.complexity)].push(index));
    let wanted = whole_shares(shares, *count);
    let (mut indices, mut weights) = (Vec::new(), vec![0.0; manifest.len()]);
    let mut bins = Vec::with_capacity(shares.len());
    for (bin, members) in members.iter().enumerate() {
        indices.extend(drawn(*seed, members, |index| &manifest.rows[index].id, wanted[bin]));
        members.iter().for_each(|&index| weights[index] = shares[bin] / total / members.len() as f64);
        let below = if bin == 0 { lowest } else { edges[bin - 1] };
        bins.push(CuratedBin {
            complexity: (below, edges.get(bin).copied().unwrap_or(highest)),
            found: members.len(),
            wanted: wanted[bin],
            drawn: wanted[bin].min(members.len()),
        });
    }
    indices.sort_unstable();
    let step = format!(
        "drew {} of {} by complexity: quantiles {quantiles:?}, shares {shares:?}, seed {seed}",
        indices.len(),
        manifest.len()
    );
    let manifest = manifest.select(&indices, &step)?;
    Ok(Curated { indices, weights, bins, manifest })
}

/// Whole numbers in these proportions that sum to `count`: rounded down, and the rest to the largest remainders.
pub(super) fn whole_shares(shares: &[f64], count: usize) -> Vec<usize> {
    let total: f64 = shares.iter().sum();
    let exact: Vec<f64> = shares.iter().map(|share| share / total * count as f64).collect();
    let mut whole: Vec<usize> = exact.iter().map(|value| value.floor() as usize).collect();
    let mut order: Vec<usize> = (0..shares.len()).filter(|&bin| shares[bin] > 0.0).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let missing = count.saturating_sub(whole.iter().sum());
    order.into_iter().cycle().take(missing).for_each(|bin| whole[bin] += 1);
    whole
}
