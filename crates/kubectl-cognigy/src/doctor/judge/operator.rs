//! The installation: definitions, clocks, Deployments, Leases, rights. Pure.

use std::collections::BTreeMap;

use cognigy_operator::api;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;

use super::{
    super::{
        gather::{Denied, LABEL, Looked, Seen},
        installed::Installed,
        model::{Check, Object},
    },
    SKEW, counted, or_ok, seconds,
};

/// What the operator's Leases begin with.
const LEASE: &str = "cognigy-operator-";
/// How long a Lease lasts that does not say it, in seconds: the operator's own.
const DURATION: i32 = 15;
/// The release of this plugin, and of the definitions that it knows.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn definitions(faults: &[String]) -> Vec<Check> {
    let remedy = "cognigy-operator crds | kubectl apply --server-side -f -";
    let findings = faults.iter().map(|fault| Check::finding("definitions", fault, remedy)).collect();
    or_ok(findings, "definitions", || {
        format!("{} are served with all fields of version {VERSION}", counted(api::crds().len(), "kind"))
    })
}

pub fn clock(local: Timestamp, server: Option<Timestamp>) -> Vec<Check> {
    let Some(server) = server else {
        return vec![Check::not_looked("clock", "the API server does not tell its time")];
    };
    let ahead = seconds(server, local);
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let told = format!("this machine's clock is {} s {way} the API server's", ahead.abs());
    let findings = (ahead.abs() > SKEW).then(|| {
        let remedy = "find out which of the two is wrong and set it by NTP: timedatectl set-ntp true";
        Check::finding("clock", told, remedy)
    });
    or_ok(findings.into_iter().collect(), "clock", || "this machine and the API server agree on the time".into())
}

pub fn deployments(seen: &Seen<Installed>) -> Vec<Check> {
    if seen.items.is_empty() {
        let told = format!("there is no Deployment with the label {LABEL} in {}", seen.place);
        let remedy = "install the operator (helm install cognigy-operator deploy/helm/cognigy-operator --namespace cognigy-system --create-namespace), or say where it is: --operator-namespace";
        return vec![Check::finding("operator", told, remedy)];
    }
    let findings: Vec<Check> = seen.items.iter().filter_map(deployment).collect();
    or_ok(findings, "operator", || {
        let told =
            seen.items.iter().map(|one| format!("{} ({}/{} available)", one.object, one.available, one.replicas));
        told.collect::<Vec<_>>().join(", ")
    })
}

fn deployment(one: &Installed) -> Option<Check> {
    let Object { namespace, name, .. } = &one.object;
    let check = if let Err(error) = &one.run {
        let told = format!("{} has arguments that the operator does not take: {error}", one.object);
        Check::finding("operator", told, format!("kubectl -n {namespace} edit deployment {name}"))
    } else if one.replicas == 0 {
        let remedy = format!("kubectl -n {namespace} scale deployment {name} --replicas=2");
        Check::finding("operator", format!("{} is scaled to zero: nothing is reconciled", one.object), remedy)
    } else if one.available < one.replicas || one.why.is_some() {
        let why = one.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let told = format!("{} has {} of {} pods available{why}", one.object, one.available, one.replicas);
        let look = "describe pods --selector=app.kubernetes.io/name=cognigy-operator";
        Check::finding("operator", told, format!("kubectl -n {namespace} {look}"))
    } else {
        return None;
    };
    Some(check.about([one.object.clone()]))
}

pub fn versions(seen: &Seen<Installed>) -> Vec<Check> {
    let mut checks = Vec::new();
    for one in &seen.items {
        let check = match one.version() {
            Some(VERSION) => continue,
            Some(other) => {
                let told =
                    format!("{} runs version {other}; this plugin and its definitions are {VERSION}", one.object);
                let remedy = "use the plugin of the operator's release, or upgrade the operator: helm upgrade (docs/versions.md)";
                Check::finding("version", told, remedy)
            }
            None => Check::not_looked("version", format!("the image {} of {} names no version", one.image, one.object)),
        };
        checks.push(check.about([one.object.clone()]));
    }
    if checks.is_empty() && seen.items.is_empty() {
        return vec![Check::not_looked("version", "there is no Deployment")];
    }
    or_ok(checks, "version", || format!("operator, definitions and plugin are {VERSION}"))
}

