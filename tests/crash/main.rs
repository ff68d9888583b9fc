//! The program is killed at every point, and the world comes out as if it had not been.
//!
//! The real binary runs between a simulator and a gateway to a real API server, which both show each of its calls to the
//! test twice: just before the call is looked at, and just after its work is done and before the answer goes out. These
//! two moments are the *points*. There are no other states to die in: "just after the answer was read" leaves the same
//! world as "just before the next call", since all that the program knows besides is lost with it.
//!
//! Each scenario is played undisturbed first, which finds its points and how everything ends. Then it is played once for
//! each point: there the program is killed (SIGKILL), started again, and everything has to end as in the undisturbed play.
//! In the same way each answer is lost once after the work was done, which the program survives.
#![allow(clippy::unwrap_used)]

#[path = "../operator/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the operator, which use more of it")]
mod harness;
mod picture;
mod play;
mod points;
#[path = "../operator/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the operator, which use more of it")]
mod program;
mod random;
mod scenarios;
mod stage;
