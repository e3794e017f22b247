//! Names of shards: `features-00002-of-00007.parquet` is the third of the seven parts of `features.parquet`.
use std::path::{Path, PathBuf};

/// What the name of a shard says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardName {
    /// The set as it would be called unsharded.
    pub set: PathBuf,
    /// How many shards there are.
    pub total: usize,
    /// Which of them this is, from 0.
    pub number: usize,
}

impl ShardName {
    /// Takes a name apart; `None` if it is not that of a shard.
    pub fn of(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?;
        let (rest, total) = stem.rsplit_once("-of-")?;
        let (set, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(number) || !digits(total) {
            return None;
        }
        let (number, total) = (number.parse().ok()?, total.parse().ok()?);
        Some(Self { set: with_stem(path, set), total, number }).filter(|name| name.number < name.total)
    }
}

/// The name of shard `number` (from 0) of `total` of a set.
pub fn shard_path(set: &Path, number: usize, total: usize) -> PathBuf {
    let stem = set.file_stem().unwrap_or_default().to_string_lossy();
    with_stem(set, &format!("{stem}-{number:05}-of-{total:05}"))
}

fn with_stem(path: &Path, stem: &str) -> PathBuf {
    match path.extension() {
        Some(ending) => path.with_file_name(format!("{stem}.{}", ending.to_string_lossy())),
        None => path.with_file_name(stem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_together_and_taken_apart() {
        let set = Path::new("a/b-c.d.npy");
        let path = shard_path(set, 2, 123_456);
        assert_eq!(path, Path::new("a/b-c.d-00002-of-123456.npy"));
        assert_eq!(ShardName::of(&path), Some(ShardName { set: set.into(), total: 123_456, number: 2 }));
        for name in ["a.npy", "a-1-of-3.npy", "a-00003-of-00003.npy", "a-0000x-of-00003.npy", "-of-.npy", ""] {
            assert_eq!(ShardName::of(Path::new(name)), None, "{name}");
        }
    }
}