/// Those that are there, and those that a Deployment asks for. `now` is the API server's.
pub fn leases(seen: &Seen<Lease>, deployments: &Looked<Installed>, now: Timestamp) -> Vec<Check> {
    let installed = deployments.as_ref().map_or(&[][..], |seen| &seen.items[..]);
    let wanted: BTreeMap<(String, String), &Object> =
        installed.iter().filter_map(|one| Some((one.lease()?, &one.object))).collect();
    let mut findings = Vec::new();
    let mut leaders = Vec::new();
    for lease in &seen.items {
        let object = Object::of(lease);
        let key = (object.namespace.clone(), object.name.clone());
        let asked_for_by = wanted.get(&key).copied();
        if !object.name.starts_with(LEASE) {
            continue;
        }
        match state(lease, now) {
            Ok(holder) => leaders.push(format!("{holder} ({object})")),
            Err(fault) => {
                let remedy = remedy(&object, asked_for_by, deployments.is_ok());
                findings.push(Check::finding("leader", format!("{object} {fault}"), remedy).about([object]));
            }
        }
    }
    for ((namespace, name), operator) in wanted {
        if !seen.items.iter().any(|lease| Object::of(lease).name == name && Object::of(lease).namespace == namespace) {
            let told = format!("{operator} elects a leader, and its Lease {namespace}/{name} is not there");
            findings.push(Check::finding("leader", told, logs(operator)).about([operator.clone()]));
        }
    }
    or_ok(findings, "leader", || match leaders.len() {
        0 => format!("no leader is elected in {}", seen.place),
        _ => format!("led by {}", leaders.join(", ")),
    })
}

/// The pod that leads, or what is wrong with the Lease.
fn state(lease: &Lease, now: Timestamp) -> Result<String, String> {
    let spec = lease.spec.clone().unwrap_or_default();
    let Some(holder) = spec.holder_identity.filter(|holder| !holder.is_empty()) else {
        return Err("has no holder: nobody works".into());
    };
    // The operator's identities are its pod's name and an id of the process.
    let pod = holder.rsplit_once('_').map_or(holder.as_str(), |(pod, _)| pod);
    let lasts = i64::from(spec.lease_duration_seconds.unwrap_or(DURATION));
    match spec.renew_time.map(|time| seconds(time.0, now)) {
        None => Err(format!("was never renewed by its holder {pod}")),
        Some(age) if age > lasts + SKEW => Err(format!(
            "was renewed {age} s ago, and it lasts {lasts} s: its holder {pod} is gone, and nobody takes over"
        )),
        Some(age) if age < -SKEW => {
            Err(format!("was renewed {} s from now: the clock of its holder {pod} is wrong", age.abs()))
        }
        Some(_) => Ok(pod.to_owned()),
    }
}

fn remedy(lease: &Object, asked_for_by: Option<&Object>, deployments_known: bool) -> String {
    match asked_for_by {
        Some(operator) => logs(operator),
        None if deployments_known => {
            let delete = format!("kubectl -n {} delete lease {}", lease.namespace, lease.name);
            format!("no Deployment that was found elects with it; if it is left over: {delete}")
        }
        None => format!("look at the operator's pods: kubectl -n {} get pods", lease.namespace),
    }
}

fn logs(operator: &Object) -> String {
    format!("kubectl -n {} logs deployment/{} --all-pods", operator.namespace, operator.name)
}

