//! One package, one binary: a module a subject.

mod ask;
mod harness;
mod isolation;
