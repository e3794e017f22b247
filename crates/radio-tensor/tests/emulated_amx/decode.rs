//! The encodings of the tile instructions: a VEX prefix of three bytes (map 0F38, 128 bits, W0), opcode 49, 4B or 5C.
//!
//! After the instruction pages of Intel's Software Developer's Manual, volume 2; checked against an assembler in `amx.rs`.

/// A memory operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Address {
    /// Number of the base register.
    pub base: Option<u8>,
    /// Number of the index register, and the shift by which it is scaled.
    pub index: Option<(u8, u8)>,
    /// What is added.
    pub displacement: i32,
    /// Whether the address of the next instruction is added.
    pub relative: bool,
}

/// A tile instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    /// LDTILECFG.
    LoadConfig(Address),
    /// TILERELEASE.
    Release,
    /// TILEZERO.
    Zero(u8),
    /// TILELOADD, also with the hint of TILELOADDT1; the index is the distance between rows.
    Load(u8, Address),
    /// TILESTORED.
    Store(u8, Address),
    /// TDPBF16PS.
    DotBf16 {
        /// Tile that is added to.
        sums: u8,
        /// Tile of rows.
        left: u8,
        /// Tile of columns.
        right: u8,
    },
}

/// The instruction at byte 0 and its length; `None` if it is none of these. Reads no byte behind it.
pub fn decode(byte: impl Fn(usize) -> u8) -> Option<(Instruction, usize)> {
    if byte(0) != 0xc4 {
        return None;
    }
    let first = byte(1);
    if first & 0x1f != 2 {
        return None; // another map than 0F38
    }
    let second = byte(2);
    if second & 0x84 != 0 {
        return None; // W1, or 256 bits
    }
    // R, X, B and vvvv are stored inverted.
    let (r, x, b) = (!first >> 7 & 1, !first >> 6 & 1, !first >> 5 & 1);
    let (vvvv, prefix, opcode) = (!(second >> 3) & 15, second & 3, byte(3));
    if !matches!(opcode, 0x49 | 0x4b | 0x5c) {
        return None;
    }
    let modrm = byte(4);
    let (mode, tile, low) = (modrm >> 6, modrm >> 3 & 7, modrm & 7);
    const NONE: u8 = 0;
    const F3: u8 = 2;
    const F2: u8 = 3;
    match (opcode, prefix, mode) {
        (0x5c, F3, 3) if r == 0 && b == 0 && vvvv < 8 => {
            Some((Instruction::DotBf16 { sums: tile, left: low, right: vvvv }, 5))
        }
        (0x49, NONE, 3) if (modrm, vvvv) == (0xc0, 0) => Some((Instruction::Release, 5)),
        (0x49, F2, 3) if (low, r, vvvv) == (0, 0, 0) => Some((Instruction::Zero(tile), 5)),
        (0x49, NONE, 0..=2) if (tile, vvvv) == (0, 0) => {
            let (address, length) = memory(byte, mode, low, (x, b));
            Some((Instruction::LoadConfig(address), length))
        }
        (0x4b, 1..=3, 0..=2) if (low, r, vvvv) == (4, 0, 0) => {
            let (address, length) = memory(byte, mode, low, (x, b));
            let instruction =
                if prefix == F3 { Instruction::Store(tile, address) } else { Instruction::Load(tile, address) };
            Some((instruction, length))
        }
        _ => None,
    }
}

/// The memory operand of a ModRM byte at place 4, and where the instruction ends.
fn memory(byte: impl Fn(usize) -> u8, mode: u8, low: u8, (x, b): (u8, u8)) -> (Address, usize) {
    let mut address = Address::default();
    let mut at = 5;
    let mut wide = mode == 2; // a displacement of four bytes
    if low == 4 {
        let sib = byte(at);
        at += 1;
        let index = sib >> 3 & 7 | x << 3;
        address.index = (index != 4).then_some((index, sib >> 6));
        if sib & 7 == 5 && mode == 0 {
            wide = true;
        } else {
            address.base = Some(sib & 7 | b << 3);
        }
    } else if low == 5 && mode == 0 {
        (address.relative, wide) = (true, true);
    } else {
        address.base = Some(low | b << 3);
    }
    if wide {
        address.displacement = i32::from_le_bytes([byte(at), byte(at + 1), byte(at + 2), byte(at + 3)]);
        at += 4;
    } else if mode == 1 {
        address.displacement = i32::from(byte(at) as i8);
        at += 1;
    }
    (address, at)
}
