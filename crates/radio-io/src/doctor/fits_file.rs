//! FITS: every header-data unit, its checksum, its header and its pixels; where the file ends too early, and what stands behind its end.

use std::{path::Path, sync::Arc};

use super::{
    MOST_TEXT_BYTES,
    finding::{Examination, Place},
    fits_header::examine_header,
    image::examine_image,
    refusal::{fits_refusal, refusal},
    tables::describe_table,
};
use crate::{
    checksum::{ChecksumState, HduChecksum, verify},
    error::FitsError,
    file_bytes::FileBytes,
    hdu::{BLOCK_BYTES, HduKind, HduSummary, walk},
    header::Header,
    table::{Table, TableChoice},
};

/// Units that are looked at; a file may have a million of them.
const MOST_HDUS: usize = 256;

struct Unit {
    summary: HduSummary,
    header: Header,
    checksum: Option<HduChecksum>,
}

/// Examines a FITS file, gzipped or not.
pub(super) fn examine_fits(report: &mut Examination, path: &Path) {
    let file = match FileBytes::open(path) {
        Ok(file) => Arc::new(file),
        Err(refused) => return report.findings.push(fits_refusal(&refused, path)),
    };
    let mut units = Vec::new();
    let (mut count, mut end) = (0, 0);
    let walked = walk(&file, path, |hdu| {
        count += 1;
        let is_whole = hdu.check_end(&file, path).is_ok();
        end = (hdu.data_start as u64).saturating_add(hdu.data_bytes).div_ceil(BLOCK_BYTES as u64);
        if units.len() < MOST_HDUS {
            let checksum = is_whole.then(|| verify(hdu, &file));
            units.push(Unit { summary: hdu.summary(), header: hdu.header.clone(), checksum });
        }
        Ok(None::<()>)
    });
    report.fact("header-data units", count);
    let cut = match &walked {
        Err(FitsError::Truncated { hdu, .. }) => Some(*hdu),
        _ => None,
    };
    if let Err(fault) = &walked {
        report.findings.push(fits_refusal(fault, path));
    } else {
        let (length, end) = (file.len() as u64, end.saturating_mul(BLOCK_BYTES as u64));
        if length > end {
            let found = format!("{} bytes behind the last header-data unit", length - end);
            report.note(
                Place::default().byte(end),
                found,
                "they are passed over; they may be an extension whose header is damaged",
            );
        } else if length < end {
            let found = format!("the last block is not filled up: {length} bytes, expected {end}");
            report.note(
                Place::default().byte(length),
                found,
                "all data are there; programs that are strict may refuse the file",
            );
        }
    }
    if count > MOST_HDUS {
        report.note(Place::hdu(MOST_HDUS), format!("{count} header-data units"), "only the first 256 were looked at");
    }
    for unit in &units {
        let number = unit.summary.number;
        let is_image = match unit.summary.kind {
            HduKind::Image => !unit.summary.axes.is_empty(),
            HduKind::CompressedImage => true,
            _ => false,
        };
        report.fact(format!("header {number}"), describe(&unit.summary));
        examine_header(report, number, &unit.header, unit.summary.header_byte, is_image);
        if let Some(checksum) = &unit.checksum {
            report_checksum(report, checksum, unit.summary.data_byte);
        }
        if is_image && cut != Some(number) {
            examine_image(report, &file, path, &unit.summary);
        } else if matches!(unit.summary.kind, HduKind::BinaryTable | HduKind::TextTable) && cut.is_none() {
            if file.len() as u64 > MOST_TEXT_BYTES {
                let found = format!("a table within {} bytes", file.len());
                report.note(Place::hdu(number), found, "the file is too large for its tables to be looked at");
                continue;
            }
            match Table::from_bytes(file.to_vec(), path, &TableChoice::Number(number)) {
                Ok(table) => describe_table(report, &table, Place::hdu(number)),
                Err(refused) => report.findings.push(refusal(&refused, path)),
            }
        }
    }
}

fn describe(summary: &HduSummary) -> String {
    let axes = summary.axes.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ");
    let name = summary.name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    let what = match (summary.kind, summary.axes.is_empty()) {
        (HduKind::Image, true) => "no data".to_owned(),
        (HduKind::Image, false) => format!("image of {axes}, BITPIX {}", summary.bitpix),
        (HduKind::CompressedImage, _) => {
            let how = summary.compression.as_deref().unwrap_or("compression unknown");
            format!("image of {axes}, BITPIX {}, tiles in {how}", summary.bitpix)
        }
        (HduKind::BinaryTable, _) => format!("binary table, {} bytes", summary.data_bytes),
        (HduKind::TextTable, _) => format!("text table, {} bytes", summary.data_bytes),
        (HduKind::Other, _) => format!("something else, {} bytes", summary.data_bytes),
    };
    format!("{what}{name}")
}

fn report_checksum(report: &mut Examination, checksum: &HduChecksum, data_byte: u64) {
    let HduChecksum { hdu, whole, data } = checksum;
    let remedy = "a bit has changed since the file was written: restore it; if a program changed it on purpose, write the sums again";
    if let ChecksumState::Wrong { found, expected } = data {
        let found = format!("the sum of the data is {expected}, the header says {found}");
        report.error(Place::hdu(*hdu).keyword("DATASUM").byte(data_byte), found, remedy);
    } else if let ChecksumState::Wrong { .. } = whole {
        let place = Place::hdu(*hdu).keyword("CHECKSUM");
        if *data == ChecksumState::Good {
            let remedy = "the pixels are as written: most likely a program changed a keyword without a new sum";
            report.warn(place, "the sum of header and data is wrong, that of the data right", remedy);
        } else {
            report.error(place, "the sum of header and data is wrong", remedy);
        }
    } else if *whole == ChecksumState::Good || *data == ChecksumState::Good {
        report.fact(format!("checksum {hdu}"), "right");
    }
}
