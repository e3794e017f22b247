//! From big-endian bytes to `f32` pixels, for each way FITS stores them.
//!
//! A row is converted by one simple loop over fixed-size chunks, which the compiler turns into byte shuffles; a second copy
//! compiled for AVX2 is taken where the processor has it.

use crate::hdu::Storage;

/// How stored numbers become physical ones: `zero + scale · stored`, and which stored number means blank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scaling {
    pub scale: f64,
    pub zero: f64,
    /// For whole numbers only: the standard knows no BLANK for floats, where NaN does that.
    pub blank: Option<i64>,
}

impl Scaling {
    pub fn is_identity(&self) -> bool {
        self.scale == 1.0 && self.zero == 0.0
    }

    /// The pixel that a stored whole number stands for.
    #[inline(always)]
    pub fn physical(&self, stored: i64) -> f32 {
        match self.blank {
            Some(blank) if blank == stored => f32::NAN,
            _ => (self.zero + self.scale * stored as f64) as f32,
        }
    }
}

/// Converts the pixels stored in `bytes` into `pixels`, as many as both hold. Blank pixels become NaN; scaling is done in `f64`.
#[inline]
pub(crate) fn read_pixels(bytes: &[u8], storage: Storage, scaling: Scaling, pixels: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked whether it has AVX2.
        return unsafe { read_avx2(bytes, storage, scaling, pixels) };
    }
    read_any(bytes, storage, scaling, pixels);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn read_avx2(bytes: &[u8], storage: Storage, scaling: Scaling, pixels: &mut [f32]) {
    read_any(bytes, storage, scaling, pixels);
}

#[inline(always)]
fn read_any(bytes: &[u8], storage: Storage, scaling: Scaling, pixels: &mut [f32]) {
    let Scaling { scale, zero, .. } = scaling;
    match (storage, scaling.is_identity()) {
        (Storage::F32, true) => read(bytes, f32::from_be_bytes, pixels),
        (Storage::F32, false) => read(bytes, |raw| (zero + scale * f64::from(f32::from_be_bytes(raw))) as f32, pixels),
        (Storage::F64, true) => read(bytes, |raw| f64::from_be_bytes(raw) as f32, pixels),
        (Storage::F64, false) => read(bytes, |raw| (zero + scale * f64::from_be_bytes(raw)) as f32, pixels),
        (Storage::U8, _) => read_whole(bytes, |raw: [u8; 1]| i64::from(raw[0]), scaling, pixels),
        (Storage::I16, _) => read_whole(bytes, |raw| i64::from(i16::from_be_bytes(raw)), scaling, pixels),
        (Storage::I32, _) => read_whole(bytes, |raw| i64::from(i32::from_be_bytes(raw)), scaling, pixels),
        (Storage::I64, _) => read_whole(bytes, i64::from_be_bytes, scaling, pixels),
    }
}

#[inline(always)]
fn read<const N: usize>(bytes: &[u8], pixel: impl Fn([u8; N]) -> f32, pixels: &mut [f32]) {
    for (to, raw) in pixels.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *to = pixel(*raw);
    }
}

#[inline(always)]
fn read_whole<const N: usize>(bytes: &[u8], stored: impl Fn([u8; N]) -> i64, scaling: Scaling, pixels: &mut [f32]) {
    match scaling.blank {
        Some(_) => read(bytes, |raw| scaling.physical(stored(raw)), pixels),
        None => read(bytes, |raw| (scaling.zero + scaling.scale * stored(raw) as f64) as f32, pixels),
    }
}

/// Appends whole numbers as stored, without scaling; nothing for real ones.
pub(crate) fn append_whole_numbers(bytes: &[u8], storage: Storage, out: &mut Vec<i64>) {
    match storage {
        Storage::U8 => out.extend(bytes.iter().map(|&raw| i64::from(raw))),
        Storage::I16 => out.extend(bytes.as_chunks().0.iter().map(|&raw| i64::from(i16::from_be_bytes(raw)))),
        Storage::I32 => out.extend(bytes.as_chunks().0.iter().map(|&raw| i64::from(i32::from_be_bytes(raw)))),
        Storage::I64 => out.extend(bytes.as_chunks().0.iter().map(|&raw| i64::from_be_bytes(raw))),
        Storage::F32 | Storage::F64 => {}
    }
}

