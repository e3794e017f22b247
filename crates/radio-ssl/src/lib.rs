//! The radio-ssl command: from FITS mosaics to peculiar objects.
