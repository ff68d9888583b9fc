//! The command line (docs/resources.md, «The operator's command line»). Every flag of `run` can also be given as an
//! environment variable, `COGNIGY_OPERATOR_` and the flag's name in capitals.

use std::{net::SocketAddr, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, builder::BoolishValueParser};
use ipnet::IpNet;
use url::Url;

use crate::telemetry::{LogFormat, LogLevel};

/// Keeps the webhooks of Cognigy installations as the custom resources in Kubernetes say.
#[derive(Clone, Debug, Parser)]
#[command(name = "cognigy-operator", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the operator until SIGTERM or Ctrl-C
    Run(Box<Run>),
    /// Print the custom resource definitions as YAML, for `kubectl apply --server-side -f -`
    Crds,
}

/// The flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Namespaces to watch, separated by commas [default: all]
    #[arg(long, env = "COGNIGY_OPERATOR_WATCH_NAMESPACES", value_delimiter = ',', value_parser = namespace)]
    pub watch_namespaces: Vec<String>,

    /// Take care only of resources with matching labels, for example `team=cx,stage in (test,prod)` [default: all]
    #[arg(long, env = "COGNIGY_OPERATOR_WATCH_LABEL_SELECTOR", value_name = "SELECTOR", value_parser = label_selector)]
    pub watch_label_selector: Option<String>,

    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "COGNIGY_OPERATOR_HTTP_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    pub http_listen: SocketAddr,

    /// Let several replicas stand by for each other: one works, and another one takes over when it ends
    #[arg(
        long,
        env = "COGNIGY_OPERATOR_LEADER_ELECT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "false",
        hide_default_value = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new()
    )]
    pub leader_elect: bool,

    /// Namespace of the Lease for --leader-elect; its name comes from what is watched [default: the pod's, or the kubeconfig's]
    #[arg(long, env = "COGNIGY_OPERATOR_LEADER_ELECTION_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    pub leader_election_namespace: Option<String>,

    /// How many resources of one kind are worked on at the same time; those that wait for Cognigy are not counted
    #[arg(
        long,
        env = "COGNIGY_OPERATOR_MAX_CONCURRENT_RECONCILES",
        value_name = "COUNT",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub max_concurrent_reconciles: u16,

    /// How log lines are written; audit lines are always JSON
    #[arg(long, env = "COGNIGY_OPERATOR_LOG_FORMAT", value_name = "FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// What is logged: off, error, warn, info, debug, trace, or levels by module such as `info,cognigy_operator=debug`
    #[arg(long, env = "COGNIGY_OPERATOR_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// Base URL of an OpenTelemetry collector that traces are sent to over HTTP, for example
    /// `http://otel-collector.observability:4318` [default: no traces]
    #[arg(long, env = "COGNIGY_OPERATOR_OTLP_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub otlp_endpoint: Option<Url>,

    /// Accept http base URLs and sinks, for rehearsals: credentials then travel unencrypted
    #[arg(
        long,
        env = "COGNIGY_OPERATOR_ALLOW_INSECURE_HTTP",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value = "false",
        hide_default_value = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new()
    )]
    pub allow_insecure_http: bool,

    /// Private networks that callbacks may be in, separated by commas, for example `10.0.0.0/8`; the tenant has to allow
    /// it too (spec.callbacks.allowPrivateNetworks) [default: none]
    #[arg(
        long,
        env = "COGNIGY_OPERATOR_ALLOW_PRIVATE_CALLBACKS",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = network
    )]
    pub allow_private_callbacks: Vec<IpNet>,

    /// How long work under way may take to end after SIGTERM, in seconds; keep it below the pod's
    /// terminationGracePeriodSeconds
    #[arg(
        long,
        env = "COGNIGY_OPERATOR_SHUTDOWN_GRACE_SECONDS",
        value_name = "SECONDS",
        default_value_t = 25,
        value_parser = clap::value_parser!(u64).range(0..=3600)
    )]
    pub shutdown_grace_seconds: u64,
}