pub fn rights(denied: &Result<Vec<Denied>, String>, deployments: &Looked<Installed>) -> Vec<Check> {
    let denied = match denied {
        Ok(denied) => denied,
        Err(words) => return vec![Check::not_looked("rights", format!("not asked: {words}"))],
    };
    if deployments.as_ref().is_ok_and(|seen| seen.items.is_empty()) {
        return vec![Check::not_looked("rights", "not asked: there is no Deployment")];
    }
    let mut lacking: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for one in denied {
        lacking.entry((&one.account, one.namespace.as_deref())).or_default().push(&one.right);
    }
    let findings = lacking.into_iter().map(|((account, namespace), rights)| {
        let place = namespace.map_or_else(|| "all namespaces".to_owned(), |namespace| format!("namespace {namespace}"));
        let told = format!("the service account {account} must not do in {place}: {}", rights.join(", "));
        let (namespace, name) = account.split_once('/').unwrap_or_default();
        let object = Object { kind: "ServiceAccount".into(), namespace: namespace.into(), name: name.into() };
        let remedy = "upgrade the chart with rbac.create=true, or grant it what the chart's ClusterRole has";
        Check::finding("rights", told, remedy).about([object])
    });
    or_ok(findings.collect(), "rights", || "the operator's service account may do all that it has to".into())
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value, reason = "so that `json!` can stand where a value is asked for")]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::{Value, json};

    use super::{
        super::tests::{NOW, at, only, seen, sound},
        *,
    };

    fn installed(change: impl FnOnce(&mut Value)) -> Seen<Installed> {
        let image = format!("cognigy-operator:{VERSION}");
        let container = json!({"name": "operator", "image": image, "args": ["run", "--leader-elect"]});
        let mut deployment = json!({
            "metadata": {"namespace": "cx", "name": "hooks"},
            "spec": {"replicas": 2, "selector": {}, "template": {"spec": {"containers": [container]}}},
            "status": {"availableReplicas": 2, "conditions": [{"type": "Available", "status": "True"}]},
        });
        change(&mut deployment);
        seen(json!([deployment]), |deployment: Deployment| Installed::of(&deployment))
    }

    fn lease(spec: Value) -> Seen<Lease> {
        let (_, name) = installed(|_| ()).items[0].lease().unwrap();
        seen(json!([{"metadata": {"namespace": "cx", "name": name}, "spec": spec}]), |lease: Lease| lease)
    }

    fn nothing<K>() -> Seen<K> {
        Seen { items: Vec::new(), place: "namespace cx".into() }
    }

    #[test]
    fn definitions_that_lack_something_are_installed_anew() {
        sound(&definitions(&[]));
        let faults = ["cognigywebhooks.cognigy.io is too old: it lacks spec.mode".to_owned()];
        let checks = definitions(&faults);
        assert_eq!(only(&checks), (faults[0].as_str(), "cognigy-operator crds | kubectl apply --server-side -f -"));
    }

    #[test]
    fn clocks_may_be_half_a_minute_apart() {
        let server = Some(at(NOW));
        sound(&clock(at("2026-11-23T12:00:30Z"), server));
        sound(&clock(at("2026-11-23T11:59:30Z"), server));
        let ahead = clock(at("2026-11-23T12:00:31Z"), server);
        assert_eq!(only(&ahead).0, "this machine's clock is 31 s ahead of the API server's");
        let behind = clock(at("2026-11-23T11:00:00Z"), server);
        assert_eq!(only(&behind).0, "this machine's clock is 3600 s behind the API server's");
        assert_eq!(clock(at(NOW), None), [Check::not_looked("clock", "the API server does not tell its time")]);
    }

    #[test]
    fn a_deployment_is_there_and_all_its_pods_are_available() {
        sound(&deployments(&installed(|_| ())));
        let label = "app.kubernetes.io/name=cognigy-operator";
        let told = format!("there is no Deployment with the label {label} in namespace cx");
        assert_eq!(only(&deployments(&nothing())).0, told);
        let checks = deployments(&installed(|one| one["spec"]["replicas"] = json!(0)));
        assert_eq!(only(&checks).1, "kubectl -n cx scale deployment hooks --replicas=2");
        let checks = deployments(&installed(|one| {
            let condition = json!([{"type": "Available", "status": "False", "message": "Too few pods."}]);
            one["status"] = json!({"availableReplicas": 1, "conditions": condition});
        }));
        assert_eq!(only(&checks).0, "Deployment cx/hooks has 1 of 2 pods available: Too few pods.");
        let checks = deployments(&installed(|one| {
            one["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["run", "--later"]);
        }));
        assert!(only(&checks).0.contains("--later"), "{checks:?}");
    }

    #[test]
    fn the_operator_is_of_the_release_of_the_definitions() {
        sound(&versions(&installed(|_| ())));
        let of = |image: &str| {
            versions(&installed(|one| one["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image)))
        };
        let told = format!("Deployment cx/hooks runs version 0.0.9; this plugin and its definitions are {VERSION}");
        assert_eq!(only(&of("cognigy-operator:0.0.9")).0, told);
        let unknown = of("cognigy-operator:latest");
        assert_eq!(unknown[0].message, "the image cognigy-operator:latest of Deployment cx/hooks names no version");
    }

    #[test]
    fn a_lease_is_there_and_held_and_renewed() {
        let now = at(NOW);
        let operators = || Ok(installed(|_| ()));
        let held = |renewed: &str| json!({"holderIdentity": "hooks-1_2f", "leaseDurationSeconds": 15, "renewTime": format!("2026-11-23T{renewed}.000000Z")});
        let checks = leases(&lease(held("11:59:15")), &operators(), now);
        assert!(checks[0].message.starts_with("led by hooks-1 (Lease cx/cognigy-operator-all-"), "{checks:?}");
        let stale = leases(&lease(held("11:59:14")), &operators(), now);
        assert!(
            only(&stale).0.ends_with(
                "was renewed 46 s ago, and it lasts 15 s: its holder hooks-1 is gone, and nobody takes over"
            )
        );
        assert_eq!(only(&stale).1, "kubectl -n cx logs deployment/hooks --all-pods");
        let ahead = leases(&lease(held("12:00:31")), &operators(), now);
        assert!(only(&ahead).0.ends_with("was renewed 31 s from now: the clock of its holder hooks-1 is wrong"));
        let nobody = leases(&lease(json!({"holderIdentity": ""})), &operators(), now);
        assert!(only(&nobody).0.ends_with("has no holder: nobody works"), "{nobody:?}");
        let missing = leases(&nothing(), &operators(), now);
        assert!(only(&missing).0.ends_with(" is not there"), "{missing:?}");
        let left_over = leases(&lease(json!({})), &Ok(nothing()), now);
        assert!(only(&left_over).1.contains("kubectl -n cx delete lease cognigy-operator-all-"), "{left_over:?}");
    }

    #[test]
    fn leases_of_others_are_not_looked_at() {
        let other = json!([{"metadata": {"namespace": "cx", "name": "somebody"}, "spec": {}}]);
        let checks = leases(&seen(other, |lease: Lease| lease), &Ok(nothing()), at(NOW));
        assert_eq!(checks, [Check::ok("leader", "no leader is elected in namespace cx")]);
    }

    #[test]
    fn rights_that_are_lacking_are_named_by_account_and_namespace() {
        let operators = Ok(installed(|_| ()));
        sound(&rights(&Ok(Vec::new()), &operators));
        let denied = |right: &str| Denied { account: "cx/hooks".into(), namespace: None, right: right.into() };
        let checks = rights(&Ok(vec![denied("get secrets"), denied("create events.events.k8s.io")]), &operators);
        let told =
            "the service account cx/hooks must not do in all namespaces: get secrets, create events.events.k8s.io";
        assert_eq!(only(&checks).0, told);
        let refused = rights(&Err("you must not ask".into()), &operators);
        assert_eq!(refused, [Check::not_looked("rights", "not asked: you must not ask")]);
        let none = rights(&Ok(Vec::new()), &Ok(nothing()));
        assert_eq!(none, [Check::not_looked("rights", "not asked: there is no Deployment")]);
    }
}
