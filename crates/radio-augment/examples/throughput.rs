//! Images per second on one thread: the recipe from 256 to 224 pixels, and the chain of Table 2 at 3 x 224 x 224.

use std::{hint::black_box, time::Instant};

use ndarray::Array2;
use radio_augment::{Augmenter, BlankRule, Preprocessing, Recipe, copy_of_channels, recycle, view_rng};
use rand::Rng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = view_rng(1, 0, 0, 0);
    let mut cutout = |blank: bool| {
        Array2::from_shape_fn((256, 256), |(y, x)| {
            let (dy, dx) = (y as f32 - 90.0, x as f32 - 140.0);
            let noise: f32 = (0..4).map(|_| rng.random::<f32>() - 0.5).sum();
            if blank && x < 40 { f32::NAN } else { 3e-5 * noise + 2e-3 * (-(dx * dx + dy * dy) / 32.0).exp() }
        })
    };
    let recipe = Recipe::paper(224);
    let (full, part) = (cutout(false), cutout(true));
    for (name, cutout) in [("no blank pixel", &full), ("16 % blank", &part)] {
        let limits = recipe.limits(cutout.view())?;
        println!("{name}");
        report("  recipe, whole", || recipe.channels(cutout.view()).map(recycle));
        report("  its statistics alone", || recipe.limits(cutout.view()));
        report("  with statistics known", || recipe.finish(recipe.stretch(cutout.view(), &limits)).map(recycle));
    }
    let channels = recipe.channels(full.view())?;
    let mut rng = view_rng(2, 0, 0, 0);
    report("chain of Table 2", || recycle(Augmenter::hulk().apply(copy_of_channels(&channels), &mut rng)));
    for step in Augmenter::hulk().steps {
        let name = format!("  {step:?}").chars().take_while(|c| *c != '{').collect::<String>();
        report(&name, || {
            step.draw(224, 224, &mut rng)
                .iter()
                .for_each(|draw| recycle(draw.apply(copy_of_channels(&channels), BlankRule::Nan)))
        });
    }
    for (name, augmenter) in Augmenter::presets() {
        report(name, || recycle(augmenter.apply(copy_of_channels(&channels), &mut rng)));
    }
    for (name, list) in [
        ("list of the paper", Preprocessing::paper(224)),
        ("list of Mask R-CNN (TF2)", Preprocessing::mask_rcnn_tf2(256)),
        ("list of the released models", Preprocessing::released_model(224)),
    ] {
        report(name, || list.channels(full.view()).map(recycle));
    }
    let mut blanked = channels.clone();
    blanked.slice_mut(ndarray::s![.., .., ..40]).fill(f32::NAN);
    report("chain of Table 2, 18 % blank", || recycle(Augmenter::hulk().apply(copy_of_channels(&blanked), &mut rng)));
    Ok(())
}

fn report<T>(name: &str, mut work: impl FnMut() -> T) {
    let n = 600;
    (0..50).for_each(|_| drop(black_box(work())));
    let start = Instant::now();
    (0..n).for_each(|_| drop(black_box(work())));
    let seconds = start.elapsed().as_secs_f64();
    println!("{name:<32} {:>8.0} images/s  {:>6.0} us each", n as f64 / seconds, 1e6 * seconds / n as f64);
}
