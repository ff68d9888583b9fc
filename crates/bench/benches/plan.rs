//! What it costs to decide: the plan walked to its end, and the quiet pass.

mod worlds;

use std::hint::black_box;

use cognigy_operator::controller::webhook::plan::next;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn plan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for (name, (desired, world)) in [("from nothing to live", worlds::nothing()), ("roll-out", worlds::roll_out())] {
        let mut asked = Vec::new();
        worlds::walk(&desired, world, |world| asked.push(world.clone()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for world in &asked {
                    black_box(next(black_box(&desired), black_box(world)));
                }
            });
        });
    }
    let (desired, live) = worlds::live();
    group.bench_function("quiet pass", |bencher| {
        bencher.iter_batched_ref(
            || live.clone(),
            |world| {
                black_box(next(black_box(&desired), black_box(world)));
                worlds::compared(world);
                black_box(next(black_box(&desired), black_box(world)));
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
