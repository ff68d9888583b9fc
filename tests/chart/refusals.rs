//! Values that cannot work are refused, with a sentence that says what is wrong.

use crate::chart::template;

/// What is set, and what Helm says.
const REFUSED: [(&str, &str); 34] = [
    ("imagee=x", "at '': additional properties 'imagee' not allowed"),
    ("image.tga=x", "at '/image': additional properties 'tga' not allowed"),
    ("rbac.cluster=true", "at '/rbac': additional properties 'cluster' not allowed"),
    ("crds.install=true", "at '/crds': additional properties 'install' not allowed"),
    ("serviceMonitor.path=/x", "at '/serviceMonitor': additional properties 'path' not allowed"),
    ("livenessProbe.port=1", "at '/livenessProbe': additional properties 'port' not allowed"),
    ("image.digest=sha256:abc", "at '/image/digest': 'sha256:abc' does not match pattern"),
    ("image.pullPolicy=Sometimes", "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'"),
    ("replicaCount=-1", "at '/replicaCount': minimum: got -1, want 0"),
    ("replicaCount=two", "at '/replicaCount': got string, want integer"),
    ("crds.enabled=yes", "at '/crds/enabled': got string, want boolean"),
    ("watchNamespaces=cx", "at '/watchNamespaces': got string, want array"),
    ("watchNamespaces={Cx}", "at '/watchNamespaces/0': 'Cx' does not match pattern"),
    ("watchNamespaces={a,a}", "at '/watchNamespaces': items at 0 and 1 are equal"),
    ("log.format=yaml", "at '/log/format': value must be one of 'json', 'text'"),
    ("maxConcurrentReconciles=0", "at '/maxConcurrentReconciles': minimum: got 0, want 1"),
    ("maxConcurrentReconciles=1025", "at '/maxConcurrentReconciles': maximum: got 1,025, want 1,024"),
    ("terminationGracePeriodSeconds=5", "at '/terminationGracePeriodSeconds': minimum: got 5, want 10"),
    ("resources.requests.memory=much", "at '/resources/requests/memory': 'much' does not match pattern"),
    ("service.port=70000", "at '/service/port': maximum: got 70,000, want 65,535"),
    ("service.type=ExternalName", "at '/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"),
    ("commonLabels.team=c x", "at '/commonLabels/team': 'c x' does not match pattern"),
    ("extraArgs={watch-namespaces=cx}", "at '/extraArgs/0': 'watch-namespaces=cx' does not match pattern"),
    ("otlp.endpoint=otel:4318", "at '/otlp/endpoint': 'otel:4318' does not match pattern"),
    ("log.level=inof", "log.level: `inof` is neither a level (off, error, warn, info, debug, trace) nor"),
    ("allowPrivateCallbacks={10.0.0.0}", "allowPrivateCallbacks: `10.0.0.0` is not a network such as 10.0.0.0/8"),
    (
        "leaderElection.enabled=false",
        "several replicas would work against each other; enable leader election, or set replicaCount to 1",
    ),
    (
        "replicaCount=1,leaderElection.enabled=false,strategy.type=RollingUpdate",
        "enable leader election, or leave strategy empty",
    ),
    ("rbac.namespaced=true", "watchNamespaces is empty: name the namespaces, or set rbac.namespaced to false"),
    (
        "replicaCount=1,podDisruptionBudget.enabled=true",
        "would block the drain of its node: set replicaCount to 2 or more",
    ),
    (
        "podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=",
        "podDisruptionBudget needs minAvailable or maxUnavailable",
    ),
    ("serviceMonitor.enabled=true,podMonitor.enabled=true", "every metric would be read twice; enable one of them"),
    ("serviceMonitor.enabled=true,service.enabled=false", "to do without a Service enable podMonitor instead"),
    ("otlp.enabled=true", "otlp.enabled needs otlp.endpoint, for example http://otel-collector.observability:4318"),
];

#[tokio::test]
async fn a_value_that_cannot_work_is_refused_with_what_is_wrong_about_it() {
    for (set, expected) in REFUSED {
        let told = template(&["--set", set]).await.expect_err(set);
        assert!(told.contains(expected), "{set}: {told}");
    }
}

#[tokio::test]
async fn a_kubernetes_that_is_too_old_is_refused() {
    let told = template(&["--kube-version", "1.30.4"]).await.unwrap_err();
    assert!(told.contains("requires kubeVersion: >=1.31.0-0"), "{told}");
    template(&["--kube-version", "1.31.0"]).await.unwrap();
}
