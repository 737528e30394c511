//! One package, one binary: a module a subject.

mod ask;
mod attacks;
mod calls;
mod harness;
mod input;
mod isolation;
mod rmcp;
mod walls;
