//! The function `mcp` with the conformance suite's tools beside its own. It adds tools and nothing else.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(mcp::serve(
        |config, builder| {
            Ok(insula_tests::fixture::declare(insula_tools::declare(config, builder)?, &["notes:read"]))
        },
        // The suite's tools have no row in the table, and whoever may read may call them.
        |name| insula_tools::role_of(name).or(Some(insula_tenancy::Role::ReadOnly)),
    ))
}
