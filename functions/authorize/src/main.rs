//! The binary of `authorize`.

fn main() -> Result<(), insula_gateway::Error> {
    insula_gateway::run(authorize::serve())
}
