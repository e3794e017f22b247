//! AMX tile instructions on a processor without them: a signal handler decodes and executes what the processor refuses.
//!
//! With it the machine code of the AMX kernel runs in tests anywhere on Linux x86-64: same instructions, addresses and
//! configuration, thread by thread. It is strict where a processor would fault (`registers`), and every other
//! illegal instruction dies as before. Everything in the handler is safe within a signal: no allocation, no lock, no panic
//! (a failure is written to the terminal and aborts).
#![allow(dead_code)] // every test binary that includes this uses another part of it

pub mod decode;
pub mod registers;

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use decode::{Address, Instruction, decode};
use registers::TileRegisters;

/// What was done on SIGILL before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();
/// Instructions executed so far, on all threads.
static EXECUTED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Without initialiser code or destructor: a plain address within the thread's block.
    static REGISTERS: UnsafeCell<TileRegisters> = const { UnsafeCell::new(TileRegisters::UNCONFIGURED) };
    static BROKEN: Cell<bool> = const { Cell::new(false) };
}

/// From now on tile instructions work in this process; once is enough.
pub fn install() {
    BEFORE.get_or_init(|| {
        registers::choose_multiply_add();
        // SAFETY: both structures are plain data that the calls read or fill; the handler keeps to what signals allow.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction =
                on_illegal_instruction as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGILL, &action, &mut before), 0);
            before
        }
    });
}

/// Makes this thread's products wrong (rows and columns exchanged), or right again: what must not go unnoticed.
pub fn break_products(broken: bool) {
    BROKEN.set(broken);
}

/// Instructions emulated so far.
pub fn executed() -> u64 {
    EXECUTED.load(Ordering::Relaxed)
}

extern "C" fn on_illegal_instruction(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    let mut executed = 0;
    // SAFETY: the operating system gives a handler with SA_SIGINFO the interrupted context. The code at its instruction pointer
    // can be read as far as an instruction reaches. Nothing else on this thread uses its tile registers now.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        // Those that follow without another in between are executed in the same signal, which costs more than they do.
        loop {
            let code = registers[libc::REG_RIP as usize] as *const u8;
            let Some((instruction, length)) = decode(|place| *code.add(place)) else { break };
            REGISTERS.with(|tiles| execute(&mut *tiles.get(), instruction, registers, length));
            registers[libc::REG_RIP as usize] += length as i64;
            executed += 1;
        }
        EXECUTED.fetch_add(executed, Ordering::Relaxed);
        match BEFORE.get() {
            _ if executed > 0 => {}
            // Not ours: the instruction is tried again and meets what was there before.
            Some(before) => _ = libc::sigaction(libc::SIGILL, before, std::ptr::null_mut()),
            None => fail("SIGILL before the handler was set up"),
        }
    }
}

/// # Safety
/// The instruction's memory is the interrupted program's to read or write.
unsafe fn execute(tiles: &mut TileRegisters, instruction: Instruction, registers: &[i64], length: usize) {
    let place = |address: Address| {
        let base = address.base.map_or(0, |number| general_register(registers, number));
        let next = if address.relative { general_register(registers, RIP) + length as i64 } else { 0 };
        (base + next + i64::from(address.displacement)) as *mut u8
    };
    let stride =
        |address: Address| address.index.map_or(0, |(number, scale)| general_register(registers, number) << scale);
    // SAFETY: the caller's promise.
    unsafe {
        match instruction {
            Instruction::LoadConfig(address) => {
                let index = stride(address); // an ordinary index here
                tiles.load_config(&*place(address).offset(index as isize).cast::<[u8; 64]>());
            }
            Instruction::Release => *tiles = TileRegisters::UNCONFIGURED,
            Instruction::Zero(tile) => tiles.zero(tile),
            Instruction::Load(tile, address) => tiles.load(tile, place(address), stride(address) as isize),
            Instruction::Store(tile, address) => tiles.store(tile, place(address), stride(address) as isize),
            Instruction::DotBf16 { sums, left, right } if BROKEN.get() => tiles.dot_bf16(sums, right, left),
            Instruction::DotBf16 { sums, left, right } => tiles.dot_bf16(sums, left, right),
        }
    }
}

/// Number of the instruction pointer for [`general_register`].
const RIP: u8 = 16;

/// A register by its number in instructions, from the interrupted context.
fn general_register(registers: &[i64], number: u8) -> i64 {
    use libc::*;
    const PLACES: [c_int; 17] = [
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11,
        REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
    ];
    registers[PLACES[usize::from(number)] as usize]
}

/// What a processor would refuse: says so and ends the process, since a handler cannot panic.
pub fn fail(reason: &str) -> ! {
    for text in ["emulated AMX: ", reason, "\n"] {
        // SAFETY: writes a string that exists; `write` and `abort` are allowed in handlers.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    }
    // SAFETY: never returns.
    unsafe { libc::abort() }
}
