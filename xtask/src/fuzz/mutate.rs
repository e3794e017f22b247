//! How a good file is damaged: as disks, networks, editors and enemies do it.
use rand::Rng;

/// What was done to a file, as far as the judge must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Nothing but an end too early.
    CutOff,
    /// Anything else.
    Other,
}

/// Numbers that break sums and products.
const NUMBERS: [&str; 18] = [
    "0",
    "-1",
    "1",
    "2",
    "7",
    "255",
    "65536",
    "2147483647",
    "4294967296",
    "999999999",
    "9223372036854775807",
    "18446744073709551616",
    "1e308",
    "-1e-320",
    "NaN",
    "inf",
    "",
    "99999999999999999999999999999999",
];

/// A damaged copy of the good file number `good`.
pub fn damage(seeds: &[Vec<u8>], good: usize, rng: &mut impl Rng) -> (Vec<u8>, Damage) {
    let mut bytes = seeds[good].clone();
    if rng.random_ratio(1, 8) {
        bytes.truncate(rng.random_range(0..=bytes.len()));
        return (bytes, Damage::CutOff);
    }
    for _ in 0..rng.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        match rng.random_range(0..9) {
            0 => flip_bits(&mut bytes, rng),
            1 => overwrite(&mut bytes, rng),
            2 => replace_number(&mut bytes, rng),
            3 => replace_number(&mut bytes, rng),
            4 => cut_out(&mut bytes, rng),
            5 => say_twice(&mut bytes, rng),
            6 => swap_cards(&mut bytes, rng),
            7 => splice(&mut bytes, &seeds[rng.random_range(0..seeds.len())], rng),
            _ => replace_text(&mut bytes, rng),
        }
    }
    (bytes, Damage::Other)
}

/// Headers come first and matter most: half of all places are in the first kilobytes.
fn place(length: usize, rng: &mut impl Rng) -> usize {
    let head = length.min(6000);
    if rng.random_bool(0.5) { rng.random_range(0..head) } else { rng.random_range(0..length) }
}

fn flip_bits(bytes: &mut [u8], rng: &mut impl Rng) {
    for _ in 0..rng.random_range(1..=8) {
        let at = place(bytes.len(), rng);
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
}

fn overwrite(bytes: &mut [u8], rng: &mut impl Rng) {
    let at = place(bytes.len(), rng);
    let end = (at + rng.random_range(1..=16)).min(bytes.len());
    let with = [0u8, 0xff, b' ', b'9', b'\n', b'<', b'"', b'-'][rng.random_range(0..8)];
    bytes[at..end].fill(with);
}

/// The run of digits after a random place becomes another number. FITS cards keep their width, other files their text.
fn replace_number(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    let from = place(bytes.len(), rng);
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|offset| from + offset) else { return };
    let end =
        bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |offset| start + offset);
    let number = NUMBERS[rng.random_range(0..NUMBERS.len())].as_bytes();
    if rng.random_bool(0.5) {
        bytes.splice(start..end, number.iter().copied());
        return;
    }
    // Right-aligned where the old number ended, as in a card.
    let start = (end.saturating_sub(number.len())).min(start);
    if end - start >= number.len() {
        bytes[start..end].fill(b' ');
        bytes[end - number.len()..end].copy_from_slice(number);
    }
}

fn cut_out(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    let at = place(bytes.len(), rng);
    let end = (at + rng.random_range(1..=200)).min(bytes.len());
    bytes.drain(at..end);
}

fn say_twice(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    let at = place(bytes.len(), rng);
    let end = (at + rng.random_range(1..=200)).min(bytes.len());
    let twice = bytes[at..end].to_vec();
    bytes.splice(at..at, twice);
}

/// Two pieces of 80 bytes change places: FITS cards, or whatever stands there.
fn swap_cards(bytes: &mut [u8], rng: &mut impl Rng) {
    let cards = bytes.len().min(6000) / 80;
    if cards < 2 {
        return;
    }
    let (one, other) = (rng.random_range(0..cards) * 80, rng.random_range(0..cards) * 80);
    for offset in 0..80 {
        bytes.swap(one + offset, other + offset);
    }
}

fn splice(bytes: &mut Vec<u8>, other: &[u8], rng: &mut impl Rng) {
    let (at, from) = (rng.random_range(0..=bytes.len()), rng.random_range(0..=other.len()));
    bytes.truncate(at);
    bytes.extend_from_slice(&other[from..]);
}

/// Words that formats give a meaning to, put in anywhere.
fn replace_text(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    const WORDS: [&[u8]; 14] = [
        b"END     ",
        b"T",
        b"'",
        b"NAXIS   =",
        b"<TD>",
        b"</TABLEDATA>",
        b"]]>",
        b"\"",
        b",,,,",
        b"[[",
        b"{\"",
        b"\xff\xfe",
        b"circle(",
        b"\r\n\r\n",
    ];
    let word = WORDS[rng.random_range(0..WORDS.len())];
    let at = place(bytes.len(), rng);
    if rng.random_bool(0.5) {
        bytes.splice(at..at, word.iter().copied());
    } else {
        let end = (at + word.len()).min(bytes.len());
        bytes.splice(at..end, word.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_damage_and_most_files_differ() {
        let seeds = vec![vec![b'7'; 500], (0..=255).collect()];
        let run = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            (0..200).map(|i| damage(&seeds, i % 2, &mut rng)).collect::<Vec<_>>()
        };
        assert!(run(3) == run(3));
        let changed = run(3).iter().enumerate().filter(|(i, (bytes, _))| *bytes != seeds[i % 2]).count();
        assert!(changed > 180, "{changed}");
        assert!(run(3).iter().filter(|(_, done)| *done == Damage::CutOff).count() > 10);
    }

    #[test]
    fn an_empty_file_is_left_alone() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..100).for_each(|_| drop(damage(&[Vec::new()], 0, &mut rng)));
    }
}
