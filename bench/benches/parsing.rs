//! What people type, builders write and registries answer. `Www-Authenticate` is left out: its
//! parser is private to the registry client.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use windlass_oci::{ErrorBody, RawManifest, Reference, Repository};
use windlass_testkit::ImageBuilder;

fn names(criterion: &mut Criterion) {
    let digest = format!("sha256:{}", "5a".repeat(32));
    criterion.bench_function("parsing a repository", |bencher| {
        bencher.iter(|| black_box("registry.example.com:5000/team/app").parse::<Repository>());
    });
    for (name, text) in [("tag", "v1.2.3"), ("digest", digest.as_str())] {
        criterion.bench_function(&format!("parsing a {name}"), |bencher| {
            bencher.iter(|| black_box(text).parse::<Reference>());
        });
    }
}

fn manifests(criterion: &mut Criterion) {
    for layers in [10, 1_000] {
        let image = ImageBuilder::new(1).layers(layers, 16).build();
        let root = image.root();
        let raw = RawManifest::new(root.media_type.clone(), image.bytes(&root.digest));
        criterion.bench_function(&format!("parsing a manifest of {layers} layers"), |bencher| {
            bencher.iter(|| black_box(&raw).view());
        });
    }
}

fn error_bodies(criterion: &mut Criterion) {
    let json = br#"{"errors":[{"code":"DENIED","message":"access denied","detail":{"a":"b"}}]}"#;
    let page = format!("<html><body>{}</body></html>", "Bad gateway. ".repeat(100));
    for (name, body) in [("of JSON", json.as_slice()), ("of HTML", page.as_bytes())] {
        criterion.bench_function(&format!("parsing an error {name}"), |bencher| {
            bencher.iter(|| ErrorBody::parse(black_box(body)));
        });
    }
}

criterion_group!(benches, names, manifests, error_bodies);
criterion_main!(benches);
