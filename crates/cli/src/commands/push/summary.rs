//! A receipt in words.

use std::time::Duration;

use windlass_push::{ReferrerStatus, RepositoryReceipt, TagReceipt, TagStatus};

use crate::words;

/// So many tags are told one by one where a line is for all of them.
const FEW: usize = 12;

/// What was done: a line a tag, and one for the rest. `image` is the image's name, where it tells
/// something; here and below.
pub(super) fn success(image: Option<&str>, receipt: &RepositoryReceipt) -> Vec<String> {
    let mut lines: Vec<_> = receipt.tags.iter().map(|tag| tag_line(tag, "")).collect();
    let blobs = &receipt.blobs;
    let mut parts = Vec::new();
    if blobs.uploaded > 0 {
        parts.push(format!("{} sent", words::count(blobs.uploaded, "blob")));
    }
    if blobs.mounted > 0 {
        parts.push(format!("{} mounted", words::count(blobs.mounted, "blob")));
    }
    if blobs.present > 0 && !parts.is_empty() {
        parts.push(format!("{} already there", blobs.present));
    }
    if blobs.resumed > 0 {
        parts.push(format!("{} resumed", blobs.resumed));
    }
    if parts.is_empty() {
        parts.push(match receipt.manifests.uploaded {
            0 => "all of it was there already".to_owned(),
            manifests => format!(
                "{} sent, all blobs were there already",
                words::count(manifests, "manifest")
            ),
        });
    }
    let referrers = referrers(receipt, ReferrerStatus::Uploaded);
    if referrers > 0 {
        parts.push(format!("{} sent", words::count(referrers, "referrer")));
    }
    let taken = words::duration(Duration::try_from_secs_f64(receipt.seconds).unwrap_or_default());
    let mut sent = words::bytes(receipt.bytes.sent);
    if blobs.uploaded + receipt.manifests.uploaded + referrers == 0 && receipt.bytes.sent > 0 {
        // A tag is set by sending the manifest that it shall name.
        sent.push_str(" sent for the tags");
    }
    if receipt.verified == Some(true) {
        sent.push_str(", verified");
    }
    let parts = parts.join(", ");
    let image = image.map(|image| format!("{image} ")).unwrap_or_default();
    lines.push(format!("pushed {image}to {}: {parts}; {sent} in {taken}", receipt.repository));
    lines
}

/// What would be done, and how many bytes would be sent.
pub(super) fn plan(image: Option<&str>, receipt: &RepositoryReceipt, bytes: u64) -> Vec<String> {
    let mut lines: Vec<_> = receipt.tags.iter().map(|tag| tag_line(tag, "would be ")).collect();
    let (blobs, manifests) = (&receipt.blobs, &receipt.manifests);
    let mut parts = Vec::new();
    if blobs.uploaded > 0 {
        parts.push(format!(
            "send {}, {}",
            words::count(blobs.uploaded, "blob"),
            words::bytes(bytes)
        ));
    }
    if blobs.mounted > 0 {
        parts.push(format!("mount {}", words::count(blobs.mounted, "blob")));
    }
    if manifests.uploaded > 0 {
        parts.push(format!("put {}", words::count(manifests.uploaded, "manifest")));
    }
    let referrers = referrers(receipt, ReferrerStatus::Uploaded);
    if referrers > 0 {
        parts.push(format!("put {}", words::count(referrers, "referrer")));
    }
    let repository = &receipt.repository;
    lines.push(match (parts.is_empty(), image) {
        (true, image) => {
            format!("dry run: all of {} is in {repository} already", image.unwrap_or("the image"))
        }
        (false, Some(image)) => {
            format!("dry run: a push of {image} to {repository} would {}", parts.join(", "))
        }
        (false, None) => format!("dry run: a push to {repository} would {}", parts.join(", ")),
    });
    lines
}

/// How the tags stand after a failure, in one line; nothing where none was asked for. Says where,
/// if there are `several` repositories.
pub(super) fn tags(
    image: Option<&str>,
    receipt: &RepositoryReceipt,
    several: bool,
) -> Option<String> {
    let tags = &receipt.tags;
    if tags.is_empty() {
        return None;
    }
    let one_by_one = |tag: &TagReceipt| format!("{} {}", tag.tag, name(tag.status));
    let told: Vec<String> = if tags.len() <= FEW {
        tags.iter().map(one_by_one).collect()
    } else {
        let all = [
            TagStatus::Created,
            TagStatus::Moved,
            TagStatus::Unchanged,
            TagStatus::Failed,
            TagStatus::Restored,
            TagStatus::Skipped,
        ];
        let of = |status: TagStatus| tags.iter().filter(move |tag| tag.status == status);
        all.into_iter()
            .filter_map(|status| match (of(status).next()?, of(status).count()) {
                (tag, 1) => Some(one_by_one(tag)),
                (_, count) => Some(format!("{count} {}", name(status))),
            })
            .collect()
    };
    let place = match image {
        Some(image) => format!(" of {image} in {}", receipt.repository),
        None if several => format!(" of {}", receipt.repository),
        None => String::new(),
    };
    Some(format!("tags{place}: {}", told.join(", ")))
}

