//! Tar archives that someone sent: what is found in them lies in them, and looking ends.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use windlass_source::ArchiveIndex;

fuzz_target!(|bytes: &[u8]| {
    let length = bytes.len() as u64;
    let Ok(index) = ArchiveIndex::read(Cursor::new(bytes), length) else { return };
    for name in index.names() {
        assert!(!name.split('/').any(|part| matches!(part, "" | "." | "..")), "{name:?}");
        if let Some(span) = index.find(name) {
            assert!(span.offset.checked_add(span.size).is_some_and(|end| end <= length));
        }
    }
    for name in ["index.json", "a/../index.json", "../index.json", "/index.json", ""] {
        let _ = index.find(name);
    }
});
