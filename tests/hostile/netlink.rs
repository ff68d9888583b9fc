//! The three messages to the kernel that make a fresh network namespace one in which every address is this machine's own.
//! Written out, because a machine that builds Rust need not have iproute2.

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, send, socket};

// linux/rtnetlink.h, linux/netlink.h
const NEW_LINK: u16 = 16;
const NEW_ROUTE: u16 = 24;
const ERROR: u16 = 2;
const REQUEST_AND_ACKNOWLEDGE: u16 = 0x1 | 0x4;
const CREATE: u16 = 0x400;
const UP: u32 = 1;
const TABLE_LOCAL: u8 = 255;
const PROTOCOL_BOOT: u8 = 3;
const SCOPE_HOST: u8 = 254;
const TYPE_LOCAL: u8 = 2;
const OUTPUT_INTERFACE: u16 = 4;

/// Loopback is the first interface of every namespace.
const LOOPBACK: u32 = 1;
const HEADER: usize = 16;

/// `ip link set lo up`.
pub fn loopback_up() -> io::Result<()> {
    let mut link = vec![0; 4]; // family, padding, type
    link.extend(LOOPBACK.to_ne_bytes());
    link.extend(UP.to_ne_bytes());
    link.extend(UP.to_ne_bytes()); // of the flags, change this one
    ask(NEW_LINK, REQUEST_AND_ACKNOWLEDGE, &link)
}

/// `ip route add local 0.0.0.0/0 dev lo`, or `local ::/0`: every address is one of this machine.
pub fn every_address_is_local(family: AddressFamily) -> io::Result<()> {
    let family = u8::try_from(family.as_raw()).unwrap();
    let mut route = vec![family, 0, 0, 0, TABLE_LOCAL, PROTOCOL_BOOT, SCOPE_HOST, TYPE_LOCAL];
    route.extend(0_u32.to_ne_bytes());
    route.extend(8_u16.to_ne_bytes());
    route.extend(OUTPUT_INTERFACE.to_ne_bytes());
    route.extend(LOOPBACK.to_ne_bytes());
    ask(NEW_ROUTE, REQUEST_AND_ACKNOWLEDGE | CREATE, &route)
}

fn ask(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let mut message = Vec::new();
    message.extend(u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes()); // number of the message
    message.extend(0_u32.to_ne_bytes()); // to the kernel
    message.extend(body);
    let kernel = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    send(&kernel, &message, SendFlags::empty())?;
    let mut answer = [0; 1024];
    let (length, _) = recv(&kernel, &mut answer, RecvFlags::empty())?;
    let answer = &answer[..length];
    let kind = u16::from_ne_bytes(answer[4..6].try_into().unwrap());
    assert_eq!(kind, ERROR, "the kernel acknowledges with an error number, which is 0 where all is well");
    match i32::from_ne_bytes(answer[HEADER..HEADER + 4].try_into().unwrap()) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}
