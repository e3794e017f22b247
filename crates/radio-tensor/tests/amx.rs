//! The AMX kernel against the others, bit by bit, and the emulator that executes it against an assembler and the manual.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed set-up is a failed test

mod emulated_amx;

use std::arch::asm;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use emulated_amx::decode::{Address, Instruction, decode};
use radio_tensor::conv2d::Conv2d;
use radio_tensor::element::{Bf16, Element};
use radio_tensor::kernel::{Kernel, kernel_in_use, trust_amx};
use radio_tensor::nhwc::Map;

fn integers(map: &mut Map<Bf16>, step: usize) {
    map.values_mut().iter_mut().enumerate().for_each(|(i, v)| *v = Bf16::narrow((i * step % 5) as f32 - 2.0));
}

/// Output, both gradients of a convolution of small integers: exact in f32 whatever the order of addition.
fn passes(kernel: Kernel, conv: Conv2d, (n, h, w): (usize, usize, usize)) -> [Vec<f32>; 3] {
    let (oh, ow) = conv.output_size(h, w);
    let (mut x, mut y) = (Map::zeros(n, h, w, conv.in_channels), Map::zeros(n, oh, ow, conv.out_channels));
    let weight: Vec<f32> = (0..conv.weights()).map(|i| (i * 3 % 7) as f32 - 3.0).collect();
    integers(&mut x, 7);
    conv.forward_on(&x, &conv.prepare::<Bf16>(kernel, &weight), &mut y);
    let forward: Vec<f32> = y.values().iter().map(|v| v.widen()).collect();
    integers(&mut y, 3);
    let mut dw = vec![f32::NAN; conv.weights()];
    conv.backward_weight_on(kernel, &x, &y, &mut dw);
    conv.backward_data_on(kernel, &y, &weight, &mut x, true);
    [forward, x.values().iter().map(|v| v.widen()).collect(), dw]
}

#[test]
fn amx_gives_the_bits_of_every_other_kernel_where_sums_are_exact() {
    emulated_amx::install();
    // SAFETY: emulated from now on.
    unsafe { trust_amx() };
    let conv =
        |in_channels, out_channels, kernel, stride, pad| Conv2d { in_channels, out_channels, kernel, stride, pad };
    for (conv, size) in [
        (conv(3, 64, 7, 2, 0), (1, 37, 30)), // the stem: kernel rows, an odd number of values
        (conv(64, 64, 3, 1, 1), (1, 9, 14)), // whole steps of the summed axis
        (conv(66, 70, 3, 2, 1), (2, 9, 7)),  // tails everywhere, four phases backward
        (conv(32, 96, 1, 2, 0), (1, 12, 11)), // the shortcut
        (conv(512, 320, 1, 1, 0), (1, 3, 2)), // five panels: two groups; several word blocks
        (conv(160, 34, 3, 1, 1), (1, 7, 7)), // 512-channel stages in small
        (conv(200, 128, 1, 1, 0), (19, 1, 1)), // a linear layer
        (conv(2, 2, 2, 1, 0), (1, 2, 2)),    // one pixel
        (conv(4, 6, 3, 1, 1), (3, 41, 37)),  // many tasks and pixel partitions
        (conv(3, 5, 3, 1, 1), (1, 6, 5)),    // odd: by way of f32
    ] {
        let before = emulated_amx::executed();
        let amx = passes(Kernel::Amx, conv, size);
        let even = conv.out_channels % 2 == 0;
        assert!(
            emulated_amx::executed() > before || !even || kernel_in_use() == Kernel::Amx,
            "{conv:?}: no tile was used"
        );
        for kernel in Kernel::ALL.into_iter().filter(|k| k.is_available()) {
            for ((pass, amx), other) in ["forward", "data", "weight"].iter().zip(&amx).zip(&passes(kernel, conv, size))
            {
                assert!(amx == other, "{kernel:?} {pass} {conv:?}");
            }
        }
    }
}

