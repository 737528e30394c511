//! Where in which template something is, so that an error can say so.

use std::fmt;

use super::TemplateError;

/// A file, and the way to a value in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    file: String,
    path: Vec<String>,
}

impl Place {
    /// The top of a file, named from the root of the workspace.
    pub(super) fn file(file: &str) -> Self {
        Self { file: file.to_owned(), path: Vec::new() }
    }

    /// One step down.
    pub(super) fn at(&self, step: impl fmt::Display) -> Self {
        let mut path = self.path.clone();
        path.push(step.to_string());
        Self { file: self.file.clone(), path }
    }

    /// What is wrong here.
    pub(super) fn error(&self, problem: impl fmt::Display) -> TemplateError {
        TemplateError { place: self.to_string(), problem: problem.to_string() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if !self.path.is_empty() {
            write!(f, ": {}", self.path.join("."))?;
        }
        Ok(())
    }
}
