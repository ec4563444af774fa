//! Image indexes: several images as one, for a client to choose from by platform. Image-spec,
//! [image-index.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md).

use serde_json::{Map, Value, json};
use windlass_oci::{Descriptor, MediaType, RawManifest};

use crate::config::Note;

/// An index that was put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssembledIndex {
    /// The index.
    pub manifest: RawManifest,
    /// Pairs of places in what it was made of: the second image is the first one again, and was
    /// left out.
    pub repeated: Vec<(usize, usize)>,
    /// Pairs of places in what it was made of: the second image is for the platform of the first,
    /// which clients choose.
    pub hidden: Vec<(usize, usize)>,
}

/// An index of `images`, in their order, each digest once. It is OCI's, whatever the images are.
///
/// # Errors
///
/// The place of the first that is itself an index: what pulls an index looks no deeper.
pub fn assemble_index(
    images: &[Descriptor],
    annotations: &[Note],
) -> Result<AssembledIndex, usize> {
    if let Some(place) = images.iter().position(|image| image.media_type.is_index()) {
        return Err(place);
    }
    let mut kept: Vec<usize> = Vec::new();
    let mut repeated = Vec::new();
    let mut hidden = Vec::new();
    for (place, image) in images.iter().enumerate() {
        let first = |is_it: &dyn Fn(&Descriptor) -> bool| {
            kept.iter().copied().find(|first| is_it(&images[*first]))
        };
        if let Some(first) = first(&|other| other.digest == image.digest) {
            repeated.push((first, place));
            continue;
        }
        if image.platform.is_some()
            && let Some(first) = first(&|other| other.platform == image.platform)
        {
            hidden.push((first, place));
        }
        kept.push(place);
    }
    let entries: Vec<_> = kept.iter().map(|place| &images[*place]).collect();
    let mut index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": entries,
    });
    if !annotations.is_empty() {
        let mut notes = Map::new();
        annotations.iter().for_each(|note| note.add_to(&mut notes));
        index["annotations"] = Value::Object(notes);
    }
    let manifest = RawManifest::new(MediaType::OCI_INDEX, index.to_string().into());
    Ok(AssembledIndex { manifest, repeated, hidden })
}

#[cfg(test)]
mod tests {
    use windlass_oci::{Manifest, Platform};

    use super::*;

    fn image(content: &str, platform: Option<&str>) -> Descriptor {
        let platform = platform.map(|architecture| Platform {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            os_version: None,
            os_features: Vec::new(),
            variant: None,
        });
        Descriptor { platform, ..Descriptor::of(MediaType::OCI_MANIFEST, content.as_bytes()) }
    }

    #[track_caller]
    fn check(
        images: &[Descriptor],
        entries: &[usize],
        repeated: &[(usize, usize)],
        hidden: &[(usize, usize)],
    ) {
        let index = assemble_index(images, &[]).unwrap();
        let Manifest::Index(view) = index.manifest.view().unwrap() else { panic!("no index") };
        let expected: Vec<_> = entries.iter().map(|place| images[*place].clone()).collect();
        assert_eq!(view.manifests, expected);
        assert_eq!(index.repeated, repeated);
        assert_eq!(index.hidden, hidden);
    }

    #[test]
    fn every_image_is_entered_once_in_its_order() {
        let (amd, arm) = (image("z", Some("amd64")), image("a", Some("arm64")));
        check(&[amd.clone(), arm.clone()], &[0, 1], &[], &[]);
        check(&[arm.clone(), amd.clone(), arm.clone(), arm], &[0, 1], &[(0, 2), (0, 3)], &[]);
        let other = image("other", Some("amd64"));
        let third = image("third", Some("amd64"));
        check(&[amd.clone(), other, amd, third], &[0, 1, 3], &[(0, 2)], &[(0, 1), (0, 3)]);
        let (one, two) = (image("one", None), image("two", None));
        check(&[one, two], &[0, 1], &[], &[]);
    }

    #[test]
    fn an_index_in_an_index_is_refused() {
        for media_type in [MediaType::OCI_INDEX, MediaType::DOCKER_INDEX] {
            let index = Descriptor::of(media_type, b"index");
            assert_eq!(assemble_index(&[image("a", None), index], &[]), Err(1));
        }
    }

    #[test]
    fn its_bytes_depend_on_its_content_alone() {
        let notes = [("b", "1"), ("a", "2"), ("b", "3")];
        let notes = notes.map(|(key, value)| Note::new(key, value).unwrap());
        let image = image("a", Some("amd64"));
        let index = assemble_index(std::slice::from_ref(&image), &notes).unwrap().manifest;
        let expected = format!(
            r#"{{"annotations":{{"a":"2","b":"3"}},"manifests":[{{"digest":"{}","mediaType":"{}","#,
            image.digest, image.media_type,
        ) + r#""platform":{"architecture":"amd64","os":"linux"},"size":1}],"#
            + r#""mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#;
        assert_eq!(str::from_utf8(index.bytes()).unwrap(), expected);
    }
}
