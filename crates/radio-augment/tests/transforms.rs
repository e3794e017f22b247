//! Every transform against scikit-image, SciPy, OpenCV and astropy, and against its own definition.
//!
//! The numbers were made once with scikit-image 0.26.0, SciPy 1.17.1, OpenCV 5.0.0, astropy 8.0.2 and NumPy 2.4.6 from the two
//! images below: how many pixels are blank, and the sums of `v`, `v cos(i)` and `v sin(0.1 i^2)` over the pixels `i` in row order.

#![allow(clippy::unwrap_used)]

mod support;

use ndarray::{Array2, Array3, Axis, array};
use radio_augment::{preprocessing::*, *};

const ROWS: usize = 21;
const COLS: usize = 17;

fn image(blank: bool) -> Array2<f32> {
    Array2::from_shape_fn((ROWS, COLS), |(y, x)| {
        let i = (y * COLS + x) as u64;
        let source = y.abs_diff(9).pow(2) + x.abs_diff(6).pow(2) < 10;
        let value = support::splitmix(i + 1) - 0.3 + if source { 3.0 } else { 0.0 };
        if blank && support::splitmix(i + 5000) < 0.08 { f32::NAN } else { value as f32 }
    })
}

fn one(image: Array2<f32>) -> Array3<f32> {
    image.insert_axis(Axis(0))
}

fn plain() -> Array3<f32> {
    one(image(false))
}

fn three() -> Array3<f32> {
    let image = image(true);
    ndarray::stack(Axis(0), &[image.view(), (&image * 2.0).view(), (&image + 1.0).view()]).unwrap()
}

fn checksums<'a>(values: impl IntoIterator<Item = &'a f32>) -> (usize, [f64; 3]) {
    let (mut blank, mut sums) = (0, [0.0; 3]);
    for (i, v) in values.into_iter().enumerate() {
        if v.is_nan() {
            blank += 1;
            continue;
        }
        let (v, i) = (f64::from(*v), i as f64);
        sums = [sums[0] + v, sums[1] + v * i.cos(), sums[2] + v * (0.1 * i * i).sin()];
    }
    (blank, sums)
}

fn assert_sums<'a>(name: &str, values: impl IntoIterator<Item = &'a f32>, blank: usize, want: [f64; 3]) {
    let (found, sums) = checksums(values);
    let off = sums.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max);
    assert!(found == blank && off < 3e-5, "{name}: {found} blank, sums {sums:?}, expected {blank}, {want:?}");
}

fn step(json: &str) -> Transform {
    serde_json::from_str(json).unwrap()
}

fn run(json: &str, channels: Array3<f32>) -> Array3<f32> {
    step(json).apply(channels, BlankRule::Nan).unwrap()
}

