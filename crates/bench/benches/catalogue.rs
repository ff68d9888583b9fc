//! What it costs to compare 10,000 webhooks with one listing, as their passes do it: each looks itself up.

#![allow(clippy::unwrap_used, reason = "what fails here is the benchmark's own set-up")]

use std::{hint::black_box, sync::Arc, time::Duration};

use cognigy_operator::cognigy::{
    Auth, BotId, BotWebhookRef, BreakerConfig, Concurrency, ETag, Freshness, Held, Hosts, Listed, Read, Session,
    SessionConfig, Silent, WebhookId, WindowPolicy, install_crypto_provider,
};
use cognigy_simulator::{BotWebhook, Options, Route, Simulator};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use serde_json::json;
use tokio::runtime::Runtime;

const MANY: usize = 10_000;
/// Listings have so many objects on a page (cognigy-api.md §3).
const PAGES: usize = MANY / 100;
/// Any listing will do.
const OLD: Duration = Duration::from_hours(24);

fn session(simulator: &Simulator) -> Session {
    let config = SessionConfig {
        tenant: "cx/production".into(),
        base_url: simulator.base_url(),
        auth: Auth::Bearer(simulator.credentials().bearer_token.into()),
        ca_pem: None,
        requests_per_minute: 600_000,
        burst: 100_000,
        max_concurrent_requests: 64,
        request_timeout: Duration::from_mins(1),
        breaker: BreakerConfig { failure_threshold: 100, open: Duration::from_mins(1) },
        concurrency: Concurrency::IfMatch,
    };
    Session::new(config, &Hosts::new(), Arc::new(Silent)).unwrap()
}

/// Webhooks of one bot, whose policies are in the listing.
fn of_a_bot(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime) {
    let policy = WindowPolicy::default();
    let webhooks = (0..MANY).map(|nth| BotWebhook {
        retry_policy: Some(json!(policy)),
        ..BotWebhook::new("support", &format!("hook-{nth}"), "https://api.example.com/hook")
    });
    let options = Options { bot_webhooks: webhooks.collect(), ..Options::default() };
    let simulator = Simulator::start(options).unwrap();
    let (session, bot) = (session(&simulator), BotId::new("support").unwrap());
    let freshness = Freshness { presence: OLD, absence: OLD };
    let by_id = |one: BotWebhook| BotWebhookRef::Id(WebhookId::new(one.id).unwrap());
    let by_name = |one: BotWebhook| BotWebhookRef::Name(one.name);
    let there = simulator.bot_webhooks();
    let wanted: [(_, Vec<_>); 2] = [
        ("of a bot by id", there.iter().cloned().map(by_id).collect()),
        ("of a bot by name", there.into_iter().map(by_name).collect()),
    ];
    for (name, wanted) in &wanted {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    for one in wanted {
                        let found = session.find_bot_webhook(&bot, one, freshness).await.unwrap();
                        let Listed::One(found) = found else { panic!("{one:?} is {found:?}") };
                        assert!(matches!(black_box(found.policy), Held::Policy(held) if held == policy));
                    }
                });
            });
        });
    }
    assert_eq!(simulator.count(Route::ListBotWebhooks), PAGES, "one listing served all");
}

/// Registrations, whose versions are in the listing.
fn registered(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime) {
    let options = Options { integrations_carry_version: true, ..Options::default() };
    let simulator = Simulator::start(options).unwrap();
    let add = |nth| {
        let id =
            simulator.add_integration(json!({"name": format!("hook-{nth}"), "url": "https://api.example.com/hook"}));
        let tag = ETag::from_header(&simulator.etag(&id).unwrap()).unwrap();
        (WebhookId::new(id).unwrap(), tag)
    };
    let known: Vec<_> = (0..MANY).map(add).collect();
    let session = session(&simulator);
    group.bench_function("registered", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                for (id, tag) in &known {
                    let read = session.reread_webhook(id, tag, OLD, MANY).await.unwrap();
                    assert!(matches!(black_box(read.value), Read::NotModified));
                }
            });
        });
    });
    assert_eq!(simulator.count(Route::ListIntegrations), PAGES, "one listing served all");
    assert_eq!(simulator.count(Route::GetWebhook), 0);
}

fn compare(criterion: &mut Criterion) {
    install_crypto_provider();
    let runtime = Runtime::new().unwrap();
    let _in_it = runtime.enter();
    let mut group = criterion.benchmark_group("catalogue of 10000");
    group.sample_size(10).throughput(Throughput::Elements(MANY as u64));
    of_a_bot(&mut group, &runtime);
    registered(&mut group, &runtime);
    group.finish();
}

criterion_group!(benches, compare);
criterion_main!(benches);
