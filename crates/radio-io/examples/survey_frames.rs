//! Cuts a survey into frames and lists them: `cargo run --example survey_frames -- survey.toml [folder for FITS cutouts]`.

use std::{error::Error, path::Path};

use radio_io::{FrameSet, Mosaic, Survey, write_cutout};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which survey file?")?;
    let folder = arguments.next();
    let survey = Survey::load(Path::new(&file), |name| std::env::var(name).ok())?;
    let frames = FrameSet::of_survey(&survey)?;
    for remark in frames.mosaics().iter().flat_map(|mosaic| &mosaic.remarks) {
        eprintln!("{remark}");
    }
    eprintln!("{}: {} frames, left out {:?}", survey.name, frames.len(), frames.left_out());
    println!("frame,ra,dec,rms_jy_beam,blank_fraction");
    for index in 0..frames.len() {
        let cutout = frames.cutout(index)?;
        let (ra, dec) = cutout.sky.unwrap_or((f64::NAN, f64::NAN));
        println!("{},{ra:.6},{dec:.6},{:.3e},{:.3}", cutout.id, cutout.rms_jy_beam, cutout.blank_fraction);
        if let Some(folder) = &folder {
            let entry = survey.mosaics.iter().find(|entry| entry.id.as_ref() == Some(&cutout.id.mosaic));
            let mosaic = Mosaic::open(&entry.ok_or("every frame has a mosaic")?.path)?;
            let place = (cutout.id.row as usize, cutout.id.col as usize);
            let size = frames.frame_size();
            write_cutout(&Path::new(folder).join(format!("{}.fits", cutout.id)), &mosaic, place, (size, size), &[])?;
        }
    }
    Ok(())
}
