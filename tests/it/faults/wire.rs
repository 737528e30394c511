//! The wire under the SDK: it leads to the door of the embedded AWS, and what goes wrong on the way is said by the
//! session that calls.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use insula_local::aws::Aws;
use serde_json::json;
use tokio::sync::{Notify, mpsc, oneshot};

use super::halves;

const TRANSACTION: &str = "DynamoDB_20120810.TransactWriteItems";
/// Longer than the SDK waits for an attempt.
const TOO_LONG: Duration = Duration::from_secs(4);

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The connection breaks, and nothing was done.
    Unsent,
    /// 500, and nothing was done.
    Refused,
    /// It was done, and 500.
    Failed,
    /// It was done, and the connection breaks.
    Cut,
    /// It was done, and half of the reply's body comes.
    Torn,
    /// Nothing was done: slow down.
    Throttled,
    /// Nothing was done: another call is at the same rows. What is no transaction is throttled.
    Contended,
    /// It was done, and the reply comes after the deadline of the attempt.
    Late,
    /// There is no answer, and it is done after the next call of the session.
    Straggling,
    /// There is no answer, and it is done when the session is long over.
    Ghost,
    /// The credentials are over.
    Expired,
    /// Half of a batch is done, and the rest is said to be left. What is no batch is done.
    Halved,
    /// The caller's instance ends before the call is done.
    CrashBefore,
    /// The caller's instance ends after the call is done.
    CrashAfter,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::Unsent,
        Self::Refused,
        Self::Failed,
        Self::Cut,
        Self::Torn,
        Self::Throttled,
        Self::Contended,
        Self::Late,
        Self::Straggling,
        Self::Ghost,
        Self::Expired,
        Self::Halved,
        Self::CrashBefore,
        Self::CrashAfter,
    ];

    /// Those that mean something else when all tries of the SDK meet them.
    pub(crate) const LASTING: [Self; 4] = [Self::Refused, Self::Failed, Self::Contended, Self::Ghost];
}

/// When it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// At the call of this number, from 0, of which the SDK's further tries are a part.
    At { call: usize, kind: Kind, every_try: bool },
    /// At random: each of these so often in a hundred calls. Each call waits for a moment before, so that the seed also
    /// says who comes first.
    Dice { seed: u64, kinds: &'static [(u64, Kind)] },
    /// At every call.
    Each(Kind),
    /// As somebody says who is told of every transaction that charges a call, and decides when the store meets it and what is answered.
    AsTold,
}

/// A transaction that has come as far as the wire.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) request: http::Request<Bytes>,
    /// Its reply; none when the connection breaks.
    pub(crate) answer: oneshot::Sender<http::Response<Bytes>>,
}

/// Numbers that look random, the same ones for the same seed. Source: Steele, Lea and Flood, SplitMix64.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// One event of an instance: its calls, and what goes wrong with them.
#[derive(Debug)]
pub(crate) struct Session {
    plan: Plan,
    seen: Mutex<Seen>,
    crash: Notify,
    arrivals: Option<mpsc::UnboundedSender<Arrival>>,
}

#[derive(Debug)]
struct Seen {
    /// The SDK's ids of the calls, with their operations.
    calls: Vec<(String, String)>,
    hits: usize,
    dice: Dice,
    held: Vec<(Kind, http::Request<Bytes>)>,
}

tokio::task_local! {
    static SESSION: Arc<Session>;
}

impl Session {
    /// A session whose transactions go to this receiver.
    pub(crate) fn as_told() -> (Arc<Self>, mpsc::UnboundedReceiver<Arrival>) {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let seen = Seen { calls: Vec::new(), hits: 0, dice: Dice(0), held: Vec::new() };
        let session = Self {
            plan: Plan::AsTold,
            seen: Mutex::new(seen),
            crash: Notify::new(),
            arrivals: Some(arrivals),
        };
        (Arc::new(session), receiver)
    }

