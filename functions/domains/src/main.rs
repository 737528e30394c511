//! The binary of `domains`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(domains::serve())
}
