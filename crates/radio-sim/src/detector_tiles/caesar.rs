//! The detection list of the *caesar* tools: one JSON file per image that names the masks of its objects (reference-facts A8).

use super::rectangle::smallest_rectangle;
use super::tile::{TileClass, TileObject};
use serde::Serialize;

/// One image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaesarImage {
    /// FITS image.
    pub img: String,
    /// Telescope.
    pub telescope: String,
    /// Median, Jy/beam.
    pub bkg: f64,
    /// Clipped rms, Jy/beam.
    pub rms: f64,
    /// Major axis of the beam, arcsec.
    pub bmaj: f64,
    /// Minor axis, arcsec.
    pub bmin: f64,
    /// Pixel size along columns, arcsec.
    pub dx: f64,
    /// Along rows.
    pub dy: f64,
    /// Columns.
    pub nx: usize,
    /// Rows.
    pub ny: usize,
    /// Objects.
    pub objs: Vec<CaesarObject>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaesarObject {
    /// FITS mask: non-zero pixels belong to the object.
    pub mask: String,
    /// Class.
    pub class: String,
    /// Name.
    pub name: String,
    /// Islands.
    pub nislands: usize,
    /// 1 if contaminated by artefacts: turns any class into `flagged` on reading.
    #[serde(rename = "sidelobe-mixed")]
    pub sidelobe_mixed: u8,
    /// 1 if an artefact is near.
    #[serde(rename = "sidelobe-near")]
    pub sidelobe_near: u8,
    /// 1 if the mask reaches the border of the image.
    pub border: u8,
    /// True signal-to-noise ratio.
    pub snr: f64,
    /// Longer side of the rotated rectangle, in major axes of the beam.
    pub maxsize_beam: f64,
    /// Shorter side, in minor axes of the beam.
    pub minsize_beam: f64,
    /// Flux density, Jy (the whole object's, 0 for artefacts).
    #[serde(rename = "Stot")]
    pub flux: f64,
    /// Centre of the smallest rotated rectangle, columns from 0.
    pub bbox_x: f64,
    /// Rows from 0.
    pub bbox_y: f64,
    /// Its side along `bbox_angle`, pixels.
    pub bbox_w: f64,
    /// The other side.
    pub bbox_h: f64,
    /// Degrees from columns towards rows.
    pub bbox_angle: f64,
    /// Longer side over that of the image.
    pub maxsize_img_fract: f64,
    /// Shorter side over that of the image.
    pub minsize_img_fract: f64,
    /// Mask area in beams.
    pub nbeams: f64,
    /// Mask area in pixels.
    pub npix: usize,
}

/// The entry of an object; `beam` is the FWHM of the round beam in pixels, `beam_area` its area, `side` that of the image.
pub fn caesar_object(object: &TileObject, mask: String, beam: f64, beam_area: f64, side: usize) -> CaesarObject {
    // Corners of the runs: a pixel has an extent.
    let corners: Vec<(f64, f64)> = object
        .runs
        .iter()
        .flat_map(|r| {
            let (x0, x1, y) = (f64::from(r.first) - 0.5, f64::from(r.end) - 0.5, f64::from(r.row));
            [(x0, y - 0.5), (x1, y - 0.5), (x0, y + 0.5), (x1, y + 0.5)]
        })
        .collect();
    let (x, y, width, height, angle) =
        smallest_rectangle(&corners).map_or((0.0, 0.0, 0.0, 0.0, 0.0), |r| (r.x, r.y, r.width, r.height, r.angle_deg));
    let (long, short) = (width.max(height), width.min(height));
    CaesarObject {
        mask,
        class: object.class.name().to_owned(),
        name: object.name.clone(),
        nislands: object.islands,
        sidelobe_mixed: u8::from(object.class == TileClass::Flagged),
        sidelobe_near: u8::from(object.near_artefact),
        border: u8::from(object.border),
        snr: object.snr,
        maxsize_beam: long / beam,
        minsize_beam: short / beam,
        flux: object.flux,
        bbox_x: x,
        bbox_y: y,
        bbox_w: width,
        bbox_h: height,
        bbox_angle: angle,
        maxsize_img_fract: long / side as f64,
        minsize_img_fract: short / side as f64,
        nbeams: object.px as f64 / beam_area,
        npix: object.px,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Run;

    #[test]
    fn the_keys_are_those_of_the_format() {
        let object = TileObject {
            class: TileClass::Flagged,
            name: "S7".into(),
            islands: 1,
            snr: 12.5,
            flux: 0.004,
            border: false,
            near_artefact: true,
            ignore: false,
            runs: (10..14).map(|row| Run { row, first: 20, end: 30 }).collect(),
            px: 40,
        };
        let entry = caesar_object(&object, "masks/a.fits".into(), 3.0, 10.2, 132);
        let image = CaesarImage {
            img: "images/a.fits".into(),
            telescope: "VLA".into(),
            bkg: 0.0,
            rms: 1.5e-4,
            bmaj: 5.4,
            bmin: 5.4,
            dx: 1.8,
            dy: 1.8,
            nx: 132,
            ny: 132,
            objs: vec![entry],
        };
        let json = serde_json::to_value(&image).unwrap();
        let keys = |v: &serde_json::Value| -> Vec<String> {
            let mut keys: Vec<String> = v.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys
        };
        let mut want = vec!["img", "telescope", "bkg", "rms", "bmaj", "bmin", "dx", "dy", "nx", "ny", "objs"];
        want.sort_unstable();
        assert_eq!(keys(&json), want);
        let mut want = vec![
            "mask",
            "class",
            "name",
            "nislands",
            "sidelobe-mixed",
            "sidelobe-near",
            "border",
            "snr",
            "maxsize_beam",
            "minsize_beam",
            "Stot",
            "bbox_x",
            "bbox_y",
            "bbox_w",
            "bbox_h",
            "bbox_angle",
            "maxsize_img_fract",
            "minsize_img_fract",
            "nbeams",
            "npix",
        ];
        want.sort_unstable();
        let o = &json["objs"][0];
        assert_eq!(keys(o), want);
        assert_eq!((o["class"].as_str(), o["sidelobe-mixed"].as_u64()), (Some("flagged"), Some(1)));
        assert_eq!((o["bbox_x"].as_f64(), o["bbox_y"].as_f64()), (Some(24.5), Some(11.5)));
        let sides = [o["bbox_w"].as_f64().unwrap(), o["bbox_h"].as_f64().unwrap()];
        assert_eq!(sides[0].max(sides[1]), 10.0);
        assert_eq!(o["minsize_img_fract"].as_f64(), Some(4.0 / 132.0));
    }
}
