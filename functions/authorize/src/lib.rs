//! The REST API's authorizer.
