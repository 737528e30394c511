//! The one door to the embedded AWS: every call is matched to its session and allowed by its role, or refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use self::failed::failed;
use super::{
    dynamodb::{Dynamo, Record},
    events::Events,
    iam::Policies,
    kms::Kms,
    ledger::{Fault, FaultKind, Ledger},
    mappings::Mappings,
    reply::Reply,
    secrets::Secrets,
    sessions::{Session, Sessions},
    sigv4::{self, Signed},
    sts::{self, Assumable},
    trap::{Set, Trap, Trapped, Whose},
    wire::{json, operation, response},
};
use crate::template::Stack;

mod allow;
mod failed;
mod lambda;

/// Bytes of a request: more than any of the services takes.
const BODY_BYTES_MAX: usize = 20 * 1024 * 1024;

/// Runs a function for Lambda's Invoke: name or ARN, payload.
pub type Invoke =
    Arc<dyn Fn(String, Bytes) -> Pin<Box<dyn Future<Output = Result<Invoked, String>> + Send>> + Send + Sync>;

/// As long as a call hangs that gets no answer.
const HANGS: Duration = Duration::from_secs(60);

/// A function's answer.
#[derive(Debug)]
pub struct Invoked {
    /// The payload, also of an error.
    pub payload: Bytes,
    /// `Handled` or `Unhandled`, when the function failed.
    pub function_error: Option<String>,
}

/// The embedded AWS.
#[derive(Debug)]
pub struct Aws {
    door: Arc<Door>,
    port: u16,
    task: tokio::task::JoinHandle<()>,
}

struct Door {
    region: String,
    sessions: Arc<Sessions>,
    roles: BTreeMap<String, Assumable>,
    dynamo: Dynamo,
    kms: Kms,
    secrets: Secrets,
    events: Events,
    mappings: Arc<Mappings>,
    /// ARNs of the roles of functions that follow a stream.
    followers: BTreeSet<String>,
    invoke: Invoke,
    ledger: Ledger,
    trap: Set,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("region", &self.region).finish_non_exhaustive()
    }
}

/// What a call came to.
enum Outcome {
    Json(Reply),
    Other(Response<Full<Bytes>>),
    Cut,
}

impl Aws {
    /// Opens the store and the door.
    ///
    /// # Errors
    /// A policy that does not parse, a table that can't be made, a folder that can't be written.
    pub async fn start(
        listener: TcpListener,
        stack: &Stack,
        sessions: Arc<Sessions>,
        invoke: Invoke,
        data: Option<&Path>,
    ) -> Result<Self, String> {
        let port = listener.local_addr().map_err(|err| err.to_string())?.port();
        let Stack { account, region, .. } = stack;
        let dynamo = Dynamo::open(&stack.tables, data)?;
        let mappings = Mappings::open(stack, data)?;
        dynamo.open_streams(&mappings.streams());
        let door = Arc::new(Door {
            region: region.clone(),
            sessions,
            roles: roles(stack)?,
            dynamo,
            kms: Kms::open(&stack.keys, account, region, data).await?,
            secrets: Secrets::open(&stack.secrets, account, region, data).await?,
            events: Events::new(account, region),
            mappings: Arc::new(mappings),
            followers: stack.followers(),
            invoke,
            ledger: Ledger::default(),
            trap: Set::default(),
        });
        #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and `stop` ends this")]
        let task = tokio::spawn(accept(listener, Arc::clone(&door)));
        Ok(Self { door, port, task })
    }

