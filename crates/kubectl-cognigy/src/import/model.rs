//! What becomes of everything that Cognigy holds; pure, and always the same for the same.

use cognigy_operator::{
    api::{
        LocalRef, RetryPolicySpec,
        webhook::{CognigyWebhookSpec, Existing, TenantRef},
    },
    cognigy::{BotId, BotWebhook, Integration, Status, WebhookId},
    text,
};
use serde::Serialize;
use serde_json::json;

use super::{
    gather::{Held, Holdings, Policy},
    judge::Judge,
    names::Names,
    policies::{Policies, PolicyKey},
    registration::{self, Said, bare},
};

/// How much of a text of Cognigy's a comment or a message shows, in characters.
const SHOWN: usize = 200;

/// Where the manifests are to stand.
#[derive(Clone, Debug)]
pub struct Place {
    /// Their namespace, where it is known.
    pub namespace: Option<String>,
    /// The tenant, as seen from there.
    pub tenant: TenantRef,
}

/// The manifests, and what they do not say.
#[derive(Debug)]
pub struct Import {
    /// The manifests' namespace, where it is known.
    pub namespace: Option<String>,
    /// The manifests: retry policies, Secrets, webhooks, each by name.
    pub manifests: Vec<Manifest>,
    /// What cannot be said.
    pub findings: Vec<Finding>,
}

/// One manifest.
#[derive(Debug)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// What a reader should know, a line each.
    pub comments: Vec<String>,
    /// What it is.
    pub body: Body,
}

/// The kinds of manifests, in the order in which they stand.
#[derive(Debug)]
pub enum Body {
    /// A `RetryPolicy`.
    RetryPolicy(RetryPolicySpec),
    /// A Secret without values: its keys, with the header that each is for.
    Secret(Vec<(String, String)>),
    /// A `CognigyWebhook`.
    Webhook(Box<CognigyWebhookSpec>),
}

/// Something in Cognigy that no manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Cognigy's name of the webhook.
    pub name: String,
    /// Cognigy's id.
    pub id: String,
    /// The bot whose webhook it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot: Option<String>,
    /// The manifest that says the rest; none where nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// What is not said, and why.
    pub message: String,
}

/// A webhook on its way to a manifest.
struct Draft {
    wanted_name: String,
    id: WebhookId,
    bot: Option<BotId>,
    comments: Vec<String>,
    policy: Option<PolicyKey>,
    what: What,
    losses: Vec<String>,
}

enum What {
    Registered(Box<Said>),
    Existing(Existing),
    Nothing,
}

/// Makes manifests of everything.
pub fn import(holdings: &Holdings, place: &Place) -> Import {
    let judge = Judge::new();
    let mut policies = Policies::new(&judge);
    // First, so that webhooks can share their policies.
    let mut drafts: Vec<Draft> = Vec::new();
    for (bot, webhooks) in &holdings.bots {
        drafts.extend(webhooks.iter().map(|webhook| of_bot(bot, webhook, &mut policies, place, &judge)));
    }
    drafts.extend(holdings.registrations.iter().map(|held| registered(held, &mut policies, place, &judge)));
    // Whose name needs no change keeps it.
    drafts.sort_by_cached_key(|draft| {
        let changed = Names::default().take(&draft.wanted_name, "") != draft.wanted_name;
        (changed, draft.wanted_name.clone(), draft.bot.clone(), draft.id.clone())
    });
    let policies = policies.named();
    let (mut names, mut findings, mut secrets, mut webhooks) = (Names::default(), Vec::new(), Vec::new(), Vec::new());
    for draft in drafts {
        finish(draft, place, &policies, &mut names, &mut secrets, &mut webhooks, &mut findings);
    }
    let used = |name: &str| webhooks.iter().filter(|webhook| uses(webhook, name)).count();
    let policies = policies.iter().map(|(_, name, spec)| Manifest {
        comments: vec![match used(name) {
            1 => "The retry policy of one webhook.".to_owned(),
            users => format!("The retry policy of {users} webhooks."),
        }],
        name: name.clone(),
        body: Body::RetryPolicy(spec.clone()),
    });
    let mut manifests = Vec::new();
    for mut group in [policies.collect(), secrets, webhooks] {
        group.sort_by(|a: &Manifest, b: &Manifest| a.name.cmp(&b.name));
        manifests.extend(group);
    }
    findings.sort_by(|a: &Finding, b: &Finding| (&a.name, &a.id, &a.message).cmp(&(&b.name, &b.id, &b.message)));
    Import { namespace: place.namespace.clone(), manifests, findings }
}

fn uses(webhook: &Manifest, policy: &str) -> bool {
    match &webhook.body {
        Body::Webhook(spec) => spec.retry_policy_ref.as_ref().is_some_and(|reference| reference.name == policy),
        _ => false,
    }
}

/// A text of Cognigy's in a comment or a message.
fn shown(text: &str) -> String {
    text::clean(text, SHOWN).unwrap_or_else(|| "(no name)".into())
}

fn of_bot(bot: &BotId, webhook: &BotWebhook, policies: &mut Policies<'_>, place: &Place, judge: &Judge) -> Draft {
    let policy = match &webhook.retry_policy {
        Some(stored) => policies.window(stored),
        None if webhook.shows_policy => Err("its retry policy has a form that is not documented".into()),
        None => Err("no retry policy of it is shown, and there is nothing else that a CognigyWebhook manages".into()),
    };
    let existing = Existing { webhook_id: Some(webhook.id.to_string()), bot_id: Some(bot.to_string()), name: None };
    let name = webhook.name.clone().unwrap_or_default();
    let comments = vec![format!("Webhook {} of bot {}: {}", webhook.id, shown(bot.as_str()), shown(&name))];
    let (what, policy, losses) = managed(existing, policy, place, judge);
    Draft { wanted_name: name, id: webhook.id.clone(), bot: Some(bot.clone()), comments, policy, what, losses }
}

