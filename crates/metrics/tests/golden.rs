//! Comparison with scikit-learn's metrics, frozen in `metrics.json` of the golden folder.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use metrics::classification::{ConfusionMatrix, Scores, classification_report};
use metrics::curves::{average_precision, precision_recall_curve, roc_auc, roc_curve};
use serde_json::Value;

fn golden() -> Value {
    let folder = std::env::var("RADIO_SSL_GOLDEN").expect("set RADIO_SSL_GOLDEN to the folder of golden values");
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join("metrics.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| if value == "inf" { f64::INFINITY } else { panic!("no number: {value}") })
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    numbers(value).into_iter().map(|value| value as usize).collect()
}

fn assert_close(name: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{name}");
    assert!(!want.is_empty(), "{name}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(got == want || (got - want).abs() <= 1e-12, "{name}[{i}]: got {got}, scikit-learn {want}");
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_classification() {
    for case in ["six_classes", "absent_and_never_predicted"] {
        let golden = &golden()[case];
        let n_classes = golden["labels"].as_array().unwrap().len();
        let matrix =
            ConfusionMatrix::from_labels(&indices(&golden["truth"]), &indices(&golden["predicted"]), n_classes)
                .unwrap();
        let rows: Vec<f64> = golden["confusion_rows_are_truth"].as_array().unwrap().iter().flat_map(numbers).collect();
        assert_close(case, &matrix.counts().iter().map(|&count| count as f64).collect::<Vec<_>>(), &rows);
        let report = classification_report(&matrix);
        assert_close(case, &[report.accuracy], &[number(&golden["accuracy"])]);
        assert_close(
            case,
            &report.support.iter().map(|&rows| rows as f64).collect::<Vec<_>>(),
            &numbers(&golden["support"]),
        );
        type Field = fn(&Scores) -> f64;
        let fields: [(&str, Field); 4] = [
            ("precision", |s| s.precision),
            ("recall", |s| s.recall),
            ("f1", |s| s.f1),
            ("contamination", |s| s.contamination),
        ];
        for (field, value) in fields {
            let name = format!("{case} {field}");
            let ours: Vec<f64> = report.per_class.iter().map(value).collect();
            assert_close(&name, &ours, &numbers(&golden["per_class"][field]));
            for (average, scores) in [
                ("macro", &report.macro_average),
                ("micro", &report.micro_average),
                ("weighted", &report.weighted_average),
            ] {
                assert_close(&format!("{name} {average}"), &[value(scores)], &[number(&golden[average][field])]);
            }
        }
    }
}

#[test]
#[ignore = "needs RADIO_SSL_GOLDEN"]
fn golden_curves() {
    for case in ["ranking_with_ties", "ranking_all_equal", "ranking_perfect"] {
        let golden = &golden()[case];
        let truth: Vec<bool> = indices(&golden["truth"]).into_iter().map(|label| label == 1).collect();
        let score = numbers(&golden["score"]);
        let curve = precision_recall_curve(&truth, &score).unwrap();
        assert_close(case, &curve.precision, &numbers(&golden["precision"]));
        assert_close(case, &curve.recall, &numbers(&golden["recall"]));
        assert_close(case, &curve.thresholds, &numbers(&golden["thresholds"]));
        let roc = roc_curve(&truth, &score).unwrap();
        assert_close(case, &roc.false_positive_rate, &numbers(&golden["false_positive_rate"]));
        assert_close(case, &roc.true_positive_rate, &numbers(&golden["true_positive_rate"]));
        assert_close(case, &roc.thresholds, &numbers(&golden["roc_thresholds"]));
        assert_close(case, &[roc_auc(&truth, &score).unwrap()], &[number(&golden["roc_auc"])]);
        assert_close(case, &[average_precision(&truth, &score).unwrap()], &[number(&golden["average_precision"])]);
    }
}
