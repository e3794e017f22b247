//! Isolation Forest with scikit-learn semantics, grid search and threshold scan.
