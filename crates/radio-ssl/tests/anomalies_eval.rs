//! `anomalies eval` from tables to marks.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use clap::Parser;
use radio_ssl::anomalies::eval::{EvalOptions, RankingMarks, eval, evaluate};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: EvalOptions,
}

fn options(scores: &Path, labels: &Path, out: &Path, more: &[&str]) -> EvalOptions {
    let [scores, labels, out] = [scores, labels, out].map(|path| path.display().to_string());
    let line = ["x", "--scores", &scores, "--labels", &labels, "--out", &out].map(str::to_owned);
    Line::parse_from(line.into_iter().chain(more.iter().map(|word| (*word).to_owned()))).options
}

/// 120 rows, every sixth peculiar. Score: its rank is right but for every tenth row; `noise` knows nothing.
fn tables(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (mut scores, mut labels) = ("frame,score\n".to_owned(), "id,group,noise,object\n".to_owned());
    for row in (0..120).rev() {
        let odd = row % 6 == 0;
        let score = if odd == (row % 10 != 0) { 0.7 } else { 0.3 } + row as f64 * 1e-3;
        scores += &format!("f{row},{score}\n");
        let group = if row == 7 {
            ""
        } else if odd {
            "peculiar"
        } else {
            "ordinary"
        };
        labels += &format!("f{row},{group},{},{}\n", (row * 37) % 101, row / 2);
    }
    labels += "not-scored,peculiar,1,1\n";
    let (s, l) = (folder.join("scores.csv"), folder.join("labels.csv"));
    std::fs::write(&s, scores).unwrap();
    std::fs::write(&l, labels).unwrap();
    (s, l)
}

#[test]
fn a_ranking_is_scored_beside_its_rivals() {
    let folder = tempfile::tempdir().unwrap();
    let (scores, labels) = tables(folder.path());
    let out = folder.path().join("marks.json");
    let asked = options(
        &scores,
        &labels,
        &out,
        &["--rivals", "noise,-noise", "--resamples", "300", "--group-column", "object"],
    );
    eval(&asked).unwrap();
    let marks: RankingMarks = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!((marks.rows, marks.positives, marks.groups), (119, 20, 60));
    assert_eq!((marks.without_label, marks.without_score), (1, 1));
    // scikit-learn 1.9.1, average_precision_score and roc_auc_score of the same 119 rows.
    assert!((marks.score.average_precision - SKLEARN_AP).abs() < 1e-12, "{}", marks.score.average_precision);
    assert!((marks.score.roc_auc - SKLEARN_AUC).abs() < 1e-12, "{}", marks.score.roc_auc);
    let interval = marks.score.interval;
    assert!(interval.low < SKLEARN_AP && SKLEARN_AP < interval.high && interval.high - interval.low < 0.5);
    let [noise, turned] = marks.rivals.as_slice() else { panic!("two rivals") };
    assert!((noise.difference - (SKLEARN_AP - noise.marks.average_precision)).abs() < 1e-12);
    assert!(noise.interval.low > 0.0, "better than noise beyond doubt: {:?}", noise.interval);
    assert!((noise.marks.roc_auc + turned.marks.roc_auc - 1.0).abs() < 1e-12, "-C is the other order");
    assert!(marks.table().contains("-noise") && marks.table().contains("chance"));
    assert_eq!(evaluate(&asked).unwrap(), marks, "the same seed, the same resamples");
}

const SKLEARN_AP: f64 = 0.61068030041424;
const SKLEARN_AUC: f64 = 0.8358585858585859;

#[test]
fn what_cannot_be_scored_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (scores, labels) = tables(folder.path());
    let refused =
        |more: &[&str]| format!("{:#}", evaluate(&options(&scores, &labels, Path::new("x"), more)).unwrap_err());
    assert!(refused(&["--positive", "nova"]).contains("0 of 119 rows are nova"));
    assert!(refused(&["--positive", "peculiar,ordinary"]).contains("119 of 119"));
    assert!(refused(&["--rivals", "group"]).contains("group"));
    assert!(refused(&["--rivals", "size"]).contains("size"));
    assert!(refused(&["--score-column", "s"]).contains("`s`") || refused(&["--score-column", "s"]).contains(" s"));
    assert!(refused(&["--id-column", "object"]).contains("both about"));
    std::fs::write(&scores, "frame,score\nf1,0.5\nf1,0.6\n").unwrap();
    assert!(refused(&[]).contains("both about `f1`"));
    std::fs::write(&scores, "frame,score\ng1,0.5\n").unwrap();
    assert!(refused(&[]).contains("no row has both"));
}

/// The published score and the size of the source on MGCLS (825 rows that one astronomer scored; 4 and 5 are positive).
#[test]
#[ignore = "needs RADIO_SSL_DATA"]
fn published_scores_on_mgcls_real_data() {
    let data = std::env::var("RADIO_SSL_DATA").unwrap();
    let labels = Path::new(&data).join("mgcls/labels.csv");
    let more = [
        "--score-column",
        "protege_score",
        "--label-column",
        "score_eval",
        "--positive",
        "4,5",
        "--rivals",
        "size_pix,-protege_rank",
    ];
    let marks = evaluate(&options(&labels, &labels, Path::new("x"), &more)).unwrap();
    assert_eq!((marks.rows, marks.positives), (825, 69));
    // scikit-learn 1.9.1.
    assert!((marks.score.average_precision - 0.640).abs() < 5e-4, "{}", marks.score.average_precision);
    assert!((marks.rivals[0].marks.average_precision - 0.443).abs() < 5e-4, "{:?}", marks.rivals[0].marks);
    assert!(marks.rivals[0].interval.low > 0.0, "the published score beats the size: {:?}", marks.rivals[0].interval);
}
