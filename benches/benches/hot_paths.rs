//! Times of gorust's hot paths, before and after a change of ours: `cargo bench -p gorust-benches`, which remembers the
//! run before. What a path does lives in the library, in `hot.rs`.
//!
//! Each is timed inside the goroutine that does it, so that the way in and out of the runtime is no part of it.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use gorust_benches::hot;
use std::time::Duration;

fn hot_paths(criterion: &mut Criterion) {
    let runtime = hot::runtime();
    let mut group = criterion.benchmark_group("hot");
    for path in hot::PATHS.iter().filter(|path| !path.sleeps) {
        group.bench_function(BenchmarkId::from_parameter(path.name), |bencher| {
            bencher.iter_custom(|count| (path.run)(&runtime, count as usize));
        });
    }
    group.finish();
}

/// All of it within a minute or two: the changes it is for are larger than what longer runs would tell.
fn short() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = benches; config = short(); targets = hot_paths }
criterion_main!(benches);
