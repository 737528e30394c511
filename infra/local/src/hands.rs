//! What the `insula` command needs to work on a running laptop as its operator: in a file for its owner alone, for as
//! long as `dev` runs.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use insula_tenancy::Access;
use serde::{Deserialize, Serialize};

/// Sessions of the roles that stand above tenants, and the settings that a function would have.
#[derive(Serialize, Deserialize)]
pub struct Hands {
    /// The environment of a function.
    pub settings: BTreeMap<String, String>,
    pub(crate) endpoint_url: String,
    /// By role: access key, secret, session token.
    pub(crate) sessions: BTreeMap<String, [String; 3]>,
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hands").field("roles", &self.sessions.keys()).finish_non_exhaustive()
    }
}

/// The file, which goes when this does.
#[derive(Debug)]
pub struct Left(PathBuf);

impl Drop for Left {
    fn drop(&mut self) {
        // Without the stack it opens nothing, so one that can't be removed does no harm.
        drop(fs::remove_file(&self.0));
    }
}

impl Hands {
    /// Leaves the file for the command, beside its binary.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn leave(&self, folder: &Path, port: u16) -> io::Result<Left> {
        let file = file(folder, port);
        let text = serde_json::to_vec(self)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut open = options.open(&file)?;
        io::Write::write_all(&mut open, &text)?;
        Ok(Left(file))
    }

    /// Reads what a running `dev` of this port left.
    ///
    /// # Errors
    /// There is none.
    pub fn find(folder: &Path, port: u16) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(file(folder, port))?)?)
    }

    /// The session of a role.
    #[must_use]
    pub fn access(&self, role: &str) -> Option<Access> {
        let [access_key_id, secret_access_key, session_token] = self.sessions.get(role)?.clone();
        Some(Access {
            endpoint_url: self.endpoint_url.clone(),
            access_key_id,
            secret_access_key: secret_access_key.into(),
            session_token: session_token.into(),
            http_client: None,
        })
    }
}

fn file(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!("insula-laptop-{port}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_its_owners_alone_and_goes_with_who_left_it() {
        let folder = std::env::temp_dir().join(format!("insula-hands-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let hands = Hands {
            settings: BTreeMap::new(),
            endpoint_url: "http://127.0.0.1:1".to_owned(),
            sessions: BTreeMap::from([("OperatorRole".to_owned(), ["a", "b", "c"].map(str::to_owned))]),
        };
        let left = hands.leave(&folder, 9000).unwrap();
        #[cfg(unix)]
        {
            let mode = fs::metadata(&left.0).unwrap().permissions();
            assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
        }
        let found = Hands::find(&folder, 9000).unwrap();
        assert_eq!(found.access("OperatorRole").unwrap().access_key_id, "a");
        assert!(found.access("MoverRole").is_none() && Hands::find(&folder, 9001).is_err());
        drop(left);
        assert!(Hands::find(&folder, 9000).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
