//! The binary of `meter`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(meter::serve())
}
