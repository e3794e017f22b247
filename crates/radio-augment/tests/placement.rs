//! Masks and boxes go where the image goes: the image of a mask, augmented, is the moved mask.

#![allow(clippy::unwrap_used)]

mod support;

use ndarray::{Array2, Array3, Axis};
use proptest::prelude::*;
use radio_augment::*;

/// An ellipse.
fn object(rows: usize, cols: usize, seed: u64) -> Array2<bool> {
    let draw = |k: u64| support::splitmix(17 * seed + k);
    let (cy, cx) = (draw(1) * rows as f64, draw(2) * cols as f64);
    let (a, b) = (2.0 + draw(3) * rows as f64 / 4.0, 2.0 + draw(4) * cols as f64 / 4.0);
    Array2::from_shape_fn((rows, cols), |(y, x)| ((y as f64 - cy) / a).powi(2) + ((x as f64 - cx) / b).powi(2) < 1.0)
}

fn as_image(mask: &Array2<bool>) -> Array3<f32> {
    mask.mapv(|marked| f32::from(u8::from(marked))).insert_axis(Axis(0))
}

fn exact() -> Augmenter {
    Augmenter {
        steps: vec![
            AugmentStep::FlipEither { horizontal: 0.4, vertical: 0.4 },
            AugmentStep::QuarterTurn { probability: 0.8 },
            AugmentStep::Translate { probability: 0.5, fraction: [-0.3, 0.3] },
            AugmentStep::FlipHorizontal { probability: 0.5 },
        ],
    }
}

