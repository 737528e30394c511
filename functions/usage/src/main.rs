//! The binary of `usage`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(usage::serve())
}
