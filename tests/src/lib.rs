//! What the integration tests and the conformance suite call: tools with the names that the suite asks for.

pub mod fixture;
