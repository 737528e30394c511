//! The binary of `items`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(items::serve())
}
