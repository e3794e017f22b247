//! Fewer labels: a share of the training rows, and balanced train and test sets drawn again and again.
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{ClassError, Result, check_labels};

/// A share of `rows`, class by class (rounded, at least one row of each class there is), in increasing order.
///
/// Draws of one seed are nested: a smaller share is part of a larger one.
///
/// # Errors
/// If the share is not in (0, 1].
pub fn label_fraction(rows: &[usize], labels: &[usize], fraction: f64, seed: u64) -> Result<Vec<usize>> {
    if !(fraction > 0.0 && fraction <= 1.0) {
        let found = fraction.to_string();
        return Err(ClassError::Setting { name: "label fraction", expected: "above 0 and at most 1", found });
    }
    let mut shuffled = rows.to_vec();
    shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let label = |row: usize| labels.get(row).copied().unwrap_or(0);
    let n_classes = rows.iter().map(|&row| label(row) + 1).max().unwrap_or(0);
    let mut kept = Vec::new();
    for class in 0..n_classes {
        let own: Vec<usize> = shuffled.iter().copied().filter(|&row| label(row) == class).collect();
        let wanted = ((own.len() as f64 * fraction).round() as usize).max(1).min(own.len());
        kept.extend_from_slice(&own[..wanted]);
    }
    kept.sort_unstable();
    Ok(kept)
}

/// A train and a test set with equally many rows of every class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancedDraw {
    /// Training rows, increasing.
    pub train: Vec<usize>,
    /// Test rows, increasing.
    pub test: Vec<usize>,
}

/// `draws` balanced sets (the paper: five, of 1,000 + 600 a class); no group is on both sides of one set.
///
/// Groups are taken in random order: those that hold a row of a class that still lacks test rows belong to the test side, the
/// others to the training side. Small classes come again in every draw, so the sets are not independent.
///
/// # Errors
/// If a class has too few rows; labels and groups of different length.
/// # Source
/// Riggi et al. 2024 (PASA 41 e085), section 3.1; reference-facts A3.
pub fn balanced_draws(
    labels: &[usize],
    groups: &[usize],
    train_per_class: usize,
    test_per_class: usize,
    draws: usize,
    seed: u64,
) -> Result<Vec<BalancedDraw>> {
    let n_classes = labels.iter().max().map_or(0, |most| most + 1);
    check_labels(labels, groups.len(), n_classes)?;
    let members = metrics::bootstrap::group_members(groups);
    let draw = |number: usize| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number as u64 + 1);
        let mut order = members.clone();
        order.shuffle(&mut rng);
        let (mut train, mut test) = (vec![Vec::new(); n_classes], vec![Vec::new(); n_classes]);
        for rows in order {
            let for_test = rows.iter().any(|&row| test[labels[row]].len() < test_per_class);
            let (side, most) = if for_test { (&mut test, test_per_class) } else { (&mut train, train_per_class) };
            for row in rows {
                let kept = &mut side[labels[row]];
                if kept.len() < most {
                    kept.push(row);
                }
            }
        }
        let complete = |side: Vec<Vec<usize>>, per_class: usize, name: &str| -> Result<Vec<usize>> {
            if let Some(class) = side.iter().position(|rows| rows.len() < per_class) {
                let what = format!("{name} rows of class {class}");
                return Err(ClassError::TooFew { what, needed: per_class, found: side[class].len() });
            }
            let mut rows = side.concat();
            rows.sort_unstable();
            Ok(rows)
        };
        Ok(BalancedDraw {
            test: complete(test, test_per_class, "test")?,
            train: complete(train, train_per_class, "training")?,
        })
    };
    (0..draws).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_nested_and_leave_no_class_out() {
        let labels: Vec<usize> = (0..103).map(|row| if row < 100 { row % 2 } else { 2 }).collect();
        let rows: Vec<usize> = (0..103).filter(|row| row % 5 != 4).collect();
        let share = |fraction| label_fraction(&rows, &labels, fraction, 3).unwrap();
        let (tenth, half) = (share(0.1), share(0.5));
        assert_eq!(tenth.len(), 4 + 4 + 1);
        assert!(tenth.iter().all(|row| half.contains(row)) && half.iter().all(|row| rows.contains(row)));
        assert_eq!(share(1.0), rows);
        assert!(tenth.iter().any(|&row| labels[row] == 2));
        assert_ne!(tenth, label_fraction(&rows, &labels, 0.1, 4).unwrap());
        for wrong in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(label_fraction(&rows, &labels, wrong, 3).is_err());
        }
    }

    #[test]
    fn balanced_sets_do_not_share_groups() {
        let labels: Vec<usize> = (0..200).map(|row| usize::from(row % 4 == 0)).collect();
        let groups: Vec<usize> = (0..200).map(|row| row / 3).collect();
        let draws = balanced_draws(&labels, &groups, 20, 10, 5, 7).unwrap();
        assert_eq!(draws.len(), 5);
        assert_ne!(draws[0], draws[1]);
        for draw in &draws {
            assert_eq!((draw.train.len(), draw.test.len()), (40, 20));
            assert_eq!(draw.test.iter().filter(|&&row| labels[row] == 1).count(), 10);
            assert!(!draw.train.iter().any(|&a| draw.test.iter().any(|&b| groups[a] == groups[b])));
        }
        let error = balanced_draws(&labels, &groups, 45, 10, 1, 7).unwrap_err();
        assert!(matches!(error, ClassError::TooFew { needed: 45, .. }), "{error}");
    }
}
