//! What is told, in words for newcomers; every number comes from what was done.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use windlass_image::Graph;
use windlass_oci::{Repository, Tag};
use windlass_push::{RepositoryReceipt, TagStatus};

use super::pull::Pulled;
use crate::words;

pub(super) fn registry(address: SocketAddr, folder: &Path) -> Vec<String> {
    vec![
        "windlass demo: a registry, an image, a push, and the proof that it arrived".to_owned(),
        String::new(),
        format!("1. started a registry on {address}"),
        format!("   its data is in {}", folder.display()),
    ]
}

/// `given`: where it lies, if it was not made for this.
pub(super) fn image(given: Option<&Path>, graph: &Graph) -> Vec<String> {
    let manifests = graph.manifests().iter().map(|node| &node.descriptor);
    let platforms: Vec<_> = manifests
        .clone()
        .filter_map(|descriptor| descriptor.platform.as_ref().map(ToString::to_string))
        .filter(|platform| platform != "unknown/unknown")
        .collect();
    let blobs = graph.blobs().iter().map(|node| &node.descriptor);
    let bytes = manifests.chain(blobs).fold(0, |sum: u64, part| sum.saturating_add(part.size));
    let mut parts = vec![
        words::count(graph.manifests().len() as u64, "manifest"),
        words::count(graph.blobs().len() as u64, "blob"),
        words::bytes(bytes),
    ];
    match platforms.len() {
        0 => {}
        1..=3 => parts.insert(0, platforms.join(" and ")),
        many => parts.insert(0, words::count(many as u64, "platform")),
    }
    let what = match given {
        Some(path) => format!("read the image in {}", path.display()),
        None => "made an image with this very program in it".to_owned(),
    };
    vec![
        format!("2. {what}"),
        format!("   {}", parts.join(", ")),
        format!("   {}", graph.root().raw.digest()),
    ]
}

pub(super) fn pushed(receipt: &RepositoryReceipt) -> Vec<String> {
    let tags: Vec<_> = receipt.tags.iter().map(|tag| tag.tag.as_str()).collect();
    let (blobs, manifests) = (receipt.blobs.uploaded, receipt.manifests.uploaded);
    vec![
        format!("3. pushed it to {} in {}", receipt.repository, seconds(receipt)),
        format!(
            "   sent {}, {}; then set the tags {}",
            parts(blobs, manifests),
            words::bytes(receipt.bytes.sent),
            tags.join(" and ")
        ),
    ]
}

pub(super) fn pulled(pulled: Pulled, tags: &[Tag]) -> Vec<String> {
    let tags: Vec<_> = tags.iter().map(Tag::as_str).collect();
    vec![
        format!("4. pulled it back by its tags {}, with plain GETs", tags.join(" and ")),
        format!("   {}", came_back(pulled)),
    ]
}

pub(super) fn pushed_again(receipt: &RepositoryReceipt) -> Vec<String> {
    let requests = words::count(receipt.requests, "request");
    vec![
        format!("5. pushed it again: {} bytes sent, {requests}", receipt.bytes.sent),
        "   the registry has all of it, and the tags are right".to_owned(),
    ]
}

/// `broke_after` bytes had gone up when the line broke, and `kept` bytes of the blobs that were
/// under way then were not sent again; `root` is the size of the root manifest.
pub(super) fn cut(
    repository: &Repository,
    broke_after: u64,
    kept: u64,
    receipt: &RepositoryReceipt,
    root: u64,
    pulled: Pulled,
) -> Vec<String> {
    let again = words::bytes(again(receipt, root));
    let fate = match kept {
        0 => format!("nothing of a blob had been kept; {again} were sent again"),
        kept => {
            let kept = words::bytes(kept);
            format!("the registry had kept {kept}; {again} in the air were sent again")
        }
    };
    vec![
        format!("6. pushed it to {repository} over a line that breaks"),
        format!("   the line broke when {} had gone through", words::bytes(broke_after)),
        format!("   {fate}"),
        "   the push went on by itself, and set its tag at the very end".to_owned(),
        format!("   {}", came_back(pulled)),
    ]
}

pub(super) fn watched(tags: u64) -> Vec<String> {
    vec![format!(
        "7. at each of the {tags} moments a tag was set, the registry had the whole image"
    )]
}

pub(super) fn by_hand() -> Vec<String> {
    [
        "",
        "The registry is stopped, its folder removed. The same by hand, with an image of",
        "yours (an OCI layout: a folder, or a .tar file of one):",
        "",
        "  windlass serve            # in another terminal",
        "  windlass push ./image --repository 127.0.0.1:5000/app --tag v1",
    ]
    .map(str::to_owned)
    .to_vec()
}

