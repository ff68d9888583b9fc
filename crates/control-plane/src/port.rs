//! Free ports.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
};

use rand::Rng;

use crate::{Error, Result};

/// Below the ephemeral ports (from 32768 on Linux): so neither an outgoing connection nor somebody who asks for any free port can take
/// the port of a process that is yet to start or is started again, as they could with a port that the system chose.
const RANGE: Range<u16> = 20_000..30_000;
const TRIES: usize = 100;

/// An address of 127.0.0.1 for a process that is about to start: its port was free a moment ago.
///
/// # Errors
/// [`Error::NoPort`] where all that were tried are taken.
pub fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, listener()?.1)))
}

/// Two different ports of 127.0.0.1 that were free a moment ago. Somebody may be faster; then the process that wants one ends and says so.
pub(crate) fn free_pair() -> Result<(u16, u16)> {
    let first = listener()?;
    let second = listener()?;
    Ok((first.1, second.1))
}

/// Held, so that the second port is another one.
fn listener() -> Result<(TcpListener, u16)> {
    let mut random = rand::rng();
    (0..TRIES)
        .map(|_| random.random_range(RANGE))
        .find_map(|port| Some((TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?, port)))
        .ok_or(Error::NoPort { range: RANGE })
}
