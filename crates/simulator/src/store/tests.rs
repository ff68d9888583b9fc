use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::*;

/// Few of each, so that objects meet: in one name, one path, one key, even one id.
const NAMES: [&str; 4] = ["orders", "refunds", "payments", "invoices"];
const URLS: [&str; 5] = [
    "https://a.example/callbacks/x",
    "https://b.example/callbacks/x?y=1",
    "https://a.example/",
    "no URL",
    "http://[::1]/z",
];
const BOTS: [&str; 3] = ["one", "two", "three"];

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).unwrap()
}

fn registration(random: &mut StdRng) -> Registration {
    Registration {
        name: pick(random, &NAMES).into(),
        url: pick(random, &URLS).into(),
        method: "POST".into(),
        headers: Map::new(),
        payload_format: "application/json".into(),
        version: random.random_range(1..4),
        active: random.random(),
        idempotency_key: format!("key-{}", random.random_range(0..20)),
    }
}

fn patch(random: &mut StdRng) -> Value {
    match random.random_range(0..5) {
        0 => json!({"name": pick(random, &NAMES)}),
        1 => json!({"url": pick(random, &URLS)}),
        2 => json!({"idempotencyKey": format!("key-{}", random.random_range(0..20))}),
        3 => json!({"idempotencyKey": null, "url": null}),
        _ => json!({"status": "active"}),
    }
}

/// Ids of objects that are there, were there, or never were.
fn id(random: &mut StdRng) -> String {
    format!("wh_{:09x}", random.random_range(1..60))
}

fn step(store: &mut Store, random: &mut StdRng, seq: u64) {
    let options = Options::default();
    let cause = Cause { seq, by_api: random.random() };
    match random.random_range(0..9) {
        0 | 1 => _ = store.create(registration(random), &options, cause),
        2 => {
            let mut fields = patch(random);
            if random.random() {
                fields["id"] = json!(id(random));
            }
            _ = store.add(&fields, &options, cause);
        }
        3 => {
            let mut webhook = BotWebhook::new(pick(random, &BOTS), pick(random, &NAMES), pick(random, &URLS));
            if random.random() {
                webhook.id = id(random);
            }
            _ = store.add_bot_webhook(webhook, options.id_style);
        }
        4 => store.replace_integration(&id(random), registration(random), cause),
        5 => {
            let wanted = json!({"name": pick(random, &NAMES), "url": "https://c.example/callbacks/w", "enabled": true});
            let id = id(random);
            store.replace_webhook(&id, crate::validate::webhook_view(&wanted, &id, false).unwrap(), cause);
        }
        6 => store.patch_bot_webhook(pick(random, &BOTS), &id(random), "key", json!({}), json!({"maxAttempts": seq})),
        7 => _ = store.merge(&id(random), &patch(random), cause),
        _ => _ = store.remove(&id(random), cause),
    }
}

/// Whether each look-up finds what a look at everything finds.
fn assert_finds_what_is_there(store: &Store) {
    let all: Vec<&IntegrationRecord> = store.integrations.iter().collect();
    for one in &all {
        assert_eq!(store.find(&one.id), all.iter().copied().find(|other| other.id == one.id));
        let same_name: Vec<_> = all.iter().copied().filter(|other| other.name == one.name).collect();
        assert_eq!(store.named(&one.name).collect::<Vec<_>>(), same_name);
        if let Some(key) = &one.idempotency_key {
            let first = all.iter().copied().find(|other| other.idempotency_key.as_ref() == Some(key));
            assert_eq!(store.find_by_idempotency_key(key), first);
        }
        if let Ok(url) = Url::parse(&one.url) {
            let here =
                |other: &&IntegrationRecord| Url::parse(&other.url).is_ok_and(|other| other.path() == url.path());
            let same_path: Vec<_> = all.iter().copied().filter(here).collect();
            assert_eq!(store.with_path(url.path()).collect::<Vec<_>>(), same_path);
        }
    }
    let all: Vec<&BotWebhook> = store.bot_webhooks.iter().collect();
    for bot in BOTS {
        let of_bot: Vec<_> = all.iter().copied().filter(|one| one.bot_id == bot).collect();
        assert_eq!(store.of_bot(bot, 0).map(|(_, one)| one).collect::<Vec<_>>(), of_bot);
        for one in of_bot.iter().copied() {
            assert_eq!(store.find_of_bot(bot, &one.id), of_bot.iter().copied().find(|other| other.id == one.id));
        }
    }
    for name in NAMES {
        let named: Vec<_> = store.history.all().iter().filter(|change| change.name == name).collect();
        assert_eq!(store.history.of(name).collect::<Vec<_>>(), named);
    }
}

#[test]
fn whatever_happens_each_object_is_found_by_what_it_is_now() {
    for seed in 0..20 {
        let (mut store, mut random) = (Store::default(), StdRng::seed_from_u64(seed));
        for seq in 1..150 {
            step(&mut store, &mut random, seq);
            assert!(store.integrations.is_in_step() && store.bot_webhooks.is_in_step(), "seed {seed}, step {seq}");
        }
        assert_finds_what_is_there(&store);
        assert!(store.integrations.len() > 5 && store.bot_webhooks.len() > 1, "the steps make objects and leave some");
    }
}

#[test]
fn a_listing_goes_on_behind_a_place_whose_object_is_gone() {
    let (mut store, mut random) = (Store::default(), StdRng::seed_from_u64(0));
    let cause = Cause { seq: 1, by_api: true };
    let ids: Vec<_> = (0..4).map(|_| store.create(registration(&mut random), &Options::default(), cause)).collect();
    assert!(store.remove(&ids[1], cause));
    let behind: Vec<_> = store.integrations.behind(2).map(|(place, one)| (place, one.id.clone())).collect();
    assert_eq!(behind, [(3, ids[2].clone()), (4, ids[3].clone())]);
}
