//! PNG pictures: size, depth, and channels without a picture in them.

use std::path::Path;

use image::{DynamicImage, ImageFormat, ImageReader};

use super::{
    finding::{Examination, Place},
    refusal::refusal,
};
use crate::error::Error;

/// Examines a picture.
pub(super) fn examine_png(report: &mut Examination, path: &Path) {
    let decoded = std::fs::read(path).map_err(|source| Error::Io { path: path.into(), source }).and_then(|bytes| {
        let reader = ImageReader::with_format(std::io::Cursor::new(bytes), ImageFormat::Png);
        reader.decode().map_err(|source| Error::Png { path: path.into(), source })
    });
    let picture = match decoded {
        Ok(picture) => picture,
        Err(refused) => return report.findings.push(refusal(&refused, path)),
    };
    let color = picture.color();
    let channels = usize::from(color.channel_count());
    let depth = color.bits_per_pixel() / color.channel_count().max(1) as u16;
    report.fact(
        "picture",
        format!("{} rows x {} columns, {channels} channel(s) of {depth} bits", picture.height(), picture.width()),
    );
    let ranges = ranges(&picture, channels);
    let words: Vec<String> = ranges.iter().map(|(low, high)| format!("{low} to {high}")).collect();
    report.fact("values", words.join(", "));
    let n_colors = if color.has_alpha() { channels - 1 } else { channels };
    let flat = ranges.iter().take(n_colors).filter(|(low, high)| low == high).count();
    if flat == n_colors {
        let found = match ranges.first() {
            Some((0, _)) if ranges[..n_colors].iter().all(|range| *range == (0, 0)) => "every pixel is 0".to_owned(),
            _ => format!("every pixel is {}", words[..n_colors].join(", ")),
        };
        report.error(Place::default(), found, "there is no picture in it: take it out of the list, or make it again");
    } else {
        for (channel, (value, _)) in ranges.iter().enumerate().take(n_colors).filter(|(_, (low, high))| low == high) {
            let found = format!("every pixel of channel {channel} is {value}");
            report.warn(Place::default(), found, "check how the channels were made, or leave this one out");
        }
    }
    if picture.height().min(picture.width()) < 16 {
        report.warn(Place::default(), "less than 16 pixels along a side", "too small for an encoder");
    }
    if depth == 8 {
        let remedy = "brightness is not linear in most published pictures: use FITS cutouts where there are some";
        report.note(Place::default(), "8 bits", remedy);
    }
}

/// Smallest and largest value of each channel.
fn ranges(picture: &DynamicImage, channels: usize) -> Vec<(u32, u32)> {
    let wide = |values: &[u16]| least_and_most(values, channels);
    let narrow = |values: &[u8]| least_and_most(values, channels);
    match picture {
        DynamicImage::ImageLuma8(pixels) => narrow(pixels),
        DynamicImage::ImageLumaA8(pixels) => narrow(pixels),
        DynamicImage::ImageRgb8(pixels) => narrow(pixels),
        DynamicImage::ImageRgba8(pixels) => narrow(pixels),
        DynamicImage::ImageLuma16(pixels) => wide(pixels),
        DynamicImage::ImageLumaA16(pixels) => wide(pixels),
        DynamicImage::ImageRgb16(pixels) => wide(pixels),
        DynamicImage::ImageRgba16(pixels) => wide(pixels),
        other => least_and_most(&other.to_rgba8(), channels.min(4)),
    }
}

fn least_and_most<T: Copy + Into<u32>>(values: &[T], channels: usize) -> Vec<(u32, u32)> {
    let mut ranges = vec![(u32::MAX, 0); channels];
    for pixel in values.chunks_exact(channels.max(1)) {
        for (range, value) in ranges.iter_mut().zip(pixel) {
            let value: u32 = (*value).into();
            *range = (range.0.min(value), range.1.max(value));
        }
    }
    ranges
}
