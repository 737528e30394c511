//! One package, one binary: a module a subject.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that panics has failed, and that is how it says so"
)]

mod ask;
mod attacks;
mod audit;
mod cache;
mod calls;
mod config;
mod crossing;
mod dns;
mod edges;
mod erase;
mod fairness;
mod faults;
mod first_tool;
mod harness;
mod hook;
mod indexes;
mod input;
mod isolation;
mod items;
mod keys;
mod leaks;
mod metrics;
mod model;
mod own_key;
mod placement;
mod quotas;
mod repeats;
mod rest;
mod rmcp;
mod seals;
mod search;
mod secrets;
mod share;
mod tidy;
mod twins;
mod usage;
mod walls;
mod watch;
mod wire;
