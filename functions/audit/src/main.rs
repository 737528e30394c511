//! The binary of `audit`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(audit::serve())
}
