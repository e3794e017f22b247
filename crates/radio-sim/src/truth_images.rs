//! Images beside the map, for whoever wants to see what the truth is made of: noise, artefacts, footprints.
//!
//! They are made in the strips of the map and never held as a whole; none is written unless asked for.

use crate::coverage::footprint_number;
use crate::error::SimError;
use crate::sky::Sky;
use radio_io::{Card, ImageWriter};
use std::path::Path;

/// An image beside the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TruthImage {
    /// `rms.fits`: true noise with confusion and seams, without artefacts, Jy/beam; NaN where the map is blank.
    Rms,
    /// `artefact.fits`: rings, rays and stripes, Jy/beam.
    Artefact,
    /// `footprint.fits`: number of the footprint, from 1, by rows from the first pixel; 0 where the map is blank.
    Footprint,
}

impl TruthImage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rms, Self::Artefact, Self::Footprint];

    /// Name of the file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Rms => "rms.fits",
            Self::Artefact => "artefact.fits",
            Self::Footprint => "footprint.fits",
        }
    }
}

/// The images that are being written.
pub(crate) struct TruthImages<'a> {
    sky: &'a Sky,
    rms: Option<ImageWriter<f32>>,
    artefact: Option<ImageWriter<f32>>,
    footprint: Option<ImageWriter<i16>>,
    rms_line: Vec<f32>,
    footprint_line: Vec<i16>,
}

impl<'a> TruthImages<'a> {
    /// Opens the files; `cards` say where the pixels are on the sky.
    pub fn create(sky: &'a Sky, wanted: &[TruthImage], cards: &[Card], out: &Path) -> Result<Self, SimError> {
        let side = sky.config.side;
        let path = |image: TruthImage| wanted.contains(&image).then(|| out.join(image.file()));
        let mut beam_cards = cards.to_vec();
        beam_cards.push(Card::new("BUNIT", "Jy/beam", ""));
        let brightness = |image| {
            let create = |path: std::path::PathBuf| ImageWriter::<f32>::create(&path, side, side, &beam_cards);
            path(image).map(create).transpose().map_err(|source| SimError::Map { source })
        };
        let create = |path: std::path::PathBuf| ImageWriter::<i16>::create(&path, side, side, cards);
        Ok(Self {
            sky,
            rms: brightness(TruthImage::Rms)?,
            artefact: brightness(TruthImage::Artefact)?,
            footprint: path(TruthImage::Footprint)
                .map(create)
                .transpose()
                .map_err(|source| SimError::Map { source })?,
            rms_line: Vec::new(),
            footprint_line: Vec::new(),
        })
    }

    /// Adds the next row: thermal noise (NaN where blank) and artefacts of its pixels.
    pub fn write_row(&mut self, row: usize, sigma: &[f32], artefacts: &[f32]) -> Result<(), SimError> {
        let refused = |source| SimError::Map { source };
        if let Some(file) = &mut self.rms {
            let confusion = self.sky.confusion as f32;
            self.rms_line.clear();
            self.rms_line.extend(sigma.iter().map(|s| s.hypot(confusion)));
            file.write_rows(&self.rms_line).map_err(refused)?;
        }
        if let Some(file) = &mut self.artefact {
            file.write_rows(artefacts).map_err(refused)?;
        }
        if let Some(file) = &mut self.footprint {
            let number = |(col, s): (usize, &f32)| {
                if s.is_nan() { 0 } else { footprint_number(&self.sky.config, row as f64, col as f64) }
            };
            self.footprint_line.clear();
            self.footprint_line.extend(sigma.iter().enumerate().map(number));
            file.write_rows(&self.footprint_line).map_err(refused)?;
        }
        Ok(())
    }

    /// Completes the files.
    pub fn finish(self) -> Result<(), SimError> {
        let refused = |source| SimError::Map { source };
        for file in [self.rms, self.artefact].into_iter().flatten() {
            file.finish().map_err(refused)?;
        }
        self.footprint.map_or(Ok(()), ImageWriter::finish).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SimConfig, Tier};
    use crate::survey::simulate_with;
    use radio_io::Mosaic;

    #[test]
    fn the_images_are_what_the_map_is_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = SimConfig::first(Tier::Tiny, 5);
        config.side = 700;
        config.artefacts.bank = 0;
        // The pointings lie to one side, so that the map has a blank part.
        config.coverage.offset_rows_deg = 1.39;
        simulate_with(&config, &TruthImage::ALL, folder.path(), |_| {}).unwrap();
        let open = |name: &str| Mosaic::open(&folder.path().join(name)).unwrap().full().unwrap();
        let [map, rms, artefact, footprint] = ["mosaic.fits", "rms.fits", "artefact.fits", "footprint.fits"].map(open);
        let sky = Sky::new(&config).unwrap();
        assert!(artefact == sky.artefact_window(0, 0, 700, 700) && artefact.iter().any(|v| *v != 0.0));
        for ((r, c), v) in map.indexed_iter() {
            let sigma = sky.local_sigma(r as i64, c as i64).map_or(f32::NAN, |s| s as f32);
            assert_eq!(v.is_nan(), rms[[r, c]].is_nan());
            assert!(v.is_nan() || (rms[[r, c]] / sigma - 1.0).abs() < 1e-5);
            assert_eq!(footprint[[r, c]] == 0.0, v.is_nan());
        }
        assert!(map.iter().any(|v| v.is_nan()) && map.iter().any(|v| v.is_finite()));
        // Without being asked, none is written.
        let plain = tempfile::tempdir().unwrap();
        simulate_with(&config, &[], plain.path(), |_| {}).unwrap();
        assert!(TruthImage::ALL.iter().all(|image| !plain.path().join(image.file()).exists()));
        let bytes = |folder: &Path| std::fs::read(folder.join("mosaic.fits")).unwrap();
        assert!(bytes(plain.path()) == bytes(folder.path()));
    }

    /// Footprints meet at the seams.
    #[test]
    fn numbers_change_at_the_seams() {
        let config = SimConfig::emu_pilot(Tier::Demo, 1);
        let sky = Sky::new(&SimConfig { side: 4096, ..config.clone() }).unwrap();
        let seam = sky.rms.seams.iter().find(|s| s.vertical && s.at > 0.0 && s.at < 4096.0);
        if let Some(seam) = seam {
            let row = 0.5 * (seam.span.0 + seam.span.1);
            let at = |col: f64| footprint_number(&sky.config, row, col);
            assert_eq!(at(seam.at - 2.0) + 1, at(seam.at + 2.0));
        }
        let corners = [(-1e6, -1e6), (-1e6, 1e6), (1e6, -1e6), (1e6, 1e6)];
        assert_eq!(corners.map(|(row, col)| footprint_number(&config, row, col)), [1, 2, 3, 4]);
    }
}
