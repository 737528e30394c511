//! The whole stack in one process tree, started and stopped in order.

mod options;
mod streams;
mod watch;

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
};

use insula_tenancy::{
    Access, Clock, Config, Problem, Profile,
    operator::{NewIssuer, NewTenant, Operator, OperatorAuthority},
};
use tokio::net::TcpListener;

use crate::{
    aws::{
        Aws, Credentials, Invoke, Invoked, Sessions,
        sessions::{NewSession, WHILE_IT_RUNS_S},
    },
    demo::DemoTenant,
    gateway::Gateway,
    hands::Hands,
    idp::{self, Alg, Idp},
    lambda::{self, Lambda},
    names::Names,
    stream::Stream,
    template::Stack,
};

pub use options::{Edge, Options};
pub use watch::Watch;

/// Everything, running.
#[derive(Debug)]
pub struct Local {
    /// The resolved template.
    pub stack: Arc<Stack>,
    /// The embedded AWS.
    pub aws: Aws,
    /// Every session that this AWS knows.
    pub sessions: Arc<Sessions>,
    /// The functions.
    pub lambda: Arc<Lambda>,
    /// The identity provider.
    pub idp: Idp,
    /// The operator's hands, by the operator's role.
    pub operator: Operator,
    /// Those that move tenants, by the mover's.
    pub mover: Operator,
    /// Those that have data keys wrapped anew, by the keeper's.
    pub keeper: Operator,
    /// Those that erase tenants, by the eraser's.
    pub eraser: Operator,
    /// Those that read audit trails, by the auditor's.
    pub auditor: Operator,
    /// Those that read what was used, by the accountant's.
    pub accountant: Operator,
    /// The gateway's port.
    pub port: u16,
    gateway: Option<Gateway>,
    watch: Option<Watch>,
    stream: Option<Stream>,
}

/// Why it did not start: one line that says what to do about it.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

fn failed(what: &str) -> impl Fn(&dyn fmt::Display) -> StartError {
    move |err| StartError(format!("{what}: {err}"))
}

impl Local {
    /// Starts everything, the tenants too, and returns when calls are served; those of a `cargo lambda watch` after
    /// [`Local::warm`].
    ///
    /// # Errors
    /// A port that is taken, a folder that can't be written, a template that does not resolve, a function that ends
    /// in its init, isolation without a Lambda that has it.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let data = options.data.as_deref();
        if let Some(folder) = data {
            prepare(folder)?;
        }
        if options.isolation && (options.watch.is_some() || options.edge == Edge::None) {
            return Err(StartError("isolation mode: `cargo lambda watch` has none".to_owned()));
        }
        let gateway_listener = match options.edge {
            Edge::Rest | Edge::Http => Some(bind(options.port).await?),
            Edge::None => None,
        };
        let port = gateway_listener.as_ref().map_or(Ok(options.port), local_port)?;
        let idp = start_idp(&options, port).await?;
        let stack = Stack::load(&options.root, &options.parameters(port, idp.issuer()))
            .map_err(|err| failed("the template")(&err))?;
        let stack = Arc::new(stack);
        let sessions = Arc::new(Sessions::new(Clock::System));
        let lambda = Arc::new(OnceLock::new());
        let aws_listener = bind(0).await?;
        let aws = Aws::start(aws_listener, &stack, Arc::clone(&sessions), invoke(Arc::clone(&lambda)), data)
            .await
            .map_err(|err| failed("the embedded AWS")(&err))?;
        let running = start_lambda(&options, &stack, &sessions, &aws).await?;
        // Nothing invokes before this, since no function runs yet.
        let running = Arc::clone(lambda.get_or_init(|| Arc::new(running)));
        let (mappings, records) = (aws.mappings(), aws.take_records());
        let stream = records.map(|records| Stream::start(records, mappings, Arc::clone(&running)));
        let operator = open_operator("OperatorRole", &stack, &sessions, &aws).await?;
        let mover = open_operator("MoverRole", &stack, &sessions, &aws).await?;
        let keeper = open_operator("KeeperRole", &stack, &sessions, &aws).await?;
        let eraser = open_operator("EraserRole", &stack, &sessions, &aws).await?;
        let auditor = open_operator("AuditorRole", &stack, &sessions, &aws).await?;
        let accountant = open_operator("AccountantRole", &stack, &sessions, &aws).await?;
        seed(&operator, &options.tenants, &idp).await?;
        let mut local = Self {
            stack,
            aws,
            sessions,
            lambda: running,
            idp,
            operator,
            mover,
            keeper,
            eraser,
            auditor,
            accountant,
            port,
            gateway: None,
            watch: options.watch,
            stream,
        };
        if !options.isolation && local.watch.is_none() {
            local.warm().await?;
        }
        if let Some(listener) = gateway_listener {
            let (stack, lambda) = (Arc::clone(&local.stack), Arc::clone(&local.lambda));
            let names = Names::under("localhost").and(&Names::new(options.domains));
            let started = Gateway::start(listener, stack, lambda, names).await;
            local.gateway = Some(started.map_err(|err| failed("the gateway")(&err))?);
        }
        Ok(local)
    }

    /// Waits until an instance of each function is there, so that the first call is no cold start.
    ///
    /// # Errors
    /// A function that ends in its init.
    pub async fn warm(&self) -> Result<(), StartError> {
        for function in &self.stack.functions {
            let warmed = self.lambda.prewarm(&function.name, None, 1).await;
            warmed.map_err(|err| failed(&format!("the function {}", function.name))(&err))?;
        }
        Ok(())
    }

    /// Credentials of a role of the template, by the role's name or the end of it, as a function would have them.
    ///
    /// # Errors
    /// There is no such role.
    pub fn credentials(&self, role: &str, tags: BTreeMap<String, String>) -> Result<Credentials, StartError> {
        session(&self.stack, &self.sessions, role, tags)
    }

    /// What the operator's command needs to work on this stack.
    ///
    /// # Errors
    /// The template lacks a role that stands above tenants.
    pub fn hands(&self) -> Result<Hands, StartError> {
        let role = |role: &str| {
            let given = self.credentials(role, BTreeMap::new())?;
            let session = [given.access_key_id, given.secret_access_key, given.session_token];
            Ok((role.to_owned(), session))
        };
        let sessions =
            ["OperatorRole", "MoverRole", "KeeperRole", "EraserRole", "AuditorRole", "AccountantRole"];
        let sessions = sessions.into_iter().map(role);
        Ok(Hands {
            settings: settings(&self.stack),
            endpoint_url: self.aws.endpoint(),
            sessions: sessions.collect::<Result<_, StartError>>()?,
        })
    }

    /// Ends everything, the functions' processes first.
    pub async fn stop(mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
        // What nobody followed would not come again. A function that hangs must not keep the stack from its end.
        let followed = tokio::time::timeout(std::time::Duration::from_secs(5), self.followed()).await;
        if followed.is_err() {
            tracing::warn!("the stack ends with changes that no function has followed");
        }
        if let Some(stream) = &self.stream {
            stream.stop();
        }
        self.lambda.stop().await;
        if let Some(watch) = self.watch {
            watch.forget();
        }
        self.aws.stop();
        self.idp.stop().await;
    }
}

