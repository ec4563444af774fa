//! Digests over bytes at once, and as they arrive.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use windlass_oci::{Algorithm, Digest, Hasher};

/// As much as a file is read at once, or a socket hands over.
const PIECE: usize = 64 * 1024;

fn hashing(criterion: &mut Criterion) {
    let bytes = vec![0x5a; 1024 * 1024];
    let mut group = criterion.benchmark_group("hashing 1 MiB");
    group.throughput(Throughput::Bytes(1024 * 1024));
    group.bench_function("sha256 at once", |bencher| {
        bencher.iter(|| Digest::sha256(black_box(&bytes)));
    });
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        group.bench_function(format!("{} in pieces", algorithm.name()), |bencher| {
            bencher.iter(|| {
                let mut hasher = Hasher::new(algorithm);
                black_box(&bytes).chunks(PIECE).for_each(|piece| hasher.update(piece));
                hasher.finish()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hashing);
criterion_main!(benches);
