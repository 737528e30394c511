//! Public metadata of a host.
