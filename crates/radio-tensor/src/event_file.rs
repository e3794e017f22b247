//! TensorBoard event files: curves of a training, step by step, while it runs.
//!
//! A file is a sequence of records (length, masked CRC-32C, an `Event` message, masked CRC-32C), appended as they come: unlike
//! other outputs it is not written whole, so that TensorBoard can follow. A run that resumes cuts off what lies behind the
//! step it resumes from; after that no step is in the file twice, and a record that a kill left half written is gone.
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crc32c::crc32c;

use crate::error::{Result, TensorError};
use crate::protobuf::Message;

/// Last part of the name of our event files; TensorBoard looks for `tfevents` in a name.
pub const EVENT_FILE: &str = "events.out.tfevents.0.radio-ssl";

/// Version of the format, which opens every file.
const VERSION: &str = "brain.Event:2";
/// Files larger than this are refused before they are read.
const LARGEST: u64 = 1 << 30;
/// Bytes of a record beside its message: length and checksum before it, checksum behind it.
const FRAME: usize = 16;
/// Fields of `Event`, `Summary` and `Summary.Value` (tensorflow/core/util/event.proto, framework/summary.proto).
const WALL_TIME: u32 = 1;
const STEP: u32 = 2;
const FILE_VERSION: u32 = 3;
const SUMMARY: u32 = 5;
const VALUE: u32 = 1;
const TAG: u32 = 1;
const SIMPLE_VALUE: u32 = 2;

/// An event file that is being written.
pub struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
    last_step: u64,
}

impl EventFile {
    /// Opens a file to go on after `step`, and makes it (with its folder) if there is none; everything of later steps is cut
    /// off, all of a file for `step` 0.
    ///
    /// # Errors
    /// If it cannot be read or written, or holds something else than events.
    pub fn continue_after(path: &Path, step: u64) -> Result<Self> {
        let io = |action| move |source| TensorError::CheckpointIo { action, path: path.to_path_buf(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io("write"))?;
        }
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io("write"))?;
        let size = file.metadata().map_err(io("read"))?.len();
        let format = |reason: String| TensorError::CheckpointFormat { path: path.to_path_buf(), reason };
        if size > LARGEST {
            return Err(format(format!("{size} bytes, more than the {LARGEST} that are accepted")));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        if !bytes.is_empty() && records(&bytes).next().is_none_or(|(_, event)| !is_version(event)) {
            return Err(format("not a file of TensorBoard events: remove it, or choose another".into()));
        }
        let kept = || records(&bytes).take_while(|(_, event)| step_of(event) <= step);
        let end = if step == 0 { 0 } else { kept().last().map_or(0, |(end, _)| end) };
        let last_step = if step == 0 { 0 } else { kept().map(|(_, event)| step_of(event)).max().unwrap_or(0) };
        file.set_len(end as u64).map_err(io("write"))?;
        file.seek(SeekFrom::End(0)).map_err(io("write"))?;
        let mut events = Self { path: path.to_path_buf(), file: BufWriter::new(file), last_step };
        if end == 0 {
            events
                .append(Message::default().double(WALL_TIME, seconds(SystemTime::now())).text(FILE_VERSION, VERSION))?;
        }
        Ok(events)
    }

    /// The last step the file holds, 0 without one.
    pub fn last_step(&self) -> u64 {
        self.last_step
    }

    /// Adds values of one step by their tags, as `train/loss`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalars(&mut self, at: SystemTime, step: u64, values: &[(&str, f32)]) -> Result<()> {
        let value = |(tag, value): &(&str, f32)| Message::default().text(TAG, tag).float(SIMPLE_VALUE, *value);
        let summary = values.iter().map(value).fold(Message::default(), |all, one| all.message(VALUE, &one));
        let event = Message::default().double(WALL_TIME, seconds(at)).int(STEP, step as i64).message(SUMMARY, &summary);
        self.last_step = self.last_step.max(step);
        self.append(event)
    }

    /// Brings everything to the file, for readers and against a kill.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        let Self { path, file, .. } = self;
        file.flush().map_err(|source| TensorError::CheckpointIo { action: "write", path: path.clone(), source })
    }

    fn append(&mut self, event: Message) -> Result<()> {
        let Self { path, file, .. } = self;
        file.write_all(&record(&event.into_bytes())).map_err(|source| TensorError::CheckpointIo {
            action: "write",
            path: path.clone(),
            source,
        })
    }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The checksum of the format: CRC-32C, turned and shifted so that it differs from one of data that holds checksums.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(message.len() + FRAME);
    record.extend(length);
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(message);
    record.extend(masked(crc32c(message)).to_le_bytes());
    record
}

/// The whole records of a file, up to the first that is damaged: where each ends, and its message.
fn records(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut place = 0;
    std::iter::from_fn(move || {
        let rest = &bytes[place..];
        let length = u64::from_le_bytes(rest.get(..8)?.try_into().ok()?);
        let message = rest.get(12..)?.get(..usize::try_from(length).ok()?)?;
        let checksum = |at: usize| rest.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let right =
            checksum(8)? == masked(crc32c(&rest[..8])) && checksum(12 + message.len())? == masked(crc32c(message));
        place += message.len() + FRAME;
        right.then_some((place, message))
    })
}

fn is_version(event: &[u8]) -> bool {
    fields(event)
        .any(|(field, value)| field == FILE_VERSION && matches!(value, Field::Bytes(b) if b == VERSION.as_bytes()))
}

fn step_of(event: &[u8]) -> u64 {
    let step = |(field, value)| match value {
        Field::Number(step) if field == STEP => Some(step),
        _ => None,
    };
    fields(event).find_map(step).unwrap_or(0)
}

