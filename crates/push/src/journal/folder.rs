//! The folder of the records: made for the user alone, and swept of what has expired.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::key::Kind;
use super::slot::{Slot, Taken, is_private};
use super::trouble::JournalTrouble;

const NAME: &str = "journal";
/// An empty file that tells by its time when it was swept last.
const SWEPT: &str = "swept";
const SWEPT_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Opens the folder of the records in `place`, and makes it where it is not there.
pub(crate) fn open(place: &Path, now: SystemTime) -> Result<PathBuf, JournalTrouble> {
    let folder = place.join(NAME);
    let failed = |source| JournalTrouble::Opening { path: folder.clone(), source };
    make(&folder).map_err(failed)?;
    let metadata = fs::symlink_metadata(&folder).map_err(failed)?;
    if !metadata.is_dir() || !is_private(&metadata) {
        return Err(JournalTrouble::Shared { path: folder });
    }
    let swept = folder.join(SWEPT);
    if age(&swept, now).is_none_or(|age| age > SWEPT_EVERY) {
        // A folder that cannot be swept may be readable all the same.
        _ = File::create(&swept);
        sweep(&folder, now);
    }
    Ok(folder)
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Removes what has expired. What another process holds is in use, and what has another name is not
/// ours.
fn sweep(folder: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let lifetime = name.to_str().and_then(Kind::of_file).map(Kind::lifetime);
        if let (Some(lifetime), Some(age)) = (lifetime, age(&path, now))
            && age > lifetime
            && let Ok(Taken::Mine(slot)) = Slot::take_existing(&path)
        {
            slot.remove();
        }
    }
}

/// How long ago a file was written; `None` where that cannot be told.
fn age(path: &Path, now: SystemTime) -> Option<Duration> {
    now.duration_since(fs::metadata(path).ok()?.modified().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn the_folder_is_for_the_user_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = open(&place.path().join("a/b"), SystemTime::now()).unwrap();
        assert_eq!(folder, place.path().join("a/b/journal"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode(&folder), 0o700);
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            let trouble = open(&place.path().join("a/b"), SystemTime::now()).unwrap_err();
            assert!(matches!(trouble, JournalTrouble::Shared { .. }), "{trouble}");
        }
    }

    #[test]
    fn a_file_in_its_place_is_no_folder() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("journal"), "").unwrap();
        let trouble = open(place.path(), SystemTime::now()).unwrap_err();
        assert!(matches!(trouble, JournalTrouble::Opening { .. }), "{trouble}");
    }

    #[test]
    fn what_has_expired_is_swept_once_a_day() {
        let place = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let folder = open(place.path(), now).unwrap();
        let there = |name: &str| folder.join(name).exists();
        let names = ["upload-1", "upload-2", "image-1", "host-1", "notes"];
        names.iter().for_each(|name| drop(Slot::take(&folder.join(name)).unwrap()));
        let held = Slot::take(&folder.join("upload-2")).unwrap();
        open(place.path(), now + DAY / 2).unwrap();
        assert!(names.iter().all(|name| there(name)));
        open(place.path(), now + DAY * 2).unwrap();
        assert_eq!(names.map(there), [false, true, false, true, true]);
        drop(held);
        open(place.path(), now + DAY * 9).unwrap();
        assert_eq!(names.map(there), [false, false, false, false, true]);
    }
}
