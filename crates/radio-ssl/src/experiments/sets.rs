//! The labelled sets: MiraBest FRI/FRII, the four classes of first-frg, the six of Radio Galaxy Zoo.
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cls_morph::probes::folds::Folds;
use radio_augment::{BlankRule, FlatRule, FrameSource, Recipe};
use radio_io::{Table, groups_within};
use serde::{Deserialize, Serialize};

use super::encoders::EncoderRecipe;
use super::held::{FrameFacts, HeldFrames};
use super::unit::key_of;
use crate::classify::baselines::{FeatureSet, catalogue_columns};
use crate::classify::images::{ImageOptions, Pictures};

/// Objects within this angle are one group and never torn, arc seconds: a picture of MiraBest is as wide.
pub const GROUP_ARCSEC: f64 = 270.0;
/// Widest square that is kept in memory, pixels of 1.8".
const WIDEST: usize = 150;
/// The middle square that hand-made features see, pixels; as in the marks of other stacks.
const OWN_SIDE: usize = 96;
/// Number of folds.
const FOLDS: usize = 5;

/// A labelled set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetName {
    /// A: MiraBest, confident FRI against FRII, five folds.
    Mirabest,
    /// B: first-frg, FRI, FRII, compact, bent; published split, published cross-validation test, five folds.
    FirstFrg,
    /// C: Radio Galaxy Zoo, components and peaks, the sources with float pixels; five folds.
    Rgz,
}

impl SetName {
    /// Every set.
    pub const ALL: [Self; 3] = [Self::Mirabest, Self::FirstFrg, Self::Rgz];

    /// As in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mirabest => "mirabest",
            Self::FirstFrg => "first-frg",
            Self::Rgz => "rgz",
        }
    }

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Mirabest => "MiraBest, confident FRI against FRII",
            Self::FirstFrg => "first-frg, four classes",
            Self::Rgz => "Radio Galaxy Zoo, six classes, float pixels",
        }
    }
}

/// Who is predicted from whom.
#[derive(Debug, Clone)]
pub struct Split {
    /// `folds`, `official` or `cv`.
    pub name: &'static str,
    /// The folds.
    pub folds: Folds,
}

/// A count for each published split.
pub type Shared = Vec<(&'static str, usize)>;

/// Which part of a picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// The set's own: the middle 96 pixels, or 1.5 times the size of the source for [`SetName::Rgz`].
    Own,
    /// The middle square of this side, pixels.
    Middle(usize),
}

/// Pictures, labels, groups and splits.
pub struct LabelledSet {
    /// Which one.
    pub name: SetName,
    /// Class of every picture.
    pub labels: Vec<usize>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Group of every picture.
    pub groups: Vec<usize>,
    /// Splits, the main one first.
    pub splits: Vec<Split>,
    /// Columns of the catalogue that tell the class by themselves.
    pub catalogue: Option<FeatureSet>,
    /// SHA-256 of pictures, labels and groups.
    pub fingerprint: String,
    /// What the recipe makes of the pictures.
    pub facts: FrameFacts,
    /// Test pictures of the published splits with a training picture of the same group, by split.
    pub shared: Shared,
    own: HeldFrames,
    wide: HeldFrames,
}

impl LabelledSet {
    /// Reads a set from the data folder.
    ///
    /// # Errors
    /// If a table or picture is missing or malformed.
    pub fn read(name: SetName, data: &Path) -> Result<Self> {
        let pictures = pictures_of(name, data, 1.5)?;
        let (labels, classes) = pictures.labels("class")?;
        let positions = positions(name, data, &pictures)?;
        let groups = groups_within(&positions, GROUP_ARCSEC);
        let named = |i: usize| (pictures.list[i].id.clone(), Some(positions[i]));
        let wide = match name {
            SetName::Rgz => {
                let mut wide = pictures_of(name, data, 1.0)?;
                wide.list.iter_mut().for_each(|picture| {
                    if let Some(square) = &mut picture.square {
                        square[2] = WIDEST as f64;
                    }
                });
                HeldFrames::read(&wide, None, named)?
            }
            _ => HeldFrames::read(&pictures, Some(WIDEST), named)?,
        };
        let own = match name {
            SetName::Rgz => HeldFrames::read(&pictures, None, named)?,
            _ => wide.middle(OWN_SIDE),
        };
        let (splits, shared) = splits(name, &pictures, &labels, &groups)?;
        let catalogue = match name {
            SetName::Mirabest => Some(catalogue_columns(&pictures, &["size_arcsec".into()])?),
            _ => None,
        };
        // At the pixels' own size: a flat channel that is shrunk gets soft edges and is flat no longer.
        let facts = own.facts(&recipe_for(name, &Recipe::paper(OWN_SIDE)));
        ensure!(
            facts.unusable.is_empty(),
            "{}: pictures that cannot be used: {:?}; every one is expected to be",
            name.name(),
            facts.unusable
        );
        let fingerprint = key_of(&(own.fingerprint(), wide.fingerprint(), &labels, &classes, &groups))?;
        Ok(Self { name, labels, classes, groups, splits, catalogue, fingerprint, facts, shared, own, wide })
    }

    /// The pictures under a view.
    pub fn frames(&self, view: View) -> HeldFrames {
        match view {
            View::Own => self.own.clone(),
            View::Middle(side) => self.wide.middle(side),
        }
    }

