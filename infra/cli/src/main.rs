//! The `insula` command: the whole system on a laptop, and tokens to call it with.

mod dev;
mod token;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// The whole system on a laptop, without an AWS account.
#[derive(Debug, Parser)]
#[command(name = "insula", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds the functions, starts everything, and serves until Ctrl-C.
    Dev(dev::Dev),
    /// Prints an access token of a tenant's test user, from the identity provider of a running `dev`.
    Token(token::Token),
}

fn main() -> ExitCode {
    // A wrong argument ends here, in clap's words, with exit code 2.
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(err) => return fail(&format!("the system gave no event loop: {err}")),
    };
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Dev(dev) => dev.run().await,
            Command::Token(token) => token.run().await,
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

/// Says one line on stderr.
fn fail(message: &str) -> ExitCode {
    // With stderr gone there is nobody left to tell.
    drop(writeln!(io::stderr(), "insula: {}", message.replace('\n', " ")));
    ExitCode::from(2)
}

/// Says a text on stdout; a reader that has gone away ends the command.
fn say(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|err| format!("stdout: {err}"))
}
