//! Radio survey data: FITS mosaics, WCS, beams, cutouts, label lists, feature tables, survey files.
