//! Draws with equally many cutouts of each class: catalogues hold ten ordinary sources for each unusual one.

use std::collections::BTreeMap;

use crate::error::Error;

use super::{curation::whole_shares, keyed_order::drawn, manifest::Manifest};

/// One class of a draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnClass {
    /// The label.
    pub label: String,
    /// Cutouts of this class.
    pub found: usize,
    /// Cutouts that were to be drawn.
    pub wanted: usize,
    /// Cutouts that were drawn: fewer than wanted where the class has no more. They are not made up for from other classes, so
    /// that no class outweighs another by more than it must.
    pub drawn: usize,
}

/// A draw.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnClasses {
    /// Rows that were drawn, increasing.
    pub indices: Vec<usize>,
    /// The classes, by name.
    pub classes: Vec<DrawnClass>,
    /// Cutouts without a label, which are in no class.
    pub unlabelled: usize,
    /// The manifest of the drawn rows.
    pub manifest: Manifest,
}

/// Draws `count` cutouts, equally many of each class and without repetition. A cutout of several labels belongs to the rarest of
/// them (among equals the first by name), so that rare classes get all there is. Which rows are drawn depends on the seed, their
/// names and their classes only.
///
/// # Errors
/// [`Error::DataSetSetting`] if no cutout is labelled.
pub fn draw_classes(manifest: &Manifest, count: usize, seed: u64) -> Result<DrawnClasses, Error> {
    let mut frequency: BTreeMap<&str, usize> = BTreeMap::new();
    for label in manifest.rows.iter().flat_map(|row| &row.labels) {
        *frequency.entry(label).or_default() += 1;
    }
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, row) in manifest.rows.iter().enumerate() {
        let rarest = row.labels.iter().min_by_key(|label| (frequency.get(label.as_str()), label.as_str()));
        rarest.into_iter().for_each(|label| members.entry(label).or_default().push(index));
    }
    if members.is_empty() {
        let found = format!("on none of {} cutouts", manifest.len());
        return Err(Error::DataSetSetting { key: "labels", found, expected: "on at least one" });
    }
    let wanted = whole_shares(&vec![1.0; members.len()], count);
    let (mut indices, mut classes) = (Vec::new(), Vec::new());
    for ((label, members), wanted) in members.iter().zip(wanted) {
        let chosen = drawn(seed, members, |index| &manifest.rows[index].id, wanted);
        let label = (*label).to_owned();
        classes.push(DrawnClass { label, found: members.len(), wanted, drawn: chosen.len() });
        indices.extend(chosen);
    }
    indices.sort_unstable();
    let (kept, all, kinds) = (indices.len(), manifest.len(), classes.len());
    let step = format!("drew {kept} of {all} by label: {count} in equal shares of {kinds} classes, seed {seed}");
    let unlabelled = manifest.rows.iter().filter(|row| row.labels.is_empty()).count();
    Ok(DrawnClasses { manifest: manifest.select(&indices, &step)?, indices, classes, unlabelled })
}
