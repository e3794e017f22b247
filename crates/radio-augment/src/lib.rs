//! Pre-processing recipe, SimCLR augmenters and a thread-count-independent view loader for radio cutouts.
