//! The function `mcp` with a tool over a collection that has indexes.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(mcp::serve(
        |config, builder| Ok(insula_tests::books::declare(insula_tools::declare(config, builder)?)),
        |name| insula_tools::role_of(name).or(Some(insula_tenancy::Role::Member)),
    ))
}
