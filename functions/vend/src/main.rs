//! The binary of `vend`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(vend::serve())
}
