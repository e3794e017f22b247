//! When two values are the same.
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Largest difference of positions, degrees, and of the numbers of regions (relative beyond 1).
pub const MOST_APART: f64 = 1e-9;

/// The same kind of value with the same bits: 1 is not 1.0, and 0.0 is not -0.0.
pub fn exact(place: &str, found: &Value, wanted: &Value) -> Result<()> {
    match (found, wanted) {
        (Value::Array(found), Value::Array(wanted)) => {
            if found.len() != wanted.len() {
                bail!("{place}: {} values found, expected {}", found.len(), wanted.len());
            }
            for (number, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                exact(&format!("{place}[{number}]"), found, wanted)?;
            }
            Ok(())
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let bits = |number: &serde_json::Number| number.as_f64().map(f64::to_bits);
            if bits(one) == bits(other) { Ok(()) } else { differ(place, found, wanted) }
        }
        _ if found == wanted => Ok(()),
        _ => differ(place, found, wanted),
    }
}

fn differ(place: &str, found: &Value, wanted: &Value) -> Result<()> {
    bail!("{place}: found {found}, expected {wanted}")
}

/// Longitude and latitude in degrees, at any turn, in the plane of the two: far from the poles.
pub fn position(place: &str, found: (f64, f64), wanted: (f64, f64)) -> Result<()> {
    let apart = turn(found.0 - wanted.0).hypot(found.1 - wanted.1);
    if apart < MOST_APART { Ok(()) } else { bail!("{place}: found {found:?}, expected {wanted:?}") }
}

/// Numbers one by one; on the sky they may differ by a turn.
pub fn close(place: &str, found: &Value, wanted: &Value, is_sky: bool) -> Result<()> {
    let (one, other) = (numbers(found, place)?, numbers(wanted, place)?);
    let near = |(one, other): (&f64, &f64)| {
        let apart = if is_sky { turn(one - other) } else { one - other };
        apart.abs() < MOST_APART * other.abs().max(1.0)
    };
    let same = one.len() == other.len() && one.iter().zip(&other).all(near);
    if same { Ok(()) } else { differ(place, found, wanted) }
}

fn turn(degrees: f64) -> f64 {
    (degrees + 180.0).rem_euclid(360.0) - 180.0
}

/// The numbers of an array.
pub fn numbers(values: &Value, place: &str) -> Result<Vec<f64>> {
    let numbers = values.as_array().and_then(|values| values.iter().map(Value::as_f64).collect());
    numbers.with_context(|| format!("{place}: {values} is no list of numbers"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_changed_value_is_found_with_its_place() {
        let wanted = json!([[1, null, "a"], [0.1, true, -0.0]]);
        assert!(exact("x", &wanted, &wanted.clone()).is_ok());
        let next = f64::from_bits(0.1_f64.to_bits() + 1);
        for (found, place) in [
            (json!([[2, null, "a"], [0.1, true, -0.0]]), "x[0][0]: found 2, expected 1"),
            (json!([[1.0, null, "a"], [0.1, true, -0.0]]), "x[0][0]"),
            (json!([[1, 0, "a"], [0.1, true, -0.0]]), "x[0][1]"),
            (json!([[1, null, "b"], [0.1, true, -0.0]]), "x[0][2]"),
            (json!([[1, null, "a"], [next, true, -0.0]]), "x[1][0]"),
            (json!([[1, null, "a"], [0.1, 1, -0.0]]), "x[1][1]"),
            (json!([[1, null, "a"], [0.1, true, 0.0]]), "x[1][2]"),
            (json!([[1, null, "a"], [0.1, true]]), "x[1]: 2 values found, expected 3"),
        ] {
            let refused = exact("x", &found, &wanted).expect_err(place).to_string();
            assert!(refused.starts_with(place), "{refused}");
        }
    }

    #[test]
    fn positions_may_differ_by_a_turn_and_by_nothing_else() {
        assert!(position("p", (360.0, 1.0), (0.0, 1.0 + 1e-10)).is_ok());
        assert!(position("p", (10.0, 1.0), (10.0 + 2e-9, 1.0)).is_err());
        assert!(position("p", (f64::NAN, 1.0), (10.0, 1.0)).is_err());
        assert!(close("r", &json!([359.9999999999, 5]), &json!([-1e-10, 5.0]), true).is_ok());
        assert!(close("r", &json!([361.0]), &json!([1.0]), false).is_err());
        assert!(close("r", &json!([1.0, 2.0]), &json!([1.0]), true).is_err());
        assert!(close("r", &json!([1.0]), &json!([1.00000001]), true).is_err());
        assert!(close("r", &json!([null]), &json!([1.0]), true).is_err());
    }
}
