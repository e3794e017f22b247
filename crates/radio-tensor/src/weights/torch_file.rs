//! PyTorch's checkpoint files (`.pth`, `.pt`, Lightning's `.ckpt`): a zip archive of a pickle and one file for each storage,
//! or, before PyTorch 1.6, pickles and storages one behind the other.
//!
//! Dictionaries inside dictionaries are walked by their string keys, so that `state_dict` is found where Lightning and
//! solo-learn put it; whatever else a checkpoint holds (settings, optimisers, Python objects) is passed over.
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Node, Pickle, Place};
use super::state_dict::{StateDict, Stored};
use super::{MOST_VALUES, format_error, guarded, read_file, values_of};
use crate::error::Result;

/// Bytes of the pickle, at most: that of a ResNet has thirty thousand.
const LONGEST_PICKLE: u64 = 16 << 20;
/// Dictionaries inside each other, at most.
const DEEPEST: usize = 4;
/// Values for each byte of the file, at most: a file without shared storages has at most one for two bytes.
const MOST_SHARED: usize = 8;

/// Reads all float tensors; names are the keys on the way to them, joined by dots.
///
/// # Errors
/// If the file cannot be read, is damaged, or a tensor does not fit its storage.
pub fn read(path: &Path) -> Result<StateDict> {
    let bytes = read_file(path)?;
    let is_archive = bytes.starts_with(b"PK");
    let tensors = guarded(path, || {
        let tensors = if is_archive { read_archive(&bytes) } else { read_plain(&bytes) };
        tensors.map_err(|reason| format_error(path, reason))
    })?;
    let origin = if is_archive { "PyTorch zip" } else { "PyTorch, before 1.6" };
    Ok(StateDict { path: path.to_path_buf(), tensors, origin: origin.into(), ..StateDict::default() })
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;
type Reading<T> = std::result::Result<T, String>;

fn read_archive(bytes: &[u8]) -> Reading<Tensors> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    let pickle_name = archive
        .file_names()
        .filter_map(|name| name.ok().map(|name| name.into_owned()))
        .find(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
        .ok_or("no data.pkl inside: not written by torch.save")?;
    let folder = pickle_name.strip_suffix("data.pkl").unwrap_or_default().to_owned();
    let program = entry(&mut archive, &pickle_name, LONGEST_PICKLE)?;
    let pickle = pickle::read(&program)?;
    let limit = bytes.len() as u64;
    tensors(&pickle, bytes.len(), |key| entry(&mut archive, &format!("{folder}data/{key}"), limit))
}

/// The form before PyTorch 1.6: five pickles (magic number, version, machine, the checkpoint, keys of storages), then every
/// storage behind its number of values.
fn read_plain(bytes: &[u8]) -> Reading<Tensors> {
    let mut rest = bytes;
    for _ in 0..3 {
        rest = pickle::read_first(rest)?.1;
    }
    let (checkpoint, rest) = pickle::read_first(rest)?;
    let (keys, mut rest) = pickle::read_first(rest)?;
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for storage in checkpoint.persistent() {
        let Some(&[_, kind, key, ..]) = checkpoint.sequence(storage) else { continue };
        if let (Some((_, kind)), Some(key)) = (checkpoint.global(kind), checkpoint.text(key)) {
            let size = match kind {
                "DoubleStorage" | "LongStorage" => 8,
                "FloatStorage" | "IntStorage" => 4,
                "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
                "ByteStorage" | "CharStorage" | "BoolStorage" => 1,
                other => return Err(format!("storage of an unknown kind {other}")),
            };
            sizes.insert(key, size);
        }
    }
    let mut storages: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for &key in keys.sequence(keys.root()).ok_or("no list of storages")? {
        let key = keys.text(key).ok_or("a storage without a name")?;
        let size = sizes.get(key).ok_or_else(|| format!("storage {key} belongs to no tensor"))?;
        let (count, values) = rest.split_first_chunk::<8>().ok_or("the storages end early")?;
        let length = usize::try_from(u64::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(*size));
        let (values, behind) = length.and_then(|n| values.split_at_checked(n)).ok_or("the storages end early")?;
        storages.insert(key, values);
        rest = behind;
    }
    let storage = |key: &str| storages.get(key).map(|bytes| bytes.to_vec()).ok_or_else(|| format!("no storage {key}"));
    tensors(&checkpoint, bytes.len(), storage)
}

/// All float tensors of a checkpoint of `file_bytes`, given its storages.
fn tensors(pickle: &Pickle, file_bytes: usize, mut storage: impl FnMut(&str) -> Reading<Vec<u8>>) -> Reading<Tensors> {
    let mut found = Vec::new();
    walk(pickle, pickle.root(), String::new(), 0, &mut found);
    let mut tensors = Tensors::new();
    let mut total = 0usize;
    let mut storages: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, place) in found {
        let Some(tensor) = describe(pickle, place, 0) else { continue };
        let Some(stored) = tensor.stored else { continue };
        let count = values_of(&tensor.shape).ok_or_else(|| format!("{name}: absurd shape {:?}", tensor.shape))?;
        total += count;
        // Tensors may share storages, but a file whose tensors all do would make much out of little.
        if total > MOST_VALUES.min(file_bytes.saturating_mul(MOST_SHARED)) {
            return Err("more values than are accepted".into());
        }
        if !storages.contains_key(&tensor.key) {
            storages.insert(tensor.key.clone(), storage(&tensor.key).map_err(|e| format!("{name}: {e}"))?);
        }
        let values = tensor.values(stored, &storages[&tensor.key]).map_err(|e| format!("{name}: {e}"))?;
        tensors.insert(name, (tensor.shape, values));
    }
    Ok(tensors)
}