impl Run {
    /// How long work under way may take to end.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }

    /// The flags that were given and have no effect in this version, each with a sentence for the log.
    pub fn without_effect(&self) -> Vec<&'static str> {
        let lease = "--leader-election-namespace has no effect without --leader-elect";
        let no_lease = self.leader_election_namespace.is_some() && !self.leader_elect;
        no_lease.then_some(lease).into_iter().collect()
    }
}

fn namespace(text: &str) -> Result<String, String> {
    if is_label_name(text, 63, |c| c == '-') && text.chars().all(|c| !c.is_ascii_uppercase()) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not the name of a namespace: lower-case letters, digits and `-`, at most 63"))
    }
}

/// The words never repeat the text, which may hold a password.
fn collector(text: &str) -> Result<Url, String> {
    let url = text.parse::<Url>().map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("the URL of a collector begins with http:// or https://".to_owned()),
    }
}

/// A network in CIDR notation, or one address.
pub fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .map(|net| net.trunc())
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is not a network such as 10.0.0.0/8 or fd00::/8"))
}

/// The selector as it was given, if the API server will understand it: an error now is better than a watch that never
/// starts.
fn label_selector(text: &str) -> Result<String, String> {
    split_outside_parentheses(text).into_iter().try_for_each(requirement)?;
    Ok(text.to_owned())
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|c| {
        inside = (inside || c == '(') && c != ')';
        c == ',' && !inside
    })
    .collect()
}

fn requirement(text: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("`{}` is not a label requirement: {what}", text.trim()));
    let words: Vec<&str> = text.split_whitespace().collect();
    let (key, values) = if let Some((key, value)) = text.split_once("!=").or_else(|| text.split_once("==")) {
        (key.trim(), vec![value.trim()])
    } else if let Some((key, value)) = text.split_once('=') {
        (key.trim(), vec![value.trim()])
    } else if let [key, operator, ..] = words[..] {
        let operator = operator.split_once('(').map_or(operator, |(operator, _)| operator);
        let list = text.split_once('(').and_then(|(_, list)| list.trim_end().strip_suffix(')'));
        match (operator, list) {
            ("in" | "notin", Some(list)) => (key, list.split(',').map(str::trim).collect()),
            ("in" | "notin", None) => return wrong("values stand in parentheses, as in `stage in (test,prod)`"),
            _ => return wrong(&format!("`{operator}` is not =, ==, !=, in or notin")),
        }
    } else {
        (text.trim().strip_prefix('!').unwrap_or(text.trim()), Vec::new())
    };
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !is_label_name(name, 63, |c| "-_.".contains(c))
        || prefix.is_some_and(|p| !is_label_name(p, 253, |c| "-.".contains(c)))
    {
        return wrong(&format!("`{key}` is not a label key"));
    }
    match values.into_iter().find(|v| !v.is_empty() && !is_label_name(v, 63, |c| "-_.".contains(c))) {
        Some(value) => wrong(&format!("`{value}` is not a label value")),
        None => Ok(()),
    }
}