fn prepare(folder: &Path) -> Result<(), StartError> {
    let what = format!("the folder {} can't be written", folder.display());
    let wrong = failed(&what);
    std::fs::create_dir_all(folder).map_err(|err| wrong(&err))?;
    let probe = folder.join(".write-probe");
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(|err| wrong(&err))
}

async fn bind(port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|err| failed(&format!("port {port}"))(&err))
}

fn local_port(listener: &TcpListener) -> Result<u16, StartError> {
    listener.local_addr().map(|address| address.port()).map_err(|err| failed("the port")(&err))
}

async fn start_idp(options: &Options, gateway_port: u16) -> Result<Idp, StartError> {
    let listener = bind(if options.port == 0 { 0 } else { options.port.saturating_add(1) }).await?;
    let idp_options = idp::Options {
        users: options.tenants.iter().flat_map(DemoTenant::sign_ins).collect(),
        scopes: insula_tools::SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
        default_alg: match options.edge {
            Edge::Rest | Edge::None => Alg::Es256,
            // API Gateway's own authorizer reads RSA alone.
            Edge::Http => Alg::Rs256,
        },
        gateway_port,
        domains: Names::new(options.domains.clone()),
        data: options.data.clone(),
        clients: Vec::new(),
        // A client whose document is on the internet would use it, and it can't be fetched here.
        advertise_client_documents: false,
        clock: idp::Clock::System,
    };
    Idp::start(listener, idp_options).await.map_err(|err| failed("the identity provider")(&err))
}

fn invoke(lambda: Arc<OnceLock<Arc<Lambda>>>) -> Invoke {
    Arc::new(move |function, payload| {
        let lambda = Arc::clone(&lambda);
        Box::pin(async move {
            let lambda = lambda.get().ok_or("no function runs yet")?;
            let done = lambda.invoke(&function, None, payload).await.map_err(|err| err.to_string())?;
            Ok(Invoked { payload: done.payload, function_error: done.function_error })
        })
    })
}

