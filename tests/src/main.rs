//! The function `mcp` with the conformance suite's tools beside its own. It adds tools and nothing else.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(mcp::serve(|builder| {
        insula_tests::fixture::declare(insula_tools::declare(builder), &["notes:read"])
    }))
}
