//! What is odd about the cards of a header, sky and beam apart: with the byte of each card.

use std::collections::HashMap;

use super::finding::{Examination, Place};
use crate::{card::CARD_BYTES, header::Header};

/// Keywords whose second card changes what a reader sees.
const SINGLE: [&str; 16] = [
    "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2", "CTYPE1",
    "CTYPE2", "BMAJ", "BMIN", "BSCALE", "BUNIT",
];

/// Looks at the header that begins at byte `start`; `axes` are those of the image.
pub(super) fn examine_header(report: &mut Examination, hdu: usize, header: &Header, start: u64, is_image: bool) {
    let byte = |card: usize| start + (card * CARD_BYTES) as u64;
    let raw = header.raw_cards();
    let mut of_keyword: HashMap<String, (usize, usize)> = HashMap::new();
    for (at, line) in raw.iter().enumerate() {
        let keyword = String::from_utf8_lossy(&line[..8]).trim_end().to_owned();
        let seen = of_keyword.entry(keyword).or_insert((at, 0));
        seen.1 += 1;
        if seen.1 == 2
            && SINGLE.contains(&String::from_utf8_lossy(&line[..8]).trim_end())
            && raw[seen.0][8..] != line[8..]
        {
            let keyword = String::from_utf8_lossy(&line[..8]).trim_end().to_owned();
            let found = format!("a second card of another value; the first, {}, is used", header.describe(&keyword));
            report.warn(Place::hdu(hdu).keyword(&keyword).byte(byte(at)), found, "take one of them out");
        }
    }
    let illegal = |line: &[u8; CARD_BYTES]| line.iter().position(|byte| !(0x20..0x7f).contains(byte));
    let cards = raw.iter().filter(|line| illegal(line).is_some()).count();
    if let Some((at, line, place)) = raw.iter().enumerate().find_map(|(at, line)| Some((at, line, illegal(line)?))) {
        let what = if line[place] == b'\t' { "a TAB".to_owned() } else { format!("byte 0x{:02x}", line[place]) };
        let keyword = String::from_utf8_lossy(&line[..8]).trim_end().escape_debug().to_string();
        let found = format!("{what} in the card, and in {} more; FITS allows printable ASCII only", cards - 1);
        let remedy = "read as it is here; write the cards again for programs that are strict";
        report.note(Place::hdu(hdu).keyword(&keyword).byte(byte(at) + place as u64), found, remedy);
    }
    if !is_image {
        return;
    }
    let place = |keyword: &str| {
        let place = Place::hdu(hdu).keyword(keyword);
        match of_keyword.get(keyword) {
            Some((at, _)) => place.byte(byte(*at)),
            None => place,
        }
    };
    if header.get("EPOCH").is_some() && header.get("EQUINOX").is_none() {
        let found = format!("EPOCH = {} stands in place of EQUINOX", header.describe("EPOCH"));
        report.note(place("EPOCH"), found, "it is read as the equinox; write EQUINOX (and RADESYS) for newer programs");
    }
    let naxis = header.integer("ZNAXIS").or_else(|| header.integer("NAXIS")).unwrap_or(0).max(0);
    let beyond: Vec<String> = (naxis + 1..=naxis.saturating_add(8))
        .map(|axis| format!("CTYPE{axis}"))
        .filter(|keyword| header.get(keyword).is_some())
        .collect();
    if let Some(first) = beyond.first() {
        let found = format!("{} for axes that the image does not have (NAXIS = {naxis})", beyond.join(" and "));
        report.note(place(first), found, "they are passed over; they describe the map that this one was cut from");
    }
    if let Some(axes) = header.integer("WCSAXES").filter(|axes| *axes > naxis) {
        let found = format!("WCSAXES = {axes}, but NAXIS = {naxis}");
        report.note(place("WCSAXES"), found, "only the axes of the image are used");
    }
    if let Some(date) = header.text("DATE-OBS").map(str::trim).filter(|date| !date.is_empty() && !is_date(date)) {
        let found = format!("`{date}` is no date as FITS writes it");
        report.note(place("DATE-OBS"), found, "the date is not used here; write it as 2026-07-01");
    }
    if header.get("TELESCOP").is_some() && header.text("TELESCOP").is_none_or(|name| name.trim().is_empty()) {
        report.note(
            place("TELESCOP"),
            "blank",
            "the telescope is not used here; name it for whoever reads the file next",
        );
    }
}

/// `2026-07-01`, with a time or without, or `01/07/86`.
fn is_date(text: &str) -> bool {
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let day = text.split('T').next().unwrap_or_default();
    let parts: Vec<&str> = if day.contains('/') { day.split('/').collect() } else { day.split('-').collect() };
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    parts.iter().all(|part| all_digits(part)) && (lengths == [4, 2, 2] || day.contains('/') && lengths == [2, 2, 2])
}
