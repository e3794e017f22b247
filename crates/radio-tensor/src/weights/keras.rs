//! Keras' HDF5 weight files: the released encoders, their backbones, and whole SimCLR models (reference-facts D7).
//!
//! A file lists its layers in `layer_names` and the tensors of each in `weight_names`; both are followed, and a tensor is known by
//! the last two parts of its path (`conv0/kernel:0`), so that it does not matter how deep the backbone is nested.
//!
//! What to know of the released models: the network is the pre-activation ResNet-18; its first layer normalises the images
//! itself, so they enter in [0, 1] as they are; convolutions pad by hand, which makes them symmetric, unlike Keras' "same"; the moving statistics were gathered one image at a time.
use std::path::Path;

use hdf5_reader::group::Group;
use hdf5_reader::{Hdf5File, OpenOptions};

use super::state_dict::StateDict;
use super::{MOST_VALUES, format_error, guarded, read_file, values_of};
use crate::error::Result;

/// Layers of a file, tensors of a layer, and parts of a path, at most.
const MOST_NAMES: usize = 20_000;
const DEEPEST: usize = 16;

/// Reads the tensors of a Keras weight file (`save_weights`) or of the weights inside a whole model (`save`), under
/// PyTorch's names and layouts: `conv0/kernel:0` is `conv0.weight`; a projection head is `projector.0` and `projector.2`.
///
/// # Errors
/// If the file cannot be read, is damaged, is no Keras file, or lists what it does not hold.
pub fn read(path: &Path) -> Result<StateDict> {
    let bytes = read_file(path)?;
    guarded(path, move || read_bytes(path, bytes))
}

fn read_bytes(path: &Path, bytes: Vec<u8>) -> Result<StateDict> {
    let bad = |e: hdf5_reader::error::Error| format_error(path, e);
    // No single read can need more than the file has, times the largest ratio of its compression.
    let options = OpenOptions::default()
        .with_max_read_bytes(1 << 30)
        .with_max_chunk_bytes(1 << 28)
        .with_max_object_header_bytes(1 << 26);
    let found = bytes.len() as u64;
    let file = Hdf5File::from_vec_with_options(bytes, options).map_err(bad)?;
    // What is cut off at the end may be part of no tensor that is read; the file is damaged all the same.
    let expected = file.superblock().eof_address;
    if found < expected {
        return Err(format_error(path, format!("the file ends early: it needs {expected} bytes, found {found}")));
    }
    let mut root = file.root_group().map_err(bad)?;
    if names(&root, "layer_names").is_none() {
        root = root.group("model_weights").map_err(|_| {
            format_error(path, "no Keras weight file: neither attribute layer_names nor group model_weights")
        })?;
    }
    let layers = names(&root, "layer_names").ok_or_else(|| format_error(path, "no attribute layer_names"))?;
    let mut state = StateDict { path: path.to_path_buf(), origin: "Keras HDF5".into(), ..StateDict::default() };
    let mut total = 0;
    let mut count = 0;
    for layer in layers {
        let group = root.group(&layer).map_err(|e| format_error(path, format!("layer {layer}: {e}")))?;
        let weights = names(&group, "weight_names")
            .ok_or_else(|| format_error(path, format!("layer {layer}: no attribute weight_names")))?;
        for weight in weights {
            count += 1;
            let place = format!("{layer}/{weight}");
            let Some(name) = torch_name(&layer, &weight) else { continue };
            let (shape, values) = tensor(&group, &weight, &mut total)
                .map_err(|reason| format_error(path, format!("{place}: {reason}")))?;
            let (shape, values) = torch_layout(shape, values);
            if count > MOST_NAMES || state.tensors.insert(name.clone(), (shape, values)).is_some() {
                return Err(format_error(path, format!("{place}: a second tensor for {name}")));
            }
        }
    }
    Ok(state)
}

/// A list of names in an attribute; Keras splits long ones into `KEY0`, `KEY1`, ….
fn names(group: &Group, key: &str) -> Option<Vec<String>> {
    let attributes = group.attributes().ok()?;
    let read = |key: &str| {
        let attribute = attributes.iter().find(|a| a.name == key)?;
        match attribute.num_elements().ok()? {
            0 => Some(Vec::new()), // an empty list is stored as an empty list of floats
            n if n as usize > MOST_NAMES => None,
            _ => attribute.read_strings().ok(),
        }
    };
    if let Some(all) = read(key) {
        return Some(all);
    }
    let mut all = read(&format!("{key}0"))?;
    for part in 1..MOST_NAMES {
        let Some(more) = read(&format!("{key}{part}")) else { break };
        all.extend(more);
    }
    (all.len() <= MOST_NAMES).then_some(all)
}

