//! RICE_1: differences of neighbouring pixels, in blocks, each block with its own number of low bits.
//!
//! FITS standard 4.0, section 10.4.1; Rice, Yeh & Miller 1993. The first pixel stands as it is. Each block begins with a code:
//! 0 says that all differences are 0, the largest that they stand uncoded, another one (less 1) how many low bits follow the
//! unary high part of each difference. Even codes are differences of 0, 1, 2, …, odd ones of -1, -2, ….

/// Why a stream is no RICE stream.
const CUT: &str = "the stream ends before the last pixel";

/// Width of the coded numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// BYTEPIX = 1.
    One,
    /// BYTEPIX = 2.
    Two,
    /// BYTEPIX = 4.
    Four,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Bits of a block's code, and the code (less 1) of uncoded differences.
    fn code(self) -> (u32, u32) {
        match self {
            Self::One => (3, 6),
            Self::Two => (4, 14),
            Self::Four => (5, 25),
        }
    }

    fn wrap(self, value: u32) -> i32 {
        match self {
            Self::One => i32::from(value as u8),
            Self::Two => i32::from(value as i16),
            Self::Four => value as i32,
        }
    }
}

/// Decodes `pixels.len()` numbers; bytes are unsigned, wider ones signed.
///
/// # Errors
/// If the stream is too short or has an impossible code.
pub(crate) fn decode(bytes: &[u8], width: Width, block: usize, pixels: &mut [i32]) -> Result<(), &'static str> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("bmi2") && std::arch::is_x86_feature_detected!("lzcnt") {
        // SAFETY: the processor was just asked whether it has both.
        return unsafe { decode_bmi(bytes, width, block, pixels) };
    }
    decode_any(bytes, width, block, pixels)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi2,lzcnt")]
fn decode_bmi(bytes: &[u8], width: Width, block: usize, pixels: &mut [i32]) -> Result<(), &'static str> {
    decode_any(bytes, width, block, pixels)
}

/// Fewest bytes that can hold `n_pixels`: each block has at least its code.
pub(crate) fn fewest_bytes(n_pixels: usize, width: Width, block: usize) -> usize {
    width.bytes() + n_pixels.div_ceil(block).saturating_mul(width.code().0 as usize).div_ceil(8)
}

#[inline(always)]
fn decode_any(bytes: &[u8], width: Width, block: usize, pixels: &mut [i32]) -> Result<(), &'static str> {
    let (code_bits, uncoded) = width.code();
    let first = bytes.get(..width.bytes()).ok_or(CUT)?;
    let mut last = first.iter().fold(0_u32, |value, &byte| value << 8 | u32::from(byte));
    let mut bits = Bits::new(&bytes[width.bytes()..]);
    for block in pixels.chunks_mut(block) {
        bits.refill();
        let code = bits.take(code_bits);
        match code.checked_sub(1) {
            None => block.fill(width.wrap(last)),
            Some(code) if code < uncoded => {
                for pixel in block {
                    bits.refill();
                    let zeros = bits.buffer.leading_zeros();
                    // 56 bits are there at least; only a difference far out of its block needs more.
                    let difference = if zeros + 1 + code <= 56 {
                        let rest = bits.buffer << zeros << 1;
                        let low = (rest >> 1 >> (63 - code)) as u32;
                        bits.buffer = rest << code;
                        bits.held = bits.held.wrapping_sub(zeros + 1 + code);
                        (zeros << code) | low
                    } else {
                        let zeros = bits.count_zeros()?;
                        bits.refill();
                        zeros.wrapping_shl(code) | bits.take(code)
                    };
                    last = last.wrapping_add(unfold(difference));
                    *pixel = width.wrap(last);
                }
            }
            Some(code) if code == uncoded => {
                for pixel in block {
                    bits.refill();
                    last = last.wrapping_add(unfold(bits.take(8 * width.bytes() as u32)));
                    *pixel = width.wrap(last);
                }
            }
            Some(_) => return Err("a block begins with an impossible code"),
        }
        if bits.overrun() {
            return Err(CUT);
        }
    }
    Ok(())
}

/// 0, 1, 2, 3, 4, … to 0, -1, 1, -2, 2, …, modulo 2^32.
#[inline(always)]
fn unfold(code: u32) -> u32 {
    (code >> 1) ^ (code & 1).wrapping_neg()
}