    /// `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Connections since the start.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.door.ledger.connections()
    }

    /// Calls since the start, by `service:Operation`, refused ones too, but for those of functions that follow a stream,
    /// which nobody waits for.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.door.ledger.calls()
    }

    /// Calls of functions that follow a stream.
    #[must_use]
    pub fn calls_of_followers(&self) -> BTreeMap<String, u64> {
        self.door.ledger.calls_of_followers()
    }

    /// Read and write units of DynamoDB since the start, by the ARN of the role and operation.
    #[must_use]
    pub fn units(&self) -> BTreeMap<(String, String), f64> {
        self.door.dynamo.units()
    }

    /// Who follows which stream.
    pub(crate) fn mappings(&self) -> Arc<Mappings> {
        Arc::clone(&self.door.mappings)
    }

    /// What comes out of the tables' streams; nothing the second time.
    pub(crate) fn take_records(&self) -> Option<mpsc::UnboundedReceiver<Record>> {
        self.door.dynamo.take_records()
    }

    /// Records of streams since the start.
    pub(crate) fn records(&self) -> u64 {
        self.door.dynamo.records()
    }

    /// Events that were put on the default bus since the start.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.door.events.kept()
    }

    /// What IAM refused since the start: `role action resource`.
    #[must_use]
    pub fn denials(&self) -> Vec<String> {
        self.door.ledger.denials()
    }

    /// Makes the next call of this service and operation go wrong, whoever's it is but one that follows a stream.
    pub fn fault(&self, fault: Fault) {
        self.fault_within(fault, "");
    }

    /// Makes the next call of this service and operation go wrong that has this text in its body.
    pub fn fault_within(&self, fault: Fault, text: &str) {
        self.door.ledger.add_fault(fault, text, false);
    }

    /// Makes the next such call go wrong of a function that follows a stream.
    pub fn fault_of_follower(&self, fault: Fault, text: &str) {
        self.door.ledger.add_fault(fault, text, true);
    }

    /// Sets a trap for one call, or takes it away: what has come since the one before it was set.
    pub fn trap(&self, trap: Option<Trap>) -> Trapped {
        self.door.trap.set(trap)
    }

    /// How many tries went wrong since the trap was set.
    #[must_use]
    pub fn trap_hits(&self) -> usize {
        self.door.trap.hits()
    }

    /// Does what was sent long ago: the calls that a trap of [`FaultKind::Ghost`] holds.
    pub async fn release(&self) {
        for (head, body) in self.door.trap.take_held() {
            drop(self.door.reply(&head, body).await);
        }
    }

    /// Answers a request without a connection: it is signed and allowed, or refused, all the same.
    ///
    /// # Errors
    /// A reply that is cut on purpose.
    pub async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, std::io::Error> {
        let (head, body) = request.into_parts();
        let (head, body) = self.door.reply(&head, body).await?.into_parts();
        let Ok(body) = body.collect().await;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    /// The store behind the door, for whoever reads back what is in it.
    #[must_use]
    pub fn store(&self) -> &Dynamo {
        &self.door.dynamo
    }

    /// Closes the door.
    pub fn stop(&self) {
        self.task.abort();
    }
}

