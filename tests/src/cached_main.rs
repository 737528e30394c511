//! The functions `items` and `config` with what the tests of the cache ask of them.

use insula_tests::cached;

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(insula_gateway::serve_rest(|_config| Ok(cached::endpoints()), cached::role_of))
}
