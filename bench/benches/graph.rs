//! Finding out what an image is made of, with all its bytes in memory. What is then planned is left
//! out: the plan is private to the push, which asks a registry first.
#![expect(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use windlass_image::{Graph, GraphOptions};
use windlass_source::{MemorySource, MemoryStore};
use windlass_testkit::ImageBuilder;

fn graph(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for layers in [10, 1_000] {
        let image = ImageBuilder::new(1).layers(layers, 1024).build();
        let parts = image.parts().iter();
        let store: MemoryStore =
            parts.map(|part| MemorySource::new(part.content.to_bytes())).collect();
        let options = GraphOptions::default();
        criterion.bench_function(&format!("reading a graph of {layers} layers"), |bencher| {
            bencher.iter(|| {
                runtime.block_on(Graph::read(black_box(image.root()), &store, &options)).unwrap()
            });
        });
    }
}

criterion_group!(benches, graph);
criterion_main!(benches);
