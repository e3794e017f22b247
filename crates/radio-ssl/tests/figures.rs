//! The figures of the classification on a few small pictures: pages appear, and a run that lost part of its stages ends the same.
use std::path::Path;

use anyhow::Result;
use clap::Parser;
use radio_ssl::figures::{FigureOptions, fig4, fig5, fig6, fig7, views};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    options: FigureOptions,
}

/// Forty pictures of 20 pixels, each far from the others on the sky: one blob, or two.
fn write_pictures(folder: &Path) -> Result<()> {
    let mut labels = String::from("file,class,ra,dec\n");
    for number in 0..40usize {
        let (class, reach) = if number % 2 == 0 { ("1C-1P", 0.0) } else { ("2C-2P", 5.0) };
        let blob = |x: f64, y: f64| (-(x * x + y * y) / 4.0).exp();
        let pixels = ndarray::Array2::from_shape_fn((20, 20), |(row, col)| {
            // Any pattern that differs from picture to picture.
            let noise = ((row * 31 + col * 17 + number * 7) % 23) as f64 / 23.0;
            let (y, x) = (row as f64 - 9.5, col as f64 - 9.5);
            (10.0 * noise + 200.0 * (blob(x - reach, y) + blob(x + reach, y)).min(1.0)) as u8
        });
        radio_io::write_gray_png(&folder.join(format!("{number}.png")), &pixels)?;
        labels.push_str(&format!("{number}.png,{class},{},0\n", number * 3));
    }
    std::fs::write(folder.join("labels.csv"), labels)?;
    Ok(())
}

fn options(folder: &Path, out: &Path, more: &str) -> Result<FigureOptions> {
    let (images, out) = (folder.display(), out.display());
    let line = format!(
        "figure --images {images} --labels {images}/labels.csv --out {out} --side 16 --width 4 --steps 8 --batch-size 8 --sets 2 \
         --fine-tune-steps 2 {more}"
    );
    Ok(Line::try_parse_from(line.split_whitespace())?.options)
}

#[test]
fn pages_appear_and_lost_stages_are_made_again_to_the_same_bytes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    write_pictures(folder.path())?;
    let out = folder.path().join("out");
    let options = options(folder.path(), &out, "")?;
    let text = fig5::figure5(&options)?;
    assert!(text.contains("source-centred") && !text.contains("two-stage −"), "no maps, so nothing blind: {text}");
    assert!(text.contains("cannot tell"), "ImageNet's weights are missing: {text}");
    for run in [fig4::figure4, fig6::figure6, fig7::figure7] {
        run(&options)?;
    }
    assert!(views::views(&options).unwrap_err().to_string().contains("--survey"), "views need blind frames");
    let read = |name: &str| std::fs::read_to_string(out.join(name));
    for figure in ["fig4", "fig5", "fig6", "fig7"] {
        let (page, notes) = (read(&format!("{figure}.html"))?, read(&format!("{figure}.md"))?);
        assert!(page.contains("</html>") && page.contains("<svg") && !page.contains("NaN"), "{figure}");
        assert!(notes.contains("## The paper's statements") && notes.contains(".svg)"), "{figure}");
    }
    let known = ["fig5.json", "fig7.json"].map(|name| read(name).unwrap_or_default());
    for stage in std::fs::read_dir(out.join("stages"))? {
        let stage = stage?;
        let name = stage.file_name().to_string_lossy().into_owned();
        if ["encoder-", "linear-head-", "training-"].iter().any(|prefix| name.starts_with(prefix)) {
            std::fs::remove_dir_all(stage.path())?;
        }
    }
    fig5::figure5(&options)?;
    fig7::figure7(&options)?;
    assert_eq!(["fig5.json", "fig7.json"].map(|name| read(name).unwrap_or_default()), known);
    let parsed: serde_json::Value = serde_json::from_str(&known[1])?;
    assert_eq!(parsed["found"].as_array().map(Vec::len), Some(6), "six shares of the labels");
    Ok(())
}
