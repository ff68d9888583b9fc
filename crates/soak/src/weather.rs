//! The standing faults: about one call in fifteen goes wrong, each in its own way, the same ones for the same seed.

use std::time::Duration;

use cognigy_simulator::{Answer, Fault, RetryAfter};

use crate::{act::SINKS, model::Model, stage::Stage};

/// From now on.
pub(crate) fn begin(stage: &Stage, seed: u64) {
    for (nth, simulator) in (0u64..).zip(&stage.simulators) {
        let seed = seed.wrapping_add(nth * 100);
        let likely = |probability: f64, which: u64| Fault::any().probability(probability, seed.wrapping_add(which));
        for fault in [
            likely(0.02, 1).status(503),
            likely(0.005, 2).status(500),
            likely(0.003, 3).status(429).retry_after(RetryAfter::Seconds(1)),
            likely(0.003, 4).status(401),
            likely(0.005, 5).cut_body(),
            likely(0.005, 6).lose_before(),
            likely(0.005, 7).lose_after(),
            likely(0.003, 8).malformed_json(),
            likely(0.001, 9).huge_body(2 << 20),
            likely(0.02, 10).delay(Duration::from_millis(500)),
            likely(0.002, 11).delay(Duration::from_secs(4)),
        ] {
            simulator.fault(fault);
        }
    }
}

/// No faults any more: neither standing ones nor answers that callbacks and sinks still had in store.
pub(crate) fn end(stage: &Stage, model: &Model) {
    stage.simulators.iter().for_each(|simulator| simulator.clear_faults());
    for hook in model.hooks.values() {
        stage.simulators[hook.tenant].callback(&hook.name).answer(Answer::ok());
    }
    for (_, sink) in SINKS {
        stage.simulators.iter().for_each(|simulator| simulator.sink(sink).answer(Answer::ok()));
    }
}
