//! Every set of instructions of the kernels, and whether this processor has it: `avx512 yes`.
use radio_tensor::kernel::Kernel;

fn main() {
    for kernel in Kernel::ALL {
        println!("{} {}", kernel.name(), if kernel.is_available() { "yes" } else { "no" });
    }
}