/// What became of putting tags back where that is not in their line: a line each. `failure` is what
/// is told of anyhow.
pub(super) fn not_put_back(receipt: &RepositoryReceipt, failure: &str) -> Vec<String> {
    let told = |tag: &TagReceipt| {
        let error = tag.error.as_deref()?;
        let words = match tag.status {
            TagStatus::Created | TagStatus::Moved => error,
            TagStatus::Failed => error.strip_prefix(failure)?.strip_prefix("; ")?,
            _ => return None,
        };
        Some(format!("tag {} of {}: {words}", tag.tag, receipt.repository))
    };
    receipt.tags.iter().filter_map(told).collect()
}

/// What it took, for those who look for a reason.
pub(super) fn requests(receipt: &RepositoryReceipt) -> String {
    let RepositoryReceipt { repository, requests, retries, .. } = receipt;
    let requests = words::count(*requests, "request");
    match retries {
        0 => format!("{repository}: {requests}, none of them a retry"),
        1 => format!("{repository}: {requests}, 1 of them a retry"),
        _ => format!("{repository}: {requests}, {retries} of them retries"),
    }
}

fn referrers(receipt: &RepositoryReceipt, status: ReferrerStatus) -> u64 {
    receipt.referrers.iter().filter(|referrer| referrer.status == status).count() as u64
}

fn tag_line(tag: &TagReceipt, would_be: &str) -> String {
    match (&tag.before, tag.status) {
        (Some(before), TagStatus::Moved) => format!(
            "  {}: {would_be}moved from {}:{}",
            tag.tag,
            before.algorithm().name(),
            before.short()
        ),
        (_, TagStatus::Unchanged) => format!("  {}: unchanged", tag.tag),
        _ => format!("  {}: {would_be}{}", tag.tag, name(tag.status)),
    }
}

fn name(status: TagStatus) -> &'static str {
    match status {
        TagStatus::Created => "created",
        TagStatus::Moved => "moved",
        TagStatus::Unchanged => "unchanged",
        TagStatus::Failed => "failed",
        TagStatus::Skipped => "skipped",
        TagStatus::Restored => "put back",
    }
}

#[cfg(test)]
mod tests {
    use windlass_oci::Digest;
    use windlass_push::{BlobsReceipt, BytesReceipt, ManifestsReceipt};

    use super::*;

    fn tag(tag: &str, status: TagStatus) -> TagReceipt {
        let before = (status == TagStatus::Moved).then(|| Digest::sha256(b"before"));
        TagReceipt { tag: tag.to_owned(), status, before, error: None }
    }

    fn receipt(blobs: BlobsReceipt, sent: u64, tags: Vec<TagReceipt>) -> RepositoryReceipt {
        RepositoryReceipt {
            repository: "a.io/x".to_owned(),
            digest: Digest::sha256(b"image"),
            blobs,
            bytes: BytesReceipt { total: 3 << 20, sent },
            manifests: ManifestsReceipt { total: 1, present: 0, uploaded: 1 },
            referrers: Vec::new(),
            tags,
            verified: None,
            requests: 12,
            retries: 0,
            seconds: 1.44,
            warnings: Vec::new(),
        }
    }

    fn blobs(present: u64, mounted: u64, uploaded: u64) -> BlobsReceipt {
        let total = present + mounted + uploaded;
        BlobsReceipt { total, present, mounted, uploaded, resumed: 0 }
    }

    #[test]
    fn success_in_words() {
        let tags = vec![
            tag("v1", TagStatus::Created),
            tag("latest", TagStatus::Moved),
            tag("v0", TagStatus::Unchanged),
        ];
        let moved = format!("  latest: moved from sha256:{}", Digest::sha256(b"before").short());
        assert_eq!(
            success(None, &receipt(blobs(2, 1, 3), 2 << 20, tags)),
            [
                "  v1: created",
                &moved,
                "  v0: unchanged",
                "pushed to a.io/x: 3 blobs sent, 1 blob mounted, 2 already there; 2.0 MiB in 1.4 s",
            ]
        );
        let check = |receipt: RepositoryReceipt, expected: &str| {
            assert_eq!(success(None, &receipt), [format!("pushed to a.io/x: {expected} in 1.4 s")]);
        };
        let root_alone = receipt(blobs(2, 0, 0), 700, vec![]);
        check(root_alone, "1 manifest sent, all blobs were there already; 700 B");
        let mut nothing = receipt(blobs(2, 0, 0), 0, vec![]);
        nothing.manifests.uploaded = 0;
        check(nothing, "all of it was there already; 0 B");
        let mut tags_alone = receipt(blobs(2, 0, 0), 349, vec![]);
        tags_alone.manifests.uploaded = 0;
        check(tags_alone, "all of it was there already; 349 B sent for the tags");
        let mut resumed = receipt(blobs(0, 0, 1), 1 << 20, vec![]);
        resumed.blobs.resumed = 1;
        check(resumed, "1 blob sent, 1 resumed; 1.0 MiB");
    }

