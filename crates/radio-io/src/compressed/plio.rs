//! PLIO_1: run lengths of whole numbers of at most 24 bits, meant for masks (FITS standard 4.0, section 10.4.3).
//!
//! Each 16-bit word is an instruction of 4 bits and a number of 12; what they act on is the current high value.

/// Decodes a tile as one line.
///
/// # Errors
/// A header without sense.
pub(crate) fn decode(bytes: &[u8], pixels: &mut [i32]) -> Result<(), &'static str> {
    let words = bytes.as_chunks::<2>().0;
    let word = |at: usize| words.get(at).map(|&raw| i32::from(i16::from_be_bytes(raw)));
    let header = || Some((word(1)?, word(2)?));
    let (second, third) = header().ok_or("the header is cut")?;
    // The older form has its length in the third word and three words of header, the newer one a negative third word.
    let (first, end) = if third > 0 {
        (3, third)
    } else {
        let (low, high) = word(3).zip(word(4)).ok_or("the header is cut")?;
        (second, (high << 15) + low)
    };
    let range = usize::try_from(first).ok().zip(usize::try_from(end).ok());
    let range = range.filter(|&(first, end)| first <= end && end <= words.len());
    let (first, end) = range.ok_or("its length is not that of the stream")?;
    let (mut high, mut at, mut word) = (1_i32, 0, first);
    pixels.fill(0);
    while word < end && at < pixels.len() {
        let instruction = u16::from_be_bytes(words[word]);
        let number = i32::from(instruction & 0xfff);
        let run = at..(at + number as usize).min(pixels.len());
        match instruction >> 12 {
            // Zeros.
            0 => at += number as usize,
            // The high value is given in full; its upper bits follow.
            1 => {
                word += 1;
                let upper = words.get(word).filter(|_| word < end).ok_or("a high value is cut")?;
                high = (i32::from(i16::from_be_bytes(*upper)) << 12).wrapping_add(number);
            }
            2 => high = high.wrapping_add(number),
            3 => high = high.wrapping_sub(number),
            // High values.
            4 => {
                pixels[run].fill(high);
                at += number as usize;
            }
            // Zeros, the last one a high value.
            5 => {
                at += number as usize;
                if let Some(pixel) = at.checked_sub(1).and_then(|last| pixels.get_mut(last)).filter(|_| number > 0) {
                    *pixel = high;
                }
            }
            // The high value changes and stands once.
            code @ (6 | 7) => {
                high = if code == 6 { high.wrapping_add(number) } else { high.wrapping_sub(number) };
                pixels[at] = high;
                at += 1;
            }
            _ => return Err("an instruction is unknown"),
        }
        word += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(instructions: &[u16]) -> Vec<u8> {
        let length = instructions.len() as u16 + 3;
        let all = [&[0, 100, length], instructions].concat();
        all.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn each_instruction_does_what_the_standard_says() {
        let mut pixels = [9; 12];
        // 2 zeros, high value 5, three of it, zeros ending in one, +1 and once, -2 and once, high value 4097 twice.
        let line = words(&[
            2,
            1 << 12 | 5,
            0,
            4 << 12 | 3,
            5 << 12 | 2,
            6 << 12 | 1,
            7 << 12 | 2,
            1 << 12 | 1,
            1,
            4 << 12 | 2,
        ]);
        assert_eq!(decode(&line, &mut pixels), Ok(()));
        assert_eq!(pixels, [0, 0, 5, 5, 5, 0, 5, 6, 4, 4097, 4097, 0]);
        for bad in [&[][..], &[0, 0, 0, 3, 0, 4], &[0, 0, 0, 0, 0, 9, 0, 0], &words(&[1 << 12])[..]] {
            assert!(decode(bad, &mut pixels).is_err(), "{bad:?}");
        }
    }
}
