//! Which instructions the kernels use: chosen once per process, forced by an environment variable.
//!
//! `RADIO_SSL_KERNEL=portable|avx512|avx512bf16|amx` forces a choice (for tests and comparisons). What the
//! machine cannot do falls back to the best it can; [`kernel_in_use`] says what came of it, [`kernel_request`] what was
//! asked. Wherever this project promises equal bits (any number of threads, a run resumed from its checkpoint) it
//! means runs with the same kernel and precision; different kernels agree to rounding, not to the bit. Neither is part of
//! a checkpoint's weights: a run to be continued to the bit on another machine has its kernel forced there.
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::amx::{is_executable as executes_amx, is_native as has_amx};

/// Name of the environment variable that forces a kernel, read once.
pub const KERNEL_VARIABLE: &str = "RADIO_SSL_KERNEL";

/// A set of instructions for the convolutions and the passes over maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kernel {
    /// Gathered patches and the `gemm` crate (which makes its own choice of instructions); convolutions widen bf16 maps to
    /// f32 and round the result.
    Portable,
    /// AVX-512 f32 tiles; convolutions widen bf16 maps to f32 and round the result.
    Avx512,
    /// As `Avx512`, and bf16 dot products (`vdpbf16ps`) for bf16 maps with an even number of channels, and for the stem.
    Avx512Bf16,
    /// As `Avx512Bf16`, with the matrix tiles of Intel's server processors (`tdpbf16ps`) for the same bf16 maps.
    ///
    /// It has been run instruction by instruction in emulation, never timed on hardware. A processor that has it is believed
    /// after a self-test, and the choice rests on what is known of these processors, not on a measurement of ours.
    Amx,
}

impl Kernel {
    /// All kernels, slowest first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx512, Self::Avx512Bf16, Self::Amx];

    /// The name used in the environment variable.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Amx => "amx",
        }
    }

    /// Whether this processor has the instructions (or executes them by emulation, in tests).
    pub fn is_available(self) -> bool {
        self.is_native() || self == Self::Amx && executes_amx()
    }

    /// Whether this processor has the instructions itself.
    fn is_native(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx512 => has_avx512(),
            Self::Avx512Bf16 => has_avx512() && has_bf16(),
            Self::Amx => has_avx512() && has_bf16() && has_amx(),
        }
    }

    /// The best kernel of this processor that is no better than `limit`.
    fn best_up_to(limit: Self) -> Self {
        Self::ALL.into_iter().rev().find(|k| *k <= limit && k.is_native()).unwrap_or(Self::Portable)
    }
}

/// The kernel of this process: the best of the processor, or what [`KERNEL_VARIABLE`] forces.
///
/// A forced kernel that the processor lacks gives the best one below it, an unknown name the best of all: compare with
/// [`kernel_request`].
pub fn kernel_in_use() -> Kernel {
    static CHOSEN: OnceLock<Kernel> = OnceLock::new();
    *CHOSEN.get_or_init(|| chosen(kernel_request().as_deref()))
}

/// What [`KERNEL_VARIABLE`] held when it was first read, whether or not it names a kernel ([`Kernel::name`]).
pub fn kernel_request() -> Option<String> {
    static REQUEST: OnceLock<Option<String>> = OnceLock::new();
    REQUEST.get_or_init(|| Some(std::env::var_os(KERNEL_VARIABLE)?.to_string_lossy().into_owned())).clone()
}

fn chosen(name: Option<&str>) -> Kernel {
    let limit = Kernel::ALL.into_iter().find(|k| Some(k.name()) == name).unwrap_or(Kernel::Amx);
    Kernel::best_up_to(limit)
}

/// Whether bf16 products outrun f32 ones here: `vdpbf16ps` has twice the rate on AMD's Zen 5, by
/// `examples/conv_speed`; on Intel server cores it is reported slower than f32, but their AMX tiles many times faster.
pub fn bf16_is_faster() -> bool {
    match kernel_in_use() {
        Kernel::Amx => true,
        Kernel::Avx512Bf16 => is_amd(),
        Kernel::Avx512 | Kernel::Portable => false,
    }
}

/// For tests: from now on [`Kernel::Amx`] counts as available, though no kernel is chosen by it ([`kernel_in_use`]).
///
/// # Safety
/// Every thread can execute AMX tile instructions from now on: they are emulated.
#[doc(hidden)]
#[cfg(target_arch = "x86_64")]
pub unsafe fn trust_amx() {
    // SAFETY: the caller's promise.
    unsafe { crate::amx::trust() }
}

/// The vendor that the processor names itself.
#[cfg(target_arch = "x86_64")]
fn is_amd() -> bool {
    let leaf = std::arch::x86_64::__cpuid(0);
    [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).concat() == b"AuthenticAMD"
}

#[cfg(not(target_arch = "x86_64"))]
fn is_amd() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
}

#[cfg(target_arch = "x86_64")]
fn has_bf16() -> bool {
    is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn executes_amx() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_amx() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_bf16() -> bool {
    false
}

/// Whether passes over maps may use 512-bit vectors in this process (same bits either way).
#[cfg(target_arch = "x86_64")]
pub(crate) fn wide_vectors() -> bool {
    kernel_in_use() != Kernel::Portable
}

/// Compiles a function twice, once with AVX-512 for the compiler's own vectorisation, and picks at run time.
///
/// No multiply and add is fused, so both give the same bits.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$e:ident>($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name<$e: $crate::element::Element>($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn body<$e: $crate::element::Element>($($arg: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
                fn wide<$e: $crate::element::Element>($($arg: $type),*) $(-> $out)? {
                    body::<$e>($($arg),*)
                }
                if $crate::kernel::wide_vectors() {
                    // SAFETY: a kernel other than the portable one is in use only where these features were detected.
                    return unsafe { wide::<$e>($($arg),*) };
                }
            }
            body::<$e>($($arg),*)
        }
    };
}
pub(crate) use vectorised;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_kernel_is_never_exceeded_and_always_runs() {
        for kernel in Kernel::ALL {
            let got = chosen(Some(kernel.name()));
            assert!(got <= kernel && got.is_native());
            assert!(got == kernel || !kernel.is_native());
        }
        assert_eq!(chosen(Some("portable")), Kernel::Portable);
        assert_eq!(chosen(None), chosen(Some("no such kernel")));
        // Forced for the whole test run, the request is seen as it was made.
        let known = kernel_request().and_then(|name| Kernel::ALL.into_iter().find(|k| k.name() == name));
        assert!(known.is_none_or(|known| kernel_in_use() <= known));
    }
}