    #[test]
    fn requests_and_retries_in_words() {
        let check = |retries: u64, expected: &str| {
            let mut receipt = receipt(blobs(0, 0, 1), 0, vec![]);
            receipt.retries = retries;
            assert_eq!(requests(&receipt), format!("a.io/x: 12 requests, {expected}"));
        };
        check(0, "none of them a retry");
        check(1, "1 of them a retry");
        check(6, "6 of them retries");
    }

    #[test]
    fn a_plan_in_words() {
        let tags = vec![tag("v1", TagStatus::Created), tag("v0", TagStatus::Unchanged)];
        assert_eq!(
            plan(None, &receipt(blobs(2, 1, 3), 0, tags), 2 << 20),
            [
                "  v1: would be created",
                "  v0: unchanged",
                "dry run: a push to a.io/x would send 3 blobs, 2.0 MiB, mount 1 blob, put 1 manifest",
            ]
        );
        let mut nothing = receipt(blobs(2, 0, 0), 0, vec![]);
        nothing.manifests.uploaded = 0;
        assert_eq!(plan(None, &nothing, 0), ["dry run: all of the image is in a.io/x already"]);
    }

    #[test]
    fn where_there_are_several_images_each_is_named() {
        let name = Some("//app:push");
        let one = receipt(blobs(0, 0, 1), 1024, vec![]);
        let pushed = "pushed //app:push to a.io/x: 1 blob sent; 1.0 KiB in 1.4 s";
        assert_eq!(success(name, &one), [pushed]);
        let planned =
            "dry run: a push of //app:push to a.io/x would send 1 blob, 7 B, put 1 manifest";
        assert_eq!(plan(name, &one, 7), [planned]);
        let mut there = receipt(blobs(1, 0, 0), 0, vec![tag("v1", TagStatus::Skipped)]);
        there.manifests.uploaded = 0;
        let planned = "dry run: all of //app:push is in a.io/x already";
        assert!(plan(name, &there, 0).contains(&planned.to_owned()));
        let told = tags(name, &there, true);
        assert_eq!(told.as_deref(), Some("tags of //app:push in a.io/x: v1 skipped"));
    }

    #[test]
    fn what_could_not_be_put_back_has_a_line() {
        let mut tags = vec![
            tag("v1", TagStatus::Restored),
            tag("v2", TagStatus::Moved),
            tag("v3", TagStatus::Failed),
        ];
        tags[1].error = Some("could not be put back: gone".to_owned());
        tags[2].error = Some("no; it was set all the same".to_owned());
        let receipt = receipt(blobs(0, 0, 1), 0, tags);
        assert_eq!(
            not_put_back(&receipt, "no"),
            [
                "tag v2 of a.io/x: could not be put back: gone",
                "tag v3 of a.io/x: it was set all the same",
            ]
        );
        let line = super::tags(None, &receipt, false);
        assert_eq!(line.as_deref(), Some("tags: v1 put back, v2 moved, v3 failed"));
    }

    #[test]
    fn tags_after_a_failure_in_one_line() {
        let three = vec![
            tag("v1", TagStatus::Created),
            tag("v2", TagStatus::Failed),
            tag("latest", TagStatus::Skipped),
        ];
        let of = |tags| receipt(blobs(0, 0, 1), 0, tags);
        assert_eq!(
            tags(None, &of(three), false).as_deref(),
            Some("tags: v1 created, v2 failed, latest skipped")
        );
        assert_eq!(tags(None, &of(vec![]), false), None);
        let mut many: Vec<_> =
            (0..20).map(|number| tag(&format!("v{number}"), TagStatus::Skipped)).collect();
        many[0].status = TagStatus::Created;
        many[1].status = TagStatus::Failed;
        assert_eq!(
            tags(None, &of(many), true).as_deref(),
            Some("tags of a.io/x: v0 created, v1 failed, 18 skipped")
        );
    }
}
