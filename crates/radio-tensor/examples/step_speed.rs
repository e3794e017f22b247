//! Images per second of a whole training step of the trunk: forward, backward, Adam.
//!
//! `cargo run -p radio-tensor --example step_speed -- 32 224 bf16`; with `vit` behind it ViT-S/16 in the place of ResNet-18.
use std::time::Instant;

use candle_core::{Device, Tensor};
use radio_tensor::adam::{Adam, AdamConfig};
use radio_tensor::kernel::kernel_in_use;
use radio_tensor::resnet::{Depth, Precision, ResNetConfig};
use radio_tensor::trunk::{Backbone, Trunk};
use radio_tensor::vit::ViTConfig;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

mod processor_time;
use processor_time::processor_seconds;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = |place: usize, default: usize| std::env::args().nth(place).map_or(Ok(default), |a| a.parse());
    let (batch, side) = (number(1, 32)?, number(2, 224)?);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let backbone: Backbone = match std::env::args().nth(4).as_deref() {
        Some("vit") => ViTConfig::small(side, 16).into(),
        _ => ResNetConfig { depth: Depth::ResNet18, width: 64 }.into(),
    };
    let mut trunk = Trunk::new(backbone, &mut rng)?;
    if std::env::args().nth(3).as_deref() == Some("bf16") {
        trunk.set_precision(Precision::Bf16);
    }
    println!("{backbone}, {:?} with {:?}", trunk.precision(), kernel_in_use());
    let config = AdamConfig { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 };
    let mut adam = Adam::new(config, trunk.parameters());
    let pixels: Vec<f32> = (0..batch * 3 * side * side).map(|_| rng.random()).collect();
    let images = Tensor::from_vec(pixels, (batch, 3, side, side), &Device::Cpu)?;
    for step in 0..5 {
        let (start, before) = (Instant::now(), processor_seconds());
        let features = trunk.forward(&images)?;
        let forward = start.elapsed().as_secs_f64();
        let gradients = trunk.backward(&(features * 1e-3)?)?;
        let backward = start.elapsed().as_secs_f64() - forward;
        adam.step(1e-3, trunk.parameters_mut(), &gradients)?;
        let whole = start.elapsed().as_secs_f64();
        let (rate, processor) = (batch as f64 / whole, processor_seconds() - before);
        println!(
            "step {step}: forward {forward:.3} s, backward {backward:.3} s, whole {whole:.3} s, {rate:.1} images/s, processor {processor:.3} s"
        );
    }
    for batch in [1, batch] {
        let images = images.narrow(0, 0, batch)?.contiguous()?;
        let (mut wall, mut processor) = (f64::MAX, f64::MAX);
        for _ in 0..if batch == 1 { 30 } else { 6 } {
            let (start, before) = (Instant::now(), processor_seconds());
            trunk.embed(&images)?;
            wall = wall.min(start.elapsed().as_secs_f64());
            processor = processor.min(processor_seconds() - before);
        }
        let rate = batch as f64 / wall;
        println!("embed {batch}: {wall:.4} s, {rate:.1} images/s, processor {processor:.4} s (best)");
    }
    Ok(())
}
