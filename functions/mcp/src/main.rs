//! The binary of `mcp`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(mcp::serve(insula_tools::declare, insula_tools::role_of))
}
