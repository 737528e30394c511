//! The function `mcp` with the tools of docs/first-tool.md.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(mcp::serve(
        |config, builder| Ok(insula_tests::first_tool::declare(insula_tools::declare(config, builder)?)),
        |name| insula_tools::role_of(name).or(Some(insula_tenancy::Role::Member)),
    ))
}