/// Bytes and meaning as GNU as 2.40 and objdump have them.
#[test]
fn encodings() {
    let at = |base| Address { base: Some(base), ..Address::default() };
    let rows = |base, index, scale, displacement| Address {
        base: Some(base),
        index: Some((index, scale)),
        displacement,
        relative: false,
    };
    let cases: [(&[u8], Instruction); 16] = [
        (&[0xc4, 0xe2, 0x78, 0x49, 0x00], Instruction::LoadConfig(at(0))),
        (&[0xc4, 0xc2, 0x78, 0x49, 0x45, 0x08], Instruction::LoadConfig(Address { displacement: 8, ..at(13) })),
        (
            &[0xc4, 0xe2, 0x78, 0x49, 0x05, 0x34, 0x12, 0x00, 0x00],
            Instruction::LoadConfig(Address { displacement: 0x1234, relative: true, ..Address::default() }),
        ),
        (&[0xc4, 0xa2, 0x78, 0x49, 0x44, 0x8c, 0x80], Instruction::LoadConfig(rows(4, 9, 2, -0x80))),
        (&[0xc4, 0xe2, 0x78, 0x49, 0xc0], Instruction::Release),
        (&[0xc4, 0xe2, 0x7b, 0x49, 0xc0], Instruction::Zero(0)),
        (&[0xc4, 0xe2, 0x7b, 0x49, 0xf8], Instruction::Zero(7)),
        (&[0xc4, 0xe2, 0x7b, 0x4b, 0x24, 0x08], Instruction::Load(4, rows(0, 1, 0, 0))),
        (&[0xc4, 0x82, 0x7b, 0x4b, 0x4c, 0x78, 0x40], Instruction::Load(1, rows(8, 15, 1, 64))),
        (&[0xc4, 0xa2, 0x7b, 0x4b, 0x54, 0x25, 0x00], Instruction::Load(2, rows(5, 12, 0, 0))),
        (
            &[0xc4, 0xe2, 0x7b, 0x4b, 0x1c, 0xcd, 0x45, 0x23, 0x01, 0x00],
            Instruction::Load(3, Address { base: None, ..rows(0, 1, 3, 0x12345) }),
        ),
        (&[0xc4, 0x82, 0x7b, 0x4b, 0x9c, 0x25, 0x00, 0xf0, 0xff, 0xff], Instruction::Load(3, rows(13, 12, 0, -0x1000))),
        (&[0xc4, 0xe2, 0x79, 0x4b, 0x2c, 0x37], Instruction::Load(5, rows(7, 6, 0, 0))),
        (&[0xc4, 0xe2, 0x7a, 0x4b, 0x5c, 0x1a, 0x40], Instruction::Store(3, rows(2, 3, 0, 64))),
        (&[0xc4, 0xe2, 0x42, 0x5c, 0xdd], Instruction::DotBf16 { sums: 3, left: 5, right: 7 }),
        (&[0xc4, 0xe2, 0x6a, 0x5c, 0xf9], Instruction::DotBf16 { sums: 7, left: 1, right: 2 }),
    ];
    for (bytes, instruction) in cases {
        assert_eq!(decode(|place| bytes[place]), Some((instruction, bytes.len())), "{bytes:x?}");
    }
    // TDPBSSD, STTILECFG, an AVX instruction, UD2.
    for bytes in [
        [0xc4, 0xe2, 0x43, 0x5e, 0xdd],
        [0xc4, 0xe2, 0x79, 0x49, 0x00],
        [0xc4, 0xe2, 0x7d, 0x58, 0xc1],
        [0x0f, 0x0b, 0, 0, 0],
    ] {
        assert_eq!(decode(|place| bytes[place]), None, "{bytes:x?}");
    }
}

/// Three tiles of odd shape: sums 0 `[3, 3]`, rows 1 `[3, 2 words]`, columns 2 `[2 words, 3]`.
fn small_config() -> [u8; 64] {
    let mut config = [0; 64];
    config[0] = 1;
    for (tile, rows, bytes) in [(0, 3, 12), (1, 3, 8), (2, 2, 12)] {
        config[48 + tile] = rows;
        config[16 + 2 * tile] = bytes;
    }
    config
}

