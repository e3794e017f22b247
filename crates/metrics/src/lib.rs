//! Classification, ranking and anomaly metrics with threshold scans.