    /// What an instance does comes to, when each of its transactions is met like this; they are counted from 0.
    pub(crate) async fn met<T>(
        work: impl Future<Output = T>,
        mut meet: impl AsyncFnMut(usize, Arrival),
    ) -> T {
        let (session, mut arrivals) = Self::as_told();
        let mut running = Box::pin(session.run(work));
        for count in 0.. {
            tokio::select! {
                biased;
                done = &mut running => return done.unwrap(),
                arrival = arrivals.recv() => meet(count, arrival.unwrap()).await,
            }
        }
        unreachable!("nothing sends so many transactions")
    }

    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        let seed = if let Plan::Dice { seed, .. } = plan { seed } else { 0 };
        let seen = Seen { calls: Vec::new(), hits: 0, dice: Dice(seed), held: Vec::new() };
        Arc::new(Self { plan, seen: Mutex::new(seen), crash: Notify::new(), arrivals: None })
    }

    /// Runs what an instance does; `None` when the instance ends before it is done.
    pub(crate) async fn run<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> Option<T> {
        SESSION
            .scope(Arc::clone(self), async {
                tokio::select! {
                    biased;
                    () = self.crash.notified() => None,
                    done = work => Some(done),
                }
            })
            .await
    }

    /// The operations of the calls so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.seen.lock().unwrap().calls.iter().map(|(_, name)| name.clone()).collect()
    }

    /// Whether anything has gone wrong.
    pub(crate) fn was_hit(&self) -> bool {
        self.seen.lock().unwrap().hits > 0
    }

    /// What was sent long ago is done now.
    pub(crate) async fn release(&self, wire: &Wire) {
        let held = std::mem::take(&mut self.seen.lock().unwrap().held);
        for (_, request) in held {
            drop(wire.0.ask(request).await);
        }
    }

    /// What goes wrong with this try, if anything does.
    fn meet(&self, request: &http::Request<Bytes>) -> Option<Kind> {
        let header = |name: &str| {
            request.headers().get(name).map_or("", |value| value.to_str().unwrap_or_default()).to_owned()
        };
        let (id, name) = (header("amz-sdk-invocation-id"), header("x-amz-target"));
        let mut seen = self.seen.lock().unwrap();
        let (at, is_first) = match seen.calls.iter().position(|(known, _)| *known == id) {
            Some(at) => (at, false),
            None => {
                seen.calls.push((id, name));
                (seen.calls.len() - 1, true)
            }
        };
        let kind = match self.plan {
            Plan::At { call, kind, every_try } => (call == at && (is_first || every_try)).then_some(kind),
            Plan::Dice { kinds, .. } => {
                let mut thrown = seen.dice.below(100);
                let met = kinds.iter().find(|(percent, _)| {
                    let is_met = thrown < *percent;
                    thrown = thrown.wrapping_sub(*percent);
                    is_met
                });
                met.map(|(_, kind)| *kind)
            }
            Plan::Each(kind) => Some(kind),
            Plan::AsTold => None,
        };
        seen.hits += usize::from(kind.is_some());
        if seen.hits == 1 && kind.is_some() && matches!(self.plan, Plan::At { .. }) {
            // From here on nobody waits in earnest; whoever began the session lets the time go on.
            tokio::time::pause();
        }
        kind
    }

    /// How long the next call is on its way.
    fn moment(&self) -> Option<Duration> {
        let is_random = matches!(self.plan, Plan::Dice { .. });
        is_random.then(|| Duration::from_millis(self.seen.lock().unwrap().dice.below(100)))
    }

    /// Requests that were on their way while others were answered.
    fn take_stragglers(&self) -> Vec<http::Request<Bytes>> {
        let mut seen = self.seen.lock().unwrap();
        let (now, later) = std::mem::take(&mut seen.held)
            .into_iter()
            .partition::<Vec<_>, _>(|(kind, _)| *kind == Kind::Straggling);
        seen.held = later;
        now.into_iter().map(|(_, request)| request).collect()
    }
}

/// The connector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire(pub(crate) &'static Aws);

impl Wire {
    pub(crate) fn client(self) -> SharedHttpClient {
        SharedHttpClient::new(self)
    }