/// One file of the archive, which must be stored as it is: so it is never larger than the archive.
fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, limit: u64) -> Reading<Vec<u8>> {
    let file = archive.by_name(name).map_err(|e| format!("{name}: {e}"))?;
    if file.compression() != CompressionMethod::Stored {
        return Err(format!("{name}: compressed, which torch.save never does"));
    }
    if file.size() > limit {
        return Err(format!("{name}: {} bytes, more than the {limit} that are accepted", file.size()));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
    Ok(bytes)
}

/// Collects what may be tensors: calls that are the values of string keys.
fn walk(pickle: &Pickle, place: Place, name: String, depth: usize, found: &mut Vec<(String, Place)>) {
    match pickle.get(place) {
        // A dictionary that holds itself ends at the depth; one that is shared very often is cut off.
        Node::Map(entries) if depth < DEEPEST => {
            for &(key, value) in entries {
                if found.len() > 100_000 {
                    return;
                }
                if let Some(key) = pickle.text(key) {
                    let name = if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
                    walk(pickle, value, name, depth + 1, found);
                }
            }
        }
        Node::Call(..) => found.push((name, place)),
        _ => {}
    }
}

/// A tensor as a checkpoint describes it: a view into a storage.
struct Description {
    key: String,
    /// Nothing for integers.
    stored: Option<Stored>,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// The tensor a noted call would build, if it would build one.
fn describe(pickle: &Pickle, place: Place, depth: usize) -> Option<Description> {
    let &Node::Call(callee, arguments) = pickle.get(place) else { return None };
    let arguments = pickle.sequence(arguments)?;
    match pickle.global(callee)? {
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => {
            let &Node::Persistent(storage) = pickle.get(*arguments.first()?) else { return None };
            let storage = pickle.sequence(storage)?;
            let (_, kind) = pickle.global(*storage.get(1)?)?;
            let stored = match kind {
                "FloatStorage" => Some(Stored::F32),
                "DoubleStorage" => Some(Stored::F64),
                "HalfStorage" => Some(Stored::F16),
                "BFloat16Storage" => Some(Stored::Bf16),
                _ => None,
            };
            Some(Description {
                key: pickle.text(*storage.get(2)?)?.to_owned(),
                stored,
                offset: pickle.count(*arguments.get(1)?)?,
                shape: pickle.counts(*arguments.get(2)?)?,
                strides: pickle.counts(*arguments.get(3)?)?,
            })
        }
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") if depth < 3 => {
            describe(pickle, *arguments.first()?, depth + 1)
        }
        ("torch._tensor", "_rebuild_from_type_v2") if depth < 3 => {
            // (function, type, its arguments, state)
            let inner = pickle.sequence(*arguments.get(2)?)?;
            describe(pickle, *inner.first()?, depth + 1)
        }
        _ => None,
    }
}

impl Description {
    /// The values in the order of the shape.
    fn values(&self, stored: Stored, bytes: &[u8]) -> Reading<Vec<f32>> {
        let Self { offset, shape, strides, .. } = self;
        let held = bytes.len() / stored.bytes();
        let count: usize = shape.iter().product();
        if strides.len() != shape.len() {
            return Err(format!("shape {shape:?} with strides {strides:?}"));
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        // The last value read must lie inside, and no view may be larger than what it views.
        let last = shape.iter().zip(strides).try_fold(*offset, |last, (&axis, &stride)| {
            (axis - 1).checked_mul(stride).and_then(|run| last.checked_add(run))
        });
        if last.is_none_or(|last| last >= held) || count > held {
            return Err(format!(
                "shape {shape:?}, strides {strides:?} from {offset} on: the storage holds {held} values"
            ));
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0usize; shape.len()];
        let mut at = *offset;
        for _ in 0..count {
            values.push(stored.decode(&bytes[at * stored.bytes()..][..stored.bytes()]));
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                at += strides[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                at -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> Description {
        Description { key: "0".into(), stored: Some(Stored::F32), offset, shape: shape.into(), strides: strides.into() }
    }

    #[test]
    fn views_are_read_by_their_strides_and_stay_inside() {
        let bytes: Vec<u8> = (0..12).flat_map(|v| (v as f32).to_le_bytes()).collect();
        let read = |view: Description| view.values(Stored::F32, &bytes);
        assert_eq!(read(view(0, &[3, 4], &[4, 1])).unwrap(), (0..12).map(|v| v as f32).collect::<Vec<_>>());
        assert_eq!(read(view(1, &[2, 3], &[1, 4])).unwrap(), [1.0, 5.0, 9.0, 2.0, 6.0, 10.0]);
        assert_eq!(read(view(0, &[], &[])).unwrap(), [0.0]);
        assert_eq!(read(view(5, &[0, 7], &[1, 1])).unwrap(), [0f32; 0]);
        for bad in [
            view(1, &[3, 4], &[4, 1]),
            view(0, &[13], &[0]),
            view(usize::MAX, &[1], &[1]),
            view(0, &[2, 2], &[usize::MAX, usize::MAX]),
            view(0, &[2], &[]),
        ] {
            assert!(read(bad).is_err());
        }
    }
}
