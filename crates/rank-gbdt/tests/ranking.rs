//! Ranking made-up features whose importance is known, and refusing what cannot be ranked.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rank_gbdt::boost::boost;
use rank_gbdt::{Importance, RankConfig, RankError, Ranking, rank_features};

/// 1,200 rows, 12 features: 9 and 4 decide (9 more than 4), the others are noise. Every third row is held out.
fn survey(seed: u64) -> (Array2<f32>, Vec<bool>, Vec<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let features = Array2::from_shape_fn((1200, 12), |_| rng.random_range(-1.0_f32..1.0));
    let interesting = features
        .rows()
        .into_iter()
        .map(|row| 3.0 * row[9] + 1.5 * row[4] + rng.random_range(-0.5_f32..0.5) > 1.5)
        .collect();
    (features, interesting, (0..1200).map(|row| row % 3 == 0).collect())
}

#[test]
fn the_features_that_decide_come_first() {
    let (features, interesting, hold_out) = survey(1);
    for importance in [Importance::Split, Importance::Gain] {
        let ranking =
            rank_features(features.view(), &interesting, &hold_out, &RankConfig { importance, ..RankConfig::paper() })
                .unwrap();
        // The stronger one may need fewer splits, but it gains more.
        let expected =
            if importance == Importance::Gain || ranking.split[9] > ranking.split[4] { [9, 4] } else { [4, 9] };
        assert_eq!(ranking.top(2), expected, "{importance:?}");
        let mut all = ranking.order.clone();
        all.sort_unstable();
        assert_eq!(all, (0..12).collect::<Vec<_>>());
        assert!(ranking.gain[9] > ranking.gain[4] && ranking.gain[4] > 10.0 * ranking.gain[0]);
        assert!(
            ranking.hold_out_f1_weighted > 0.9 && ranking.hold_out_f1 > 0.8 && ranking.hold_out_log_loss < 0.25,
            "{ranking:?}"
        );
    }
}

#[test]
fn training_stops_where_the_hold_out_loss_is_smallest() {
    let (features, _, hold_out) = survey(2);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    // Labels without any relation to the features: more rounds only learn noise.
    let interesting: Vec<bool> = (0..1200).map(|_| rng.random_bool(0.3)).collect();
    let ranking = rank_features(features.view(), &interesting, &hold_out, &RankConfig::paper()).unwrap();
    assert!(ranking.rounds < 50, "{}", ranking.rounds);
    let (train, held): (Vec<usize>, Vec<usize>) = (0..1200).partition(|row| row % 3 != 0);
    let labels = |rows: &[usize]| rows.iter().map(|&row| interesting[row]).collect::<Vec<_>>();
    let select = |rows: &[usize]| features.select(ndarray::Axis(0), rows);
    let config = RankConfig::paper();
    let booster =
        boost(select(&train).view(), &labels(&train), Some((select(&held).view(), &labels(&held))), &config).unwrap();
    let losses = &booster.hold_out_log_loss;
    let smallest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!((losses[ranking.rounds - 1], ranking.hold_out_log_loss), (smallest, smallest));
    assert_eq!(losses.len(), ranking.rounds + 10);
    // The stored loss is that of the kept trees.
    let probabilities = booster.probabilities(select(&held).view()).unwrap();
    let loss = probabilities
        .iter()
        .zip(labels(&held))
        .map(|(p, label)| -if label { p.ln() } else { (1.0 - p).ln() })
        .sum::<f64>()
        / 400.0;
    assert!((loss - smallest).abs() < 1e-12);
}

#[test]
fn threads_change_no_bit() {
    let (features, interesting, hold_out) = survey(4);
    let rank = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| rank_features(features.view(), &interesting, &hold_out, &RankConfig::paper()).unwrap())
    };
    let one = rank(1);
    assert_eq!(one, rank(2));
    assert_eq!(one, rank(5));
}

