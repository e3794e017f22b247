//! The experiment `scaling`: more images, more epochs, finer pixels, other pools, by linear probe on MiraBest.
use anyhow::Result;

use super::ablation::{probe_variants, short};
use super::encoders::EncoderRecipe;
use super::pools::Pool;
use super::result::ExperimentResult;
use super::workshop::ExperimentOptions;

const SHARES: [f64; 3] = [0.1, 0.3, 1.0];
/// Factors on the base's epochs.
const EPOCHS: [f64; 3] = [0.25, 1.0, 4.0];
/// Middle square and side of the input, pixels; equal at native resolution.
const INPUTS: [(usize, usize); 4] = [(64, 48), (64, 64), (96, 96), (96, 64)];

/// Images by epochs, then resolution, then pool.
fn variants(base: &EncoderRecipe, simulated: bool) -> Vec<EncoderRecipe> {
    let mut variants = Vec::new();
    for share in SHARES {
        for factor in EPOCHS {
            let epochs = ((base.epochs as f64 * factor).round() as u64).max(1);
            let name = format!("{} % of images, {epochs} epochs", 100.0 * share);
            variants.push(EncoderRecipe { name, share, epochs, ..base.clone() });
        }
    }
    let inputs = INPUTS.into_iter().filter(|input| *input != (base.crop_px, base.side));
    variants.extend(inputs.map(|(crop_px, side)| EncoderRecipe {
        name: if crop_px == side { format!("{side} px, native") } else { format!("{crop_px} px as {side}") },
        crop_px,
        side,
        ..base.clone()
    }));
    let mut pools = vec![Pool::Mirabest, Pool::FirstFrg, Pool::Union, Pool::All];
    if simulated {
        pools.push(Pool::Simulated);
    }
    let pools = pools.into_iter().filter(|pool| *pool != base.pool);
    variants.extend(pools.map(|pool| EncoderRecipe { name: format!("pool {}", pool.name()), pool, ..base.clone() }));
    variants
}

/// Runs it.
///
/// # Errors
/// If data cannot be used, a training fails, the user interrupts, or a unit cannot be written.
pub fn scaling(options: &ExperimentOptions) -> Result<ExperimentResult> {
    let base = short(options.base()?);
    let own = format!("100 % of images, {} epochs", base.epochs);
    let wanted: Vec<EncoderRecipe> = variants(&EncoderRecipe { share: 1.0, ..base }, options.simulated.is_some())
        .into_iter()
        .filter(|variant| variant.name == own || options.wants(&variant.name))
        .collect();
    probe_variants("scaling", options, &wanted, &own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_holds_the_base_once_and_no_name_twice() {
        let base = super::super::encoders::table().remove(0);
        let variants = variants(&base, true);
        assert_eq!(variants.len(), 9 + 3 + 4);
        let named = |variant: &&EncoderRecipe| EncoderRecipe { name: base.name.clone(), ..(*variant).clone() } == base;
        assert_eq!(variants.iter().filter(named).count(), 1);
        let names: std::collections::BTreeSet<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        assert_eq!(names.len(), variants.len());
    }
}
