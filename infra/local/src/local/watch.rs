//! `cargo lambda watch`, which builds the functions and runs them in our place: how each gets its environment.

use std::{collections::BTreeMap, io, path::PathBuf};

use crate::{
    idp::write_private,
    lambda::{self, Lambda},
    template::Stack,
};

/// A `cargo lambda watch` on this machine.
#[derive(Debug, Clone)]
pub struct Watch {
    /// Its invoke port, on 127.0.0.1.
    pub port: u16,
    /// The script by which it runs a function. Written at the start, for this user alone, since the credentials of
    /// every function's role are in it.
    pub script: PathBuf,
}

impl Watch {
    /// Where the workspace's metadata sends `cargo lambda watch` for the script, from the workspace's root.
    pub const SCRIPT: &str = ".insula/watch.sh";

    /// Writes the script, and takes the functions for those that `cargo lambda watch` runs by it.
    pub(super) fn lambda(&self, stack: &Stack, config: &lambda::Config) -> io::Result<Lambda> {
        let folder = self.script.parent().ok_or(io::ErrorKind::InvalidInput)?;
        std::fs::create_dir_all(folder)?;
        write_private(&self.script, script(&lambda::environments(stack, config)).as_bytes())?;
        Ok(Lambda::remote(stack, &format!("http://127.0.0.1:{}", self.port)))
    }

    /// Takes the script away: its credentials are over.
    pub(super) fn forget(&self) {
        if let Err(err) = std::fs::remove_file(&self.script) {
            tracing::warn!(error = %err, "the script of the watched functions is still there");
        }
    }
}

/// `cargo lambda watch` gives one environment to all functions, with that of its own terminal below it. Cargo asks this
/// script to run each binary, so that a function has what Lambda would give it, its own role's credentials, and no more.
fn script(environments: &BTreeMap<String, BTreeMap<String, String>>) -> String {
    let mut text = "# Written by `insula dev --watch`: runs a function with the environment that Lambda would give it.\n\
                    case \"${1##*/}\" in\n"
        .to_owned();
    for (binary, environment) in environments {
        text.push_str(&format!("{}) exec env -i \\\n", quoted(binary)));
        for (name, value) in environment {
            text.push_str(&format!("  {} \\\n", quoted(&format!("{name}={value}"))));
        }
        text.push_str("  \"AWS_LAMBDA_RUNTIME_API=$AWS_LAMBDA_RUNTIME_API\" \"$@\" ;;\n");
    }
    text.push_str("*) echo \"$1 is no function of the template\" >&2; exit 1 ;;\nesac\n");
    text
}

/// One word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
