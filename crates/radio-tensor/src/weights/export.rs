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
//! (PyTorch fills in `num_batches_tracked`, which does nothing in evaluation.) The pre-activation network has no counterpart in
//! torchvision; its names are Keras' layers with PyTorch's `weight`, `bias`, `running_mean` and `running_var`.
//! A scaling of the images is not part of the tensors: it stands in the metadata (`encoder.json`) and in the model card.
use std::collections::BTreeMap;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::resnet::{BlockKind, Precision, ResNet};

/// Writes the encoder's weights and running statistics, with text entries beside the encoder's own record.
///
/// In bf16 every value is rounded; the file is half as large.
///
/// # Errors
/// If the file cannot be written.
pub fn to_safetensors(trunk: &ResNet, text: BTreeMap<String, String>, precision: Precision, path: &Path) -> Result<()> {
    let file = encoder_file(trunk, text);
    match precision {
        Precision::F32 => file.write(path),
        Precision::Bf16 => file.write_bf16(path),
    }
}

/// The encoder alone, under the names PyTorch wants.
pub fn encoder_file(trunk: &ResNet, text: BTreeMap<String, String>) -> Checkpoint {
    let mut file = Checkpoint { tensors: BTreeMap::new(), text };
    file.put_trunk(trunk);
    if trunk.config().depth.block() == BlockKind::PreActivation {
        // `torch.nn.BatchNorm2d` has a scale; the images' batch norm has none, which is a scale of one.
        file.tensors.insert("bn_data.weight".into(), (vec![3], vec![1.0; 3]));
    }
    file
}