fn geometry_alone(augmenter: Augmenter) -> Augmenter {
    let moves = |step: &AugmentStep| {
        !matches!(
            step,
            AugmentStep::Zscale { .. }
                | AugmentStep::ColorJitter { .. }
                | AugmentStep::Blur { .. }
                | AugmentStep::Threshold { .. }
        )
    };
    Augmenter { steps: augmenter.steps.into_iter().filter(moves).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    /// Flips, quarter turns and shifts: the moved mask is the image's, pixel for pixel, and its box is around it.
    #[test]
    fn exact_steps_move_masks_exactly(side in 8usize..40, seed in 0u64..1000) {
        let mask = object(side, side, seed);
        let mut placement = Placement::unmoved(0, 0);
        let rng = &mut view_rng(seed, 0, 0, 0);
        let view = exact().apply_placed(as_image(&mask), BlankRule::ZeroIsBlank, rng, &mut placement);
        let moved = placement.labels(mask.view());
        prop_assert_eq!(as_image(&moved), view);
        let masks = placement.masks([mask.view()]);
        match PixelBox::around(moved.view()) {
            Some(around) => prop_assert_eq!(masks.kept, vec![(0, (moved, around))]),
            None => prop_assert_eq!(masks.dropped, vec![0]),
        }
        // A box without a mask goes exactly where the mask's goes, as long as nothing was cut off.
        let Some(before) = PixelBox::around(mask.view()) else { return Ok(()) };
        let boxes = placement.boxes(&[before]);
        if let (Some((_, (moved, around))), Some((_, hull))) = (placement.masks([mask.view()]).kept.first(), boxes.kept.first()) {
            let whole = moved.iter().filter(|m| **m).count() == mask.iter().filter(|m| **m).count();
            prop_assert!(!whole || around == hull, "{:?} vs {:?}", around, hull);
        }
    }

    /// Every chain of the authors: where the view shows more than half of the object, the mask is set, except at its rim.
    #[test]
    fn masks_follow_every_chain(rows in 20usize..60, cols in 20usize..60, seed in 0u64..1000, which in 0usize..9) {
        let (name, augmenter) = Augmenter::presets()[which].clone();
        let mask = object(rows, cols, seed);
        let mut placement = Placement::unmoved(0, 0);
        let rng = &mut view_rng(seed, 0, 0, 0);
        let view = geometry_alone(augmenter).apply_placed(as_image(&mask), BlankRule::ZeroIsBlank, rng, &mut placement);
        let moved = placement.labels(mask.view());
        let wrong = |((_, y, x), v): ((usize, usize, usize), &f32)| {
            // Two resamplings of the image and one of the mask may differ by a pixel at the rim.
            let clear = |level: bool| (y.saturating_sub(2)..(y + 3).min(rows)).all(|y| (x.saturating_sub(2)..(x + 3).min(cols)).all(|x| (view[[0, y, x]] > 0.5) == level));
            clear(*v > 0.5) && moved[[y, x]] != (*v > 0.5)
        };
        let n = view.indexed_iter().filter(|at| wrong(*at)).count();
        prop_assert!(n == 0, "{}: {} pixels", name, n);
        // The box around the mask lies inside the hull of the old box.
        if let (Some((_, (_, around))), Some((_, hull))) = (
            placement.masks([mask.view()]).kept.first(),
            PixelBox::around(mask.view()).and_then(|before| placement.boxes(&[before]).kept.first().copied()),
        ) {
            let slack = 1.0;
            prop_assert!(around.top >= hull.top - slack && around.left >= hull.left - slack, "{:?} {:?}", around, hull);
            prop_assert!(around.bottom <= hull.bottom + slack && around.right <= hull.right + slack, "{:?} {:?}", around, hull);
        }
    }

    #[test]
    fn places_go_there_and_back(rows in 5usize..50, cols in 5usize..50, seed in 0u64..1000, which in 0usize..9) {
        let (_, augmenter) = Augmenter::presets()[which].clone();
        let mut placement = Placement::unmoved(0, 0);
        let rng = &mut view_rng(seed, 0, 0, 0);
        let frame = Array3::from_shape_fn((3, rows, cols), |(c, y, x)| (c + y * x) as f32);
        let _ = augmenter.apply_placed(frame, BlankRule::Nan, rng, &mut placement);
        for (row, col) in [(0.0, 0.0), (2.0, 3.5), (rows as f64 / 2.0, cols as f64 / 3.0)] {
            if let Some((y, x)) = placement.source(row, col) {
                let back = placement.target(y, x);
                prop_assert!((back.0 - row).abs() + (back.1 - col).abs() < 1e-9);
            }
        }
    }
}

/// The chain that tracks gives the view of the chain that does not.
#[test]
fn tracking_changes_no_bit() {
    let frame = Array3::from_shape_fn((3, 30, 30), |(c, y, x)| support::splitmix((c * 900 + y * 30 + x) as u64) as f32);
    let mut placement = Placement::unmoved(0, 0);
    for (name, augmenter) in Augmenter::presets() {
        for seed in 0..20 {
            let tracked =
                augmenter.apply_placed(frame.clone(), BlankRule::Nan, &mut view_rng(seed, 0, 0, 0), &mut placement);
            let plain = augmenter.apply(frame.clone(), &mut view_rng(seed, 0, 0, 0));
            assert_eq!(support::largest_difference(&tracked, &plain), 0.0, "{name}");
        }
    }
}

/// Upstream stretches the masks as well; here a chain of stretches leaves them as they are.
#[test]
fn stretches_do_not_touch_masks() {
    let stretches = Augmenter {
        steps: vec![
            AugmentStep::Zscale { probability: 1.0, contrast: [0.25, 0.5], per_channel: true },
            AugmentStep::Sigmoid { probability: 1.0, gain: [10.0, 30.0], cutoff: 0.5 },
            AugmentStep::ColorJitter {
                probability: 1.0,
                brightness: 0.8,
                contrast: 0.8,
                saturation: 0.8,
                hue: 0.2,
                strength: 0.5,
            },
            AugmentStep::Blur { probability: 1.0, sigma: [1.0, 3.0] },
            AugmentStep::Threshold { probability: 1.0, percentile: [40.0, 60.0] },
            AugmentStep::RemoveSources { probability: 1.0, max_pixels: [100.0, 500.0] },
        ],
    };
    let frame =
        Array3::from_shape_fn((3, 40, 40), |(c, y, x)| support::splitmix((c * 1600 + y * 40 + x) as u64) as f32);
    let mut placement = Placement::unmoved(0, 0);
    let view = stretches.apply_placed(frame.clone(), BlankRule::Nan, &mut view_rng(1, 0, 0, 0), &mut placement);
    assert!(support::largest_difference(&view, &frame) > 0.1);
    assert_eq!(placement, Placement::unmoved(40, 40));
    let labels = Array2::from_shape_fn((40, 40), |(y, x)| (y * 40 + x) as u32);
    assert_eq!(placement.labels(labels.view()), labels);
}

/// Moved out by one step, an object does not come back with the next; the others keep their numbers.
#[test]
fn objects_pushed_outside_are_dropped_by_index() {
    let mut placement = Placement::unmoved(10, 10);
    placement.push(PixelMap::translation(0, -4));
    placement.push(PixelMap::translation(0, 4));
    let mark = |y: usize, x: usize| {
        let mut mask = Array2::from_elem((10, 10), false);
        mask[[y, x]] = true;
        mask
    };
    let masks = [mark(3, 8), mark(3, 2), mark(9, 4)];
    let moved = placement.masks(masks.iter().map(|mask| mask.view()));
    assert_eq!(moved.dropped, [1]);
    assert_eq!(moved.kept.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(moved.kept[0].1, (mark(3, 8), PixelBox { top: 3.0, left: 8.0, bottom: 4.0, right: 9.0 }));
    let boxes = [
        PixelBox { top: 3.0, left: 2.0, bottom: 4.0, right: 6.0 },
        PixelBox { top: 1.0, left: 0.0, bottom: 2.0, right: 4.0 },
    ];
    let moved = placement.boxes(&boxes);
    assert_eq!(
        (moved.kept, moved.dropped),
        (vec![(0, PixelBox { top: 3.0, left: 4.0, bottom: 4.0, right: 6.0 })], vec![1])
    );
    // Labels of another size than the frame: what is not there is the background.
    assert_eq!(placement.labels(Array2::from_elem((2, 2), 7u8).view()).sum(), 0);
    assert_eq!(Placement::unmoved(0, 0).labels(Array2::from_elem((2, 2), 7u8).view()).len(), 0);
}

/// 3,000 draws; five standard deviations of a share are below 0.05.
#[test]
fn groups_take_as_many_as_they_say_and_in_any_order() {
    let mut rng = view_rng(3, 0, 0, 0);
    let n = 3000;
    let v1 = &Augmenter::mask_rcnn_v1().steps[0];
    let (mut sizes, mut first_rotates, mut rotates) = ([0usize; 3], 0, 0);
    for _ in 0..n {
        let draws = v1.draw(100, 100, &mut rng);
        sizes[draws.len()] += 1;
        rotates += draws.iter().filter(|draw| matches!(draw, StepDraw::Rotate(_))).count();
        first_rotates += usize::from(draws.len() == 2 && matches!(draws[0], StepDraw::Rotate(_)));
        for draw in draws {
            match draw {
                StepDraw::Rotate(degrees) => assert!((-90.0..90.0).contains(&degrees)),
                StepDraw::Translate { rows, cols } => assert!(rows.abs() <= 30 && cols.abs() <= 30),
                other => assert!(matches!(other, StepDraw::Flip(_))),
            }
        }
    }
    let share = |count: usize| count as f64 / n as f64;
    assert!(sizes.iter().all(|size| (share(*size) - 1.0 / 3.0).abs() < 0.05), "{sizes:?}");
    assert!((share(rotates) - 0.25).abs() < 0.05); // one of four in a third, two of four in a third
    assert!((share(first_rotates) - 1.0 / 12.0).abs() < 0.03, "{first_rotates}");

    let one = AugmentStep::OneOf {
        probability: 0.5,
        steps: vec![
            AugmentStep::FlipVertical { probability: 1.0 },
            AugmentStep::Blur { probability: 1.0, sigma: [1.0, 2.0] },
        ],
    };
    let drawn: Vec<Vec<StepDraw>> = (0..n).map(|_| one.draw(10, 10, &mut rng)).collect();
    let blurs = drawn.iter().flatten().filter(|draw| matches!(draw, StepDraw::Blur(_))).count();
    let none = drawn.iter().filter(|draws| draws.is_empty()).count();
    assert!((share(blurs) - 0.25).abs() < 0.05 && (share(none) - 0.5).abs() < 0.05);
}

/// zscale with one contrast per image, and with one per channel.
#[test]
fn random_zscale_is_zscale() {
    let frame = Array3::from_shape_fn((3, 30, 30), |(_, y, x)| support::splitmix((y * 30 + x) as u64).powi(8) as f32);
    let limits = |contrast: f64| zscale_limits(frame.as_slice().map(|all| &all[..900]).unwrap(), contrast).unwrap();
    let by = |limits: Limits| move |v: f32| ((f64::from(v) - limits.low) / limits.width()).clamp(0.0, 1.0) as f32;
    let got = StepDraw::Zscale(ContrastDraw::Shared(0.3)).apply(frame.clone(), BlankRule::Nan);
    assert!(support::largest_difference(&got, &frame.mapv(by(limits(0.3)))) < 1e-6);
    let got =
        StepDraw::Zscale(ContrastDraw::PerChannel { range: [0.1, 0.9], seed: 4 }).apply(frame.clone(), BlankRule::Nan);
    let [a, b] = [0, 1].map(|c| got.index_axis(Axis(0), c).to_owned());
    assert!(support::largest_difference(&a, &b) > 1e-3);
}
