//! The pickle language as data: what a PyTorch checkpoint says, without doing any of it.
//!
//! A pickle is a program that may call any Python function. This reader builds the values and *notes* the calls
//! ([`Node::Call`]); nothing is looked up, imported or run. Values live in one list and point at each other by place, so
//! that shared and cyclic values cost nothing and dropping them needs no recursion: a reader that copies what the memo holds
//! (as candle's does) doubles with every reference, and a few hundred bytes fill any memory.
use std::collections::HashMap;

/// Values of one pickle, at most.
const MOST_NODES: usize = 2_000_000;

/// Place of a value.
pub type Place = usize;

/// A value of a pickle.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// None, and everything no checkpoint needs (sets, bytes, long integers).
    Other,
    /// True or false.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// A tuple or list.
    Sequence(Vec<Place>),
    /// A dictionary, in its order.
    Map(Vec<(Place, Place)>),
    /// A name in a module: a class or function. Never looked up.
    Global(String, String),
    /// A call that Python would make: the callee and its arguments. Never made.
    Call(Place, Place),
    /// An object outside the pickle, by its description (a tensor's storage).
    Persistent(Place),
}

/// Values of a pickle by their places.
#[derive(Debug, Default)]
pub struct Pickle {
    nodes: Vec<Node>,
    root: Place,
}

impl Pickle {
    /// The value at a place.
    pub fn get(&self, place: Place) -> &Node {
        self.nodes.get(place).unwrap_or(&Node::Other)
    }

