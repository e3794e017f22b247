//! What the paper says, what was found here, and a verdict in words that follows from the interval alone.
use serde::Serialize;

use crate::intervals::{Estimate, Standing};

/// What a statement asks of a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asks {
    /// More than this.
    MoreThan(f64),
    /// Less than this.
    LessThan(f64),
    /// Between two numbers; a range on one side of 0 asks for that sign.
    Between(f64, f64),
    /// No significant difference: the interval holds 0 and reaches no farther than this to either side.
    NoneBeyond(f64),
}

/// Whether a statement holds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Agrees,
    /// It does not.
    Differs,
    /// The interval, or the data, leaves it open.
    CannotTell,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs => "differs",
            Self::CannotTell => "cannot tell",
        }
    }
}

/// A statement of the paper beside what was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// What the paper says.
    pub paper: String,
    /// Where.
    pub source: &'static str,
    /// What that asks, and how it was read where the text is loose.
    pub reading: String,
    /// The number found.
    pub found: Option<Estimate>,
    /// In words.
    pub ours: String,
    /// What follows.
    pub verdict: Verdict,
}

impl Claim {
    /// Judges a number that is a share or a difference of shares; words show it in points of percent.
    pub fn judged(paper: &str, source: &'static str, reading: &str, asks: Asks, what: &str, found: Estimate) -> Self {
        let ours = format!("{what}: {}", points(found));
        let (paper, reading) = (paper.to_owned(), reading.to_owned());
        Self { paper, source, reading, found: Some(found), ours, verdict: judge(asks, found) }
    }

    /// A statement that these data say nothing about.
    pub fn open(paper: &str, source: &'static str, reading: &str, why: &str) -> Self {
        let (paper, reading, ours) = (paper.to_owned(), reading.to_owned(), why.to_owned());
        Self { paper, source, reading, found: None, ours, verdict: Verdict::CannotTell }
    }
}

/// The verdict of an interval: the statement must hold, or fail, on all of it. A range counts as met where the value is inside
/// and, if it asks for a sign, the interval leaves out 0.
pub fn judge(asks: Asks, found: Estimate) -> Verdict {
    let Estimate { value, low, high } = found;
    if !(value.is_finite() && low.is_finite() && high.is_finite()) {
        return Verdict::CannotTell;
    }
    let (agrees, differs) = match asks {
        Asks::MoreThan(limit) => (found.against(limit) == Standing::Above, found.against(limit) == Standing::Below),
        Asks::LessThan(limit) => (found.against(limit) == Standing::Below, found.against(limit) == Standing::Above),
        Asks::Between(from, to) => {
            let signed = from > 0.0 || to < 0.0;
            let has_sign = low > 0.0 || high < 0.0;
            ((from..=to).contains(&value) && (!signed || has_sign), high < from || low > to)
        }
        Asks::NoneBeyond(limit) => {
            let holds_zero = low <= 0.0 && high >= 0.0;
            (holds_zero && low >= -limit && high <= limit, !holds_zero)
        }
    };
    match (agrees, differs) {
        (true, _) => Verdict::Agrees,
        (_, true) => Verdict::Differs,
        _ => Verdict::CannotTell,
    }
}

/// A number and its interval in points of percent: `+3.2 (0.1 to 6.3)`.
pub fn points(found: Estimate) -> String {
    let Estimate { value, low, high } = found;
    format!("{:.1} % ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high)
}

/// One sentence over all statements of a figure.
pub fn summary(claims: &[Claim]) -> String {
    let count = |verdict: Verdict| claims.iter().filter(|claim| claim.verdict == verdict).count();
    let (agrees, differs, open) = (count(Verdict::Agrees), count(Verdict::Differs), count(Verdict::CannotTell));
    let of = |n: usize| if n == 1 { "1 statement".to_owned() } else { format!("{n} statements") };
    match claims.len() {
        0 => "The paper makes no statement that a number could test.".into(),
        _ if agrees == claims.len() => format!("Agrees with the paper in {}.", of(agrees)),
        _ if differs == claims.len() => format!("Differs from the paper in {}.", of(differs)),
        _ if open == claims.len() => format!("Cannot tell: {} left open.", of(open)),
        n => format!("Of {} of the paper: {agrees} agreed with, {differs} contradicted, {open} left open.", of(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(value: f64, low: f64, high: f64) -> Estimate {
        Estimate { value, low, high }
    }

    #[test]
    fn a_verdict_needs_the_whole_interval() {
        use Verdict::{Agrees, CannotTell, Differs};
        for (asks, found, expected) in [
            (Asks::MoreThan(0.2), at(0.3, 0.21, 0.4), Agrees),
            (Asks::MoreThan(0.2), at(0.3, 0.19, 0.4), CannotTell),
            (Asks::MoreThan(0.2), at(0.1, 0.0, 0.19), Differs),
            (Asks::LessThan(0.0), at(-0.1, -0.2, -0.01), Agrees),
            (Asks::LessThan(0.0), at(0.1, 0.01, 0.2), Differs),
            (Asks::LessThan(0.0), at(-0.1, -0.2, 0.01), CannotTell),
            (Asks::Between(0.025, 0.075), at(0.05, 0.01, 0.09), Agrees),
            (Asks::Between(0.025, 0.075), at(0.05, -0.01, 0.09), CannotTell),
            (Asks::Between(0.025, 0.075), at(0.0, -0.02, 0.02), Differs),
            (Asks::Between(0.025, 0.075), at(0.02, 0.01, 0.03), CannotTell),
            (Asks::Between(0.1, 0.2), at(0.25, 0.21, 0.3), Differs),
            (Asks::NoneBeyond(0.05), at(0.01, -0.01, 0.03), Agrees),
            (Asks::NoneBeyond(0.05), at(0.01, -0.06, 0.03), CannotTell),
            (Asks::NoneBeyond(0.05), at(0.01, 0.001, 0.03), Differs),
            (Asks::NoneBeyond(0.05), at(f64::NAN, 0.001, 0.03), CannotTell),
        ] {
            assert_eq!(judge(asks, found), expected, "{asks:?} {found:?}");
        }
    }

    #[test]
    fn words_name_numbers_in_percent() {
        let claim = Claim::judged("p", "s", "r", Asks::MoreThan(0.0), "gain", at(0.0512, 0.01, 0.091));
        assert_eq!(claim.ours, "gain: 5.1 % (1.0 to 9.1)");
        let open = Claim::open("p", "s", "r", "no such class");
        assert_eq!(
            summary(&[claim.clone(), open.clone()]),
            "Of 2 statements of the paper: 1 agreed with, 0 contradicted, 1 left open."
        );
        assert_eq!(summary(&[claim]), "Agrees with the paper in 1 statement.");
        assert_eq!(summary(&[open]), "Cannot tell: 1 statement left open.");
        assert!(summary(&[]).contains("no statement"));
    }
}
