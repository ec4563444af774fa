//! Gets manifests listed as referrers of their subject where the registry does not do it: by the
//! fall-back tag. Distribution-spec, §"Pushing Manifests with Subject".
//!
//! The tag names an index that every client reads, adds to and writes back, so two can overwrite
//! each other. Conditional requests hold that off where a registry knows them; everywhere the list
//! is read again after it was written, and added to again where somebody else was quicker.

use std::time::Duration;

use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use windlass_oci::{Descriptor, Digest, Manifest, MediaType, RawManifest, Reference, Tag};

use crate::client::RepositoryClient;
use crate::error::{Error, ErrorKind};
use crate::manifest::ReadManifest;
use crate::referrers::fallback_tag;

/// How often the list is written before it is given up.
const WRITES: u32 = 6;
/// Before the second write, then twice as long each time; a part of it is random, so that two who
/// write at once come apart.
const FIRST_PAUSE: Duration = Duration::from_millis(40);

/// What a list of referrers says of `manifest`: its artifact type, that of its config where it has
/// none, and its annotations. The subject comes first; `None` where it has none.
#[must_use]
pub fn as_referrer(manifest: &RawManifest, view: &Manifest) -> Option<(Digest, Descriptor)> {
    let subject = view.subject()?.digest.clone();
    let (artifact_type, config, annotations) = match view {
        Manifest::Image(image) => {
            (&image.artifact_type, Some(&image.config.media_type), &image.annotations)
        }
        Manifest::Index(index) => (&index.artifact_type, None, &index.annotations),
    };
    let own = artifact_type.clone().filter(|own| !own.is_empty());
    let mut descriptor = manifest.descriptor();
    descriptor.artifact_type = own.or_else(|| config.map(ToString::to_string));
    descriptor.annotations.clone_from(annotations);
    Some((subject, descriptor))
}

impl RepositoryClient {
    /// Adds `referrers` to the list of the fall-back tag of `subject`; what is there stays, and
    /// what is listed already is not listed twice.
    ///
    /// # Errors
    ///
    /// Where something else than a list has that name, where the registry refuses the tag, and
    /// where others overwrite the list again and again.
    pub async fn add_to_fallback_tag(
        &self,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<(), Error> {
        if referrers.is_empty() {
            return Ok(());
        }
        let name = fallback_tag(subject);
        let operation =
            format!("list what refers to {subject} under tag {name} of {}", { &self.repository });
        let protocol = |problem| self.error(&operation, ErrorKind::Protocol(problem));
        let tag: Tag = name.parse().map_err(|error| protocol(format!("{error}")))?;
        let reference = Reference::Tag(tag);
        // Those of this process take turns.
        let _turn = self.host.fallback_turn.lock().await;
        let mut is_conditional = true;
        let mut refused: Option<Option<Digest>> = None;
        for write in 0..=WRITES {
            let found = self.read_manifest(&reference).await?;
            let digest = found.as_ref().map(|found| found.manifest.digest().clone());
            if digest.as_ref() == Some(subject) {
                // GitLab, <https://github.com/oras-project/oras-go/issues/1396>.
                return Err(protocol(
                    "the registry takes this tag for the digest itself and has no place for a list"
                        .to_owned(),
                ));
            }
            let listed = found.as_ref().map(|found| &found.manifest);
            let Some(list) = merge(listed, referrers).map_err(protocol)? else {
                return Ok(());
            };
            if write == WRITES {
                break;
            }
            if write > 0 {
                let pause = FIRST_PAUSE * 2u32.saturating_pow(write - 1);
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            // Nothing has changed, and the condition was not met: this registry's ETags are not
            // for comparing.
            is_conditional &= refused.as_ref() != Some(&digest);
            let condition = is_conditional.then(|| condition(found.as_ref())).flatten();
            let mut call = self
                .manifest_call("set", &reference)
                .method(Method::PUT)
                .header(CONTENT_TYPE, MediaType::OCI_INDEX.as_str())
                .bytes(list.into());
            if let Some((header, value)) = &condition {
                call = call.header(header.clone(), value);
            }
            let reply = call.send().await?;
            match reply.status {
                StatusCode::PRECONDITION_FAILED if condition.is_some() => refused = Some(digest),
                status if status.is_success() => refused = None,
                _ => return Err(call.error(reply.into_error_kind())),
            }
        }
        Err(protocol("somebody else changes the list all the time".to_owned()))
    }
}

/// That the list is written over only where it is still what was read. A weak ETag compares with
/// nothing (RFC 9110 §13.1.1).
fn condition(found: Option<&ReadManifest>) -> Option<(http::HeaderName, String)> {
    match found {
        None => Some((IF_NONE_MATCH, "*".to_owned())),
        Some(found) => {
            let etag = found.etag.clone().filter(|etag| etag.starts_with('"'))?;
            Some((IF_MATCH, etag))
        }
    }
}

/// The list with `referrers` in it; `None` where they are in it already, an error in words where
/// what was found is no list.
fn merge(found: Option<&RawManifest>, referrers: &[Descriptor]) -> Result<Option<Vec<u8>>, String> {
    let mut list = match found {
        None => json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX.as_str(),
            "manifests": [],
        }),
        Some(found) => read(found)?,
    };
    let entries = list.get_mut("manifests").and_then(Value::as_array_mut);
    let entries = entries.ok_or("what has this name is no image index")?;
    let before = entries.len();
    for referrer in referrers {
        let digest = referrer.digest.as_str();
        let is_it = |entry: &Value| entry.get("digest").and_then(Value::as_str) == Some(digest);
        if !entries.iter().any(is_it) {
            entries.push(serde_json::to_value(referrer).map_err(|error| error.to_string())?);
        }
    }
    if entries.len() == before {
        // A list of nothing is none that must be written.
        return Ok(None);
    }
    serde_json::to_vec(&list).map(Some).map_err(|error| error.to_string())
}

