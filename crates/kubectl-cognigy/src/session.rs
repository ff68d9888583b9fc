//! Connections to Cognigy, as the operator would make them: with the cluster's Secrets, or, where there is no cluster, with
//! credentials from the environment.

use std::{collections::BTreeSet, env, fs, path::PathBuf, sync::Arc};

use clap::Args;
use cognigy_operator::{
    api::{CognigyTenant, ObjectKey, tenant::AuthMethod},
    cognigy::{Hosts, Session, SessionConfig, Silent, Surface, install_crypto_provider},
    controller::{
        Failure,
        tenant::config::{self, Credentials, Values},
    },
};
use kube::{Api, Client};
use secrecy::SecretString;

use crate::{
    exit::{Error, Result, Trying as _},
    files,
};

/// The OAuth2 client's id, for a tenant of a file.
const CLIENT_ID: &str = "COGNIGY_CLIENT_ID";
/// The OAuth2 client's secret.
const CLIENT_SECRET: &str = "COGNIGY_CLIENT_SECRET";
/// A static key.
const API_KEY: &str = "COGNIGY_API_KEY";
/// A static bearer token.
const TOKEN: &str = "COGNIGY_TOKEN";

/// How Cognigy is connected to.
#[derive(Clone, Debug, Args)]
#[allow(clippy::doc_markdown, reason = "the help shows plain text")]
pub struct Flags {
    /// A file with the CognigyTenant, for use without a cluster; credentials are read from $COGNIGY_CLIENT_ID and
    /// $COGNIGY_CLIENT_SECRET, $COGNIGY_API_KEY or $COGNIGY_TOKEN
    #[arg(long, value_name = "FILE")]
    pub tenant_file: Option<PathBuf>,
    /// Certificates (PEM) to trust besides the system's, with --tenant-file
    #[arg(long, value_name = "FILE", requires = "tenant_file")]
    pub ca_file: Option<PathBuf>,
    /// Let tenants have http addresses, over which credentials go unencrypted; for rehearsals
    #[arg(long)]
    pub allow_insecure_http: bool,
}

/// Makes connections; those to the same host and port share one rate limit, as the operator's do.
pub struct Connector {
    flags: Flags,
    hosts: Hosts,
}

impl Connector {
    /// One that has made no connection yet.
    pub fn new(flags: &Flags) -> Self {
        install_crypto_provider();
        Self { flags: flags.clone(), hosts: Hosts::default() }
    }

    /// The tenant of `--tenant-file`; `None` where the cluster's tenants are meant.
    pub fn tenant_of_file(&self) -> Result<Option<CognigyTenant>> {
        let Some(path) = &self.flags.tenant_file else { return Ok(None) };
        let tenant = serde_saphyr::from_str(&read(path)?).map_err(|error| {
            Error::Told(format!("{} is not a CognigyTenant: {}", path.display(), files::words(&error)))
        })?;
        Ok(Some(tenant))
    }

    /// A session with a tenant of the cluster, by the Secrets that it refers to. `surfaces`: what it is for.
    pub async fn of_cluster(
        &self,
        tenant: &CognigyTenant,
        client: &Client,
        surfaces: &BTreeSet<Surface>,
    ) -> Result<Session> {
        let config = config::read(tenant, client, surfaces, self.flags.allow_insecure_http).await;
        self.session(tenant, config)
    }

    /// A session with a tenant of a file, by the credentials in the environment. `surfaces`: what it is for.
    pub fn of_environment(&self, tenant: &CognigyTenant, surfaces: &BTreeSet<Surface>) -> Result<Session> {
        let ca_bundle = self.flags.ca_file.as_ref().map(read).transpose()?.map(SecretString::from);
        let method = config::method(tenant).map_err(|failure| refused(tenant, &failure))?;
        let values = Values { credentials: credentials(method)?, ca_bundle };
        self.session(tenant, config::config(tenant, values, surfaces, self.flags.allow_insecure_http))
    }

    fn session(&self, tenant: &CognigyTenant, config: std::result::Result<SessionConfig, Failure>) -> Result<Session> {
        let config = config.map_err(|failure| refused(tenant, &failure))?;
        Session::new(config, &self.hosts, Arc::new(Silent))
            .map_err(|error| Error::Told(format!("CognigyTenant {}: {error}", ObjectKey::of(tenant))))
    }
}

/// Reads a tenant of the cluster.
pub async fn tenant(client: &Client, key: &ObjectKey) -> Result<CognigyTenant> {
    let api: Api<CognigyTenant> = Api::namespaced(client.clone(), &key.namespace);
    api.get(&key.name).await.while_trying(|| format!("cannot read CognigyTenant {key}"))
}

fn refused(tenant: &CognigyTenant, failure: &Failure) -> Error {
    Error::Told(format!("CognigyTenant {}: {}", ObjectKey::of(tenant), failure.message()))
}

/// The credentials that a way to authenticate needs.
fn credentials(method: AuthMethod<'_>) -> Result<Credentials> {
    Ok(match method {
        AuthMethod::OAuth2(_) => {
            Credentials::OAuth2 { client_id: variable(CLIENT_ID)?, client_secret: variable(CLIENT_SECRET)? }
        }
        AuthMethod::ApiKey(_) => Credentials::ApiKey(variable(API_KEY)?),
        AuthMethod::BearerToken(_) => Credentials::BearerToken(variable(TOKEN)?),
    })
}

fn variable(name: &str) -> Result<SecretString> {
    match env::var(name) {
        Ok(value) if !value.trim_end().is_empty() => Ok(value.trim_end().to_owned().into()),
        Ok(_) | Err(env::VarError::NotPresent) => {
            Err(Error::Told(format!("${name} is not set; the tenant of --tenant-file needs it to authenticate")))
        }
        // The value may be a secret and is not shown.
        Err(env::VarError::NotUnicode(_)) => Err(Error::Told(format!("${name} is not text (UTF-8)"))),
    }
}

fn read(path: &PathBuf) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::File { path: path.display().to_string(), error })
}