/// `sums[3, 3] += rows[3, 2] * columns[2, 3]` of words, rows of memory four words apart.
fn small_product(sums: &mut [[f32; 4]; 3], rows: &[[u32; 4]; 3], columns: &[[u32; 4]; 2]) {
    let config = small_config();
    // SAFETY: emulated, or there; all operands have the shapes that the configuration says.
    unsafe {
        asm!(
            "ldtilecfg [{config}]",
            "tileloadd tmm0, [{sums} + {stride}]",
            "tileloadd tmm1, [{rows} + {stride}]",
            "tileloadd tmm2, [{columns} + {stride}]",
            "tdpbf16ps tmm0, tmm1, tmm2",
            "tilestored [{sums} + {stride}], tmm0",
            "tilerelease",
            config = in(reg) &raw const config,
            sums = in(reg) sums.as_mut_ptr(),
            rows = in(reg) rows.as_ptr(),
            columns = in(reg) columns.as_ptr(),
            stride = in(reg) 16usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

fn bits(value: f32) -> u32 {
    value.to_bits() >> 16
}

#[test]
fn small_tiles_use_their_rows_and_bytes_alone() {
    emulated_amx::install();
    let nan = bits(f32::NAN) << 16 | bits(f32::NAN);
    let word = |first: f32, second: f32| bits(first) | bits(second) << 16;
    // The words behind the second, and the third, lie outside the tiles.
    let rows = [1.0, 2.0, 3.0].map(|v: f32| [word(v, 1.0), word(0.5, -v), nan, nan]);
    let columns =
        [[word(1.0, 4.0), word(2.0, 5.0), word(3.0, 6.0), nan], [word(2.0, 1.0), word(4.0, 1.0), word(6.0, 1.0), nan]];
    let mut sums = [[10.0, 20.0, 30.0, -1.0]; 3];
    small_product(&mut sums, &rows, &columns);
    for (row, v) in [1.0f32, 2.0, 3.0].into_iter().enumerate() {
        let want = [
            10.0 + v + 4.0 + 1.0 - v,
            20.0 + 2.0 * v + 5.0 + 2.0 - v,
            30.0 + 3.0 * v + 6.0 + 3.0 - v,
            -1.0, // not stored
        ];
        assert_eq!(sums[row], want);
    }
}

#[test]
fn sums_round_to_nearest_even_and_denormals_are_zero() {
    emulated_amx::install();
    let product = |sum: f32, rows: [u32; 2], columns: [u32; 2]| {
        let mut sums = [[sum; 4]; 3];
        small_product(&mut sums, &[[rows[0], rows[1], 0, 0]; 3], &[[columns[0]; 4], [columns[1]; 4]]);
        sums[1][1].to_bits()
    };
    let even = |value: f32| bits(value);
    let odd = |value: f32| bits(value) << 16;
    let one = f32::EPSILON; // one unit in the last place of 1
    // Half a unit: to the even neighbour, below and above.
    assert_eq!(product(1.0, [even(one / 2.0), 0], [even(1.0), 0]), 1f32.to_bits());
    assert_eq!(product(1.0 + one, [even(one / 2.0), 0], [even(1.0), 0]), (1.0 + 2.0 * one).to_bits());
    // Even and odd terms are summed apart, and then rounded three times in all: 1 + half, and half.
    let apart = product(0.0, [even(1.0) | odd(one / 2.0), even(one / 2.0)], [even(1.0) | odd(1.0), even(1.0)]);
    assert_eq!(apart, 1f32.to_bits());
    let together = product(0.0, [even(1.0) | odd(one / 2.0), odd(one / 2.0)], [even(1.0) | odd(1.0), odd(1.0)]);
    assert_eq!(together, (1.0 + one).to_bits());
    // A denormal sum, factor and product.
    let tiny = f32::MIN_POSITIVE;
    assert_eq!(product(tiny / 2.0, [0, 0], [0, 0]), 0);
    assert_eq!(product(0.0, [even(tiny / 2.0), 0], [even(f32::MAX), 0]), 0);
    assert_eq!(product(0.0, [even(tiny), 0], [even(0.5), 0]), 0);
    assert_eq!(product(0.0, [even(tiny), 0], [even(1.0), 0]), tiny.to_bits());
    assert!(f32::from_bits(product(0.0, [even(f32::INFINITY), 0], [0, 0])).is_nan());
}

/// Does what a processor refuses.
fn refused(case: &str) {
    let config = if case == "palette" { [3; 64] } else { small_config() };
    // SAFETY: none; the process ends here, which is what is tested.
    unsafe {
        if case == "unconfigured" {
            asm!("tilezero tmm0", out("tmm0") _);
        }
        if case == "not of AMX" {
            asm!("ud2");
        }
        asm!("ldtilecfg [{}]", in(reg) &raw const config, out("tmm0") _, out("tmm1") _, out("tmm2") _);
        match case {
            "no shape" => asm!("tilezero tmm3", out("tmm3") _),
            // tdpbf16ps tmm0, tmm0, tmm1: the assembler refuses it, too.
            "one tile twice" => asm!(".byte 0xc4, 0xe2, 0x72, 0x5c, 0xc0", out("tmm0") _),
            "shapes" => asm!("tdpbf16ps tmm0, tmm2, tmm1", out("tmm0") _),
            _ => {}
        }
    }
}

/// Each ends the process with a reason; an illegal instruction that is none of AMX ends it as ever.
#[test]
fn what_a_processor_refuses_ends_the_process() {
    const CASE: &str = "REFUSED_CASE";
    emulated_amx::install();
    if let Ok(case) = std::env::var(CASE) {
        return refused(&case);
    }
    if kernel_in_use() == Kernel::Amx {
        return; // nothing is emulated
    }
    for (case, signal, reason) in [
        ("unconfigured", libc::SIGABRT, "without configuration"),
        ("palette", libc::SIGABRT, "unknown palette"),
        ("no shape", libc::SIGABRT, "without shape"),
        ("one tile twice", libc::SIGABRT, "in two places"),
        ("shapes", libc::SIGABRT, "do not fit"),
        ("not of AMX", libc::SIGILL, ""),
    ] {
        let run = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_a_processor_refuses_ends_the_process", "--nocapture"])
            .env(CASE, case)
            .output()
            .unwrap();
        assert_eq!(run.status.signal(), Some(signal), "{case}: {run:?}");
        assert!(String::from_utf8_lossy(&run.stderr).contains(reason), "{case}: {run:?}");
    }
}
