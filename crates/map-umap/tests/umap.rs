//! What a map must do: keep neighbours together, repeat itself, and survive odd tables.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may stop at the first surprise

use map_umap::{MapError, Scaling, Start, Umap, UmapConfig, trustworthiness};
use ndarray::{Array2, ArrayView2, Axis, s};
use neighbours::Metric;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `clumps` clumps of Gaussian rows, `apart` between their centres along each of 12 columns; row `i` is in clump `i % clumps`.
fn clumps(rows: usize, clumps: usize, apart: f32, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut gaussian = || (0..4).map(|_| rng.random_range(-0.866_f32..0.866)).sum::<f32>();
    let centres = Array2::from_shape_simple_fn((clumps, 12), || apart * gaussian());
    Array2::from_shape_fn((rows, 12), |(row, column)| centres[(row % clumps, column)] + gaussian())
}

fn config(n_neighbours: usize) -> UmapConfig {
    UmapConfig { n_neighbours, n_epochs: Some(200), ..UmapConfig::published(1) }
}

fn trust(features: ArrayView2<f32>, map: &Umap) -> f64 {
    trustworthiness(features, map.embedding.view(), 10, Metric::Euclidean).unwrap()
}

#[test]
fn neighbours_stay_neighbours_from_every_start() {
    let features = clumps(400, 3, 1.0, 1);
    for start in [Start::Spectral, Start::Pca, Start::Random] {
        let map = Umap::fit(features.view(), &UmapConfig { start, ..config(12) }).unwrap();
        assert_eq!(map.start, start);
        let trust = trust(features.view(), &map);
        assert!(trust > 0.85, "{start:?}: {trust}");
        // Of each row's nearest on the map, most are of its clump.
        let nearest = neighbours::nearest_neighbours(map.embedding.view(), 5, Metric::Euclidean).unwrap();
        let same = nearest.rows.indexed_iter().filter(|((row, _), other)| row % 3 == **other as usize % 3).count();
        assert!(same as f64 > 0.9 * 2000.0, "{start:?}: {same} of 2000");
    }
}

#[test]
fn parts_far_apart_start_from_principal_components() {
    let features = clumps(300, 3, 30.0, 2);
    let map = Umap::fit(features.view(), &config(10)).unwrap();
    assert_eq!(map.start, Start::Pca);
    let trust = trust(features.view(), &map);
    assert!(trust > 0.93, "{trust}");
    let nearest = neighbours::nearest_neighbours(map.embedding.view(), 5, Metric::Euclidean).unwrap();
    assert!(nearest.rows.indexed_iter().all(|((row, _), &other)| row % 3 == other as usize % 3));
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let features = clumps(1200, 4, 1.0, 3);
    let new = clumps(40, 4, 1.0, 4);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let map = Umap::fit(features.view(), &UmapConfig { n_epochs: Some(30), ..config(15) }).unwrap();
            let places = map.transform(new.view()).unwrap();
            (map, places)
        })
    };
    let one = with(1);
    assert_eq!(one, with(3));
    let other = Umap::fit(features.view(), &UmapConfig { seed: 2, n_epochs: Some(30), ..config(15) }).unwrap();
    assert_ne!(one.0.embedding, other.embedding);
}

#[test]
fn new_rows_land_among_their_own() {
    let features = clumps(700, 3, 2.0, 5);
    let (old, new) = features.view().split_at(Axis(0), 600);
    let map = Umap::fit(old, &config(12)).unwrap();
    let places = map.transform(new).unwrap();
    let nearest = neighbours::nearest_in(places.view(), map.embedding.view(), 3, Metric::Euclidean).unwrap();
    let same = nearest.rows.indexed_iter().filter(|((row, _), other)| row % 3 == **other as usize % 3).count();
    assert!(same >= 290, "{same} of 300");
    // A row's place depends on the row alone.
    let alone = map.transform(new.slice(s![41..42, ..])).unwrap();
    assert_eq!(alone.row(0), places.row(41));
    // A row of the fit lands close to its own place.
    let again = map.transform(old.slice(s![..50, ..])).unwrap();
    let far = (&again - &map.embedding.slice(s![..50, ..])).mapv(|v| v * v).sum_axis(Axis(1)).mapv(f32::sqrt);
    assert!(far.mean().unwrap() < 1.0, "{far}");
    assert_eq!(map.transform(new.slice(s![..0, ..])).unwrap().dim(), (0, 2));
}