/// Like [`read_pixels`], and writes which pixels are not finite; returns how many those are.
#[inline]
pub(crate) fn read_with_blanks(
    bytes: &[u8],
    storage: Storage,
    scaling: Scaling,
    pixels: &mut [f32],
    blanks: &mut [bool],
) -> usize {
    if storage != Storage::F32 || !scaling.is_identity() {
        read_pixels(bytes, storage, scaling, pixels);
        return mark_blanks(pixels, blanks);
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked whether it has AVX2.
        return unsafe { read_with_blanks_avx2(bytes, pixels, blanks) };
    }
    read_with_blanks_any(bytes, pixels, blanks)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn read_with_blanks_avx2(bytes: &[u8], pixels: &mut [f32], blanks: &mut [bool]) -> usize {
    read_with_blanks_any(bytes, pixels, blanks)
}

#[inline(always)]
fn read_with_blanks_any(bytes: &[u8], pixels: &mut [f32], blanks: &mut [bool]) -> usize {
    let mut count = 0_u32;
    for ((pixel, raw), blank) in pixels.iter_mut().zip(bytes.as_chunks().0).zip(blanks) {
        *pixel = f32::from_be_bytes(*raw);
        *blank = is_blank(*pixel);
        count += u32::from(*blank);
    }
    count as usize
}

/// Infinite or NaN: all bits of the exponent are set. One integer comparison, which vectorises better than `is_finite`.
#[inline(always)]
fn is_blank(pixel: f32) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    pixel.to_bits() & EXPONENT == EXPONENT
}

/// Writes which pixels are not finite, and returns how many.
pub(crate) fn mark_blanks(pixels: &[f32], blanks: &mut [bool]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked whether it has AVX2.
        return unsafe { mark_blanks_avx2(pixels, blanks) };
    }
    mark_blanks_any(pixels, blanks)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn mark_blanks_avx2(pixels: &[f32], blanks: &mut [bool]) -> usize {
    mark_blanks_any(pixels, blanks)
}

#[inline(always)]
fn mark_blanks_any(pixels: &[f32], blanks: &mut [bool]) -> usize {
    let mut count = 0;
    // 32-bit counts vectorise; parts keep them from overflowing.
    for (pixels, blanks) in pixels.chunks(1 << 20).zip(blanks.chunks_mut(1 << 20)) {
        let mut here = 0_u32;
        for (pixel, blank) in pixels.iter().zip(blanks) {
            *blank = is_blank(*pixel);
            here += u32::from(*blank);
        }
        count += here as usize;
    }
    count
}

/// Asks the processor to fetch bytes that will be read soon. Rows of a window lie a whole row of the mosaic apart, which the
/// processor's own foresight does not follow.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        // SAFETY: a hint without effect on the program; the address is that of bytes we may read. SSE is part of x86-64.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(bytes: &[u8], storage: Storage, scale: f64, zero: f64, blank: Option<i64>) -> Vec<f32> {
        let mut out = vec![0.0; bytes.len() / storage.bytes()];
        read_pixels(bytes, storage, Scaling { scale, zero, blank }, &mut out);
        out
    }

    #[test]
    fn every_storage_reads_its_own_bytes() {
        assert_eq!(pixels(&[0, 255], Storage::U8, 1.0, 0.0, None), [0.0, 255.0]);
        assert_eq!(pixels(&[0xff, 0xfe, 1, 0], Storage::I16, 1.0, 0.0, None), [-2.0, 256.0]);
        assert_eq!(pixels(&[0, 1, 0, 0], Storage::I32, 1.0, 0.0, None), [65536.0]);
        assert_eq!(pixels(&(-3_i64).to_be_bytes(), Storage::I64, 1.0, 0.0, None), [-3.0]);
        assert_eq!(pixels(&1.5_f32.to_be_bytes(), Storage::F32, 1.0, 0.0, None), [1.5]);
        assert_eq!(pixels(&(-0.25_f64).to_be_bytes(), Storage::F64, 1.0, 0.0, None), [-0.25]);
    }

    #[test]
    fn scaling_comes_after_the_blank_test() {
        // Unsigned 16-bit numbers are stored as signed ones less 32768; the stored -32768 is the blank, not the 0 it means.
        let stored = [0x80, 0x00, 0x00, 0x00, 0x7f, 0xff];
        let read = pixels(&stored, Storage::I16, 1.0, 32768.0, Some(-32768));
        assert!(read[0].is_nan());
        assert_eq!(read[1..], [32768.0, 65535.0]);
        assert_eq!(pixels(&2.0_f32.to_be_bytes(), Storage::F32, 10.0, -5.0, Some(2)), [15.0], "floats know no BLANK");
        assert_eq!(pixels(&2.0_f64.to_be_bytes(), Storage::F64, 10.0, -5.0, None), [15.0]);
    }

    #[test]
    fn blanks_are_marked_and_counted() {
        let mut pixels = vec![1.0; 1000];
        for at in [0, 127, 128, 999] {
            pixels[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][at % 3];
        }
        let mut blanks = vec![true; 1000];
        assert_eq!(mark_blanks(&pixels, &mut blanks), 4);
        assert!(blanks.iter().zip(&pixels).all(|(blank, pixel)| *blank != pixel.is_finite()));
        let bytes: Vec<u8> = pixels.iter().flat_map(|pixel: &f32| pixel.to_be_bytes()).collect();
        for scale in [1.0, 2.0] {
            let scaling = Scaling { scale, zero: 0.0, blank: None };
            let (mut read, mut marked) = (vec![0.0; 1000], vec![true; 1000]);
            assert_eq!(read_with_blanks(&bytes, Storage::F32, scaling, &mut read, &mut marked), 4);
            assert_eq!((marked, read[500]), (blanks.clone(), scale as f32));
        }
    }
}