/// A field's value as it stands in a message.
enum Field<'a> {
    /// A varint, or eight or four bytes, as they are.
    Number(u64),
    /// Text, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, up to the first that is damaged.
fn fields(message: &[u8]) -> impl Iterator<Item = (u32, Field<'_>)> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let key = varint(&mut rest)?;
        let mut take = |n: usize| {
            let (taken, left) = rest.split_at_checked(n)?;
            rest = left;
            Some(taken)
        };
        let value = match key & 7 {
            0 => Field::Number(varint(&mut rest)?),
            1 => Field::Number(u64::from_le_bytes(take(8)?.try_into().ok()?)),
            5 => Field::Number(u32::from_le_bytes(take(4)?.try_into().ok()?).into()),
            2 => {
                let length = varint(&mut rest)?;
                let (taken, left) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                rest = left;
                Field::Bytes(taken)
            }
            _ => return None,
        };
        Some((u32::try_from(key >> 3).ok()?, value))
    })
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    type Values = Vec<(String, f32)>;

    /// Step, time and values of every event behind the first.
    fn read(path: &Path) -> Vec<(u64, f64, Values)> {
        let bytes = std::fs::read(path).unwrap();
        let whole: Vec<_> = records(&bytes).collect();
        assert_eq!(whole.last().unwrap().0, bytes.len(), "whole records only");
        assert!(is_version(whole[0].1));
        let value = |value: &[u8]| {
            let (mut tag, mut number) = (String::new(), f32::NAN);
            for (field, value) in fields(value) {
                match (field, value) {
                    (TAG, Field::Bytes(bytes)) => tag = String::from_utf8(bytes.to_vec()).unwrap(),
                    (SIMPLE_VALUE, Field::Number(bits)) => number = f32::from_bits(bits as u32),
                    _ => panic!("field {field} of a value"),
                }
            }
            (tag, number)
        };
        let event = |event: &[u8]| {
            let (mut time, mut values) = (f64::NAN, Vec::new());
            for (field, content) in fields(event) {
                match (field, content) {
                    (WALL_TIME, Field::Number(bits)) => time = f64::from_bits(bits),
                    (STEP, _) => {}
                    (SUMMARY, Field::Bytes(summary)) => {
                        let one = |(field, content)| match content {
                            Field::Bytes(bytes) if field == VALUE => value(bytes),
                            _ => panic!("field {field} of a summary"),
                        };
                        values = fields(summary).map(one).collect();
                    }
                    _ => panic!("field {field} of an event"),
                }
            }
            (step_of(event), time, values)
        };
        whole[1..].iter().map(|(_, bytes)| event(bytes)).collect()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn write(path: &Path, from: u64, to: u64) {
        let mut events = EventFile::continue_after(path, from - 1).unwrap();
        for step in from..=to {
            events.scalars(at(step + 100), step, &[("train/loss", step as f32 / 4.0), ("train/lr", 1e-3)]).unwrap();
        }
        events.flush().unwrap();
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new").join(EVENT_FILE);
        write(&path, 1, 3);
        let events = read(&path);
        assert_eq!(events.len(), 3);
        let loss_and_rate = vec![("train/loss".to_owned(), 0.75), ("train/lr".to_owned(), 1e-3)];
        assert_eq!(events[2], (3, 103.0, loss_and_rate));
    }

    /// A record in bytes; its checksums by `masked_crc32c` of tensorboard 2.21.0 (Python).
    #[test]
    fn a_record_has_the_bytes_of_the_format() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
        let checksums = ([0xb0, 0x99, 0x49, 0x0e], [0x6e, 0x57, 0xf1, 0x21]);
        let want = [&[3, 0, 0, 0, 0, 0, 0, 0][..], &checksums.0, b"abc", &checksums.1].concat();
        assert_eq!(record(b"abc"), want);
    }

    /// After a resume every step stands once, whatever was written behind the step it resumed from.
    #[test]
    fn a_resumed_run_leaves_no_step_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(EVENT_FILE);
        write(&path, 1, 9);
        write(&path, 5, 7);
        let steps = |path: &Path| read(path).iter().map(|event| event.0).collect::<Vec<_>>();
        assert_eq!(steps(&path), [1, 2, 3, 4, 5, 6, 7]);
        // A kill in the middle of a record, and then in the middle of a length.
        for cut in [5, 30] {
            let size = std::fs::metadata(&path).unwrap().len();
            OpenOptions::new().write(true).open(&path).unwrap().set_len(size - cut).unwrap();
            let events = EventFile::continue_after(&path, 7).unwrap();
            assert!(events.last_step() < 7);
            drop(events);
            read(&path);
        }
        // A damaged byte ends what can be trusted.
        let mut bytes = std::fs::read(&path).unwrap();
        let third = records(&bytes).nth(3).unwrap().0;
        bytes[third - 9] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(EventFile::continue_after(&path, 7).unwrap().last_step(), 2);
        assert_eq!(steps(&path), [1, 2]);
        write(&path, 1, 2);
        assert_eq!(steps(&path), [1, 2], "step 0 starts anew");
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis.txt");
        let huge = [&u64::MAX.to_le_bytes()[..], &[7; 40]].concat();
        for text in [b"chapter one, which is longer than a record".to_vec(), record(b"\x08\x01"), huge] {
            std::fs::write(&path, &text).unwrap();
            let error = EventFile::continue_after(&path, 0).err().unwrap();
            assert!(matches!(error, TensorError::CheckpointFormat { .. }), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), text);
        }
    }
}
