//! Labelled pictures that pre-training looks at every few epochs, so that one sees what the loss does not tell.
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, ensure};
use radio_augment::{Augmenter, Preparation, ViewLoader};
use ssl_simclr::KnnMonitor;

use crate::classify::images::{ImageOptions, Pictures};

/// Which pictures are looked at.
#[derive(Debug, Clone, clap::Args)]
pub struct MonitorOptions {
    /// Folder with labelled pictures: how well nearest neighbours tell their classes is logged while training.
    #[arg(long, value_name = "DIR", requires_all = ["monitor_labels", "monitor_column"])]
    pub monitor_images: Option<PathBuf>,
    /// Table with a row for every picture (column `file`).
    #[arg(long, value_name = "FILE", requires = "monitor_images")]
    pub monitor_labels: Option<PathBuf>,
    /// Column with the classes; rows without one are not used.
    #[arg(long, value_name = "C", requires = "monitor_images")]
    pub monitor_column: Option<String>,
    /// Keep rows where a column has one of these values; may be repeated.
    #[arg(long, value_name = "COLUMN=V1,V2", requires = "monitor_images")]
    pub monitor_keep: Vec<String>,
    /// Look after every so many epochs, and after the last.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "monitor_images", value_parser = clap::value_parser!(u64).range(1..))]
    pub monitor_every: u64,
}

impl MonitorOptions {
    /// The monitor, if one is asked for: pictures that the recipe refuses are left out.
    ///
    /// # Errors
    /// If pictures or labels cannot be used, or fewer than two pictures are left.
    pub fn monitor(&self, recipe: &Preparation) -> Result<Option<KnnMonitor>> {
        let (Some(images), Some(labels), Some(column)) =
            (&self.monitor_images, &self.monitor_labels, &self.monitor_column)
        else {
            return Ok(None);
        };
        let mut pictures = Pictures::open(&ImageOptions {
            keep: self.monitor_keep.clone(),
            ..ImageOptions::of_files(images.clone(), labels.clone())
        })?;
        let cells = pictures.table.column(column)?;
        let unlabelled: Vec<usize> =
            (0..pictures.rows.len()).filter(|&place| cells.cell(pictures.rows[place]).is_empty()).collect();
        pictures.without(&unlabelled);
        let loader = ViewLoader::new(Arc::new(pictures.clone()), recipe.clone(), Augmenter { steps: Vec::new() }, 0);
        let refused: Vec<usize> = loader.refused_frames().into_iter().map(|(place, _)| place).collect();
        pictures.without(&refused);
        ensure!(!pictures.list.is_empty(), "{}: no labelled picture can be used", images.display());
        let (labels, classes) = pictures.labels(column)?;
        eprintln!(
            "  monitor: {} pictures of {} classes; left out: {} without a label, {} refused by the recipe",
            labels.len(),
            classes.len(),
            unlabelled.len(),
            refused.len()
        );
        Ok(Some(KnnMonitor::new(Arc::new(pictures), labels, self.monitor_every)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use radio_augment::Recipe;

    #[test]
    fn labelled_pictures_make_a_monitor_and_the_others_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = "file,class\n".to_owned();
        for place in 0..8usize {
            let picture = Array2::from_shape_fn((40, 40), |(row, col)| {
                let noise = (row * 31 + col * 17 + place * 7) % 12;
                if row.abs_diff(20) + col.abs_diff(20) < 3 { 200 } else { noise as u8 + 1 }
            });
            radio_io::write_gray_png(&folder.path().join(format!("p{place}.png")), &picture).unwrap();
            table += &format!("p{place}.png,{}\n", ["a", "b", "a", "b", "a", "b", "a", ""][place]);
        }
        table += "not-there.png,b\n";
        let labels = folder.path().join("l.csv");
        std::fs::write(&labels, table).unwrap();
        let options = |images: Option<PathBuf>, keep: &[&str]| MonitorOptions {
            monitor_images: images,
            monitor_labels: Some(labels.clone()),
            monitor_column: Some("class".into()),
            monitor_keep: keep.iter().map(|keep| (*keep).to_owned()).collect(),
            monitor_every: 2,
        };
        let recipe: Preparation = Recipe::paper(32).into();
        let images = Some(folder.path().to_path_buf());
        assert!(options(images.clone(), &[]).monitor(&recipe).unwrap().is_some());
        assert!(options(None, &[]).monitor(&recipe).unwrap().is_none());
        let one_class = options(images, &["class=a"]).monitor(&recipe).err().unwrap().to_string();
        assert!(one_class.contains("two classes"), "{one_class}");
        let empty = tempfile::tempdir().unwrap();
        let nothing = options(Some(empty.path().to_path_buf()), &[]).monitor(&recipe).err().unwrap().to_string();
        assert!(nothing.contains("no labelled picture"), "{nothing}");
    }
}