fn roles(stack: &Stack) -> Result<BTreeMap<String, Assumable>, String> {
    let parse = |arn: &str, documents: &[Value]| {
        Policies::parse(documents).map_err(|err| format!("a policy of {arn}: {err}"))
    };
    stack
        .roles
        .iter()
        .map(|role| {
            let trust = parse(&role.arn, std::slice::from_ref(&role.trust))?;
            let policies = parse(&role.arn, &role.policies)?;
            Ok((role.arn.clone(), Assumable { role: role.clone(), trust, policies }))
        })
        .collect()
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    // Dropping the set ends every connection with the door.
    let mut connections = JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        door.ledger.count_connection();
        let door = Arc::clone(&door);
        #[expect(
            clippy::disallowed_methods,
            reason = "the laptop is never frozen, and the set ends with the door"
        )]
        connections.spawn(async move {
            let service = service_fn(|request| {
                let door = Arc::clone(&door);
                async move { door.answer(request).await }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(600))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(err) = served {
                tracing::debug!(error = %err, "a connection to the embedded AWS ended");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Door {
    /// The error closes the connection: that is what a cut is.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return Ok(json(&Reply::refused("RequestEntityTooLarge", "the request is too large")));
        };
        self.reply(&head, body.to_bytes()).await
    }

    async fn reply(&self, head: &Parts, body: Bytes) -> Result<Response<Full<Bytes>>, std::io::Error> {
        match self.outcome(head, body).await {
            Outcome::Json(reply) => Ok(json(&reply)),
            Outcome::Other(response) => Ok(response),
            Outcome::Cut => Err(std::io::Error::other("cut on purpose")),
        }
    }

    async fn outcome(&self, head: &Parts, body: Bytes) -> Outcome {
        let signed = match sigv4::verify(head, &body, &self.sessions, &self.region) {
            Ok(signed) => signed,
            Err(unsigned) => {
                tracing::warn!(code = unsigned.code(), "a call to the embedded AWS is not believed");
                return Outcome::Json(Reply::refused(
                    unsigned.code(),
                    "the request is not signed as it must be",
                ));
            }
        };
        let operation = operation(head, &signed.service, &body);
        let follows = self.followers.contains(&signed.session.role_arn);
        self.ledger.count_call(&signed.service, &operation, follows);
        let service = signed.service.as_str();
        let whose = if follows { Whose::Followers } else { Whose::Callers };
        let fault = match self.trap.meet(head, whose, format!("{service}:{operation}")) {
            None => self.ledger.take_fault((service, &operation), &body, follows),
            trapped => trapped,
        };
        match fault {
            Some(kind @ (FaultKind::Before | FaultKind::Throttle | FaultKind::Deny | FaultKind::Expired)) => {
                return failed(service, kind);
            }
            Some(FaultKind::Hang) => tokio::time::sleep(HANGS).await,
            Some(FaultKind::Ghost) => {
                self.trap.hold(head, body.clone());
                tokio::time::sleep(HANGS).await;
                return Outcome::Cut;
            }
            _ => {}
        }
        let outcome = self.serve(head, &signed, &operation, body).await;
        match fault {
            Some(FaultKind::After) => failed(service, FaultKind::Before),
            Some(FaultKind::CutAfter) => Outcome::Cut,
            Some(FaultKind::Late) => {
                tokio::time::sleep(HANGS).await;
                outcome
            }
            _ => outcome,
        }
    }

    async fn serve(&self, head: &Parts, signed: &Signed, operation: &str, body: Bytes) -> Outcome {
        let session = &*signed.session;
        match signed.service.as_str() {
            "sts" => Outcome::Other(match sts::answer(&body, session, &self.roles, &self.sessions) {
                Ok(xml) => response(200, "text/xml", xml),
                Err(refused) => {
                    self.deny(session, "sts:AssumeRole", &refused.message);
                    response(refused.status, "text/xml", refused.xml())
                }
            }),
            "lambda" if Mappings::takes(head) => Outcome::Json(self.map(head, session, &body)),
            "lambda" => self.lambda(head, session, body).await,
            service @ ("dynamodb" | "kms" | "secretsmanager" | "events") => {
                Outcome::Json(self.json_service(service, operation, session, &body).await)
            }
            _ => Outcome::Json(Reply::refused("UnknownOperationException", "there is no such service here")),
        }
    }

    async fn json_service(&self, service: &str, operation: &str, session: &Session, body: &[u8]) -> Reply {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Reply::refused("SerializationException", "the body is not JSON");
        };
        let needs = match service {
            "dynamodb" => self.dynamo.needs(operation, &body),
            "kms" => self.kms.needs(operation, &body),
            "events" => self.events.needs(operation, &body),
            _ => self.secrets.needs(operation, &body),
        };
        if let Err(message) = self.allow(session, needs) {
            return Reply::refused("AccessDeniedException", &message);
        }
        match service {
            "dynamodb" => self.dynamo.serve_for(&session.role_arn, operation, body).await,
            "kms" => self.kms.serve(operation, body).await,
            "events" => self.events.serve(operation, &body),
            _ => self.secrets.serve(operation, body).await,
        }
    }
}
