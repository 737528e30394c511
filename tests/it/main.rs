//! One package, one binary: a module a subject.
