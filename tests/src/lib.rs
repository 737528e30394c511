//! What the integration tests and the conformance suite call: tools with the names that the suite asks for, and a
//! function under `/v1`.

pub mod books;
pub mod cached;
pub mod cards;
pub mod first_tool;
pub mod fixture;
pub mod pages;
