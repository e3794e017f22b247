//! The compute floor of radio-ssl: kernels with explicit backward, the residual and transformer trunks, optimiser, schedule, checkpoints.
//!
//! It knows no FITS keyword, no survey, no class name and no loss of one method. candle supplies tensors and
//! automatic differentiation to the small heads above; the trunk owns its compute, because candle's CPU
//! convolutions and poolings are slow and in places wrong (docs/architecture.md).
//!
//! Reading order: [`resnet::ResNet`], the trunk from images to features and back ([`vit::ViT`] is another, [`trunk::Trunk`] either); [`conv2d`], [`batch_norm`] and
//! [`pool`], its kernels, on [`nhwc::Map`]s of f32 or bf16 ([`element`]); [`kernel`], the choice of instructions; then [`adam`], [`schedule`], [`checkpoint`] and [`event_file`];
//! [`weights`] reads other libraries' encoders and writes ours for them.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use radio_tensor::resnet::{Depth, ResNet, ResNetConfig};
//! use rand::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
//! let mut trunk = ResNet::new(ResNetConfig { depth: Depth::ResNet18, width: 8 }, &mut rng);
//! let images = Tensor::ones((2, 3, 64, 64), candle_core::DType::F32, &Device::Cpu)?;
//! let features = trunk.forward(&images)?; // [2, 64]; the trunk keeps what its backward needs
//! let gradients = trunk.backward(&features)?; // of half the squared features
//! assert_eq!(gradients.len(), trunk.parameters().len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
pub mod resnet;
pub mod trunk;
pub mod vit;

pub mod batch_norm;
pub mod conv2d;
pub mod element;
pub mod kernel;
pub mod matmul;
pub mod nhwc;
pub mod parameter;
pub mod pool;

pub mod adam;
pub mod checkpoint;
pub mod event_file;
pub mod schedule;
pub mod weights;

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod amx_tile;
mod batch_norm_backward;
mod conv_route;
mod protobuf;
#[cfg(target_arch = "x86_64")]
mod indirect;
#[cfg(target_arch = "x86_64")]
mod indirect_weight;
#[cfg(target_arch = "x86_64")]
mod packed_weights;
#[cfg(target_arch = "x86_64")]
mod row_table;
#[cfg(target_arch = "x86_64")]
mod tile;

// Tests of the AMX tiles, wherever they run.
#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
#[path = "../tests/emulated_amx/mod.rs"]
mod emulated_amx;

mod error;
pub use error::{DuringStep, Names, Result, TensorError};
