//! c(n): how deep an isolation tree over n rows is on average, the unit in which path lengths are measured.

/// Euler-Mascheroni constant.
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// Average path length of an unsuccessful search in a binary search tree of `rows` rows:
/// c(n) = 2 (ln(n - 1) + γ) - 2 (n - 1) / n, with c(2) = 1 and c(0) = c(1) = 0.
///
/// # Source
/// Liu, Ting & Zhou 2008 (ICDM), eq. 1; reference-facts G2 and J5.
pub fn average_path_length(rows: usize) -> f64 {
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = rows as f64;
            2.0 * ((n - 1.0).ln() + EULER_GAMMA) - 2.0 * (n - 1.0) / n
        }
    }
}

#[cfg(test)]
mod tests {
    use super::average_path_length;

    #[test]
    fn known_values() {
        let known = [
            (0, 0.0),
            (1, 0.0),
            (2, 1.0),
            (3, 1.207392357590),
            (256, 10.244770920120),
            (1115, 13.187649892751),
            (55_773, 21.012521650078),
        ];
        for (rows, expected) in known {
            assert!((average_path_length(rows) - expected).abs() < 1e-11, "c({rows})");
        }
    }
}
