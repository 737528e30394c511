//! The collections that there are: those of the record types here, and those that the deployment's configuration names.

use insula_tenancy::{Collection, Config, ConfigError, Problem};

use crate::notes::Note;

/// Every collection, by name.
#[derive(Debug, Clone)]
pub struct Collections(Vec<Collection>);

impl Collections {
    /// The typed collections, and the free-form ones that the deployment names.
    ///
    /// # Errors
    /// The setting, when it names no collection, or one that is typed.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let typed = vec![Collection::of::<Note>()];
        let named = config.collections()?;
        if named.iter().any(|name| typed.iter().any(|known| known.name() == name)) {
            return Err(ConfigError { name: "COLLECTIONS" });
        }
        Ok(Self(typed.into_iter().chain(named.into_iter().map(Collection::free_form)).collect()))
    }

    /// The collection of this name.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when there is none.
    pub fn find(&self, name: &str) -> Result<&Collection, Problem> {
        let found = self.0.iter().find(|collection| collection.name().as_str() == name);
        found.ok_or(Problem::NotFound { kind: "collection" })
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Collection] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(named: &str) -> Result<Collections, ConfigError> {
        let settings = [
            ("EDGE", "http"),
            ("AWS_REGION", "eu-central-1"),
            ("ISSUER", "https://login.example.com"),
            ("COLLECTIONS", named),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Collections::read(&Config::read(BTreeMap::from(settings)).unwrap())
    }

    #[test]
    fn a_free_form_collection_takes_no_typed_ones_name() {
        let collections = read("tickets").unwrap();
        assert!(collections.find("tickets").is_ok() && collections.find("notes").is_ok());
        assert_eq!(collections.find("contacts").unwrap_err().code(), "not_found");
        assert_eq!(read("tickets,notes").unwrap_err(), ConfigError { name: "COLLECTIONS" });
    }
}