/// Only the retry policy is managed, where there is one that can be said and an id that can.
fn managed(
    existing: Existing,
    policy: Result<PolicyKey, String>,
    place: &Place,
    judge: &Judge,
) -> (What, Option<PolicyKey>, Vec<String>) {
    // The policy has no name yet.
    let any = LocalRef { name: "any".into() };
    let spec =
        CognigyWebhookSpec { existing: Some(existing.clone()), retry_policy_ref: Some(any), ..bare(&place.tenant) };
    match policy.and_then(|policy| judge.webhook(&json!(spec)).map(|()| policy)) {
        Err(why) => (What::Nothing, None, vec![why]),
        Ok(policy) => (What::Existing(existing), Some(policy), Vec::new()),
    }
}

fn registered(held: &Held, policies: &mut Policies<'_>, place: &Place, judge: &Judge) -> Draft {
    let main = &held.main;
    let name = main.name.clone().unwrap_or_default();
    let mut comments = vec![format!("Registration {}: {}, {}", main.id, shown(&name), registration::state(main))];
    let mut losses = others(&held.others, &mut comments);
    let policy = match &held.policy {
        Policy::None => None,
        Policy::Stored(stored) => Some(policies.interval(&main.id, stored)),
        Policy::Unreadable => Some(Err("its webhook, and so its retry policy, is not shown".to_owned())),
    };
    let (what, policy) = match registration::said(main, &place.tenant, judge) {
        Ok(said) => {
            let policy = policy.and_then(|policy| policy.map_err(|why| losses.push(unmanaged(&why))).ok());
            (What::Registered(Box::new(said)), policy)
        }
        Err(why) => {
            let policy = policy.unwrap_or_else(|| Err("there is no retry policy that could be managed instead".into()));
            let existing = Existing { webhook_id: Some(main.id.to_string()), ..Existing::default() };
            let (what, policy, more) = managed(existing, policy, place, judge);
            losses.push(match more.first() {
                Some(more) => format!("{why}; {more}"),
                None => format!("{why}; only its retry policy is managed"),
            });
            (what, policy)
        }
    };
    Draft { wanted_name: name, id: main.id.clone(), bot: None, comments, policy, what, losses }
}

fn unmanaged(why: &str) -> String {
    format!("{why}; the retry policy is left as it is")
}

/// The other versions of a name stay as they are. That one of them is active too is something no manifest says.
fn others(others: &[Integration], comments: &mut Vec<String>) -> Vec<String> {
    let mut losses = Vec::new();
    for other in others {
        let told = format!("{} ({})", other.id, registration::state(other));
        comments.push(format!("Not managed, another version of this name: {told}"));
        if other.status == Some(Status::Active) {
            losses.push(format!("{told} is active too; it is left as it is"));
        }
    }
    losses
}

fn finish(
    draft: Draft,
    place: &Place,
    policies: &[(PolicyKey, String, RetryPolicySpec)],
    names: &mut Names,
    secrets: &mut Vec<Manifest>,
    webhooks: &mut Vec<Manifest>,
    findings: &mut Vec<Finding>,
) {
    let Draft { wanted_name, id, bot, mut comments, policy, what, losses } = draft;
    let told = !matches!(what, What::Nothing);
    let identity = format!("{}/{id}", bot.as_ref().map(BotId::as_str).unwrap_or_default());
    let name = told.then(|| names.take(&wanted_name, &identity));
    findings.extend(losses.iter().map(|message| Finding {
        name: shown(&wanted_name),
        id: id.to_string(),
        bot: bot.as_ref().map(ToString::to_string),
        manifest: name.clone(),
        message: message.clone(),
    }));
    let Some(name) = name else { return };
    comments.extend(losses.into_iter().map(|loss| format!("Not said here: {loss}")));
    let reference = policy.and_then(|policy| policies.iter().find(|(key, ..)| *key == policy));
    let retry_policy_ref = reference.map(|(_, name, _)| LocalRef { name: name.clone() });
    let spec = match what {
        What::Nothing => return,
        What::Existing(existing) => {
            CognigyWebhookSpec { existing: Some(existing), retry_policy_ref, ..bare(&place.tenant) }
        }
        What::Registered(said) => {
            let Said { name: registered, spec, secret_headers } = *said;
            let secret = format!("{name}-headers");
            let headers_from = registration::headers_from(&secret_headers, &secret);
            if !headers_from.is_empty() {
                let keys = headers_from.iter().map(|from| (from.secret_key_ref.key.clone(), from.name.clone()));
                secrets.push(Manifest {
                    name: secret,
                    comments: vec![format!("Fill in what {} has there before this is applied.", id)],
                    body: Body::Secret(keys.collect()),
                });
            }
            CognigyWebhookSpec {
                name: Some(registered).filter(|registered| *registered != name),
                headers_from: (!headers_from.is_empty()).then_some(headers_from),
                retry_policy_ref,
                ..spec
            }
        }
    };
    webhooks.push(Manifest { name, comments, body: Body::Webhook(Box::new(spec)) });
}
