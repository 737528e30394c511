//! Credentials tagged with the tenant that a token proves.
