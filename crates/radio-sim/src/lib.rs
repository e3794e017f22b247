//! Simulated radio surveys with exact truth: noise, source counts, morphologies, artefacts, peculiar objects.