/// Letters and digits, and in between also what `inner` allows.
fn is_label_name(text: &str, longest: usize, inner: impl Fn(char) -> bool) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= longest
        && ends(text.chars().next())
        && ends(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || inner(c))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run(flags: &[&str]) -> Result<Run, String> {
        match Cli::try_parse_from(["cognigy-operator", "run"].iter().chain(flags)) {
            Ok(Cli { command: Command::Run(run) }) => Ok(*run),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_command_line_is_consistent_and_every_flag_of_run_is_also_an_environment_variable() {
        let command = Cli::command();
        command.clone().debug_assert();
        let run = command.find_subcommand("run").unwrap();
        let flags: Vec<_> = run.get_arguments().filter(|a| a.get_id() != "help").collect();
        assert_eq!(flags.len(), 12);
        for flag in flags {
            let expected = format!("COGNIGY_OPERATOR_{}", flag.get_long().unwrap().to_uppercase().replace('-', "_"));
            assert_eq!(flag.get_env().unwrap().to_str().unwrap(), expected);
            assert!(flag.get_help().is_some(), "{expected}");
        }
    }

    #[test]
    fn without_flags_everything_is_watched_and_nothing_risky_is_allowed() {
        let run = run(&[]).unwrap();
        assert!(run.watch_namespaces.is_empty() && run.watch_label_selector.is_none());
        assert_eq!(run.http_listen.to_string(), "0.0.0.0:8080");
        assert!(!run.leader_elect && !run.allow_insecure_http && run.allow_private_callbacks.is_empty());
        assert_eq!((run.log_format, run.shutdown_grace()), (LogFormat::Json, Duration::from_secs(25)));
        assert!(run.without_effect().is_empty());
    }

    #[test]
    fn lists_are_separated_by_commas_and_typed() {
        let run = run(&[
            "--watch-namespaces",
            "cx,cx-test",
            "--allow-private-callbacks=10.1.2.3/8,fd00::/8,192.168.1.7",
            "--allow-insecure-http",
        ])
        .unwrap();
        assert_eq!(run.watch_namespaces, ["cx", "cx-test"]);
        let networks: Vec<_> = run.allow_private_callbacks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "fd00::/8", "192.168.1.7/32"]);
        assert!(run.allow_insecure_http);
        assert!(!super::tests::run(&["--allow-insecure-http=false"]).unwrap().allow_insecure_http);
    }

    #[test]
    fn leader_election_is_asked_for() {
        let elected = run(&["--leader-elect", "--leader-election-namespace=ops"]).unwrap();
        assert!(elected.leader_elect && elected.without_effect().is_empty());
        assert_eq!(elected.leader_election_namespace.as_deref(), Some("ops"));
        assert!(!run(&["--leader-elect=false"]).unwrap().leader_elect);
    }

    #[test]
    fn flags_without_effect_say_so() {
        let told = run(&["--leader-election-namespace=ops"]).unwrap().without_effect().join("\n");
        assert!(told.contains("--leader-election-namespace"), "{told}");
    }

    #[test]
    fn bad_input_is_refused_with_the_value_and_what_is_expected() {
        for (flag, told) in [
            ("--watch-namespaces=cx,,b", "`` is not the name of a namespace"),
            ("--watch-namespaces=Cx", "`Cx` is not the name of a namespace"),
            ("--http-listen=8080", "invalid socket address"),
            ("--max-concurrent-reconciles=0", "1..=1024"),
            ("--log-format=yaml", "possible values: json, text"),
            ("--log-level=inof", "`inof` is neither a level"),
            ("--otlp-endpoint=otel", "relative URL"),
            ("--otlp-endpoint=otel:4318", "begins with http:// or https://"),
            ("--allow-private-callbacks=10.0.0.0/33", "`10.0.0.0/33` is not a network such as 10.0.0.0/8"),
            ("--shutdown-grace-seconds=-1", "invalid value"),
        ] {
            let message = run(&[flag]).unwrap_err();
            assert!(message.contains(told), "{flag}: {message}");
        }
    }

    #[test]
    fn label_selectors_are_those_of_kubectl() {
        for good in [
            "team=cx",
            "team==cx,stage!=test",
            "stage in (test,prod), team",
            "stage notin (test)",
            "!legacy",
            "example.com/team = cx",
            "team=",
        ] {
            assert_eq!(run(&["--watch-label-selector", good]).unwrap().watch_label_selector.as_deref(), Some(good));
        }
        for (bad, told) in [
            ("team cx", "is not =, ==, !=, in or notin"),
            ("stage in test", "values stand in parentheses"),
            ("team=c x", "`c x` is not a label value"),
            ("=cx", "`` is not a label key"),
            ("team=cx,", "`` is not a label key"),
            ("te am=cx", "`te am` is not a label key"),
        ] {
            let message = run(&["--watch-label-selector", bad]).unwrap_err();
            assert!(message.contains(told), "{bad}: {message}");
        }
    }
}
