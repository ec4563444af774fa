//! What is where in a tar archive. Pure: reads whatever can be read and sought.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use tar::{Archive, EntryType, Header};

/// The most bytes that one member's headers may have, long names and extensions included.
const MAX_HEADER: u64 = 1 << 20;

/// The most members that an archive may have.
const MAX_MEMBERS: usize = 1_000_000;

/// The most links that are followed on the way to one file, as Linux has it.
const MAX_LINKS: usize = 40;

/// How many characters of another library's explanation are worth reading.
const MAX_EXPLANATION: usize = 200;

/// Headers are this long, and everything is padded to a multiple of it.
const BLOCK: usize = 512;

/// How compressed files begin.
const COMPRESSIONS: [(&str, &[u8]); 5] = [
    ("gzip", &[0x1f, 0x8b]),
    ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
    ("xz", &[0xfd, b'7', b'z', b'X', b'Z', 0]),
    ("bzip2", b"BZh"),
    ("lz4", &[0x04, 0x22, 0x4d, 0x18]),
];

/// The files and links of an archive, by their names without `./`.
#[derive(Debug, Default)]
pub struct ArchiveIndex {
    members: HashMap<String, Member>,
}

/// Where a file's bytes are in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub size: u64,
}

#[derive(Clone, Debug)]
enum Member {
    File(Span),
    /// Its target counts from the link's own folder.
    Symlink(String),
    /// A hard link to what comes later or not at all. Its target counts from the archive's root.
    HardLink(String),
}

impl ArchiveIndex {
    /// Reads the headers of an archive of `length` bytes and seeks over everything else.
    ///
    /// Where a name comes twice the later member counts, as it does when an archive is unpacked.
    /// The error says in words what is wrong with the archive.
    pub fn read(mut input: impl Read + Seek, length: u64) -> Result<ArchiveIndex, String> {
        check_start(&mut input).map_err(|error| explain(&error))??;
        let budget = Cell::new(0);
        let mut archive = Archive::new(Headers { input, budget: &budget });
        let mut index = ArchiveIndex::default();
        budget.set(MAX_HEADER);
        for entry in archive.entries_with_seek().map_err(|error| explain(&error))? {
            let mut entry = entry.map_err(|error| explain(&error))?;
            let name = entry.path_bytes();
            let name = String::from_utf8_lossy(&name).into_owned();
            let span = Span { offset: entry.raw_file_position(), size: entry.size() };
            let kind = entry.header().entry_type();
            if kind.is_gnu_sparse() || has_sparse_extension(&mut entry)? {
                return Err(format!(
                    "{name} is stored as a sparse file: make the archive without --sparse"
                ));
            }
            // Seeking leads past the end of a file without a word.
            if span.offset.checked_add(span.size).is_none_or(|end| end > length) {
                let (offset, size) = (span.offset, span.size);
                return Err(format!(
                    "it is cut short: {name} has {size} bytes at {offset}, the archive has {length}"
                ));
            }
            let target = entry.link_name_bytes();
            let target = target.map(|target| String::from_utf8_lossy(&target).into_owned());
            index.insert(&name, kind, span, target);
            if index.members.len() > MAX_MEMBERS {
                return Err(format!("it has more than {MAX_MEMBERS} members"));
            }
            budget.set(MAX_HEADER);
        }
        Ok(index)
    }

    /// Where the content of the file `name` is, after links that stay inside the archive.
    pub fn find(&self, name: &str) -> Option<Span> {
        // Parts still to walk, the next one last; and those walked, through which links are gone.
        let mut ahead: Vec<&str> = name.rsplit('/').collect();
        let mut walked: Vec<&str> = Vec::new();
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            match part {
                "" | "." => continue,
                ".." => {
                    walked.pop()?;
                    continue;
                }
                _ => walked.push(part),
            }
            let target = match self.members.get(&walked.join("/")) {
                None => continue,
                Some(Member::File(span)) => return ahead.is_empty().then_some(*span),
                Some(Member::Symlink(target)) if target.starts_with('/') => return None,
                Some(Member::Symlink(target)) => {
                    walked.pop();
                    target
                }
                Some(Member::HardLink(target)) => {
                    walked.clear();
                    target
                }
            };
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            ahead.extend(target.rsplit('/'));
        }
        None
    }

    /// The names of its files and links, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    fn insert(&mut self, name: &str, kind: EntryType, span: Span, target: Option<String>) {
        let Some(name) = normalised(name) else { return };
        let member = match (kind, target) {
            (EntryType::Regular | EntryType::Continuous, _) => Member::File(span),
            (EntryType::Symlink, Some(target)) => Member::Symlink(target),
            // POSIX lets a hard link bring the content along.
            (EntryType::Link, _) if span.size > 0 => Member::File(span),
            (EntryType::Link, Some(target)) => {
                let Some(target) = normalised(&target) else { return };
                // It stands for the member as it is now, even if another follows under its name.
                match self.members.get(&target) {
                    Some(member) => member.clone(),
                    None => Member::HardLink(target),
                }
            }
            (EntryType::Directory | EntryType::Char | EntryType::Block | EntryType::Fifo, _) => {
                self.members.remove(&name);
                return;
            }
            _ => return,
        };
        self.members.insert(name, member);
    }
}

/// `name` without `./`, doubled and outer slashes; `None` where it leads out of the archive.
fn normalised(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// An error in words inside where the input does not begin like a tar archive.
fn check_start(input: &mut (impl Read + Seek)) -> io::Result<Result<(), String>> {
    let mut start = Vec::new();
    input.by_ref().take(BLOCK as u64).read_to_end(&mut start)?;
    input.seek(SeekFrom::Start(0))?;
    if let Some((name, _)) = COMPRESSIONS.iter().find(|(_, magic)| start.starts_with(magic)) {
        return Ok(Err(format!("it is compressed with {name}: decompress it first")));
    }
    let is_header = start.len() == BLOCK && {
        let header = Header::from_byte_slice(&start);
        // The sum is over the header with blanks in its own place. An empty block is an end.
        let rest = start[..148].iter().chain(&start[156..]);
        let sum = rest.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
        header.cksum().is_ok_and(|written| written == sum) || start.iter().all(|byte| *byte == 0)
    };
    match is_header {
        true => Ok(Ok(())),
        false => Ok(Err("it does not begin with the header of a member".to_owned())),
    }
}

/// Whether a PAX archive keeps the member as a map of its holes, in words of GNU tar.
fn has_sparse_extension<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<bool, String> {
    let Some(extensions) = entry.pax_extensions().map_err(|error| explain(&error))? else {
        return Ok(false);
    };
    Ok(extensions.flatten().any(|extension| extension.key_bytes().starts_with(b"GNU.sparse.")))
}

/// The error with all its causes: the `tar` crate puts what matters in the last one.
fn explain(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.get_ref().and_then(|inner| inner.source());
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    // Some quote what they could not read, which may be anything.
    let printable = |c: char| if c.is_control() || c == '\u{fffd}' { '?' } else { c };
    text.chars().take(MAX_EXPLANATION).map(printable).collect()
}

/// Input of which only so much may be read between two members: names and extensions are held in
/// memory whole, whatever size their headers claim.
struct Headers<'a, R> {
    input: R,
    budget: &'a Cell<u64>,
}

impl<R: Read> Read for Headers<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        match self.budget.get().checked_sub(count as u64) {
            Some(left) => self.budget.set(left),
            None => {
                let problem = format!("a member's headers have more than {MAX_HEADER} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        }
        Ok(count)
    }
}

impl<R: Seek> Seek for Headers<'_, R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.input.seek(position)
    }
}
