//! The image: how the program lives in it, how it is made, and the workflows that publish it.
//!
//! Without a registry there is no image to run, so the program that cargo built is put into a folder with what the base would give it.
//! `cargo xtask image --root FOLDER` runs the same tests in the files of a real image.
#![allow(clippy::unwrap_used)]

mod dockerfile;
#[path = "../operator/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the operator, which use more of it")]
mod harness;
mod libraries;
mod life;
#[path = "../operator/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the operator, which use more of it")]
mod program;
mod root;
mod workflows;
