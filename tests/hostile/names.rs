//! A name server that says what a test wants, and something else the next time.

use std::{
    io,
    net::IpAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use cognigy_operator::net::Resolver;
use futures::{
    FutureExt as _,
    future::{BoxFuture, pending, ready},
};

/// What the name server says to one question.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// These addresses.
    Addresses(&'static [&'static str]),
    /// That it cannot tell, with these words.
    Failure(&'static str),
    /// Nothing.
    Nothing,
}

/// Gives its answers in order, whatever the name is; the last one again and again.
pub struct Names {
    answers: Mutex<Vec<Says>>,
    asked: AtomicUsize,
}

impl Names {
    pub fn say(answers: &[Says]) -> Self {
        Self { answers: Mutex::new(answers.iter().rev().copied().collect()), asked: AtomicUsize::new(0) }
    }

    pub fn at(addresses: &'static [&'static str]) -> Self {
        Self::say(&[Says::Addresses(addresses)])
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0] };
        match answer {
            Says::Addresses(addresses) => ready(Ok(parsed(addresses))).boxed(),
            Says::Failure(words) => ready(Err(io::Error::other(words))).boxed(),
            Says::Nothing => pending().boxed(),
        }
    }
}

pub fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}