#[test]
fn transforms_match_the_libraries() {
    assert_sums("input", &image(false), 0, [154.705892707, 5.405634421, -12.876977845]);
    assert_sums("blanked", &image(true), 37, [134.866478459, 8.962563471, -11.863866619]);
    for (name, json, want) in [
        ("equalize", r#"{"step":"equalize-histogram","bins":256}"#, [181.370031965, 1.416422210, -3.597815795]),
        ("equalize_32", r#"{"step":"equalize-histogram","bins":32}"#, [197.890988936, 1.394668746, -3.779906606]),
        ("median3", r#"{"step":"median","side":3}"#, [137.329611034, 2.677070103, -4.080946832]),
        ("median5", r#"{"step":"median","side":5}"#, [133.471056920, 1.514824638, -8.301137981]),
        ("log", r#"{"step":"log","normalise":false}"#, [-376.317085221, 1.249430240, -8.973426368]),
        ("clip and shift", r#"{"step":"clip-shift","sigma":2}"#, [70.916700885, 3.866192597, -10.412605084]),
        ("background", r#"{"step":"subtract-background","sigma":3}"#, [87.134746040, 5.507900518, -11.976728605]),
        ("threshold", r#"{"step":"threshold","percentile":50}"#, [160.409832448, 4.307633432, -13.819669334]),
    ] {
        assert_sums(name, &run(json, plain()), 0, want);
    }
    let sigmoid = run(r#"{"step":"sigmoid","gain":10,"cutoff":0.5}"#, jitter_min_max(plain(), BlankRule::Nan));
    assert_sums("sigmoid", &sigmoid, 0, [37.262077801, 0.781460241, -4.498789376]);
    for (json, blank, want) in [
        (r#"{"step":"equalize-histogram","bins":256}"#, 37, [162.614553857, 3.930297267, -4.374895770]),
        (r#"{"step":"shrink-mask","side":3}"#, 148, [81.975274275, 7.224763853, -12.892237715]),
        (r#"{"step":"shrink-mask","side":5}"#, 295, [17.022169299, 0.061790552, 0.305053403]),
        (r#"{"step":"shrink-mask","side":7}"#, 342, [3.344323616, 0.841691718, -0.330151743]),
    ] {
        assert_sums(json, &run(json, one(image(true))), blank, want);
    }
}

/// Every rounding is scikit-image's: the same `f32` numbers, up to the order in which sums are taken.
#[test]
fn adaptive_equalisation_is_that_of_scikit_image() {
    let (rows, cols) = (37, 29);
    let image = |blank: bool| {
        Array2::from_shape_fn((rows, cols), |(y, x)| {
            let i = y * cols + x;
            let v = ((i * i * 31 + i * 17) % 1009) as f32 / 1009.0;
            let near = y.abs_diff(20).pow(2) + x.abs_diff(11).pow(2) < 40;
            if blank && i % 23 == 5 {
                f32::NAN
            } else if near {
                v
            } else {
                v * v * v
            }
        })
    };
    let equalize = |keys: &str, image: Array2<f32>| {
        run(&format!(r#"{{"step":"equalize-adaptive",{keys}}}"#), one(image)).index_axis_move(Axis(0), 0)
    };
    let close = |name: &str, got: &Array2<f32>, blank: usize, want: [f64; 3]| {
        let (found, sums) = checksums(got);
        let off = sums.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max);
        assert!(found == blank && off < 1e-9, "{name}: {found} blank, sums {sums:?}, expected {blank}, {want:?}");
    };
    close("input", &image(false), 0, [301.243127377781, -3.246001131531237, -18.770434803822614]);
    for (keys, want, pixels) in [
        (
            r#""clip-limit":0.03,"bins":256"#,
            [467.831362944562, -2.8622404580902505, -19.778100033607203],
            [0.4856856, 0.057132095, 0.057132095],
        ),
        (
            r#""clip-limit":0.03,"bins":256,"kernel":[8,12]"#,
            [412.34931156031234, -2.8587558425132586, -22.162062476151096],
            [0.46811694, 6.233248e-05, 0.12771925],
        ),
        // Regions larger than the image, without a limit.
        (
            r#""clip-limit":0,"bins":256,"kernel":[40,50]"#,
            [467.7971672357453, -2.8693540253621146, -23.155198076570606],
            [0.47183847, 7.084662e-05, 0.31923485],
        ),
        (
            r#""clip-limit":0.004,"bins":32,"kernel":[16,16]"#,
            [296.1612854003906, -3.3601944732053344, -19.026590348036894],
            [0.19354838, 0.0, 0.06451613],
        ),
        (
            r#""clip-limit":0.001,"bins":256,"kernel":[13,29]"#,
            [300.0783423044195, -3.2264945627922375, -18.792024565604358],
            [0.2064463, 9.130753e-05, 0.0873813],
        ),
    ] {
        let got = equalize(keys, image(false));
        close(keys, &got, 0, want);
        assert_eq!([got[[3, 5]], got[[36, 28]], got[[20, 11]]], pixels, "{keys}");
    }
    let upstream = r#""clip-limit":0.03,"bins":256"#;
    close("blanks", &equalize(upstream, image(true)), 47, [442.5896510630846, -1.604387221902519, -17.815875913897063]);
    let below = equalize(r#""clip-limit":0.1,"bins":4000"#, image(false) * 2.0 - 1.0);
    close("negative", &below, 0, [119.6013518255204, -0.6051677693948694, -5.656837979613028]);
    let refused = step(&format!(r#"{{"step":"equalize-adaptive",{upstream}}}"#)).apply(plain(), BlankRule::Nan);
    assert!(matches!(refused, Err(RecipeError::OutsideUnitRange { .. })), "{refused:?}");
}

#[test]
fn splines_and_smoothing_match_scikit_image() {
    for (rows, cols, want) in [
        (13, 11, [60.381858913, 0.573782758, -0.041656536]),
        (30, 24, [312.346785751, -10.181001686, -10.173182997]),
        (9, 24, [82.771811019, -0.337170180, -5.429169308]),
    ] {
        let resized = resize_cubic_spline(image(false).view(), rows, cols);
        assert_sums("spline", &resized, 0, want);
    }
    let square = one(image(false).slice(ndarray::s![..17, ..]).to_owned());
    let resize = SquareResize { size: 13, upscale: false, antialias: true, interpolation: Interpolation::Bilinear };
    let smooth = resize_into_square(square, &resize, BlankRule::Nan).unwrap();
    assert_sums("antialias", &smooth, 0, [85.730620765, 6.739017271, -15.459223596]);
    // A spline goes through its pixels, blanks or not.
    let same = resize_cubic_spline(image(true).view(), ROWS, COLS);
    assert!(support::largest_difference(&same, &image(true)) < 1e-5);
}

/// OpenCV's and SciPy's bilinear rotation by 30 degrees with zero fill: OpenCV rounds places to 1/32 pixel, so SciPy's are asked.
#[test]
fn rotation_matches_scipy() {
    let turned = rotate(plain().view(), 30.0, BlankRule::ZeroIsBlank);
    assert_sums("rotation", &turned, 0, [146.268447162, -6.053108517, -18.450936777]);
}

#[test]
fn clipped_statistics_match_astropy() {
    let plain = image(false).into_raw_vec_and_offset().0;
    let blanked = image(true).into_raw_vec_and_offset().0;
    for (values, sigma, want) in [
        (plain, 3.0, [0.189_274_920_635_464_86, 0.173_798_911_273_479_46, 0.279_621_468_194_850_84]),
        (blanked, 2.0, [0.187_217_946_024_611_6, 0.169_171_348_214_149_48, 0.279_925_572_616_573_86]),
    ] {
        let got = sigma_clipped_statistics(&values, sigma, 5).unwrap();
        let off = [got.mean - want[0], got.median - want[1], got.std - want[2]].map(f64::abs);
        assert!(off.iter().all(|off| *off < 1e-12), "{got:?} vs {want:?}");
    }
    assert_eq!(sigma_clipped_statistics(&[f32::NAN], 3.0, 5), None);
}

/// The list of the paper is the recipe, bit for bit, whatever is blank and whatever shape.
#[test]
fn the_papers_list_is_the_recipe() {
    for blanks in [BlankRule::Nan, BlankRule::ZeroIsBlank] {
        for (rows, cols, size) in [(64, 64, 48), (50, 50, 70), (61, 40, 32)] {
            let cutout = Array2::from_shape_fn((rows, cols), |(y, x)| {
                let v = support::splitmix((y * cols + x) as u64) as f32;
                if x < 3 {
                    f32::NAN
                } else if v < 0.02 {
                    0.0
                } else {
                    1e-4 * v + if x == y { 3e-3 } else { 0.0 }
                }
            });
            let recipe = Recipe { blanks, ..Recipe::paper(size) };
            let list = Preprocessing { blanks, ..Preprocessing::paper(size) };
            assert_eq!(list.channels(cutout.view()).unwrap(), recipe.channels(cutout.view()).unwrap());

            let stretched = recipe.stretch(cutout.view(), &recipe.limits(cutout.view()).unwrap());
            for seed in 0..5 {
                let view = recipe.view(stretched.clone(), &Augmenter::hulk(), &mut view_rng(seed, 0, 0, 0));
                let mut placement = Placement::unmoved(0, 0);
                let rng = &mut view_rng(seed, 0, 0, 0);
                assert_eq!(list.view(cutout.view(), &Augmenter::hulk(), rng, &mut placement), view);
            }
        }
    }
}

#[test]
fn channels_come_and_go() {
    let image = image(true);
    let channels = run(r#"{"step":"channels","count":3}"#, one(image.clone()));
    assert!(channels.outer_iter().all(|channel| support::largest_difference(channel, &image) == 0.0));
    let first = run(r#"{"step":"channels","count":1}"#, three());
    assert_eq!(support::largest_difference(&first, &image), 0.0);
    let middle = run(r#"{"step":"center-crop","size":15}"#, three());
    assert_eq!(
        support::largest_difference(middle.slice(ndarray::s![0, .., ..]), image.slice(ndarray::s![3..18, 1..16])),
        0.0
    );
    let error = step(r#"{"step":"center-crop","size":18}"#).apply(three(), BlankRule::Nan).unwrap_err();
    assert_eq!(error, RecipeError::TooSmall { size: 18, rows: 21, cols: 17 });
}

/// Scalings against their definition: extremes found by sorting.
#[test]
fn scalings_match_their_definition() {
    let extremes = |values: &[f32]| {
        let good = values.iter().copied().filter(|v| !v.is_nan());
        (good.clone().fold(f32::INFINITY, f32::min), good.fold(f32::NEG_INFINITY, f32::max))
    };
    let all: Vec<f32> = three().into_raw_vec_and_offset().0;
    let each: Vec<(f32, f32)> = all.chunks(ROWS * COLS).map(extremes).collect();
    let (low, high) = extremes(&all);
    let of = |c: usize, v: f32, kind: usize| match kind {
        0 => (v - each[c].0) / (each[c].1 - each[c].0),
        1 => (v - low) / (high - low),
        2 => v / each[c].1,
        3 => v / high,
        _ => v / each[1].1,
    };
    for (kind, json) in [
        r#"{"step":"min-max","zeros-count":false}"#,
        r#"{"step":"min-max-together"}"#,
        r#"{"step":"max-scale","maximum":{"of":"each"}}"#,
        r#"{"step":"max-scale","maximum":{"of":"all"}}"#,
        r#"{"step":"max-scale","maximum":{"of":"channel","channel":1}}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let want: Vec<f32> = all.iter().enumerate().map(|(i, v)| of(i / (ROWS * COLS), *v, kind)).collect();
        assert!(support::largest_difference(&run(json, three()), &want) < 1e-6, "{json}");
    }
    // The centred half holds rows 5..15 and columns 4..12, and all of the source.
    let mut frame = plain();
    frame[[0, 0, 0]] = 100.0;
    let largest = frame.slice(ndarray::s![0, 5..15, 4..12]).iter().copied().fold(0.0, f32::max);
    let scaled = run(r#"{"step":"max-scale","maximum":{"of":"all","inside":0.5}}"#, frame.clone());
    assert_eq!(scaled, frame / largest);

    let negative = three().mapv(|v| v - 9.0);
    for json in [
        r#"{"step":"max-scale","maximum":{"of":"channel","channel":1}}"#,
        r#"{"step":"max-scale","maximum":{"of":"each"}}"#,
    ] {
        let error = step(json).apply(negative.clone(), BlankRule::Nan).unwrap_err();
        assert!(matches!(error, RecipeError::NotPositive { channel: 0, found, .. } if found < 0.0), "{error}");
    }
    let error = step(r#"{"step":"max-scale","maximum":{"of":"channel","channel":3}}"#).apply(three(), BlankRule::Nan);
    assert!(matches!(error, Err(RecipeError::WrongChannels { found: 3, .. })));
}

#[test]
fn lists_ratios_and_masks_match_their_definition() {
    let image = image(true);
    for (json, change) in [
        (r#"{"step":"shift","offsets":[1,2,4]}"#, (|v, c| v - [1.0, 2.0, 4.0][c]) as fn(f32, usize) -> f32),
        (r#"{"step":"scale","factors":[1,2,4]}"#, |v, c| v * [1.0, 2.0, 4.0][c]),
        (r#"{"step":"standardize","means":[1,2,4],"sigmas":[2,4,8]}"#, |v, c| {
            (v - [1.0, 2.0, 4.0][c]) / [2.0, 4.0, 8.0][c]
        }),
    ] {
        let mut want = three();
        for (c, mut channel) in want.outer_iter_mut().enumerate() {
            channel.mapv_inplace(|v| change(v, c));
        }
        assert!(support::largest_difference(&run(json, three()), &want) < 1e-6, "{json}");
        let error = step(json).apply(plain(), BlankRule::Nan).unwrap_err();
        assert!(matches!(&error, RecipeError::WrongChannels { expected, found: 1, .. } if expected == "3"), "{error}");
    }

    // Channels v, 2v and v + 1 over v.
    let ratio = run(r#"{"step":"channel-ratio","reference":0,"log":false,"drop-reference":true}"#, three());
    let want =
        ndarray::stack(Axis(0), &[image.mapv(|v| 2.0 * v / v).view(), image.mapv(|v| (v + 1.0) / v).view()]).unwrap();
    assert!(support::largest_difference(&ratio, &want) < 1e-3);
    let log =
        run(r#"{"step":"channel-ratio","reference":0,"log":true,"trim":[-6,0.5],"drop-reference":false}"#, three());
    assert_eq!(support::largest_difference(log.index_axis(Axis(0), 0), &image), 0.0);
    let want = image.mapv(|v| {
        if v.is_nan() || v <= 0.0 && (v + 1.0) / v <= 0.0 { f32::NAN } else { ((v + 1.0) / v).log10().min(0.5) }
    });
    assert!(support::largest_difference(log.index_axis(Axis(0), 2), &want) < 1e-6);

    let lifted = run(r#"{"step":"negatives-to-zero"}"#, three());
    assert_eq!(lifted.iter().filter(|v| **v == 0.0).count(), 2); // v and 2v have negatives, v + 1 has not
    let bordered = run(r#"{"step":"blank-border","fraction":0.7}"#, plain()); // 14 of 21 rows, 11 of 17 columns
    for ((_, y, x), v) in bordered.indexed_iter() {
        let inside = (3..17).contains(&y) && (3..14).contains(&x);
        assert!(if inside { *v == plain()[[0, y, x]] } else { v.is_nan() }, "({y}, {x})");
    }
    let filled = run(r#"{"step":"fill-blanks","with":"minimum"}"#, one(image.clone()));
    let smallest = image.iter().copied().filter(|v| !v.is_nan()).fold(f32::INFINITY, f32::min);
    let want = image.mapv(|v| if v.is_nan() { smallest } else { v });
    assert_eq!(filled.index_axis(Axis(0), 0), want);
    let background = run(r#"{"step":"subtract-background","sigma":3,"outside-box":0.7}"#, plain());
    let outside: Vec<f32> = plain()
        .indexed_iter()
        .filter(|((_, y, x), _)| !((3..17).contains(y) && (3..14).contains(x)))
        .map(|(_, v)| *v)
        .collect();
    let level = sigma_clipped_statistics(&outside, 3.0, 5).unwrap().mean as f32;
    assert!(support::largest_difference(&background, &plain().mapv(|v| v - level)) < 1e-6);
    let eight = run(r#"{"step":"eight-bit"}"#, one(array![[0.0f32, 0.5, 1.0, 0.999]]));
    assert_eq!(eight.into_raw_vec_and_offset().0, [0.0, 127.0, 255.0, 254.0]);
}

/// The three traps: a contrast of 0, clipping before or after copying, zeros in MinMax.
#[test]
fn the_presets_differ_as_their_codes_do() {
    let cutout = Array2::from_shape_fn((64, 64), |(y, x)| {
        1e-4 * support::splitmix((y * 64 + x) as u64) as f32 + if y == 30 && x == 20 { 1.0 } else { 0.0 } - 2e-5
    });
    let of = |preset: Preprocessing| preset.channels(cutout.view()).unwrap();
    let (paper, tf2, tf1, released) = (
        of(Preprocessing::paper(64)),
        of(Preprocessing::mask_rcnn_tf2(64)),
        of(Preprocessing::mask_rcnn_tf1()),
        of(Preprocessing::released_model(48)),
    );
    let pixels = cutout.as_slice().unwrap();
    let bounds = sigma_clip_bounds(pixels, 5.0, 30.0, 5).unwrap();
    let clipped = cutout.mapv(|v| v.clamp(bounds.low as f32, bounds.high as f32));
    let unit = |image: &Array2<f32>, limits: Limits| {
        image.mapv(|v| ((f64::from(v) - limits.low) / limits.width()).clamp(0.0, 1.0) as f32)
    };
    // The paper's first channel is only clipped, and its others are not clipped at all.
    let (low, high) = (clipped.iter().copied().fold(1.0, f32::min), clipped.iter().copied().fold(0.0, f32::max));
    let scaled = clipped.mapv(|v| (v - low) / (high - low));
    assert!(support::largest_difference(paper.index_axis(Axis(0), 0), &scaled) < 1e-6);
    let second = unit(&cutout, zscale_limits(pixels, 0.25).unwrap());
    assert!(support::largest_difference(paper.index_axis(Axis(0), 1), &second) < 1e-6);
    // The detector's is zscaled with contrast 1 after the clip.
    let first = unit(&clipped, zscale_limits(clipped.as_slice().unwrap(), 1.0).unwrap());
    assert!(support::largest_difference(paper.index_axis(Axis(0), 0), &first) > 0.1);
    let off = tf2.index_axis(Axis(0), 0).iter().zip(&first).filter(|(a, b)| (*a - *b).abs() > 1e-3).count();
    assert!(off == 0, "{off} pixels"); // MinMax without the zeros moves it by less
    assert!(tf1.iter().all(|v| v.fract() == 0.0 && (0.0..=255.0).contains(v)));
    assert_eq!((tf1.index_axis(Axis(0), 0), released.dim()), (tf1.index_axis(Axis(0), 2), (1, 48, 48)));
    assert_eq!(of(Preprocessing::chan3(32)).dim(), (3, 32, 32));
}

#[test]
fn lists_from_files_are_checked() {
    for preset in [
        Preprocessing::paper(224),
        Preprocessing::mask_rcnn_tf2(256),
        Preprocessing::mask_rcnn_tf1(),
        Preprocessing::released_model(256),
        Preprocessing::chan3(224),
    ] {
        let text = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), preset);
    }
    let with = |step: &str| format!(r#"{{"max_blank_fraction":0.3,"blanks":"nan","steps":[{step}]}}"#);
    for (step, named) in [
        (r#"{"step":"equalize-adaptive","clip-limit":3,"bins":256}"#, "equalize-adaptive clip-limit"),
        (r#"{"step":"equalise"}"#, "equalise"),
        (r#"{"step":"resize","size":0,"upscale":true,"antialias":false,"interpolation":"bilinear"}"#, "resize size"),
        (r#"{"step":"resize","size":9,"upscale":true,"antialias":false,"interpolation":"nearest"}"#, "nearest"),
        (r#"{"step":"standardize","means":[0],"sigmas":[0]}"#, "standardize sigmas"),
        (r#"{"step":"sigma-clip","low":5,"up":30,"rounds":0}"#, "sigma-clip rounds"),
        (r#"{"step":"sigma-clip","low":5,"up":30,"rounds":5,"chanel":0}"#, "chanel"),
        (r#"{"step":"max-scale","maximum":{"of":"all","inside":2}}"#, "max-scale inside"),
        (r#"{"step":"augment"},{"step":"augment"}"#, "augment"),
        (r#"{"step":"median","side":100000}"#, "median side"),
    ] {
        let message = serde_json::from_str::<Preprocessing>(&with(step)).unwrap_err().to_string();
        assert!(message.contains(named), "{step}: {message}");
    }
}

/// Whatever the step and the image: a result or the right error, no panic.
#[test]
fn every_step_survives_bad_images() {
    let steps = [
        r#"{"step":"channels","count":4}"#,
        r#"{"step":"sigma-clip","low":5,"up":30,"rounds":5}"#,
        r#"{"step":"sigma-clip","low":0,"up":0,"rounds":5,"channel":7}"#,
        r#"{"step":"clip-shift","sigma":1}"#,
        r#"{"step":"subtract-background","sigma":3,"outside-box":1.0}"#,
        r#"{"step":"zscale","contrasts":[0.25],"zero-contrast":"as-one"}"#,
        r#"{"step":"min-max","zeros-count":true}"#,
        r#"{"step":"min-max-together"}"#,
        r#"{"step":"max-scale","maximum":{"of":"all","inside":0.0}}"#,
        r#"{"step":"resize","size":7,"upscale":true,"antialias":true,"interpolation":"cubic-spline"}"#,
        r#"{"step":"resize","size":7,"upscale":false,"antialias":true,"interpolation":"bicubic"}"#,
        r#"{"step":"log","normalise":true}"#,
        r#"{"step":"sigmoid","gain":10,"cutoff":0.5}"#,
        r#"{"step":"threshold","percentile":50}"#,
        r#"{"step":"equalize-histogram","bins":256}"#,
        r#"{"step":"equalize-adaptive","clip-limit":0.03,"bins":256}"#,
        r#"{"step":"equalize-adaptive","clip-limit":0.0,"bins":2,"kernel":[50,3]}"#,
        r#"{"step":"blank-border","fraction":0.0}"#,
        r#"{"step":"shrink-mask","side":5}"#,
        r#"{"step":"fill-blanks","with":"minimum"}"#,
        r#"{"step":"median","side":5}"#,
        r#"{"step":"channel-ratio","reference":0,"log":true,"drop-reference":false}"#,
        r#"{"step":"channel-ratio","reference":0,"log":true,"drop-reference":true}"#,
        r#"{"step":"negatives-to-zero"}"#,
        r#"{"step":"eight-bit"}"#,
    ];
    let removal = Transform::RemoveSources { settings: SourceRemoval::upstream(), seed: 1 };
    let steps: Vec<Transform> = steps.into_iter().map(step).chain([removal]).collect();
    for (rows, cols) in [(1, 1), (1, 9), (9, 1), (2, 3), (0, 5), (40, 23)] {
        for value in [f32::NAN, 0.0, 1.0, f32::MAX, f32::MIN, 1e-42] {
            for blanks in [BlankRule::Nan, BlankRule::ZeroIsBlank] {
                let flat = Array3::from_elem((1, rows, cols), value);
                let noisy =
                    Array3::from_shape_fn(
                        (1, rows, cols),
                        |(_, y, x)| if (y + x) % 3 == 0 { value } else { (x * y) as f32 },
                    );
                for transform in &steps {
                    let _ = transform.apply(flat.clone(), blanks);
                    let _ = transform.apply(noisy.clone(), blanks);
                    let list = Preprocessing { max_blank_fraction: 1.0, blanks, steps: vec![transform.clone()] };
                    if let Ok(channels) = list.cube(noisy.view()) {
                        assert!(channels.iter().all(|v| v.is_finite()), "{transform:?}");
                    }
                }
            }
        }
    }
}

/// A point source goes, a large one stays, and what is far from both keeps its bits.
#[test]
fn source_removal_takes_compact_sources_alone() {
    let frame = Array3::from_shape_fn((1, 120, 120), |(_, y, x)| {
        let i = (y * 120 + x) as u64;
        let noise: f64 = (0..12).map(|k| support::splitmix(12 * i + k)).sum::<f64>() - 6.0;
        let point = 60.0 * (-(((y as f64) - 30.0).powi(2) + ((x as f64) - 40.0).powi(2)) / 8.0).exp();
        let large = if y.abs_diff(80) < 20 && x.abs_diff(80) < 20 { 20.0 } else { 0.0 };
        (noise + point + large) as f32
    });
    let removal = SourceRemoval::upstream();
    let removed = removal.apply(frame.clone(), BlankRule::Nan, 7);
    assert!(removed[[0, 30, 40]].abs() < 3.0 && frame[[0, 30, 40]] > 50.0, "{}", removed[[0, 30, 40]]);
    assert!((61..100).all(|i| removed[[0, 80, i]] > 10.0));
    let changed = removed.indexed_iter().filter(|(at, v)| **v != frame[*at]);
    let far = changed.clone().filter(|((_, y, x), _)| y.abs_diff(30).pow(2) + x.abs_diff(40).pow(2) > 150).count();
    assert!(changed.count() > 100 && far < 400, "{far}"); // a few noise peaks of five pixels may go as well
    assert_eq!(removal.apply(frame.clone(), BlankRule::Nan, 7), removed);
    assert_ne!(removal.apply(frame, BlankRule::Nan, 8), removed);
}
