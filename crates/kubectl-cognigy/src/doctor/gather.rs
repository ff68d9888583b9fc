//! What `doctor` looks at, read from the API server. What the caller must not read is said, and the rest is looked at all the same.

use cognigy_operator::{
    api::{CognigyTenant, CognigyWebhook},
    cluster::{crds, rights::RIGHTS, words},
};
use futures::future::try_join_all;
use jiff::{Timestamp, fmt::rfc2822};
use k8s_openapi::api::{
    apps::v1::Deployment,
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    coordination::v1::Lease,
};
use kube::{
    Api,
    api::{ListParams, PostParams},
    client::Body,
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;

use super::installed::Installed;
use crate::{
    cluster::Cluster,
    exit::{Error, Result, Trying as _},
};

/// Marks the Deployments of the chart and of install.yaml.
pub const LABEL: &str = "app.kubernetes.io/name=cognigy-operator";

/// Objects of a kind and where they were looked for, or why they could not be.
pub type Looked<K> = std::result::Result<Seen<K>, String>;

/// Objects of a kind.
#[derive(Clone, Debug)]
pub struct Seen<K> {
    /// By namespace and name.
    pub items: Vec<K>,
    /// `namespace cx`, or `all namespaces`.
    pub place: String,
}

/// All that is judged.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What is wrong with the definitions, a sentence each.
    pub definitions: Vec<String>,
    /// The time here.
    pub local: Timestamp,
    /// The API server's time at that moment; absent where it does not say it.
    pub server: Option<Timestamp>,
    /// The operator's Deployments.
    pub deployments: Looked<Installed>,
    /// Leases; other programs' as well.
    pub leases: Looked<Lease>,
    /// What the operators must not do although they have to.
    pub denied: std::result::Result<Vec<Denied>, String>,
    /// Tenants.
    pub tenants: Looked<CognigyTenant>,
    /// Webhooks.
    pub webhooks: Looked<CognigyWebhook>,
}

/// A right that a service account lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// `cognigy-system/cognigy-operator`.
    pub account: String,
    /// Where; `None`: in all namespaces.
    pub namespace: Option<String>,
    /// `patch cognigywebhooks.cognigy.io/status`.
    pub right: String,
}

/// Looks at everything once: the operator in one namespace or all, its objects in one or all.
pub async fn scene(cluster: &Cluster, operators: Option<&str>, objects: Option<&str>) -> Result<Scene> {
    let (local, server) = clocks(cluster).await?;
    let definitions = crds::missing(&cluster.client).await;
    let definitions = definitions.while_trying(|| "cannot read what the API server serves".into())?;
    let labelled = ListParams::default().labels(LABEL);
    let all = ListParams::default();
    let (deployments, leases, tenants, webhooks) = tokio::try_join!(
        look::<Deployment>(cluster, operators, &labelled),
        look(cluster, operators, &all),
        look(cluster, objects, &all),
        look(cluster, objects, &all),
    )?;
    let deployments =
        deployments.map(|seen| Seen { items: seen.items.iter().map(Installed::of).collect(), place: seen.place });
    let denied = match &deployments {
        Ok(seen) => denied(cluster, &seen.items).await?,
        Err(words) => Err(words.clone()),
    };
    Ok(Scene { definitions, local, server, deployments, leases, denied, tenants, webhooks })
}

/// The time here, and the API server's.
async fn clocks(cluster: &Cluster) -> Result<(Timestamp, Option<Timestamp>)> {
    let what = || "cannot talk to the cluster".to_owned();
    let request = http::Request::get("/version").body(Body::empty()).map_err(kube::Error::HttpError);
    let answer = cluster.client.send(request.while_trying(what)?).await.while_trying(what)?;
    if answer.status() == http::StatusCode::UNAUTHORIZED {
        return Err(Error::Told("the API server does not know who you are: log in again".into()));
    }
    let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
    let server = date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp());
    Ok((Timestamp::now(), server))
}

