//! The binary of `discover`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(discover::serve())
}
