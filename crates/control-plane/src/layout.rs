//! What stands in a control plane's folder, and the two command lines that refer to it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Assets, AuditLevel,
    error::{IoContext, Result},
    pki::{self, Authority, Identity},
    user::User,
};

/// The audience and issuer of service account tokens, as clusters have it by default.
const ISSUER: &str = "https://kubernetes.default.svc";
/// For Services that nothing will ever serve.
const SERVICE_RANGE: &str = "10.0.0.0/24";

/// Files of one control plane and the ports of its processes.
#[derive(Debug)]
pub(crate) struct Layout {
    folder: PathBuf,
    etcd_port: u16,
    apiserver_port: u16,
    audit: Option<AuditLevel>,
}

impl Layout {
    /// Writes keys, certificates and the audit policy into `folder`.
    pub(crate) fn write(
        folder: &Path,
        authority: &Authority,
        (etcd_port, apiserver_port): (u16, u16),
        audit: Option<AuditLevel>,
    ) -> Result<Self> {
        let layout = Self { folder: folder.to_owned(), etcd_port, apiserver_port, audit };
        layout.put("ca.crt", authority.certificate())?;
        layout.put_identity("etcd", &authority.server(&["localhost"])?)?;
        layout.put_identity("etcd-client", &authority.client(&User::named("kube-apiserver"))?)?;
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        layout.put_identity("apiserver", &authority.server(&names)?)?;
        let (private, public) = pki::token_keys()?;
        layout.put("service-account.key", &private)?;
        layout.put("service-account.pub", &public)?;
        if let Some(level) = audit {
            layout.put("audit-policy.yaml", &level.policy())?;
        }
        Ok(layout)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.apiserver_port)
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.path(&format!("{process}.log"))
    }

    pub(crate) fn audit_log(&self) -> Option<PathBuf> {
        self.audit.map(|_| self.path("audit.log"))
    }

    /// Only the API server holds a certificate that etcd lets in.
    pub(crate) fn etcd(&self, assets: &Assets) -> Command {
        let mut command = self.command(&assets.etcd());
        let url = self.etcd_url();
        command.args([
            flag("data-dir", self.text("etcd")),
            flag("listen-client-urls", &url),
            flag("advertise-client-urls", &url),
            // A single member has no peers; the flag cannot be left out.
            flag("listen-peer-urls", "http://127.0.0.1:0"),
            flag("cert-file", self.text("etcd.crt")),
            flag("key-file", self.text("etcd.key")),
            flag("trusted-ca-file", self.text("ca.crt")),
            flag("client-cert-auth", "true"),
            // The data ends with the control plane; it need not survive the machine.
            flag("unsafe-no-fsync", "true"),
            // It would need a client certificate of its own.
            flag("enable-grpc-gateway", "false"),
            flag("log-level", "warn"),
        ]);
        command
    }

    pub(crate) fn apiserver(&self, assets: &Assets) -> Command {
        let mut command = self.command(&assets.kube_apiserver());
        command.args([
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", self.apiserver_port.to_string()),
            flag("cert-dir", self.text("")),
            flag("tls-cert-file", self.text("apiserver.crt")),
            flag("tls-private-key-file", self.text("apiserver.key")),
            flag("client-ca-file", self.text("ca.crt")),
            flag("etcd-servers", self.etcd_url()),
            flag("etcd-cafile", self.text("ca.crt")),
            flag("etcd-certfile", self.text("etcd-client.crt")),
            flag("etcd-keyfile", self.text("etcd-client.key")),
            flag("authorization-mode", "RBAC"),
            // No controller-manager makes the `default` account that this plugin would ask for with each pod.
            flag("disable-admission-plugins", "ServiceAccount"),
            flag("service-account-issuer", ISSUER),
            flag("api-audiences", ISSUER),
            flag("service-account-signing-key-file", self.text("service-account.key")),
            flag("service-account-key-file", self.text("service-account.pub")),
            flag("service-cluster-ip-range", SERVICE_RANGE),
            // A loopback address is no valid endpoint of the `kubernetes` service.
            flag("endpoint-reconciler-type", "none"),
            flag("profiling", "false"),
        ]);
        if let Some(log) = self.audit_log() {
            command.args([
                flag("audit-policy-file", self.text("audit-policy.yaml")),
                flag("audit-log-path", log.display()),
                // In megabytes; by default it starts over after 100.
                flag("audit-log-maxsize", "100000"),
            ]);
        }
        command
    }

    /// A program that sees nothing of the caller's environment but `PATH`, and writes what it writes at home here.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.folder);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// Writes a file and says where.
    pub(crate) fn put(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, content).while_trying(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    fn put_identity(&self, name: &str, identity: &Identity) -> Result<()> {
        self.put(&format!("{name}.crt"), &identity.certificate)?;
        self.put(&format!("{name}.key"), &identity.key)?;
        Ok(())
    }

    fn etcd_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.etcd_port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}
