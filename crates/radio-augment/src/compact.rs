//! The values of a plane that pass a test, side by side and in order.

use crate::scratch::Scratch;

/// The values for which `keep` holds, in order.
pub(crate) fn compact(values: &[f32], keep: impl Fn(f32) -> bool) -> Scratch {
    const CHUNK: usize = 64;
    let (mut found, mut n_found, mut kept) = (Scratch::new(values.len()), 0, [0.0f32; CHUNK]);
    for chunk in values.chunks(CHUNK) {
        let mut n = 0;
        for &v in chunk {
            // Written always, kept sometimes: no branch to mispredict. The place is below CHUNK, for it counts this chunk alone.
            kept[n % CHUNK] = v;
            n += usize::from(keep(v));
        }
        found[n_found..n_found + n].copy_from_slice(&kept[..n]);
        n_found += n;
    }
    found.shorten(n_found);
    found
}

/// The values within `[low, high]`, in order; NaN is in no interval.
pub(crate) fn compact_within(values: &[f32], low: f32, high: f32) -> Scratch {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature was found on this CPU in the line above.
        return unsafe { compact_within_avx512(values, low, high) };
    }
    compact(values, |v| (v >= low) & (v <= high))
}

/// Sixteen at a time: the processor moves those that pass to the front of a register.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn compact_within_avx512(values: &[f32], low: f32, high: f32) -> Scratch {
    use std::arch::x86_64::*;
    const LANES: usize = 16;

    let (groups, rest) = values.as_chunks::<LANES>();
    // A whole register is stored even if one value passed.
    let mut found = Scratch::new(values.len() + LANES);
    let mut n_found = 0;
    let (lowest, highest) = (_mm512_set1_ps(low), _mm512_set1_ps(high));
    for group in groups {
        // SAFETY: the reference is to 16 numbers, and the load needs no alignment.
        let group = unsafe { _mm512_loadu_ps(group.as_ptr()) };
        let above = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(group, lowest);
        let within = _mm512_mask_cmp_ps_mask::<_CMP_LE_OQ>(above, group, highest);
        let target: &mut [f32] = &mut found[n_found..n_found + LANES];
        // SAFETY: the slice holds 16 numbers, and the store needs no alignment.
        unsafe { _mm512_storeu_ps(target.as_mut_ptr(), _mm512_maskz_compress_ps(within, group)) };
        n_found += within.count_ones() as usize;
    }
    for &v in rest.iter().filter(|v| (**v >= low) & (**v <= high)) {
        found[n_found] = v;
        n_found += 1;
    }
    found.shorten(n_found);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Both ways are the plain filter, for any length, with NaN, infinities and signed zeros among the values.
        #[test]
        fn what_passes_is_what_a_filter_keeps(
            values in prop::collection::vec(prop_oneof![6 => -2.0f32..2.0, 1 => prop::num::f32::ANY], 0..200),
            low in -2.0f32..1.0,
            width in 0.0f32..2.0,
        ) {
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            for (low, high) in [(low, low + width), (f32::MIN, f32::MAX), (0.0, 0.0)] {
                let plain: Vec<f32> = values.iter().copied().filter(|v| *v >= low && *v <= high).collect();
                prop_assert_eq!(bits(&compact_within(&values, low, high)), bits(&plain));
                prop_assert_eq!(bits(&compact(&values, |v| (v >= low) & (v <= high))), bits(&plain));
            }
        }
    }
}