#[test]
fn labels_pull_a_mixed_table_apart() {
    // One clump, labels at random: without them the labels mix on the map, with them they part.
    let features = clumps(300, 1, 0.0, 6);
    let labels: Vec<Option<u32>> = (0..300).map(|row| (row % 10 != 9).then_some(row % 2)).collect();
    let mixing = |map: &Umap| {
        let nearest = neighbours::nearest_neighbours(map.embedding.view(), 5, Metric::Euclidean).unwrap();
        let known = nearest
            .rows
            .indexed_iter()
            .filter(|((row, _), other)| labels[*row].is_some() && labels[**other as usize].is_some());
        let (all, differ) = known.fold((0, 0), |(all, differ), ((row, _), other)| {
            (all + 1, differ + u32::from(labels[row] != labels[*other as usize]))
        });
        f64::from(differ) / f64::from(all)
    };
    let plain = mixing(&Umap::fit(features.view(), &config(12)).unwrap());
    let guided = mixing(&Umap::fit_labelled(features.view(), &labels, &config(12)).unwrap());
    assert!(plain > 0.3 && guided < 0.1, "unlabelled {plain}, labelled {guided}");
    let few: Vec<Option<u32>> = (0..300).map(|row| (row < 19).then_some(0)).collect();
    let error = Umap::fit_labelled(features.view(), &few, &config(12)).unwrap_err();
    assert!(matches!(error, MapError::TooFewLabels { expected: 20, found: 19 }), "{error}");
    let error = Umap::fit_labelled(features.view(), &few[1..], &config(12)).unwrap_err();
    assert!(matches!(error, MapError::WrongLength { .. }), "{error}");
    assert!(Umap::fit_labelled(features.view(), &labels, &UmapConfig { label_weight: 1.0, ..config(12) }).is_ok());
}

#[test]
fn odd_tables_give_finite_maps() {
    let finite = |features: ArrayView2<f32>, config: &UmapConfig| {
        let map = Umap::fit(features, config).unwrap();
        assert!(map.embedding.iter().all(|v| v.is_finite() && v.abs() < 1e3), "{}", map.embedding);
        let places = map.transform(features.slice(s![..3, ..])).unwrap();
        assert!(places.iter().all(|v| v.is_finite()));
        map
    };
    // 150 equal rows among 50 others.
    let mut equal = clumps(200, 1, 0.0, 7);
    equal.slice_mut(s![..150, ..]).fill(0.5);
    finite(equal.view(), &config(15));
    // All rows equal but one; two values only.
    let mut nearly = Array2::<f32>::ones((60, 4));
    nearly[(7, 2)] = 2.0;
    finite(nearly.view(), &config(15));
    finite(Array2::from_shape_fn((60, 1), |(row, _)| (row % 2) as f32).view(), &config(5));
    // As few rows as there can be, fewer columns than axes, constant columns, sizes near the ends of f32.
    assert_eq!(finite(clumps(15, 1, 0.0, 8).view(), &config(15)).embedding.dim(), (15, 2));
    finite(clumps(3, 1, 0.0, 8).view(), &config(2));
    finite(clumps(40, 2, 9.0, 9).slice(s![.., ..1]), &config(5));
    let mut constant = clumps(50, 1, 0.0, 10);
    constant.column_mut(3).fill(7.0);
    finite(constant.view(), &UmapConfig { scaling: Scaling::MinMax, ..config(6) });
    finite((clumps(50, 1, 0.0, 11) * 1e30).view(), &config(6));
    finite((clumps(50, 1, 0.0, 11) * 1e-30).view(), &config(6));
    for n_components in [1, 3, 5] {
        let map = finite(clumps(80, 1, 0.0, 12).view(), &UmapConfig { n_components, ..config(6) });
        assert_eq!(map.embedding.ncols(), n_components);
    }
    finite(clumps(50, 1, 0.0, 13).view(), &UmapConfig { n_epochs: Some(1), negative_samples: 0, ..config(6) });
    finite(
        clumps(50, 1, 0.0, 13).view(),
        &UmapConfig { metric: Metric::Cosine, scaling: Scaling::Robust, ..config(6) },
    );
}

