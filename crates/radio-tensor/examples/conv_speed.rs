//! GFLOP/s of every convolution of a ResNet-18 at 224 pixels, each pass, per second of processor time and of wall time.
//!
//! `cargo run -p radio-tensor --example conv_speed -- 32 bf16` (batch, precision)
use std::time::Instant;

use radio_tensor::conv2d::Conv2d;
use radio_tensor::element::{Bf16, Element};
use radio_tensor::kernel::kernel_in_use;
use radio_tensor::nhwc::Map;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod processor_time;
use processor_time::processor_seconds;

fn time(flop: f64, mut work: impl FnMut()) -> String {
    work();
    let (mut best_wall, mut best_processor) = (f64::MAX, f64::MAX);
    for _ in 0..4 {
        let (start, before) = (Instant::now(), processor_seconds());
        work();
        best_wall = best_wall.min(start.elapsed().as_secs_f64());
        best_processor = best_processor.min(processor_seconds() - before);
    }
    format!("{:5.0} {:5.0}", flop / best_processor * 1e-9, flop / best_wall * 1e-9)
}

fn layers<E: Element>(batch: usize) {
    let kernel = kernel_in_use();
    println!(
        "layer                    forward     backward-data  backward-weight   GFLOP/s per processor second, per wall second"
    );
    let conv =
        |in_channels, out_channels, kernel, stride, pad| Conv2d { in_channels, out_channels, kernel, stride, pad };
    for (side, conv) in [
        (230, conv(3, 64, 7, 2, 0)),
        (56, conv(64, 64, 3, 1, 1)),
        (56, conv(64, 128, 3, 2, 1)),
        (56, conv(64, 128, 1, 2, 0)),
        (28, conv(128, 128, 3, 1, 1)),
        (28, conv(128, 256, 3, 2, 1)),
        (14, conv(256, 256, 3, 1, 1)),
        (14, conv(256, 512, 3, 2, 1)),
        (7, conv(512, 512, 3, 1, 1)),
    ] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (h, w) = conv.output_size(side, side);
        let mut x: Map<E> = Map::zeros(batch, side, side, conv.in_channels);
        let mut y: Map<E> = Map::zeros(batch, h, w, conv.out_channels);
        x.values_mut().fill_with(|| E::narrow(rng.random_range(-1.0..1.0)));
        let weight: Vec<f32> = (0..conv.weights()).map(|_| rng.random_range(-0.1..0.1)).collect();
        let mut dw = vec![0.0; conv.weights()];
        let flop = 2.0 * (batch * h * w * conv.weights()) as f64;
        let weights = conv.prepare::<E>(kernel, &weight);
        let forward = time(flop, || {
            conv.forward_with_moments_on(&x, &weights, &mut y);
        });
        let backward_weight = time(flop, || conv.backward_weight_on(kernel, &x, &y, &mut dw));
        let backward_data = if conv.in_channels == 3 {
            String::new()
        } else {
            time(flop, || conv.backward_data_on(kernel, &y, &weight, &mut x, false))
        };
        let name =
            format!("{0}x{0}/{1} {2}->{3} @{side}", conv.kernel, conv.stride, conv.in_channels, conv.out_channels);
        println!("{name:22} {forward:>13} {backward_data:>15} {backward_weight:>15}");
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let batch = std::env::args().nth(1).map_or(Ok(32), |a| a.parse())?;
    println!("batch {batch}, {:?}, {} threads", kernel_in_use(), std::thread::available_parallelism()?);
    if std::env::args().nth(2).as_deref() == Some("f32") {
        layers::<f32>(batch)
    } else {
        layers::<Bf16>(batch)
    }
    Ok(())
}
