//! Linear heads on frozen features: every test cutout of every set, predicted from the training half of its set.
use anyhow::Result;
use cls_morph::probes::probe::Probe;
use ndarray::Axis;
use rayon::prelude::*;

use super::frozen::Frozen;
use super::labelled::Labelled;
use super::settings::FigureSettings;
use super::stage_store::StageStore;
use crate::interrupt::{self, Interrupted};

/// Predicted class of every test cutout, for each set in the order of its test rows.
///
/// # Errors
/// If a head cannot be fitted, or the user interrupts.
pub fn linear_heads(
    store: &StageStore,
    settings: &FigureSettings,
    labelled: &Labelled,
    features: &Frozen,
) -> Result<Vec<Vec<usize>>> {
    let probe = Probe::Logistic { inverse_penalty: settings.inverse_penalty };
    let name = format!("linear-head-{}", features.name.replace(' ', "-"));
    store.result(&name, &(&features.key, &labelled.key, probe), || {
        let predict = |set: &cls_morph::probes::draws::BalancedDraw| {
            if interrupt::requested() {
                anyhow::bail!(Interrupted);
            }
            let take = |rows: &[usize]| features.rows.select(Axis(0), rows);
            let known: Vec<usize> = set.train.iter().map(|&row| labelled.labels[row]).collect();
            let (train, test) = (take(&set.train), take(&set.test));
            Ok(probe.predict(train.view(), &known, labelled.classes.len(), test.view())?.class)
        };
        labelled.sets.par_iter().map(predict).collect()
    })
}