/// Bits from the highest of each byte on; behind the end come zeros, which [`Bits::overrun`] tells of.
struct Bits<'a> {
    bytes: &'a [u8],
    /// Next byte to load.
    next: usize,
    /// The next bits, the first one highest; `held` of them count.
    buffer: u64,
    held: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, next: 0, buffer: 0, held: 0 }
    }

    /// Afterwards at least 56 bits are held.
    #[inline(always)]
    fn refill(&mut self) {
        if self.held >= 56 {
            return;
        }
        let ahead = match self.bytes.get(self.next..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(chunk) => u64::from_be_bytes(*chunk),
            None => self.tail(),
        };
        self.buffer |= ahead >> self.held;
        self.next += (63 - self.held as usize) / 8;
        self.held |= 56;
    }

    #[cold]
    fn tail(&self) -> u64 {
        let rest = self.bytes.get(self.next..).unwrap_or_default();
        (0..8).fold(0, |value, at| value << 8 | u64::from(rest.get(at).copied().unwrap_or(0)))
    }

    /// The next `count` bits, at most 32, of a refilled buffer.
    #[inline(always)]
    fn take(&mut self, count: u32) -> u32 {
        let taken = (self.buffer >> 1 >> (63 - count)) as u32;
        self.buffer <<= count;
        self.held -= count;
        taken
    }

    /// Passes over zeros and the one behind them.
    #[cold]
    fn count_zeros(&mut self) -> Result<u32, &'static str> {
        let mut count = 0_u32;
        loop {
            self.refill();
            let zeros = self.buffer.leading_zeros();
            if zeros < self.held {
                self.buffer = self.buffer << zeros << 1;
                self.held -= zeros + 1;
                return Ok(count.wrapping_add(zeros));
            }
            count = count.wrapping_add(self.held);
            (self.buffer, self.held) = (0, 0);
            if self.overrun() {
                return Err(CUT);
            }
        }
    }

    /// Whether more bits were taken than there are.
    fn overrun(&self) -> bool {
        8 * self.next - self.held as usize > 8 * self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The encoder, bit by bit: slow and obvious.
    fn encode(values: &[i64], width: Width, block: usize) -> Vec<u8> {
        let (code_bits, uncoded) = width.code();
        let n_bits = 8 * width.bytes() as u32;
        let mask = (1_u64 << n_bits) - 1;
        let mut bits: Vec<bool> = Vec::new();
        let put =
            |bits: &mut Vec<bool>, value: u64, count: u32| bits.extend((0..count).rev().map(|at| value >> at & 1 == 1));
        put(&mut bits, values[0] as u64 & mask, n_bits);
        let mut last = values[0];
        for chunk in values.chunks(block) {
            let codes: Vec<u64> = chunk
                .iter()
                .map(|&value| {
                    let half = 1_i64 << (n_bits - 1);
                    let difference = (value - last + half).rem_euclid(2 * half) - half;
                    last = value;
                    (if difference < 0 { -2 * difference - 1 } else { 2 * difference }) as u64
                })
                .collect();
            let length = |low: u32| codes.iter().map(|code| (code >> low) + 1 + u64::from(low)).sum::<u64>();
            let best = (0..uncoded).min_by_key(|&low| length(low)).expect("some");
            if codes.iter().all(|&code| code == 0) {
                put(&mut bits, 0, code_bits);
            } else if length(best) >= u64::from(n_bits) * chunk.len() as u64 {
                put(&mut bits, u64::from(uncoded + 1), code_bits);
                codes.iter().for_each(|&code| put(&mut bits, code, n_bits));
            } else {
                put(&mut bits, u64::from(best + 1), code_bits);
                for code in codes {
                    bits.extend(std::iter::repeat_n(false, (code >> best) as usize));
                    bits.push(true);
                    put(&mut bits, code, best);
                }
            }
        }
        bits.chunks(8)
            .map(|byte| (0..8).fold(0, |value, at| value << 1 | u8::from(byte.get(at) == Some(&true))))
            .collect()
    }

    fn signal() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![Just(0_i64), -3..4_i64, -2000..2000_i64, any::<i32>().prop_map(i64::from)];
        prop::collection::vec((step, 0..40_usize), 1..20).prop_map(|runs| {
            runs.into_iter().flat_map(|(step, count)| (0..=count as i64).map(move |at| step * (at % 3))).collect()
        })
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(values in signal(), which in 0..3_usize, block in 1..40_usize) {
            let width = [Width::One, Width::Two, Width::Four][which];
            let values: Vec<i64> = values.iter().map(|&value| i64::from(width.wrap(value as u32))).collect();
            let bytes = encode(&values, width, block);
            let mut pixels = vec![0; values.len()];
            prop_assert_eq!(decode(&bytes, width, block, &mut pixels), Ok(()));
            prop_assert_eq!(pixels.iter().map(|&pixel| i64::from(pixel)).collect::<Vec<_>>(), values.clone());
            prop_assert_eq!(decode_any(&bytes, width, block, &mut pixels), Ok(()));
            prop_assert!(bytes.len() >= fewest_bytes(values.len(), width, block));
            // The last byte holds at least one bit that counts.
            prop_assert_eq!(decode(&bytes[..bytes.len() - 1], width, block, &mut pixels), Err(CUT));
        }

        #[test]
        fn noise_is_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), which in 0..3_usize, n in 1..300_usize) {
            let width = [Width::One, Width::Two, Width::Four][which];
            let _ = decode(&bytes, width, 32, &mut vec![0; n]);
        }
    }
}