/// Objects in a namespace or in all; where all may not be listed, in the context's.
async fn look<K>(cluster: &Cluster, namespace: Option<&str>, parameters: &ListParams) -> Result<Looked<K>>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut places = vec![namespace];
    if namespace.is_none() {
        places.push(Some(&cluster.namespace));
    }
    let mut refused = String::new();
    for place in places {
        let api: Api<K> = match place {
            Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
            None => Api::all(cluster.client.clone()),
        };
        let place = place.map_or_else(|| "all namespaces".to_owned(), |namespace| format!("namespace {namespace}"));
        match api.list(parameters).await {
            Ok(listed) => return Ok(Ok(Seen { items: listed.items, place })),
            Err(error @ kube::Error::Api(_)) if is_refusal(&error) => refused = words(&error),
            Err(error) => {
                return Err(error).while_trying(|| format!("cannot list {} in {place}", K::plural(&())));
            }
        }
    }
    Ok(Err(refused))
}

/// It is not allowed, or there is no such kind.
fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if [403, 404].contains(&status.code))
}

/// Asks the API server for every right of every operator.
async fn denied(cluster: &Cluster, operators: &[Installed]) -> Result<std::result::Result<Vec<Denied>, String>> {
    let questions = operators.iter().flat_map(questions);
    let answers = try_join_all(questions.map(|(account, review)| ask(cluster, account, review))).await;
    match answers {
        Ok(answers) => Ok(Ok(answers.into_iter().flatten().collect())),
        Err(error) if is_refusal(&error) => Ok(Err(words(&error))),
        Err(error) => Err(error).while_trying(|| "cannot ask for the operator's rights".into()),
    }
}

/// Everything that an operator does, in each namespace that it watches.
fn questions(operator: &Installed) -> Vec<((String, String), ResourceAttributes)> {
    let mut asked = Vec::new();
    let everywhere = [String::new()];
    let watched = if operator.watched().is_empty() { &everywhere } else { operator.watched() };
    for namespace in watched {
        for right in RIGHTS {
            asked.extend(
                right
                    .verbs
                    .iter()
                    .map(|verb| attributes(namespace, right.group, right.resource, right.subresource, verb, None)),
            );
        }
    }
    if let Some((namespace, lease)) = operator.lease() {
        let on_lease = |verb, name| attributes(&namespace, "coordination.k8s.io", "leases", "", verb, name);
        asked.extend(["get", "watch", "update"].map(|verb| on_lease(verb, Some(lease.clone()))));
        asked.push(on_lease("create", None));
    }
    let account = (operator.object.namespace.clone(), operator.account.clone());
    asked.into_iter().map(|review| (account.clone(), review)).collect()
}

fn attributes(
    namespace: &str,
    group: &str,
    resource: &str,
    subresource: &str,
    verb: &str,
    name: Option<String>,
) -> ResourceAttributes {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ResourceAttributes {
        group: some(group),
        name,
        namespace: some(namespace),
        resource: some(resource),
        subresource: some(subresource),
        verb: some(verb),
        ..ResourceAttributes::default()
    }
}

async fn ask(
    cluster: &Cluster,
    (namespace, account): (String, String),
    attributes: ResourceAttributes,
) -> kube::Result<Option<Denied>> {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let behind =
        |mark: &str, part: &Option<String>| part.as_ref().map_or_else(String::new, |part| format!("{mark}{part}"));
    let denied = Denied {
        account: format!("{namespace}/{account}"),
        namespace: attributes.namespace.clone(),
        right: format!(
            "{} {}{}{}",
            text(&attributes.verb),
            text(&attributes.resource),
            behind(".", &attributes.group),
            behind("/", &attributes.subresource)
        ),
    };
    let groups =
        ["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}"), "system:authenticated".into()];
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{namespace}:{account}")),
        groups: Some(groups.to_vec()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = Api::all(cluster.client.clone()).create(&PostParams::default(), &review).await?;
    Ok((!answer.status.is_some_and(|status| status.allowed)).then_some(denied))
}
