//! The binary of `config`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(config::serve())
}
