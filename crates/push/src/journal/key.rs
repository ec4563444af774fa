//! What a record is about, under what name it is found, and how long it is worth something.

use std::time::Duration;

use windlass_oci::{Digest, Registry, Repository};

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    kind: Kind,
    /// The host, or host, repository and digest.
    subject: String,
}

/// What kinds of records there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An upload session.
    Upload,
    /// An image that is complete.
    Image,
    /// What a host can do and wants.
    Host,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Kind {
    const ALL: [Kind; 3] = [Kind::Upload, Kind::Image, Kind::Host];

    fn name(self) -> &'static str {
        match self {
            Kind::Upload => "upload",
            Kind::Image => "image",
            Kind::Host => "host",
        }
    }

    /// How long a record is believed.
    pub(crate) fn lifetime(self) -> Duration {
        match self {
            // Registries end sessions after hours to a week. A dead one costs a request, a live
            // one is a secret that should not lie about.
            Kind::Upload => DAY,
            // It saves a handful of questions. Once a day they are asked all the same, so that what
            // a registry has lost is found and mended by whoever pushes again.
            Kind::Image => DAY,
            // Limits of registries and of proxies before them are changed now and then; to learn
            // one again costs a refused body, and a realm a round trip.
            Kind::Host => 7 * DAY,
        }
    }

    /// The kind of the record in a file of this name; `None` for files of somebody else.
    pub(crate) fn of_file(name: &str) -> Option<Kind> {
        let (kind, _) = name.split_once('-')?;
        Kind::ALL.into_iter().find(|known| known.name() == kind)
    }
}

impl Key {
    pub(crate) fn upload(repository: &Repository, digest: &Digest) -> Key {
        Key { kind: Kind::Upload, subject: format!("{repository}@{digest}") }
    }

    pub(crate) fn image(repository: &Repository, root: &Digest) -> Key {
        Key { kind: Kind::Image, subject: format!("{repository}@{root}") }
    }

    pub(crate) fn host(registry: &Registry) -> Key {
        Key { kind: Kind::Host, subject: registry.to_string() }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The name of its file: short, and the same bytes on every file system.
    pub(crate) fn file_name(&self) -> String {
        let digest = Digest::sha256(self.subject.as_bytes());
        format!("{}-{}", self.kind.name(), &digest.hex()[..32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_a_file_of_its_own_that_tells_its_kind() {
        let (a, b) = ("host.io/a".parse().unwrap(), "host.io/b".parse().unwrap());
        let (x, y) = (Digest::sha256(b"x"), Digest::sha256(b"y"));
        let keys = [
            Key::upload(&a, &x),
            Key::upload(&a, &y),
            Key::upload(&b, &x),
            Key::image(&a, &x),
            Key::host(a.registry()),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(Kind::of_file(&key.file_name()), Some(key.kind()));
            assert!(keys[..place].iter().all(|other| other.file_name() != key.file_name()));
        }
        assert_eq!(Kind::of_file("swept"), None);
        assert_eq!(Kind::of_file("notes-1"), None);
    }
}