#[test]
fn bad_input() {
    let features = clumps(30, 1, 0.0, 14);
    let fit = |features: &Array2<f32>, config: &UmapConfig| Umap::fit(features.view(), config).map(|_| ());
    assert!(matches!(fit(&features, &config(31)), Err(MapError::TooFewRows { expected: 31, found: 30 })));
    assert!(matches!(fit(&Array2::ones((30, 4)), &config(5)), Err(MapError::Constant { rows: 30 })));
    assert!(matches!(fit(&Array2::ones((30, 0)), &config(5)), Err(MapError::NoColumns)));
    let mut bad = features.clone();
    bad[(4, 2)] = f32::NEG_INFINITY;
    assert!(matches!(fit(&bad, &config(5)), Err(MapError::NotFinite { row: 4, column: 2, .. })));
    let map = Umap::fit(features.view(), &config(5)).unwrap();
    assert!(matches!(map.transform(bad.view()), Err(MapError::NotFinite { .. })));
    assert!(matches!(map.transform(bad.slice(s![.., 1..])), Err(MapError::WrongWidth { expected: 12, found: 11 })));
    let good = config(5);
    for (name, wrong) in [
        ("n_neighbours", UmapConfig { n_neighbours: 1, ..good }),
        ("n_components", UmapConfig { n_components: 0, ..good }),
        ("min_dist", UmapConfig { min_dist: 1.5, ..good }),
        ("min_dist", UmapConfig { min_dist: f64::NAN, ..good }),
        ("spread", UmapConfig { spread: 0.0, ..good }),
        ("n_epochs", UmapConfig { n_epochs: Some(0), ..good }),
        ("learning_rate", UmapConfig { learning_rate: f64::INFINITY, ..good }),
        ("negative_samples", UmapConfig { negative_samples: 1001, ..good }),
        ("repulsion", UmapConfig { repulsion: -1.0, ..good }),
        ("label_weight", UmapConfig { label_weight: 1.1, ..good }),
    ] {
        match fit(&features, &wrong) {
            Err(MapError::BadSetting { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn config_as_toml() {
    let text = toml::to_string(&UmapConfig::published(42)).unwrap();
    assert_eq!(toml::from_str::<UmapConfig>(&text).unwrap(), UmapConfig::published(42));
    assert!(toml::from_str::<UmapConfig>(&format!("{text}\ndensmap = true")).is_err());
    assert!(toml::from_str::<UmapConfig>(&text.replace("min_dist", "mindist")).is_err());
}

#[test]
fn saved_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.safetensors");
    let features = clumps(60, 2, 1.0, 15);
    let map = Umap::fit(features.view(), &UmapConfig { scaling: Scaling::MinMax, ..config(8) }).unwrap();
    map.save(&path).unwrap();
    let again = Umap::load(&path).unwrap();
    assert_eq!(again, map);
    let new = clumps(5, 2, 1.0, 16);
    assert_eq!(again.transform(new.view()).unwrap(), map.transform(new.view()).unwrap());

    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(matches!(Umap::load(&path), Err(MapError::Format { .. })), "cut to {cut} bytes");
    }
    let header = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap() + 8;
    for (from, to) in [
        ("umap/1", "umap/9"),
        ("n_neighbours", "n_neighbourz"),
        ("\\\"n_neighbours\\\":8", "\\\"n_neighbours\\\":0"),
        ("\\\"n_components\\\":2", "\\\"n_components\\\":3"),
    ] {
        let text = String::from_utf8(bytes[..header].to_vec()).unwrap();
        assert!(text.contains(from), "{from}");
        let mut changed = text.replace(from, to).into_bytes();
        changed.extend_from_slice(&bytes[header..]);
        std::fs::write(&path, &changed).unwrap();
        assert!(matches!(Umap::load(&path), Err(MapError::Format { .. })), "{from} to {to}");
    }
    let mut poisoned = bytes.clone();
    let end = poisoned.len();
    poisoned[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, &poisoned).unwrap();
    assert!(matches!(Umap::load(&path), Err(MapError::Format { .. })));
    assert!(matches!(Umap::load(&folder.path().join("none")), Err(MapError::Io { .. })));
}