    async fn send(self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ConnectorError> {
        if let Some(moment) = SESSION.try_with(|session| session.moment()).ok().flatten() {
            tokio::time::sleep(moment).await;
        }
        let session = SESSION.try_with(Arc::clone).ok();
        if let Some(arrivals) = session.as_ref().and_then(|session| session.arrivals.as_ref())
            && request.headers().get("x-amz-target").is_some_and(|target| target == TRANSACTION)
            && is_charge(request.body())
        {
            let (answer, told) = oneshot::channel();
            arrivals.send(Arrival { request, answer }).unwrap();
            return told.await.map_err(|_gone| broken());
        }
        let Some((session, kind)) = session.and_then(|session| {
            let kind = session.meet(&request)?;
            Some((session, kind))
        }) else {
            let reply = self.pass(request).await;
            if let Ok(session) = SESSION.try_with(Arc::clone) {
                for late in session.take_stragglers() {
                    drop(self.0.ask(late).await);
                }
            }
            return reply;
        };
        match kind {
            Kind::Unsent => Err(broken()),
            Kind::Refused => Ok(answer(500, json!({ "__type": "InternalServerError", "message": "" }))),
            Kind::Throttled => Ok(answer(400, json!({ "__type": "ThrottlingException", "message": "" }))),
            Kind::Contended => Ok(contended(request.body())),
            Kind::Expired => Ok(answer(400, json!({ "__type": "ExpiredTokenException", "message": "" }))),
            Kind::Halved => match halves::split(&request) {
                Some(halves) => Ok(halves.serve(self.0).await),
                None => self.pass(request).await,
            },
            Kind::Failed => {
                self.pass(request).await?;
                Ok(answer(500, json!({ "__type": "InternalServerError", "message": "" })))
            }
            Kind::Cut => {
                self.pass(request).await?;
                Err(broken())
            }
            Kind::Torn => {
                let (head, body) = self.pass(request).await?.into_parts();
                Ok(http::Response::from_parts(head, body.slice(..body.len() / 2)))
            }
            Kind::Late => {
                let reply = self.pass(request).await;
                tokio::time::sleep(TOO_LONG).await;
                reply
            }
            Kind::Straggling | Kind::Ghost => {
                session.seen.lock().unwrap().held.push((kind, request));
                tokio::time::sleep(TOO_LONG).await;
                Err(broken())
            }
            Kind::CrashBefore | Kind::CrashAfter => {
                if kind == Kind::CrashAfter {
                    self.pass(request).await?;
                }
                session.crash.notify_one();
                std::future::pending().await
            }
        }
    }

    async fn pass(self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, ConnectorError> {
        Box::pin(self.0.ask(request)).await.map_err(|err| ConnectorError::io(err.into()))
    }
}

/// Whether a transaction charges a call; the record of a refusal is one too.
fn is_charge(body: &[u8]) -> bool {
    const METER: &[u8] = b"#METER";
    body.windows(METER.len()).any(|part| part == METER)
}

fn broken() -> ConnectorError {
    ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into())
}

pub(super) fn answer(status: u16, body: serde_json::Value) -> http::Response<Bytes> {
    http::Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(body.to_string().into())
        .unwrap()
}

/// As DynamoDB answers a transaction that meets another one.
pub(crate) fn contended(body: &Bytes) -> http::Response<Bytes> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let Some(actions) = body["TransactItems"].as_array() else {
        return answer(400, json!({ "__type": "ThrottlingException", "message": "" }));
    };
    let mut reasons = vec![json!({ "Code": "None" }); actions.len()];
    reasons[0] = json!({ "Code": "TransactionConflict", "Message": "" });
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    answer(400, json!({ "__type": kind, "Message": "", "CancellationReasons": reasons }))
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = *self;
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|err| ConnectorError::user(err.into()))?;
            let mut request = request.map(|body| Bytes::copy_from_slice(body.bytes().unwrap()));
            // A client of HTTP writes it from the URL, and it is signed.
            let host = request.uri().authority().unwrap().as_str().parse().unwrap();
            request.headers_mut().insert("host", host);
            let reply = Box::pin(wire.send(request)).await?.map(SdkBody::from);
            HttpResponse::try_from(reply).map_err(|err| ConnectorError::other(err.into(), None))
        })
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(*self)
    }
}
