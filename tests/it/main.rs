//! One package, one binary: a module a subject.

mod harness;
mod isolation;
