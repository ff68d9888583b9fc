//! What a verdict costs: its words cleaned, and merged into the conditions that are there.

mod verdicts;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;

fn conditions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conditions");
    let (live, in_trouble) = (verdicts::live(), verdicts::in_trouble());
    let now = Timestamp::UNIX_EPOCH;
    let told = live.merge(&[], now);
    group.bench_function("verdict", |bencher| bencher.iter(verdicts::live));
    for (name, verdict, old) in [
        ("merge into none", &live, &[][..]),
        ("merge what is told", &live, &told),
        ("merge trouble", &in_trouble, &told),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(verdict).merge(black_box(old), now)));
    }
    group.finish();
}

criterion_group!(benches, conditions);
criterion_main!(benches);
