//! One split of a set under work: rows are scored as they come, and compared on the same resamples.
use anyhow::{Context, Result};

use super::describe::{Describe, Describer};
use super::probing::{Probing, probe};
use super::result::{Block, Difference, Row};
use super::scoring::{Judged, Jury};
use super::sets::{LabelledSet, Split};
use super::training::{Start, train};
use super::workshop::Workshop;

/// Rows of a split as they are scored.
pub struct Bench<'a> {
    set: &'a LabelledSet,
    split: &'a Split,
    jury: Jury,
    judged: Vec<Judged>,
    /// The rows so far.
    pub block: Block,
}

impl<'a> Bench<'a> {
    /// Nothing scored yet.
    pub fn new(set: &'a LabelledSet, split: &'a Split, resamples: usize) -> Self {
        let predicted = split.folds.predicted();
        let jury = Jury::new(&set.labels, &set.groups, set.classes.len(), predicted, resamples, 0);
        Self { set, split, jury, judged: Vec::new(), block: Block::new(set, split) }
    }

    /// A probe on a description, with every seed.
    ///
    /// # Errors
    /// As [`probe`].
    pub fn probe(
        &mut self,
        workshop: &mut Workshop,
        describer: &mut Describer,
        describe: &Describe,
        probing: Probing,
        fraction: f64,
        seeds: &[u64],
    ) -> Result<()> {
        let seeds = if describe.is_seeded() { seeds } else { &seeds[..seeds.len().min(1)] };
        let (mut runs, mut units, mut columns) = (Vec::new(), Vec::new(), 0);
        for &seed in seeds {
            let found = probe(workshop, describer, self.set, self.split, describe, probing, fraction, seed)?;
            runs.extend(found.runs);
            units.push(found.key);
            columns = found.columns;
        }
        self.add(describe.name(), probing.name(), fraction, columns, &runs, units, Vec::new())
    }

    /// A training in every fold with every seed.
    ///
    /// # Errors
    /// As [`train`].
    pub fn train(&mut self, workshop: &mut Workshop, start: &Start, fraction: f64, seeds: &[u64]) -> Result<()> {
        let found = train(workshop, self.set, self.split, start, fraction, seeds)?;
        let columns = start.recipe().network().features();
        self.add(start.name(), "trained", fraction, columns, &found.runs, found.keys, found.rates)
    }

    fn add(
        &mut self,
        name: String,
        method: &str,
        fraction: f64,
        columns: usize,
        runs: &[Vec<usize>],
        units: Vec<String>,
        rates: Vec<f64>,
    ) -> Result<()> {
        let judged = self.jury.judge(runs)?;
        self.block.rows.push(Row { units, rates, ..Row::new(name, method, fraction, columns, &judged) });
        self.judged.push(judged);
        Ok(())
    }

    /// Place of a row.
    pub fn find(&self, name: &str, method: &str, fraction: f64) -> Option<usize> {
        let same = |row: &Row| row.name == name && row.method == method && row.fraction == fraction;
        self.block.rows.iter().position(same)
    }

    /// Place of the row of highest accuracy among those of a name.
    pub fn best(&self, name: &str, fraction: f64) -> Option<usize> {
        let rows = self.block.rows.iter().enumerate();
        let own = rows.filter(|(_, row)| row.name == name && row.fraction == fraction);
        own.max_by(|a, b| a.1.accuracy.value.total_cmp(&b.1.accuracy.value).then(b.0.cmp(&a.0))).map(|(place, _)| place)
    }

    /// Compares two rows, and keeps the difference.
    ///
    /// # Errors
    /// If there is no such row.
    pub fn compare(&mut self, first: usize, second: usize) -> Result<Difference> {
        let row = |place: usize| self.block.rows.get(place).context("no such row");
        let judged = |place: usize| self.judged.get(place).context("no such row");
        let (one, other) = (judged(first)?, judged(second)?);
        let difference = Difference {
            first: row(first)?.words(),
            second: row(second)?.words(),
            fraction: row(first)?.fraction,
            accuracy: one.minus(other),
            macro_f1: one.macro_f1_minus(other),
        };
        self.block.differences.push(difference.clone());
        Ok(difference)
    }
}
