//! Whether the AMX tiles may be used: processor, operating system, permission, and a product that comes out right.
//!
//! The tiles (`amx_tile`) have been run instruction by instruction in emulation (`tests/emulated_amx`), never on a processor
//! that has them. A processor that claims them therefore multiplies two small matrices before they are chosen.
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by [`trust`].
static TRUSTED: AtomicBool = AtomicBool::new(false);

/// Whether tile instructions can be executed here: natively, or as [`trust`] said.
pub fn is_executable() -> bool {
    TRUSTED.load(Ordering::Relaxed) || is_native()
}

/// Takes somebody's word for it that tile instructions can be executed.
///
/// # Safety
/// From now on, every thread can execute them: they are emulated.
pub unsafe fn trust() {
    TRUSTED.store(true, Ordering::Relaxed);
}

/// Whether this processor and this kernel of the operating system execute tile instructions, and rightly. Asked once.
pub fn is_native() -> bool {
    static NATIVE: OnceLock<bool> = OnceLock::new();
    // SAFETY: the self-test runs only where processor and operating system grant the instructions.
    *NATIVE.get_or_init(|| is_claimed() && is_permitted() && unsafe { crate::amx_tile::self_test() })
}

/// CPUID names AMX-BF16 and AMX-TILE, and the operating system saves the tile registers.
fn is_claimed() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    const OSXSAVE: u32 = 1 << 27;
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    let tiles = AMX_BF16 | AMX_TILE;
    // SAFETY: OSXSAVE is set.
    __cpuid_count(7, 0).edx & tiles == tiles && unsafe { tile_state_is_enabled() }
}

/// XCR0 bits 17 (XTILECFG) and 18 (XTILEDATA).
///
/// # Safety
/// CPUID reports OSXSAVE.
unsafe fn tile_state_is_enabled() -> bool {
    let low: u32;
    // SAFETY: XGETBV exists where OSXSAVE is set, reads XCR0 for ECX = 0, and touches EAX and EDX alone.
    unsafe {
        std::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack, preserves_flags));
    }
    low >> 17 & 3 == 3
}

/// Linux lets a process use the tile registers only on request; the answer holds for all its threads.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_GET_XCOMP_PERM: libc::c_int = 0x1022;
    const ARCH_REQ_XCOMP_PERM: libc::c_int = 0x1023;
    const XTILEDATA: libc::c_ulong = 18;
    let mut granted: u64 = 0;
    // SAFETY: the first call takes a number; the second writes 64 bits to `granted`. Where the codes are unknown they fail.
    unsafe {
        libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0
            && libc::syscall(libc::SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &raw mut granted) == 0
            && granted >> XTILEDATA & 1 == 1
    }
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}