pub(super) fn kept_running(address: SocketAddr, image: &Path, folder: &Path) -> Vec<String> {
    vec![
        String::new(),
        "The registry goes on until Ctrl-C; its folder stays:".to_owned(),
        format!("  {}", folder.display()),
        "To push to it by hand:".to_owned(),
        format!("  windlass push {} --repository {address}/app --tag v1", image.display()),
    ]
}

fn parts(blobs: u64, manifests: u64) -> String {
    format!("{} and {}", words::count(blobs, "blob"), words::count(manifests, "manifest"))
}

fn came_back(pulled: Pulled) -> String {
    let Pulled { manifests, blobs, bytes } = pulled;
    let (parts, bytes) = (parts(blobs, manifests), words::bytes(bytes));
    format!("{parts} came back, {bytes}; every digest is right")
}

/// Bytes that were sent more than once. The root manifest is sent once more for each tag anyway.
fn again(receipt: &RepositoryReceipt, root: u64) -> u64 {
    let set = |status| matches!(status, TagStatus::Created | TagStatus::Moved);
    let tags = receipt.tags.iter().filter(|tag| set(tag.status)).count() as u64;
    receipt.bytes.sent.saturating_sub(receipt.bytes.total + tags * root)
}

fn seconds(receipt: &RepositoryReceipt) -> String {
    words::duration(Duration::try_from_secs_f64(receipt.seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use windlass_oci::Digest;
    use windlass_push::{BlobsReceipt, BytesReceipt, ManifestsReceipt, TagReceipt};

    use super::*;

    /// A receipt of a push of `total` bytes that sent `sent` and set `tags` tags.
    fn receipt(total: u64, sent: u64, tags: usize, status: TagStatus) -> RepositoryReceipt {
        let tag =
            |number| TagReceipt { tag: format!("v{number}"), status, before: None, error: None };
        RepositoryReceipt {
            repository: "127.0.0.1:5000/demo".to_owned(),
            digest: Digest::sha256(b""),
            blobs: BlobsReceipt { total: 4, uploaded: 4, ..BlobsReceipt::default() },
            bytes: BytesReceipt { total, sent },
            manifests: ManifestsReceipt { total: 3, present: 0, uploaded: 3 },
            referrers: Vec::new(),
            tags: (1..=tags).map(tag).collect(),
            verified: None,
            requests: 9,
            retries: 0,
            seconds: 0.25,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn tags_are_no_bytes_sent_again() {
        let check = |sent: u64, tags, status, expected: u64| {
            assert_eq!(again(&receipt(1000, sent, tags, status), 100), expected);
        };
        check(1000, 0, TagStatus::Created, 0);
        check(1100, 1, TagStatus::Created, 0);
        check(1200, 2, TagStatus::Moved, 0);
        check(1150, 1, TagStatus::Created, 50);
        check(1150, 1, TagStatus::Unchanged, 150);
        check(0, 1, TagStatus::Unchanged, 0);
    }

    #[test]
    fn every_step_is_told_in_few_and_short_lines() {
        let receipt = receipt(3 << 20, (4 << 20) + 100, 1, TagStatus::Created);
        let address = SocketAddr::from(([127, 0, 0, 1], 65535));
        let back = Pulled { manifests: 3, blobs: 4, bytes: 3 << 20 };
        let tags = ["v1", "latest"].map(|tag| tag.parse().unwrap());
        let repository = "127.0.0.1:65535/demo-cut".parse().unwrap();
        let all = [
            registry(address, Path::new("/tmp/windlass-demo-123456")),
            pushed(&receipt),
            pulled(back, &tags),
            pushed_again(&receipt),
            cut(&repository, 1 << 20, 1 << 19, &receipt, 100, back),
            watched(3),
            by_hand(),
        ]
        .concat();
        assert!(all.len() < 25, "{all:#?}");
        for line in &all {
            assert!(line.chars().count() < 80, "{line}");
        }
        let text = all.join("\n");
        for words in [
            "sent 4 blobs and 3 manifests, 4.0 MiB; then set the tags v1",
            "broke when 1.0 MiB had gone through",
            "had kept 512.0 KiB; 1.0 MiB in the air were sent again",
            "4 blobs and 3 manifests came back, 3.0 MiB; every digest is right",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn nothing_kept_is_told_as_that() {
        let receipt = receipt(1000, 1200, 1, TagStatus::Created);
        let repository = "127.0.0.1:5000/demo-cut".parse().unwrap();
        let told = cut(&repository, 500, 0, &receipt, 100, Pulled::default());
        assert_eq!(told[2], "   nothing of a blob had been kept; 100 B were sent again");
    }
}