    /// The same as a source.
    pub fn source(&self, view: View) -> Arc<dyn FrameSource> {
        Arc::new(self.frames(view))
    }

    /// A recipe with this set's rule of what is blank.
    pub fn recipe(&self, recipe: &Recipe) -> Recipe {
        recipe_for(self.name, recipe)
    }

    /// An encoder's recipe with this set's rules; a source's own square has no margin.
    pub fn recipe_of(&self, encoder: &EncoderRecipe, view: View) -> Recipe {
        let recipe = self.recipe(&encoder.recipe());
        if view == View::Own { Recipe { margin: 0, ..recipe } } else { recipe }
    }

    /// Places on the sky of some pictures, degrees.
    pub fn positions(&self, rows: &[usize]) -> Vec<(f64, f64)> {
        rows.iter().filter_map(|&row| self.own.sky(row)).collect()
    }
}

/// Zero is blank in first-frg (its publishers set it so below 3 sigma); squares of RGZ may hang over the edge of a picture. A
/// flat channel becomes a mask in all of them.
fn recipe_for(name: SetName, recipe: &Recipe) -> Recipe {
    let blanks = if name == SetName::FirstFrg { BlankRule::ZeroIsBlank } else { recipe.blanks };
    Recipe { blanks, flat: FlatRule::Mask, max_blank_fraction: 0.95, ..recipe.clone() }
}

fn options(images: &Path, labels: &Path) -> ImageOptions {
    ImageOptions {
        images: images.to_path_buf(),
        labels: labels.to_path_buf(),
        file_column: "file".into(),
        keep: Vec::new(),
        unique: None,
        boxed: None,
        box_factor: 1.0,
        crop: None,
        ra_column: "ra".into(),
        dec_column: "dec".into(),
        group_arcsec: GROUP_ARCSEC,
        group_column: None,
    }
}

/// The cutouts of MiraBest, all of them.
pub(super) fn mirabest_options(data: &Path) -> ImageOptions {
    options(&data.join("mirabest/cutouts"), &data.join("mirabest/labels.csv"))
}

/// The pictures of first-frg, all of them.
pub(super) fn first_frg_options(data: &Path) -> ImageOptions {
    options(&data.join("first-frg/images"), &data.join("first-frg/labels.csv"))
}

/// The pictures of MGCLS, all of them.
pub(super) fn mgcls_options(data: &Path) -> ImageOptions {
    options(&data.join("mgcls/images"), &data.join("mgcls/labels.csv"))
}

fn pictures_of(name: SetName, data: &Path, box_factor: f64) -> Result<Pictures> {
    Pictures::open(&match name {
        SetName::Mirabest => {
            let keep = vec!["confident=1".to_owned(), "class=FRI,FRII".to_owned()];
            ImageOptions { keep, ..mirabest_options(data) }
        }
        SetName::FirstFrg => first_frg_options(data),
        SetName::Rgz => ImageOptions {
            file_column: "path".into(),
            unique: Some("rgz_id".into()),
            boxed: Some("x,y,size_pix".into()),
            box_factor,
            ..options(data, &data.join("rgz/index.csv"))
        },
    })
}

/// Places on the sky, degrees; those of RGZ are in its catalogue.
fn positions(name: SetName, data: &Path, pictures: &Pictures) -> Result<Vec<(f64, f64)>> {
    let pairs = |table: &Table| -> Result<Vec<(f64, f64)>> {
        Ok(table.numbers("ra")?.into_iter().zip(table.numbers("dec")?).collect())
    };
    if name != SetName::Rgz {
        let all = pairs(&pictures.table)?;
        return Ok(pictures.rows.iter().map(|&row| all[row]).collect());
    }
    let path = data.join("rgz/catalogue.csv");
    let catalogue = Table::read(&path)?;
    let (ids, places) = (catalogue.column("catalog_id")?, pairs(&catalogue)?);
    let known: HashMap<String, (f64, f64)> = places.iter().enumerate().map(|(row, &at)| (ids.cell(row), at)).collect();
    let own = pictures.table.column("rgz_id")?;
    let of = |&row: &usize| {
        let id = own.cell(row);
        known.get(&id).copied().with_context(|| format!("{}: no source {id}", path.display()))
    };
    pictures.rows.iter().map(of).collect()
}

/// The splits of a set, and of the published ones how many test pictures share a group with a training picture.
fn splits(name: SetName, pictures: &Pictures, labels: &[usize], groups: &[usize]) -> Result<(Vec<Split>, Shared)> {
    let grouped = Split { name: "folds", folds: Folds::grouped(labels, groups, FOLDS, 0)? };
    if name != SetName::FirstFrg {
        return Ok((vec![grouped], Vec::new()));
    }
    let (mut splits, mut shared) = (Vec::new(), Vec::new());
    for (name, column) in [("official", "split"), ("cv", "cv")] {
        let column = pictures.table.column(column)?;
        let test: Vec<bool> = pictures.rows.iter().map(|&row| column.cell(row) == "test").collect();
        let folds = Folds::fixed(&test).with_context(|| format!("column `{}`", column.name))?;
        let near = |&row: &usize| (0..test.len()).any(|other| !test[other] && groups[other] == groups[row]);
        shared.push((name, folds.predicted().iter().filter(|row| near(row)).count()));
        splits.push(Split { name, folds });
    }
    splits.push(grouped);
    Ok((splits, shared))
}
