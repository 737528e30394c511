//! `insula dev`: build, start, say how to call, serve until Ctrl-C.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use insula_local::{DemoTenant, Edge, Local, Options, Watch, build_functions, own_folder, read_tenants};
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
    /// Which of the two deployments, or neither.
    #[arg(long, value_enum, default_value_t = EdgeName::Rest, requires_if("none", "watch"))]
    edge: EdgeName,
    /// Leaves it to `cargo lambda watch` to build the functions, run them, and do so again when a file changes.
    #[arg(long)]
    watch: bool,
    /// One set of instances a tenant, as Lambda's tenant isolation mode has it.
    #[arg(long, conflicts_with = "watch")]
    isolation: bool,
    /// A domain beside localhost for which the gateway answers, as if it were a custom domain name of API Gateway; more than
    /// once for more. A tenant is served there once it has claimed and proved it.
    #[arg(long, value_name = "NAME")]
    domain: Vec<String>,
    /// Where the proof of a domain is looked for: address and port. The system's own resolver without it.
    #[arg(long, value_name = "ADDRESS")]
    dns: Option<SocketAddr>,
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
    /// `cargo lambda watch` takes the requests itself, without an authorizer.
    None,
}

impl Dev {
    pub(crate) async fn run(self) -> Result<(), String> {
        if self.port > 65_533 {
            return Err("port: at most 65533, since two more are taken above it".to_owned());
        }
        let level = if self.logs { LevelFilter::WARN } else { LevelFilter::ERROR };
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
        if let Some(port) = self.watch_port() {
            // Its functions would hold an earlier run's credentials, and be refused by this run's AWS.
            TcpListener::bind(("127.0.0.1", port)).map_err(|err| {
                format!("port {port}: {err}; `cargo lambda watch` is started after this command")
            })?;
        }
        let tenants = self.tenants()?;
        let root = root()?;
        let bin_dir = if self.watch { own_folder() } else { build_functions(&root) };
        let bin_dir = bin_dir.map_err(|err| err.to_string())?;
        let options = Options {
            bin_dir: bin_dir.clone(),
            port: self.port,
            data: self.data.clone(),
            tenants: tenants.clone(),
            edge: match self.edge {
                EdgeName::Rest => Edge::Rest,
                EdgeName::Http => Edge::Http,
                EdgeName::None => Edge::None,
            },
            watch: self.watch_port().map(|port| Watch { port, script: root.join(Watch::SCRIPT) }),
            root,
            isolation: self.isolation,
            domains: self.domain.clone(),
            dns: self.dns,
            overrides: BTreeMap::new(),
            log: if self.logs { log } else { no_log },
        };
        let local = Local::start(options).await.map_err(|err| err.to_string())?;
        let hands = local.hands().map_err(|err| err.to_string())?;
        let left =
            hands.leave(&bin_dir, local.port).map_err(|err| format!("{}: {err}", bin_dir.display()))?;
        say(&self.welcome(&tenants))?;
        let served = tokio::select! {
            served = self.serve(&local) => served,
            ended = tokio::signal::ctrl_c() => ended.map_err(|err| format!("Ctrl-C: {err}")),
        };
        drop(left);
        local.stop().await;
        served
    }

    /// Says when calls are served, and goes on serving them.
    async fn serve(&self, local: &Local) -> Result<(), String> {
        if let Some(port) = self.watch_port() {
            say(&format!(
                "In another terminal, at the root of the workspace:\n  \
                 cargo lambda watch --invoke-address 127.0.0.1 --invoke-port {port}\n\n\
                 waiting for it\n"
            ))?;
            local.warm().await.map_err(|err| err.to_string())?;
        }
        say("ready\n")?;
        std::future::pending().await
    }

    /// The port at which `cargo lambda watch` answers: behind the gateway, or in its place.
    fn watch_port(&self) -> Option<u16> {
        let above = if self.edge == EdgeName::None { 0 } else { 2 };
        self.watch.then(|| self.port.saturating_add(above))
    }

    fn welcome(&self, tenants: &[DemoTenant]) -> String {
        let port = self.port;
        // An HTTP API's own authorizer knows the universal URL alone, and without an API no event names a host.
        let hosts = self.edge == EdgeName::Rest;
        let mut text = format!("{:<10} {:<13} MCP URL\n", "tenant", "tier");
        for tenant in tenants {
            let (slug, tier) = (tenant.slug.to_string(), tenant.tier.word());
            let path = format!("http://localhost:{port}/{slug}/mcp");
            if hosts {
                text.push_str(&format!("{slug:<10} {tier:<13} http://{slug}.localhost:{port}/mcp\n"));
                text.push_str(&format!("{:<24} {path}\n", ""));
            } else {
                text.push_str(&format!("{slug:<10} {tier:<13} {path}\n"));
            }
        }
        let Some(first) = tenants.first() else { return text };
        let slug = &first.slug;
        let mut token = format!("cargo run -q -- token {slug}");
        if port != 9000 {
            token.push_str(&format!(" --port {port}"));
        }
        let mut url = format!("http://{slug}.localhost:{port}/mcp");
        if !hosts {
            url = format!("http://localhost:{port}/{slug}/mcp");
            token.push_str(&format!(" --resource {url}"));
        }
        text.push_str(&format!(
            r#"
A token:  {token}
A call:
  curl -s {url} -H "Authorization: Bearer $({token})" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"notes_create","arguments":{{"title":"Hello","text":"from {slug}"}}}}}}'

"#
        ));
        text
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        dev: Dev,
    }

    fn dev(line: &str) -> Option<Dev> {
        Line::try_parse_from(line.split(' ')).ok().map(|line| line.dev)
    }

    #[test]
    fn watched_functions_answer_behind_the_gateway_or_in_its_place() {
        assert_eq!(dev("dev").unwrap().watch_port(), None);
        assert_eq!(dev("dev --watch").unwrap().watch_port(), Some(9002));
        assert_eq!(dev("dev --watch --edge http").unwrap().watch_port(), Some(9002));
        assert_eq!(dev("dev --watch --edge none").unwrap().watch_port(), Some(9000));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (refused, taken) in
            [("dev --edge none", "dev --edge none --watch"), ("dev --watch --isolation", "dev --isolation")]
        {
            assert!(dev(refused).is_none(), "{refused}");
            assert!(dev(taken).is_some(), "{taken}");
        }
    }

    #[test]
    fn only_a_rest_api_has_the_tenants_hosts() {
        let tenants = read_tenants(insula_local::DEMO).unwrap();
        let said = |line| dev(line).unwrap().welcome(&tenants);
        assert!(said("dev").contains(" http://acme.localhost:9000/mcp\n"));
        for line in ["dev --edge http", "dev --watch --edge none"] {
            assert!(!said(line).contains("acme.localhost"), "{line}");
            assert!(said(line).contains("token acme --resource http://localhost:9000/acme/mcp"), "{line}");
        }
    }
}
