//! The header that an image had before it was compressed: Z keywords renamed back, those of the table left out.

use crate::{
    card::{CARD_BYTES, padded},
    header::Header,
};

/// What `ZBITPIX` and its like were called (FITS standard 4.0, section 10.1.2).
const RENAMED: [(&str, &str); 8] = [
    ("ZSIMPLE", "SIMPLE"),
    ("ZTENSION", "XTENSION"),
    ("ZBITPIX", "BITPIX"),
    ("ZEXTEND", "EXTEND"),
    ("ZPCOUNT", "PCOUNT"),
    ("ZGCOUNT", "GCOUNT"),
    ("ZHECKSUM", "CHECKSUM"),
    ("ZDATASUM", "DATASUM"),
];

/// Keywords of the table that holds the tiles.
const OF_THE_TABLE: [&str; 9] =
    ["XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP", "CHECKSUM", "DATASUM"];

/// Whether a keyword describes the table of tiles or the compression, and not the image.
fn is_of_compression(keyword: &str) -> bool {
    let numbered = |stem: &str| {
        let number = keyword.strip_prefix(stem);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let of_columns =
        ["NAXIS", "TTYPE", "TFORM", "TUNIT", "TNULL", "TSCAL", "TZERO", "TDISP", "TDIM", "ZTILE", "ZNAME", "ZVAL"];
    let of_compression =
        ["ZIMAGE", "ZCMPTYPE", "ZQUANTIZ", "ZDITHER0", "ZMASKCMP", "ZSCALE", "ZZERO", "ZBLANK", "ZBLOCKED"];
    OF_THE_TABLE.contains(&keyword) || of_compression.contains(&keyword) || of_columns.iter().any(|stem| numbered(stem))
}

/// The image's header, from that of its table.
pub(crate) fn restored_header(table: &Header) -> Header {
    let mut lines: Vec<[u8; CARD_BYTES]> = Vec::new();
    let mut keep = true;
    for line in table.raw_cards() {
        let text = String::from_utf8_lossy(&line[..8]).trim().to_owned();
        if text == "CONTINUE" {
            // A continuation goes with the card before it.
            if keep {
                lines.push(*line);
            }
            continue;
        }
        let renamed = RENAMED.iter().find(|(z, _)| *z == text).map(|(_, plain)| (*plain).to_owned());
        // ZNAXIS, ZNAXIS1, …
        let renamed = renamed.or_else(|| text.starts_with("ZNAXIS").then(|| text[1..].to_owned()));
        let own_name = text == "EXTNAME" && table.text("EXTNAME") == Some("COMPRESSED_IMAGE");
        keep = renamed.is_some() || !(is_of_compression(&text) || own_name);
        if keep {
            lines.push(renamed.map_or(*line, |name| padded(format!("{name:<8}").as_bytes(), &line[8..])));
        }
    }
    Header::from_raw(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z_cards_come_back_and_cards_of_the_table_go() {
        let lines = [
            "XTENSION= 'BINTABLE'",
            "BITPIX  =                    8",
            "NAXIS   =                    2",
            "NAXIS1  =                    8",
            "NAXIS2  =                   10",
            "TFIELDS =                    1",
            "TTYPE1  = 'COMPRESSED_DATA'",
            "TFORM1  = '1PB(200)'",
            "ZIMAGE  =                    T",
            "ZBITPIX =                  -32",
            "ZNAXIS  =                    2",
            "ZNAXIS1 =                  100",
            "ZNAXIS2 =                   50",
            "ZTILE1  =                  100",
            "ZCMPTYPE= 'RICE_1  '",
            "EXTNAME = 'COMPRESSED_IMAGE'",
            "BUNIT   = 'Jy/beam '",
        ];
        let table = Header::from_raw(lines.iter().map(|line| padded(b"", line.as_bytes())).collect());
        let image = restored_header(&table);
        let keywords: Vec<&str> = image.cards().iter().map(|card| card.keyword.as_str()).collect();
        assert_eq!(keywords, ["BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "BUNIT"]);
        assert_eq!(
            (image.integer("BITPIX"), image.integer("NAXIS2"), image.text("BUNIT")),
            (Some(-32), Some(50), Some("Jy/beam"))
        );
    }
}