async fn start_lambda(
    options: &Options,
    stack: &Arc<Stack>,
    sessions: &Arc<Sessions>,
    aws: &Aws,
) -> Result<Lambda, StartError> {
    let (stack_of_roles, sessions) = (Arc::clone(stack), Arc::clone(sessions));
    let extra_environment = match options.edge {
        Edge::Rest | Edge::Http => BTreeMap::new(),
        Edge::None => BTreeMap::from([("EDGE".to_owned(), "watch".to_owned())]),
    };
    let config = lambda::Config {
        bin_dir: options.bin_dir.clone(),
        endpoint_url: aws.endpoint(),
        overrides: options.overrides.clone(),
        extra_environment,
        instances_max: 4,
        credentials: Arc::new(move |role_arn| {
            // A role that is not there signs with nothing that is known, and is refused.
            let (access_key_id, secret_access_key, session_token) =
                match session(&stack_of_roles, &sessions, role_arn, BTreeMap::new()) {
                    Ok(given) => (given.access_key_id, given.secret_access_key, given.session_token),
                    Err(_) => Default::default(),
                };
            lambda::Credentials { access_key_id, secret_access_key, session_token }
        }),
        log: Arc::new(options.log),
    };
    match &options.watch {
        None => Lambda::start(stack, config).await.map_err(|err| failed("the functions")(&err)),
        Some(watch) => {
            watch.lambda(stack, &config).map_err(|err| failed(&watch.script.display().to_string())(&err))
        }
    }
}

fn session(
    stack: &Stack,
    sessions: &Sessions,
    role: &str,
    tags: BTreeMap<String, String>,
) -> Result<Credentials, StartError> {
    let found = stack.roles.iter().find(|known| known.arn == role || known.name.ends_with(role));
    let found = found.ok_or_else(|| StartError(format!("the template has no role {role}")))?;
    let new = NewSession {
        role_arn: found.arn.clone(),
        name: found.name.clone(),
        tags,
        policy: None,
        ttl_s: WHILE_IT_RUNS_S,
    };
    sessions.issue(new).map_err(|err| failed("a session")(&err))
}

async fn open_operator(
    role: &str,
    stack: &Stack,
    sessions: &Sessions,
    aws: &Aws,
) -> Result<Operator, StartError> {
    let access = access(role, stack, sessions, aws)?;
    let config = Config::read(settings(stack)).map_err(|err| failed("the template's environment")(&err))?;
    Operator::open_at(&OperatorAuthority::ambient(), &config, access)
        .await
        .map_err(|err| failed("the operator")(&err))
}

fn access(role: &str, stack: &Stack, sessions: &Sessions, aws: &Aws) -> Result<Access, StartError> {
    let given = session(stack, sessions, role, BTreeMap::new())?;
    Ok(Access {
        endpoint_url: aws.endpoint(),
        access_key_id: given.access_key_id,
        secret_access_key: given.secret_access_key.into(),
        session_token: given.session_token.into(),
        http_client: None,
    })
}

/// What a function of the template finds in its environment, for who works beside the functions.
fn settings(stack: &Stack) -> BTreeMap<String, String> {
    let mcp = stack.functions.iter().find(|function| function.binary == "mcp");
    let mut settings = mcp.map(|function| function.environment.clone()).unwrap_or_default();
    settings.insert("AWS_REGION".to_owned(), stack.region.clone());
    settings
}

/// Makes the tenants that are not there yet.
async fn seed(operator: &Operator, tenants: &[DemoTenant], idp: &Idp) -> Result<(), StartError> {
    let jwks_uri = idp.jwks_uri().parse().map_err(|err| failed("the identity provider's URL")(&err))?;
    let issuer = NewIssuer {
        issuer: idp.issuer().to_owned(),
        jwks_uri,
        profile: Profile::Rfc9068,
        claims: Vec::new(),
        role_claim: None,
    };
    kept(operator.pin_issuer(&issuer).await)?;
    for tenant in tenants {
        let new = NewTenant {
            slug: tenant.slug.clone(),
            tier: tenant.tier,
            issuers: vec![issuer.issuer.clone()],
            claims: vec![(issuer.issuer.clone(), tenant.claim.clone())],
            origins: tenant.origins.clone(),
        };
        kept(operator.create_tenant(&new).await.map(drop))?;
    }
    Ok(())
}

/// What is there from an earlier run stays as it is.
fn kept(made: Result<(), Problem>) -> Result<(), StartError> {
    match made {
        Ok(()) | Err(Problem::Conflict { .. }) => Ok(()),
        Err(problem) => {
            let cause = std::error::Error::source(&problem).map(ToString::to_string).unwrap_or_default();
            Err(StartError(format!("the demo tenants: {problem}: {cause}")))
        }
    }
}