#[test]
fn what_cannot_be_ranked_is_refused() {
    let (features, interesting, hold_out) = survey(5);
    let rank = |interesting: &[bool], hold_out: &[bool]| {
        rank_features(features.view(), interesting, hold_out, &RankConfig::paper()).unwrap_err()
    };
    assert!(matches!(
        rank(&interesting[1..], &hold_out),
        RankError::LengthMismatch { what: "interesting", expected: 1200, found: 1199 }
    ));
    assert!(matches!(rank(&interesting, &hold_out[1..]), RankError::LengthMismatch { what: "hold_out", .. }));
    assert!(matches!(rank(&interesting, &[false; 1200]), RankError::TooFewRows { part: "hold-out", found: 0, .. }));
    assert!(matches!(rank(&interesting, &[true; 1200]), RankError::TooFewRows { part: "training", .. }));
    assert!(matches!(
        rank(&[true; 1200], &hold_out),
        RankError::OneClass { part: "training", interesting: 800, rows: 800 }
    ));
    let only_in_training: Vec<bool> = (0..1200).map(|row| row % 3 == 1).collect();
    assert!(matches!(
        rank(&only_in_training, &hold_out),
        RankError::OneClass { part: "hold-out", interesting: 0, rows: 400 }
    ));
    let mut blank = features.clone();
    blank[(700, 3)] = f32::NAN;
    let error = rank_features(blank.view(), &interesting, &hold_out, &RankConfig::paper()).unwrap_err();
    assert!(matches!(error, RankError::NotFinite { row: 700, column: 3, .. }), "{error}");
    let flat = Array2::zeros((1200, 4));
    let error = rank_features(flat.view(), &interesting, &hold_out, &RankConfig::paper()).unwrap_err();
    assert!(matches!(error, RankError::NothingSeparates { columns: 4 }), "{error}");
    let none = Array2::zeros((1200, 0));
    assert!(matches!(
        rank_features(none.view(), &interesting, &hold_out, &RankConfig::paper()),
        Err(RankError::NoFeatures)
    ));
    let few = features.slice(ndarray::s![..36, ..]);
    let halves: Vec<bool> = (0..36).map(|row| row % 2 == 0).collect();
    let error = rank_features(few, &halves, &hold_out[..36], &RankConfig::paper()).unwrap_err();
    assert!(matches!(error, RankError::TooFewRows { part: "training", expected: 40, found: 24 }), "{error}");
    let bad = RankConfig { max_bins: 256, ..RankConfig::paper() };
    let error = rank_features(features.view(), &interesting, &hold_out, &bad).unwrap_err();
    assert!(matches!(error, RankError::BadSetting { name: "max_bins", .. }), "{error}");
}

#[test]
fn a_saved_ranking_comes_back() {
    let (features, interesting, hold_out) = survey(6);
    let ranking = rank_features(features.view(), &interesting, &hold_out, &RankConfig::paper()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ranking.json");
    ranking.save(&path).unwrap();
    assert_eq!(Ranking::load(&path).unwrap(), ranking);
    let spoil = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&path).unwrap().replacen(from, to, 1);
        let spoilt = folder.path().join("spoilt.json");
        std::fs::write(&spoilt, text).unwrap();
        Ranking::load(&spoilt).unwrap_err()
    };
    let first = ranking.order[0].to_string();
    let second = ranking.order[1].to_string();
    assert!(matches!(
        spoil(&format!("    {first},"), &format!("    {second},")),
        RankError::BadFile { field: "order", .. }
    ));
    assert!(matches!(spoil(&format!("    {first},"), "    12,"), RankError::BadFile { field: "order", .. }));
    assert!(matches!(spoil(&format!("    {first},"), ""), RankError::BadFile { field: "gain", .. }));
    assert!(matches!(spoil("\"rounds\"", "\"turns\""), RankError::Format { .. }));
    assert!(matches!(Ranking::load(&folder.path().join("absent.json")), Err(RankError::Io { .. })));
    assert!(matches!(ranking.save(&folder.path().join("no/such/ranking.json")), Err(RankError::Io { .. })));
}

#[test]
fn settings_are_read_from_a_file_and_unknown_keys_refused() {
    let text = serde_json::to_string(&RankConfig::paper()).unwrap();
    assert_eq!(serde_json::from_str::<RankConfig>(&text).unwrap(), RankConfig::paper());
    assert!(serde_json::from_str::<RankConfig>(&text.replace("max_depth", "depth")).is_err());
}