    /// All objects outside the pickle, by their descriptions.
    pub fn persistent(&self) -> impl Iterator<Item = Place> + '_ {
        self.nodes.iter().filter_map(|node| match node {
            Node::Persistent(place) => Some(*place),
            _ => None,
        })
    }

    /// The whole.
    pub fn root(&self) -> Place {
        self.root
    }

    /// The parts of a tuple or list.
    pub fn sequence(&self, place: Place) -> Option<&[Place]> {
        match self.get(place) {
            Node::Sequence(parts) => Some(parts),
            _ => None,
        }
    }

    /// A string.
    pub fn text(&self, place: Place) -> Option<&str> {
        match self.get(place) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number of things: an integer of at least 0.
    pub fn count(&self, place: Place) -> Option<usize> {
        match self.get(place) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A tuple of counts.
    pub fn counts(&self, place: Place) -> Option<Vec<usize>> {
        self.sequence(place)?.iter().map(|&p| self.count(p)).collect()
    }

    /// Module and name of a global.
    pub fn global(&self, place: Place) -> Option<(&str, &str)> {
        match self.get(place) {
            Node::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }
}

/// The machine that runs a pickle.
struct Machine<'a> {
    input: &'a [u8],
    nodes: Vec<Node>,
    stack: Vec<Place>,
    marks: Vec<usize>,
    memo: HashMap<u64, Place>,
}

type Step<T> = Result<T, String>;

/// Reads one pickle; what follows it is ignored.
///
/// # Errors
/// In words, on an unknown instruction, an early end, a stack that runs empty, or too many values.
pub fn read(bytes: &[u8]) -> Step<Pickle> {
    Ok(read_first(bytes)?.0)
}

/// Reads the first of several pickles; also what follows it.
///
/// # Errors
/// As [`read`].
pub fn read_first(bytes: &[u8]) -> Step<(Pickle, &[u8])> {
    let mut machine =
        Machine { input: bytes, nodes: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while machine.step()? {}
    let root = machine.pop()?;
    Ok((Pickle { nodes: machine.nodes, root }, machine.input))
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let (head, rest) = self.input.split_at_checked(count).ok_or("the pickle ends early")?;
        self.input = rest;
        Ok(head)
    }

    fn number(&mut self, bytes: usize) -> Step<u64> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// A run of bytes behind its length.
    fn run(&mut self, length_bytes: usize) -> Step<&'a [u8]> {
        let length = usize::try_from(self.number(length_bytes)?).map_err(|_| "the pickle ends early")?;
        self.take(length)
    }

    fn line(&mut self) -> Step<String> {
        let end = self.input.iter().position(|&b| b == b'\n').ok_or("the pickle ends early")?;
        let line = self.take(end + 1)?;
        Ok(String::from_utf8_lossy(&line[..end]).trim_end_matches('\r').to_owned())
    }

    fn push(&mut self, node: Node) -> Step<()> {
        if self.nodes.len() >= MOST_NODES {
            return Err(format!("more than {MOST_NODES} values"));
        }
        self.nodes.push(node);
        self.stack.push(self.nodes.len() - 1);
        Ok(())
    }

    fn pop(&mut self) -> Step<Place> {
        // What lies below the last mark belongs to an unfinished sequence.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the pickle's stack runs empty".into());
        }
        self.stack.pop().ok_or_else(|| "the pickle's stack runs empty".into())
    }

    fn top(&self) -> Step<Place> {
        self.stack.last().copied().ok_or_else(|| "the pickle's stack runs empty".into())
    }

    /// What was pushed since the last mark.
    fn since_mark(&mut self) -> Step<Vec<Place>> {
        let mark = self.marks.pop().ok_or("a mark is missing")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn tuple(&mut self, count: usize) -> Step<()> {
        let mut parts = (0..count).map(|_| self.pop()).collect::<Step<Vec<_>>>()?;
        parts.reverse();
        self.push(Node::Sequence(parts))
    }

    fn recall(&mut self, key: u64) -> Step<()> {
        let place = *self.memo.get(&key).ok_or_else(|| format!("nothing remembered under {key}"))?;
        if self.stack.len() >= MOST_NODES {
            return Err(format!("more than {MOST_NODES} values"));
        }
        self.stack.push(place);
        Ok(())
    }

    fn remember(&mut self, key: u64) -> Step<()> {
        let place = self.top()?;
        self.memo.insert(key, place);
        Ok(())
    }

    fn append(&mut self, items: Vec<Place>) -> Step<()> {
        let list = self.top()?;
        // Other objects that take items (sets, deques) are of no interest, nor is what is in them.
        if let Some(Node::Sequence(parts)) = self.nodes.get_mut(list) {
            parts.extend(items);
        }
        Ok(())
    }

    fn set(&mut self, items: &[Place]) -> Step<()> {
        let map = self.top()?;
        if let Some(Node::Map(entries)) = self.nodes.get_mut(map) {
            entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        }
        Ok(())
    }

    fn call(&mut self) -> Step<()> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let is_dictionary = matches!(self.nodes.get(callee), Some(Node::Global(module, name))
            if module == "collections" && (name == "OrderedDict" || name == "defaultdict"));
        self.push(if is_dictionary { Node::Map(Vec::new()) } else { Node::Call(callee, arguments) })
    }

    /// One instruction; whether there is another.
    fn step(&mut self) -> Step<bool> {
        match self.take(1)?[0] {
            b'.' => return Ok(false),
            0x80 => drop(self.take(1)?), // protocol
            0x95 => drop(self.take(8)?), // frame
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => drop(self.since_mark()?),
            b'2' => {
                let place = self.top()?;
                self.stack.push(place);
            }
            b'N' => self.push(Node::Other)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'K' => {
                let value = self.number(1)? as i64;
                self.push(Node::Int(value))?;
            }
            b'M' => {
                let value = self.number(2)? as i64;
                self.push(Node::Int(value))?;
            }
            b'J' => {
                let value = self.number(4)? as u32 as i32;
                self.push(Node::Int(value.into()))?;
            }
            0x8a => {
                let bytes = self.run(1)?;
                self.push(long(bytes))?;
            }
            0x8b => {
                let bytes = self.run(4)?;
                self.push(long(bytes))?;
            }
            b'G' => {
                let value = f64::from_bits(self.number(8)?.swap_bytes());
                self.push(Node::Float(value))?;
            }
            b'X' => self.push_text(4)?,
            0x8c => self.push_text(1)?,
            0x8d => self.push_text(8)?,
            b'U' => self.push_text(1)?,
            b'T' => self.push_text(4)?,
            b'C' => self.push_bytes(1)?,
            b'B' => self.push_bytes(4)?,
            0x8e | 0x96 => self.push_bytes(8)?,
            b')' | b']' | 0x8f => self.push(Node::Sequence(Vec::new()))?,
            b'}' => self.push(Node::Map(Vec::new()))?,
            b't' | b'l' | 0x91 => {
                let parts = self.since_mark()?;
                self.push(Node::Sequence(parts))?;
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'd' => {
                let items = self.since_mark()?;
                self.push(Node::Map(Vec::new()))?;
                self.set(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global(module, name))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |place: Place| match self.nodes.get(place) {
                    Some(Node::Text(text)) => text.clone(),
                    _ => String::new(),
                };
                let global = Node::Global(text(module), text(name));
                self.push(global)?;
            }
            b'R' | 0x81 => self.call()?,
            0x92 => {
                self.pop()?; // keyword arguments
                self.call()?;
            }
            b'b' => {
                self.pop()?; // the state of an object: no tensor hides there
            }
            b'Q' => {
                let description = self.pop()?;
                self.push(Node::Persistent(description))?;
            }
            b'q' => {
                let key = self.number(1)?;
                self.remember(key)?;
            }
            b'r' => {
                let key = self.number(4)?;
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' => {
                let key = self.number(1)?;
                self.recall(key)?;
            }
            b'j' => {
                let key = self.number(4)?;
                self.recall(key)?;
            }
            other => return Err(format!("pickle instruction {other:#04x} is none that PyTorch writes")),
        }
        Ok(true)
    }

    fn push_text(&mut self, length_bytes: usize) -> Step<()> {
        let bytes = self.run(length_bytes)?;
        self.push(Node::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn push_bytes(&mut self, length_bytes: usize) -> Step<()> {
        self.run(length_bytes)?;
        self.push(Node::Other)
    }
}

/// A little-endian two's complement integer.
fn long(bytes: &[u8]) -> Node {
    if bytes.len() > 8 {
        return Node::Other;
    }
    let negative = bytes.last().is_some_and(|&b| b >= 0x80);
    let mut filled = [if negative { 0xff } else { 0 }; 8];
    filled[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": [1, -2], "b": ("x", 0.5)}` as Python 3 writes it with protocol 2 (memo left out).
    #[test]
    fn values_come_back() {
        let bytes =
            b"\x80\x02}(X\x01\0\0\0a](K\x01J\xfe\xff\xff\xffeX\x01\0\0\0bX\x01\0\0\0xG\x3f\xe0\0\0\0\0\0\0\x86u.";
        let pickle = read(bytes).unwrap();
        let Node::Map(entries) = pickle.get(pickle.root()) else { panic!("a dictionary") };
        assert_eq!(entries.iter().map(|&(key, _)| pickle.text(key).unwrap()).collect::<Vec<_>>(), ["a", "b"]);
        let list = pickle.sequence(entries[0].1).unwrap();
        assert_eq!([pickle.get(list[0]), pickle.get(list[1])], [&Node::Int(1), &Node::Int(-2)]);
        let tuple = pickle.sequence(entries[1].1).unwrap();
        assert_eq!((pickle.text(tuple[0]), pickle.get(tuple[1])), (Some("x"), &Node::Float(0.5)));
        for (bytes, want) in [(&[][..], 0), (&[0xff], -1), (&[0, 1], 256), (&[0xff, 0x7f], 32767)] {
            assert_eq!(long(bytes), Node::Int(want));
        }
    }

    /// A list that was remembered empty and filled later is the filled one wherever it is recalled.
    #[test]
    fn what_is_remembered_is_the_thing_itself() {
        let pickle = read(b"\x80\x02]q\0K\x07ah\0\x86.").unwrap();
        let pair = pickle.sequence(pickle.root()).unwrap();
        assert_eq!(pair[0], pair[1]);
        assert_eq!(pickle.count(pickle.sequence(pair[1]).unwrap()[0]), Some(7));
    }

    /// os.system("…") stays a note; nested doubling, which fills memory when copied, costs a value a line.
    #[test]
    fn hostile_programs_do_nothing() {
        let pickle = read(b"cposix\nsystem\nX\x09\0\0\0rm -rf ~/\x85R.").unwrap();
        let Node::Call(callee, _) = pickle.get(pickle.root()) else { panic!("a call") };
        assert_eq!(pickle.global(*callee), Some(("posix", "system")));
        let mut bomb = b"]q\0".to_vec();
        for level in 0..200u8 {
            bomb.extend([b'h', level, b'h', level, 0x86, b'q', level + 1]);
        }
        bomb.push(b'.');
        assert!(read(&bomb).unwrap().nodes.len() < 300);
        let mut deep = b"]".to_vec();
        deep.resize(1_000_000, 0x85);
        deep.push(b'.');
        drop(read(&deep).unwrap());
        for bad in
            [&b""[..], b".", b"0.", b"(.", b"t.", b"R.", b"X\xff\xff\xff\xff.", b"h\x01.", b"\xfe.", b"(K\x01(0."]
        {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert!(read(&vec![b'N'; MOST_NODES + 2]).is_err());
    }
}