/// `conv0/kernel:0` to `conv0.weight`; nothing for what no network of ours has (counters, other models' optimisers).
fn torch_name(group: &str, weight: &str) -> Option<String> {
    let parts: Vec<&str> = weight.split('/').filter(|part| !part.is_empty()).collect();
    let kind = match parts.last()?.split(':').next()? {
        "kernel" | "gamma" => "weight",
        "beta" | "bias" => "bias",
        "moving_mean" => "running_mean",
        "moving_variance" => "running_var",
        _ => return None,
    };
    let layer = if parts.len() > 1 { parts[parts.len() - 2] } else { group };
    if group.starts_with("projhead") || parts.iter().any(|part| part.starts_with("projhead_model")) {
        let place = if layer == "projhead_output" { 2 } else { 0 };
        return Some(format!("projector.{place}.{kind}"));
    }
    Some(format!("{layer}.{kind}"))
}

/// One data set, by its path below a group.
fn tensor(group: &Group, path: &str, total: &mut usize) -> std::result::Result<(Vec<usize>, Vec<f32>), String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let Some((last, folders)) = parts.split_last().filter(|_| parts.len() <= DEEPEST) else {
        return Err("no usable path".into());
    };
    let mut group = group.clone();
    for folder in folders {
        group = group.group(folder).map_err(|e| e.to_string())?;
    }
    let data = group.dataset(last).map_err(|e| e.to_string())?;
    let shape: Vec<usize> = data.shape().iter().map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX)).collect();
    let count = values_of(&shape).ok_or_else(|| format!("absurd shape {shape:?}"))?;
    *total += count;
    if *total > MOST_VALUES {
        return Err("more values than are accepted".into());
    }
    let values = data.read_array::<f32>().map_err(|e| e.to_string())?;
    let values: Vec<f32> = values.iter().copied().collect();
    if values.len() != count {
        return Err(format!("expected {count} values for {shape:?}, found {}", values.len()));
    }
    Ok((shape, values))
}

/// Convolutions (row, column, in, out) to (out, in, row, column), dense (in, out) to (out, in).
fn torch_layout(shape: Vec<usize>, values: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let (taps, inputs, outputs, shape) = match shape[..] {
        [rows, cols, inputs, outputs] => (rows * cols, inputs, outputs, vec![outputs, inputs, rows, cols]),
        [inputs, outputs] => (1, inputs, outputs, vec![outputs, inputs]),
        _ => return (shape, values),
    };
    let mut turned = vec![0.0; values.len()];
    for (place, value) in values.into_iter().enumerate() {
        let (tap, input, output) = (place / (inputs * outputs), place / outputs % inputs, place % outputs);
        turned[(output * inputs + input) * taps + tap] = value;
    }
    (shape, turned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_last_two_parts() {
        let name = |group, weight| torch_name(group, weight).unwrap_or_default();
        assert_eq!(name("model", "conv0/kernel:0"), "conv0.weight");
        assert_eq!(name("bn0", "bn0/moving_variance:0"), "bn0.running_var");
        assert_eq!(name("base_model", "model_3/bn_data/beta:0"), "bn_data.bias");
        assert_eq!(name("model", "layer1.0.conv1/kernel:0"), "layer1.0.conv1.weight");
        assert_eq!(name("projhead_model", "dense_7/kernel:0"), "projector.0.weight");
        assert_eq!(name("projhead_model", "projhead_output/bias:0"), "projector.2.bias");
        assert_eq!(torch_name("top_level_model_weights", "iteration:0"), None);
    }

    /// Entry (row 1, column 0, in 2, out 1) of a 2 × 2 × 3 × 2 kernel moves to (out 1, in 2, row 1, column 0).
    #[test]
    fn kernels_are_transposed() {
        let values: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let (shape, turned) = torch_layout(vec![2, 2, 3, 2], values);
        assert_eq!(shape, [2, 3, 2, 2]);
        assert_eq!(turned[((3 + 2) * 2 + 1) * 2], ((2 * 3 + 2) * 2 + 1) as f32);
        let (shape, turned) = torch_layout(vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((shape, turned), (vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
        assert_eq!(torch_layout(vec![2], vec![1.0, 2.0]), (vec![2], vec![1.0, 2.0]));
    }
}
