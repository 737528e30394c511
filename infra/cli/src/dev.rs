//! `insula dev`: build, start, say how to call, serve until Ctrl-C.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use insula_local::{DemoTenant, Edge, Local, Options, build_functions, read_tenants};
use tracing_subscriber::filter::LevelFilter;

use crate::say;

/// How to start.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// The gateway's port; the identity provider's is the next.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Keeps data, keys and secrets in this folder; in memory without it. Keep the port with it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The tenants to start with, in the form of infra/local/src/demo.yaml; Acme and Globex without it.
    #[arg(long, value_name = "FILE")]
    tenants: Option<PathBuf>,
    /// Which of the two deployments.
    #[arg(long, value_enum, default_value_t = EdgeName::Rest)]
    edge: EdgeName,
    /// One set of instances a tenant, as Lambda's tenant isolation mode has it.
    #[arg(long)]
    isolation: bool,
    /// Writes the functions' logs to stderr.
    #[arg(long)]
    logs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EdgeName {
    /// REST API.
    Rest,
    /// HTTP API.
    Http,
}

impl Dev {
    pub(crate) async fn run(self) -> Result<(), String> {
        if self.port > 65_534 {
            return Err("port: at most 65534, since the identity provider takes the next".to_owned());
        }
        let level = if self.logs { LevelFilter::WARN } else { LevelFilter::ERROR };
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
        let tenants = self.tenants()?;
        let root = root()?;
        let bin_dir = build_functions(&root).map_err(|err| err.to_string())?;
        let options = Options {
            root,
            bin_dir: bin_dir.clone(),
            port: self.port,
            data: self.data.clone(),
            tenants: tenants.clone(),
            edge: match self.edge {
                EdgeName::Rest => Edge::Rest,
                EdgeName::Http => Edge::Http,
            },
            isolation: self.isolation,
            overrides: BTreeMap::new(),
            log: if self.logs { log } else { no_log },
        };
        let local = Local::start(options).await.map_err(|err| err.to_string())?;
        let hands = local.hands().map_err(|err| err.to_string())?;
        let left =
            hands.leave(&bin_dir, local.port).map_err(|err| format!("{}: {err}", bin_dir.display()))?;
        say(&welcome(&tenants, local.port))?;
        tokio::signal::ctrl_c().await.map_err(|err| format!("Ctrl-C: {err}"))?;
        drop(left);
        local.stop().await;
        Ok(())
    }

    fn tenants(&self) -> Result<Vec<DemoTenant>, String> {
        let Some(file) = &self.tenants else {
            return read_tenants(insula_local::DEMO).map_err(|err| err.to_string());
        };
        let text = fs::read_to_string(file).map_err(|err| format!("{}: {err}", file.display()))?;
        read_tenants(&text).map_err(|err| format!("{}: {err}", file.display()))
    }
}

/// The workspace of this command's own sources.
fn root() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root =
        here.parent().and_then(Path::parent).ok_or("the command was built outside of its workspace")?;
    Ok(root.to_owned())
}

fn log(function: &str, line: &str) {
    use std::io::Write;
    // With stderr gone there is nobody left to tell.
    drop(writeln!(std::io::stderr(), "{function} {line}"));
}

const fn no_log(_function: &str, _line: &str) {}

fn welcome(tenants: &[DemoTenant], port: u16) -> String {
    let mut text = format!("{:<10} {:<13} MCP URL\n", "tenant", "tier");
    for tenant in tenants {
        let (slug, tier) = (tenant.slug.to_string(), tenant.tier.word());
        text.push_str(&format!("{slug:<10} {tier:<13} http://{slug}.localhost:{port}/mcp\n"));
        text.push_str(&format!("{:<24} http://localhost:{port}/{slug}/mcp\n", ""));
    }
    let Some(first) = tenants.first() else { return text };
    let slug = &first.slug;
    let flag = if port == 9000 { String::new() } else { format!(" --port {port}") };
    text.push_str(&format!(
        r#"
A token:  cargo run -q -- token {slug}{flag}
A call:
  curl -s http://{slug}.localhost:{port}/mcp -H "Authorization: Bearer $(cargo run -q -- token {slug}{flag})" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"notes_create","arguments":{{"title":"Hello","text":"from {slug}"}}}}}}'

ready
"#
    ));
    text
}
