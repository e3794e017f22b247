//! Our encoder as a file that PyTorch loads: torchvision's names, nothing else inside.
//!
//! torchvision's networks (`resnet18`, `resnet34`, `resnet50`) take it strictly once their classifier is gone, as features are what
//! stands before it:
//!
//! ```python
//! model = torchvision.models.resnet18()
//! model.fc = torch.nn.Identity()
//! model.load_state_dict(safetensors.torch.load_file("encoder.safetensors"))
//! ```
//!
//! A vision transformer goes into `torchvision.models.VisionTransformer` of its sizes in the same way, with `model.heads` in the place of
//! `model.fc`:
//!
//! ```python
//! model = torchvision.models.VisionTransformer(
//!     image_size=96, patch_size=8, num_layers=12, num_heads=6, hidden_dim=384, mlp_dim=1536)
//! model.heads = torch.nn.Identity()
//! ```
//!
//! (PyTorch fills in `num_batches_tracked`, which does nothing in evaluation.) The pre-activation network has no counterpart in
//! torchvision; its names are Keras' layers with PyTorch's `weight`, `bias`, `running_mean` and `running_var`.
//! A scaling of the images is not part of the tensors: it stands in the metadata (`encoder.json`) and in the model card.
use std::collections::BTreeMap;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::resnet::{BlockKind, Precision};
use crate::trunk::{Backbone, Trunk};

/// Writes the encoder's weights and running statistics, with text entries beside the encoder's own record.
///
/// In bf16 every value is rounded; the file is half as large.
///
/// # Errors
/// If the file cannot be written.
pub fn to_safetensors(trunk: &Trunk, text: BTreeMap<String, String>, precision: Precision, path: &Path) -> Result<()> {
    let file = encoder_file(trunk, text);
    match precision {
        Precision::F32 => file.write(path),
        Precision::Bf16 => file.write_bf16(path),
    }
}

/// The encoder alone, under the names PyTorch wants.
pub fn encoder_file(trunk: &Trunk, text: BTreeMap<String, String>) -> Checkpoint {
    let mut file = Checkpoint { tensors: BTreeMap::new(), text };
    file.put_trunk(trunk);
    if matches!(trunk.config(), Backbone::ResNet(config) if config.depth.block() == BlockKind::PreActivation) {
        // `torch.nn.BatchNorm2d` has a scale; the images' batch norm has none, which is a scale of one.
        file.tensors.insert("bn_data.weight".into(), (vec![3], vec![1.0; 3]));
    }
    file
}
