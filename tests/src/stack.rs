//! The whole stack with the conformance suite's tools on `mcp`, behind a door that signs the suite in: the suite
//! knows of no bearer tokens. Prints the URL of that door, and serves until stdin ends.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use http::{HeaderValue, Request, Response, Uri, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use insula_local::{DEMO, Edge, Local, Options, idp::Mint, read_tenants};
use tokio::net::TcpListener;

type Failure = Box<dyn Error + Send + Sync>;

/// The tenant that the suite is signed in to.
const TENANT: &str = "acme";
/// A user of it who has every scope.
const USER: &str = "alice";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let own_host = format!("localhost:{}", listener.local_addr()?.port());
    let local = Local::start(options(&own_host)?).await?;
    let door = Arc::new(Door::new(&local, own_host)?);
    let mut out = io::stdout();
    writeln!(out, "http://{}/mcp", door.own_host)?;
    out.flush()?;
    #[expect(clippy::disallowed_methods, reason = "a test server, never frozen")]
    let ended = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        served = serve(listener, door) => served?,
        end = ended => drop(end??),
    }
    local.stop().await;
    Ok(())
}

fn options(own_host: &str) -> Result<Options, Failure> {
    let bin_dir = env::current_exe()?.parent().ok_or("this command has no folder")?.to_owned();
    let mut tenants = read_tenants(DEMO)?;
    for tenant in &mut tenants {
        // As a web client's origin, which the suite takes the door's own to be.
        tenant.origins = vec![format!("http://{own_host}")];
    }
    Ok(Options {
        root: Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or("the package has no workspace")?
            .to_owned(),
        overrides: BTreeMap::from([("McpFunction".to_owned(), bin_dir.join("conformance-fixture"))]),
        bin_dir,
        port: 0,
        data: None,
        tenants,
        edge: Edge::Rest,
        watch: None,
        isolation: false,
        domains: Vec::new(),
        dns: None,
        log: |function, line| drop(writeln!(io::stderr(), "{function} {line}")),
    })
}

async fn serve(listener: TcpListener, door: Arc<Door>) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        let door = Arc::clone(&door);
        #[expect(clippy::disallowed_methods, reason = "a test server, never frozen")]
        tokio::spawn(async move {
            let service = service_fn(|request| door.pass(request));
            if let Err(err) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                drop(writeln!(io::stderr(), "a connection of the suite ended: {err}"));
            }
        });
    }
}

/// Adds the token and the tenant's path, and the gateway's name where it was called by its own.
#[derive(Debug)]
struct Door {
    own_host: String,
    gateway_host: HeaderValue,
    target: Uri,
    bearer: HeaderValue,
    client: Client<HttpConnector, Incoming>,
}

impl Door {
    fn new(local: &Local, own_host: String) -> Result<Self, Failure> {
        let port = local.port;
        let resource = format!("http://localhost:{port}/{TENANT}/mcp");
        let minted = local.idp.mint(&Mint { user: Some(USER.to_owned()), resource, ..Mint::default() })?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", minted.access_token))?;
        bearer.set_sensitive(true);
        Ok(Self {
            own_host,
            gateway_host: HeaderValue::try_from(format!("localhost:{port}"))?,
            target: format!("http://127.0.0.1:{port}/{TENANT}/mcp").parse()?,
            bearer,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Incoming>, Failure> {
        let (mut head, body) = request.into_parts();
        head.uri = self.target.clone();
        // A stranger's name goes on as it came: to refuse it is the gateway's part.
        if head.headers.get(header::HOST).is_some_and(|host| host.as_bytes() == self.own_host.as_bytes()) {
            head.headers.insert(header::HOST, self.gateway_host.clone());
        }
        head.headers.insert(header::AUTHORIZATION, self.bearer.clone());
        Ok(self.client.request(Request::from_parts(head, body)).await?)
    }
}
