//! The function `items` with the tests' cards in place of its own endpoints.

use insula_tests::cards;

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(insula_gateway::serve_rest(|_config| Ok(cards::endpoints()), cards::role_of))
}
