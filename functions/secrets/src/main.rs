//! The binary of `secrets`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(secrets::serve())
}
