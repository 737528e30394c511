//! What holds for the whole tree, held against the tree. Each check is also given what it must find.

mod doors;
mod imports;
mod sources;

use std::collections::BTreeSet;

/// Something that is not tidy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// A file, a package, a tool or a route: what an exception names.
    what: String,
    why: String,
}

impl Finding {
    fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// What a check found that is not excepted, and the exceptions that excepted nothing: such a list only shrinks.
fn but_for(found: impl IntoIterator<Item = Finding>, exceptions: &[&str]) -> Vec<Finding> {
    let found: BTreeSet<Finding> = found.into_iter().collect();
    let is_idle = |name: &&&str| found.iter().all(|finding| finding.what != **name);
    let idle = exceptions.iter().filter(is_idle);
    let mut left: Vec<Finding> =
        idle.map(|name| Finding::new(*name, "is an exception that nothing needs")).collect();
    left.extend(found.iter().filter(|finding| !exceptions.contains(&finding.what.as_str())).cloned());
    left
}

#[test]
fn an_exception_that_nothing_needs_is_a_finding() {
    let found = [Finding::new("a", "is long"), Finding::new("b", "is long")];
    assert_eq!(but_for(found.clone(), &["a", "b"]), []);
    assert_eq!(but_for(found.clone(), &["a"]), [Finding::new("b", "is long")]);
    assert_eq!(but_for(found, &["a", "b", "c"]), [Finding::new("c", "is an exception that nothing needs")]);
}
