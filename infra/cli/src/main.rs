//! The `insula` command: the whole system on a laptop, tokens to call it with, and what its operator does.

mod audit;
mod dev;
mod erase;
mod operator;
mod quota;
mod token;
mod usage;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// The whole system on a laptop, without an AWS account, and the operator's work on it or on a deployment.
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
    /// Shows, makes, suspends, moves, erases tenants, and sets their tier.
    #[command(subcommand)]
    Tenant(operator::Tenant),
    /// Sets one of a tenant's limits.
    Quota(quota::Quota),
    /// Switches one of a tenant's features.
    Flag(operator::Flag),
    /// Reads a tenant's audit trail, and verifies its chains.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Prints what tenants used, for bills, and counts anew what one keeps.
    #[command(subcommand)]
    Usage(usage::Usage),
    /// Rotates and wraps data keys.
    #[command(subcommand)]
    Key(operator::Key),
    /// Empties what instances remember.
    #[command(subcommand)]
    Cache(operator::Cache),
    /// Frees a domain that has changed hands.
    #[command(subcommand)]
    Domain(operator::Domains),
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
            Command::Tenant(tenant) => tenant.run().await,
            Command::Quota(quota) => quota.run().await,
            Command::Flag(flag) => flag.run().await,
            Command::Audit(audit) => audit.run().await,
            Command::Usage(usage) => usage.run().await,
            Command::Key(key) => key.run().await,
            Command::Cache(cache) => cache.run().await,
            Command::Domain(domains) => domains.run().await,
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
