//! What a push asks of a registry, counted where it arrives. Nothing here is timed: a push that became
//! slower has asked more, in more writes, on more connections, or for more answers one after another.
//!
//! Each number stands for itself. One that is larger than here is a push that became slower; one that
//! is smaller is a better push, and is put here, so that it cannot be lost again.
#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise too")]

mod case;
mod counted;
#[cfg(target_os = "linux")]
mod reads;

use windlass_testkit::{Image, ImageBuilder, IndexBuilder, Layer};

use case::{Case, check};

const TAGS: [&str; 3] = ["v1", "v2", "latest"];

fn twenty_tags() -> Vec<String> {
    (0..20).map(|number| format!("v{number}")).collect()
}

fn five_layers() -> Image {
    ImageBuilder::new(1).layers(5, 200_000).build()
}

/// Four platforms with three layers below that all of them have, and two of their own. `top` is the
/// seed of the last one's top layer.
fn four_platforms(top: u64) -> Image {
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x"];
    let mut index = IndexBuilder::new();
    for (place, platform) in (0..).zip(platforms) {
        let shared = [1, 2, 3];
        let own = [10 + place, if place == 3 { top } else { 20 + place }];
        let mut image = ImageBuilder::new(30 + place);
        for seed in shared.into_iter().chain(own) {
            image = image.layer(Layer::seeded(seed, 20_000));
        }
        index = index.child(Some(platform), &image.build());
    }
    index.build()
}

#[test]
fn five_layers_and_three_tags_that_are_new() {
    check(
        &Case::fresh(&five_layers(), &TAGS),
        &[
            ("HEAD", 10), // the root, 3 tags, the config, 5 layers
            ("POST", 6),
            ("PUT", 10), // 6 blobs, the root, 3 tags
            ("writes", 16),
            ("round trips", 8), // the connect, all HEADs, all POSTs, all PUTs, the root, each tag
            ("connections", 10),
        ],
    );
}

#[test]
fn five_layers_and_three_tags_that_are_there() {
    check(
        &Case::fresh(&five_layers(), &TAGS).after(&five_layers(), &TAGS),
        &[
            ("HEAD", 10), // as if it were new: nobody knows yet that it is not
            ("writes", 0),
            ("round trips", 2),
            ("connections", 10),
        ],
    );
}

#[test]
fn an_index_that_is_new() {
    check(
        &Case::fresh(&four_platforms(0), &["v1"]),
        &[
            ("HEAD", 16), // one burst; that nothing of it is there saves the rest, which is small
            ("POST", 15),
            ("PUT", 21),
            ("writes", 36),
            ("round trips", 7),
            ("connections", 16),
        ],
    );
}

#[test]
fn an_index_that_is_there() {
    check(
        &Case::fresh(&four_platforms(0), &["v1"]).after(&four_platforms(0), &["v1"]),
        &[
            ("HEAD", 16), // one burst; the root's answer saves the rest
            ("writes", 0),
            ("round trips", 2),
            ("connections", 16),
        ],
    );
}

#[test]
fn an_index_with_one_layer_changed() {
    check(
        &Case::fresh(&four_platforms(99), &["v1"]).after(&four_platforms(0), &["v1"]),
        &[
            ("HEAD", 19), // not for what only platforms have that are there
            ("POST", 2),  // the layer, and the config that names it
            ("PUT", 5),   // those two, the platform's manifest, the root, the tag
            ("writes", 7),
            ("round trips", 8),
            ("connections", 16),
        ],
    );
}

#[test]
fn sixty_layers_that_are_new() {
    check(
        // The 8 connections that are opened beside the first requests show as up to two more, and of 20
        // runs on two cores beside 8 busy processes one showed one more over the longest link; what is
        // one more for each blob shows as 3 more.
        &Case::fresh(&ImageBuilder::new(4).layers(60, 20_000).build(), &["v1"]).drifting(3),
        &[
            ("HEAD", 16), // one burst; that nothing of it is there saves the rest, which is small
            ("POST", 61),
            ("PUT", 63),
            ("writes", 124),
            // The connect, the HEADs, 3 each of POSTs and PUTs, the root, the tag.
            ("round trips", 10),
            ("connections", 24),
        ],
    );
}

#[test]
fn twenty_tags_that_are_new() {
    check(
        &Case::fresh(&five_layers(), &twenty_tags()).after(&five_layers(), &["before"]),
        &[
            ("HEAD", 21), // the root and 20 tags
            ("PUT", 20),
            ("writes", 20),
            ("round trips", 22), // the connect, all HEADs, each tag
            ("connections", 21),
        ],
    );
}

#[test]
fn twenty_tags_that_are_there() {
    check(
        &Case::fresh(&five_layers(), &twenty_tags()).after(&five_layers(), &twenty_tags()),
        &[
            ("HEAD", 21), // the root and 20 tags
            ("writes", 0),
            ("round trips", 2),
            ("connections", 21),
        ],
    );
}
