//! The pod, judged by the API server's own admission.

use control_plane::ControlPlane;
use serde_json::{Value, json};

use crate::chart::{kubectl, objects, only, output, rendered, value_sets};

/// What the API server says to a pod in a namespace of the strictest pod security standard; nothing is created.
async fn admitted(plane: &ControlPlane, namespace: &str, pod: &Value) -> Result<String, String> {
    let file = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    std::fs::write(file.path(), pod.to_string()).unwrap();
    let mut create = plane.kubectl();
    create.args(["create", "--dry-run=server", "--namespace", namespace, "--filename"]).arg(file.path());
    output(create).await
}

#[tokio::test]
async fn the_pods_of_every_set_are_admitted_where_pod_security_is_restricted() {
    let plane = ControlPlane::shared().await.unwrap();
    let namespace = "restricted";
    kubectl(plane, &["create", "namespace", namespace]).await;
    kubectl(plane, &["label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"]).await;
    for (name, values) in value_sets() {
        let objects = objects(&rendered(&values).await);
        let template = &only(&objects, "Deployment")["spec"]["template"];
        let labels = &template["metadata"]["labels"];
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": template["spec"]});
        admitted(plane, namespace, &pod).await.unwrap_or_else(|told| panic!("{name}: {told}"));
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
        let told = admitted(plane, namespace, &pod).await.unwrap_err();
        assert!(
            told.contains("violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation"),
            "{name}: {told}"
        );
    }
}

#[tokio::test]
async fn the_container_has_what_a_hardened_one_has() {
    for (name, values) in value_sets() {
        let objects = objects(&rendered(&values).await);
        let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let context = &container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{name}");
        assert_eq!(
            (&context["runAsUser"], &pod["securityContext"]["runAsNonRoot"]),
            (&json!(65532), &json!(true)),
            "{name}"
        );
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        for (what, resource) in [("requests", "cpu"), ("requests", "memory"), ("limits", "memory")] {
            assert!(!container["resources"][what][resource].is_null(), "{name}: {what} of {resource}");
        }
        assert_eq!(pod["automountServiceAccountToken"], name != "bare", "{name}");
        for account in crate::chart::of_kind(&objects, "ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false, "{name}");
        }
    }
}
