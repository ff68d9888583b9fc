//! A network namespace of its own for each test: only loopback exists, and every address leads there. So a guard that fails
//! reaches nothing real, and is seen.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    process::{Command, Output},
    sync::LazyLock,
    thread,
};

use cognigy_operator::cognigy::install_crypto_provider;
use rustix::net::AddressFamily;

use crate::netlink;

/// Tells the process within from the one that makes the namespace.
const WITHIN: &str = "HOSTILE_TEST_WITHIN_NAMESPACE";

/// Runs a test in a network namespace of its own, which takes a process of its own: this test, executed again.
pub fn isolated(test: impl AsyncFnOnce()) {
    if env::var_os(WITHIN).is_none() {
        return again_within();
    }
    assert_eq!(interfaces(), ["lo"], "{WITHIN} is set, but this is not a namespace of its own: unset it");
    netlink::loopback_up().expect("lo goes up");
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        netlink::every_address_is_local(family).expect("every address is this machine's");
    }
    install_crypto_provider();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test());
}

/// The names of the network interfaces that this process has.
pub fn interfaces() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap();
    table.lines().skip(2).map(|line| line.split(':').next().unwrap().trim().to_owned()).collect()
}

/// What has left this namespace's sockets so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Packets to any address and port: all go over loopback.
    packets: u64,
    /// Connections that were begun, whether the network let them or not.
    begun: u64,
}

impl Traffic {
    pub fn so_far() -> Self {
        let interfaces = fs::read_to_string("/proc/self/net/dev").unwrap();
        let lo = interfaces.lines().find_map(|line| line.trim().strip_prefix("lo:")).unwrap();
        Self { packets: number(lo, 1), begun: number(&tcp_line(), 4) }
    }
}

/// The second of the two lines: the first names the fields.
fn tcp_line() -> String {
    let counters = fs::read_to_string("/proc/self/net/snmp").unwrap();
    counters.lines().filter_map(|line| line.strip_prefix("Tcp: ")).nth(1).unwrap().to_owned()
}

fn number(line: &str, field: usize) -> u64 {
    line.split_whitespace().nth(field).unwrap().parse().unwrap()
}

fn again_within() {
    let name = thread::current().name().map(str::to_owned).filter(|name| name != "main");
    let name = name.expect("the test runs on a thread of its name");
    let arguments = ["--exact", &name, "--nocapture", "--test-threads=1"];
    let output = unshared(env::current_exe().unwrap().into_os_string(), &arguments).unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "within the namespace:\n{said}\n{complained}");
    assert!(said.contains("1 passed"), "the test {name} was not run within the namespace:\n{said}");
    print!("{said}");
}

/// Runs a program in a new network namespace.
fn unshared(program: OsString, arguments: &[&str]) -> std::io::Result<Output> {
    static WAY: LazyLock<&[&str]> = LazyLock::new(|| {
        let ways: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
        let works = |way: &&[&str]| Command::new("unshare").args(*way).arg("true").output();
        let failure = |way: &&[&str]| match works(way) {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let failures: BTreeMap<_, _> = ways.iter().map(|way| (way.join(" "), failure(way))).collect();
        ways.into_iter().find(|way| failures[&way.join(" ")].is_none()).unwrap_or_else(|| {
            panic!(
                "these tests go to hostile addresses, so they need a network namespace of their own, and `unshare` (util-linux) \
                 cannot make one: {failures:?}. Run them as root with CAP_SYS_ADMIN, or allow unprivileged user namespaces \
                 (sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0)"
            )
        })
    });
    Command::new("unshare").args(*WAY).arg("--").arg(program).args(arguments).env(WITHIN, "yes").output()
}
