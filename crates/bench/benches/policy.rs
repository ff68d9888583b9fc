//! What it costs to compile a retry policy to what each API takes, and to say why it cannot go there.

use std::{hint::black_box, time::Duration};

use cognigy_operator::retry::{Backoff, Policy, supports, to_intervals, to_window};
use criterion::{Criterion, criterion_group, criterion_main};

fn policy(max_retries: u32, backoff: Backoff) -> Policy {
    Policy { max_retries, backoff, window: Duration::from_hours(1), failure_threshold_percent: 15 }
}

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy");
    let doubling = policy(10, Backoff::Exponential { base_ms: 1_000, max_ms: 3_600_000 });
    let written_out = policy(4, Backoff::Intervals(vec![1_000, 2_500, 6_250, 15_625]));
    let capped = policy(10, Backoff::Exponential { base_ms: 1_000, max_ms: 30_000 });
    group.bench_function("intervals of a backoff", |bencher| bencher.iter(|| to_intervals(black_box(&doubling))));
    group.bench_function("intervals as written", |bencher| bencher.iter(|| to_intervals(black_box(&written_out))));
    group.bench_function("window of a backoff", |bencher| bencher.iter(|| to_window(black_box(&doubling))));
    group.bench_function("refused, with advice", |bencher| bencher.iter(|| to_intervals(black_box(&capped))));
    group.bench_function("where it can go", |bencher| bencher.iter(|| supports(black_box(&written_out))));
    group.finish();
}

criterion_group!(benches, compile);
criterion_main!(benches);