/// All that the list says, known here or not.
fn read(found: &RawManifest) -> Result<Value, String> {
    let mut list: Value = serde_json::from_slice(found.bytes())
        .map_err(|error| format!("what has this name is no JSON: {error}"))?;
    let own = list.get("mediaType").and_then(Value::as_str).unwrap_or_default();
    let media_type = if own.is_empty() { found.media_type().as_str() } else { own };
    if media_type != MediaType::OCI_INDEX.as_str() {
        return Err(format!("what has this name is of type {media_type:?}, not an image index"));
    }
    // Go writes a list that was never filled as null.
    if let Some(entries) = list.get_mut("manifests").filter(|entries| entries.is_null()) {
        *entries = json!([]);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn referrer(content: &str) -> Descriptor {
        Descriptor::of(MediaType::OCI_MANIFEST, content.as_bytes())
    }

    fn index(text: &str) -> RawManifest {
        RawManifest::new(MediaType::OCI_INDEX, text.to_owned().into())
    }

    #[track_caller]
    fn check(found: Option<&str>, expected: Result<Option<usize>, &str>) {
        let found = found.map(index);
        let entries = merge(found.as_ref(), &[referrer("a"), referrer("b")]).map(|list| {
            list.map(|list| {
                let list: Value = serde_json::from_slice(&list).unwrap();
                assert_eq!(list["mediaType"], MediaType::OCI_INDEX.as_str());
                assert_eq!(list["schemaVersion"], 2);
                list["manifests"].as_array().unwrap().len()
            })
        });
        match (entries, expected) {
            (Ok(entries), Ok(expected)) => assert_eq!(entries, expected),
            (Err(problem), Err(words)) => assert!(problem.contains(words), "{problem}"),
            (entries, expected) => panic!("{entries:?}, not {expected:?}"),
        }
    }

    #[test]
    fn what_is_there_stays_and_nothing_is_listed_twice() {
        check(None, Ok(Some(2)));
        let head = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":"#;
        check(Some(&format!("{head}[]}}")), Ok(Some(2)));
        check(Some(&format!("{head}null}}")), Ok(Some(2)));
        let other = serde_json::to_string(&referrer("other")).unwrap();
        check(Some(&format!("{head}[{other}]}}")), Ok(Some(3)));
        let a = serde_json::to_string(&referrer("a")).unwrap();
        check(Some(&format!("{head}[{a},{other}]}}")), Ok(Some(3)));
        let b = serde_json::to_string(&referrer("b")).unwrap();
        check(Some(&format!("{head}[{a},{other},{b}]}}")), Ok(None));
        check(Some("{}"), Err("no image index"));
        check(Some("<html>"), Err("no JSON"));
        let docker = r#"{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}"#;
        check(Some(docker), Err("not an image index"));
    }

    #[test]
    fn fields_that_are_not_known_here_are_kept() {
        let found =
            index(r#"{"schemaVersion":2,"manifests":[{"digest":"x","new":1}],"future":[7]}"#);
        let list = merge(Some(&found), &[referrer("a")]).unwrap().unwrap();
        let list: Value = serde_json::from_slice(&list).unwrap();
        assert_eq!((&list["future"], &list["manifests"][0]["new"]), (&json!([7]), &json!(1)));
    }

    #[test]
    fn a_referrer_is_described_by_its_artifact_type_and_annotations() {
        let subject = serde_json::to_value(referrer("subject")).unwrap();
        let config = json!({"mediaType": "a/config", "digest": Digest::sha256(b"{}"), "size": 2});
        let check = |media_type: MediaType, manifest: Value, expected: Option<&str>| {
            let raw = RawManifest::new(media_type, manifest.to_string().into());
            let (of, descriptor) = as_referrer(&raw, &raw.view().unwrap()).unwrap();
            assert_eq!(of, referrer("subject").digest);
            assert_eq!(descriptor.artifact_type.as_deref(), expected);
            assert_eq!(descriptor.annotations["a"], "1");
            assert_eq!((descriptor.digest, descriptor.size), (raw.digest().clone(), raw.size()));
        };
        let notes = json!({"a": "1"});
        let image = json!({"config": config, "subject": subject, "annotations": notes});
        check(MediaType::OCI_MANIFEST, image.clone(), Some("a/config"));
        let mut typed = image;
        typed["artifactType"] = json!("a/signature");
        check(MediaType::OCI_MANIFEST, typed, Some("a/signature"));
        let index = json!({"manifests": [], "subject": subject, "annotations": notes});
        check(MediaType::OCI_INDEX, index, None);
        let plain = RawManifest::new(MediaType::OCI_INDEX, "{\"manifests\":[]}".into());
        assert_eq!(as_referrer(&plain, &plain.view().unwrap()), None);
    }
}
