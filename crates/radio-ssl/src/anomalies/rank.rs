//! Ranks the frames of a feature table by the published isolation forest.
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::anomaly_scores::{published_forest, score_unlabelled, select};
use crate::feature_files::read_features;
use crate::stages;

/// Writes the scores, highest first; `leading`: a checkpoint and how many of its leading features are used.
pub(super) fn rank(features: &Path, leading: Option<(&Path, usize)>, seed: u64, out: &Path) -> Result<()> {
    let table = read_features(&[features.to_path_buf()])?;
    let mut columns: Vec<usize> = (0..table.features.ncols()).collect();
    if let Some((checkpoint, top)) = leading {
        let Some(ranking) = stages::kept_ranking(checkpoint)? else {
            bail!("{}: no ranking inside; leave out --checkpoint and --top", checkpoint.display());
        };
        if ranking.order.len() != columns.len() {
            let (expected, found) = (ranking.order.len(), columns.len());
            bail!("{}: expected {expected} features, as in the ranking, found {found}", features.display());
        }
        let encoder = stages::encoder_fingerprint(checkpoint)?;
        if table.metadata.get(stages::ENCODER_KEY) != Some(&encoder) {
            let (table, checkpoint) = (features.display(), checkpoint.display());
            bail!("{table} was not made with the encoder of {checkpoint}, so its ranking means nothing here");
        }
        columns = ranking.order.into_iter().take(top).collect();
    }
    let set = score_unlabelled("score", &select(&table.features, &columns), &published_forest(seed))?;
    let mut order: Vec<usize> = (0..table.len()).collect();
    order.sort_by(|&a, &b| set.scores[b].total_cmp(&set.scores[a]).then(a.cmp(&b)));
    let mut text = String::from("frame,ra_deg,dec_deg,score\n");
    for i in order {
        let (ra, dec) = (table.ra_deg[i], table.dec_deg[i]);
        text.push_str(&format!("{},{ra},{dec},{:.6}\n", table.ids[i], set.scores[i]));
    }
    atomic_file::write_atomically(out, |file| std::io::Write::write_all(file, text.as_bytes()))
        .with_context(|| format!("cannot write {}", out.display()))?;
    println!("{} frames ranked ({}): {}", table.len(), set.forest, out.display());
    Ok(())
}
