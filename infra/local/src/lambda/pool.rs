//! Which instance gets which call: scale up on demand, one call at a time each, the rest in a queue.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::lambda::{Config, Instance, Invocation, InvokeError, Invoked, StartError, instance};
use crate::template::Function;

/// The instances of one function, or of one tenant of an isolated function.
pub(super) type Key = (String, Option<String>);

/// How long the processes have to end when Lambda stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A call on its way to an instance.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request_id: Uuid,
    pub(super) invocation: Invocation,
    reply: oneshot::Sender<Result<Invoked, InvokeError>>,
}

/// What `/next` answers.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) request_id: Uuid,
    pub(super) function: Arc<Function>,
    pub(super) invocation: Invocation,
}

/// A process, as the pool sees it.
struct Member {
    function: Arc<Function>,
    tenant: Option<String>,
    pid: u32,
    started: u64,
    /// Asked for work at least once.
    ready: bool,
    /// Starts, or has answered and not yet asked for more: it will ask soon.
    coming: bool,
    /// Said by `/init/error`.
    init_error: Option<Bytes>,
    current: Option<(Uuid, oneshot::Sender<Result<Invoked, InvokeError>>)>,
    /// When the supervisor ends the process.
    deadline: watch::Sender<Instant>,
}

#[derive(Default)]
struct Set {
    queue: VecDeque<Job>,
    idle: Vec<(Uuid, oneshot::Sender<Delivery>)>,
    alive: usize,
    /// Those that are [`Member::coming`].
    coming: usize,
    last_failure: Option<(u64, Invoked)>,
}

#[derive(Default)]
struct State {
    members: HashMap<Uuid, Member>,
    sets: HashMap<Key, Set>,
    started: BTreeMap<String, u64>,
    total: u64,
    failures: u64,
    stopped: bool,
    server: JoinSet<()>,
    tasks: JoinSet<()>,
}

/// Every instance and every waiting call.
pub(super) struct Pool {
    pub(super) config: Config,
    pub(super) region: String,
    address: SocketAddr,
    state: Mutex<State>,
    /// Told whenever a set changes.
    changed: watch::Sender<()>,
}

impl Pool {
    pub(super) fn new(config: Config, region: String, address: SocketAddr) -> Self {
        Self { config, region, address, state: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Where the instance finds its Runtime API; the id in it is known to that instance only. Lambda itself says
    /// no scheme, but the Rust runtime does not read a path without one.
    pub(super) fn runtime_api(&self, id: Uuid) -> String {
        format!("http://{}/{}", self.address, id.simple())
    }

    /// Runs the Runtime API for as long as the pool runs.
    pub(super) fn serve(&self, server: impl Future<Output = ()> + Send + 'static) {
        #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and the pool ends this")]
        self.lock().server.spawn(server);
    }

    pub(super) async fn invoke(
        self: &Arc<Self>,
        function: &Arc<Function>,
        invocation: Invocation,
    ) -> Result<Invoked, InvokeError> {
        let (reply, answer) = oneshot::channel();
        let tenant = invocation.tenant.clone();
        let job = Job { request_id: Uuid::new_v4(), invocation, reply };
        {
            let mut state = self.lock();
            if state.stopped {
                return Err(InvokeError::Stopped);
            }
            let key = (function.name.clone(), tenant);
            state.sets.entry(key.clone()).or_default().queue.push_back(job);
            self.dispatch(&mut state, function, &key);
        }
        answer.await.unwrap_or(Err(InvokeError::Stopped))
    }

    pub(super) async fn prewarm(
        self: &Arc<Self>,
        function: &Arc<Function>,
        tenant: Option<&str>,
        count: usize,
    ) -> Result<(), StartError> {
        let key = (function.name.clone(), tenant.map(str::to_owned));
        let mut changed = self.changed.subscribe();
        let count = count.min(self.config.instances_max);
        let since = {
            let mut state = self.lock();
            let alive = state.sets.entry(key.clone()).or_default().alive;
            for _ in alive..count {
                self.start(&mut state, function, &key);
            }
            state.failures
        };
        loop {
            {
                let state = self.lock();
                let set = state.sets.get(&key);
                if state.stopped {
                    return Err(StartError::Refused(InvokeError::Stopped));
                }
                if let Some((_, failed)) =
                    set.and_then(|set| set.last_failure.as_ref()).filter(|(at, _)| *at > since)
                {
                    return Err(StartError::Init(String::from_utf8_lossy(&failed.payload).into_owned()));
                }
                if set.is_some_and(|set| set.alive.saturating_sub(set.coming) >= count) {
                    return Ok(());
                }
            }
            if changed.changed().await.is_err() {
                return Err(StartError::Refused(InvokeError::Stopped));
            }
        }
    }

    /// The next call for an instance: at once when one waits, else through the channel.
    /// None when the instance is not known, or has not finished its call.
    pub(super) fn next(self: &Arc<Self>, id: Uuid) -> Option<oneshot::Receiver<Delivery>> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let member = state.members.get_mut(&id)?;
        if member.current.is_some() {
            return None;
        }
        let key = (member.function.name.clone(), member.tenant.clone());
        let function = Arc::clone(&member.function);
        let set = state.sets.get_mut(&key)?;
        member.ready = true;
        if std::mem::take(&mut member.coming) {
            set.coming = set.coming.saturating_sub(1);
        }
        member.deadline.send_replace(far_future());
        let (deliver, delivery) = oneshot::channel();
        set.idle.retain(|(other, _)| *other != id);
        set.idle.push((id, deliver));
        self.dispatch(state, &function, &key);
        Some(delivery)
    }

    /// Ends the call that the instance has in hand. False when it is not that call.
    pub(super) fn finish(&self, id: Uuid, request_id: Uuid, outcome: Invoked) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(member) = state.members.get_mut(&id) else { return false };
        let Some((_, reply)) = member.current.take_if(|(current, _)| *current == request_id) else {
            return false;
        };
        // The deadline stays until the instance asks for more, so one that hangs now is ended too.
        member.coming = true;
        if let Some(set) = state.sets.get_mut(&(member.function.name.clone(), member.tenant.clone())) {
            set.coming = set.coming.saturating_add(1);
        }
        // A caller that has gone, at its own timeout, is no reason to end the instance.
        drop(reply.send(Ok(outcome)));
        true
    }

    /// Keeps what the instance said of its failed start; the process ends by itself.
    pub(super) fn init_failed(&self, id: Uuid, diagnostic: Bytes) -> bool {
        let mut state = self.lock();
        let known = state.members.get_mut(&id).filter(|member| !member.ready);
        known.map(|member| member.init_error = Some(diagnostic)).is_some()
    }

    /// Forgets an instance that ended. The call that it had, or the oldest that waited for its start, fails.
    pub(super) fn ended(self: &Arc<Self>, id: Uuid, reason: &instance::End) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(member) = state.members.remove(&id) else { return };
        let key = (member.function.name.clone(), member.tenant.clone());
        let Some(set) = state.sets.get_mut(&key) else { return };
        set.alive = set.alive.saturating_sub(1);
        set.idle.retain(|(other, _)| *other != id);
        if member.coming {
            set.coming = set.coming.saturating_sub(1);
        }
        if let Some((request_id, reply)) = member.current {
            // The caller may have gone; then nobody is owed the answer.
            drop(reply.send(Ok(reason.outcome(request_id, &member.function))));
        } else if !member.ready {
            let job = set.queue.pop_front();
            let request_id = job.as_ref().map_or_else(Uuid::new_v4, |job| job.request_id);
            let failed = match member.init_error {
                Some(payload) => Invoked { payload, function_error: Some("Unhandled".to_owned()) },
                None => reason.outcome(request_id, &member.function),
            };
            state.failures = state.failures.saturating_add(1);
            set.last_failure = Some((state.failures, failed.clone()));
            if let Some(job) = job {
                drop(job.reply.send(Ok(failed)));
            }
        }
        self.dispatch(state, &member.function, &key);
    }

    pub(super) fn instances(&self) -> Vec<Instance> {
        let state = self.lock();
        let mut members: Vec<&Member> = state.members.values().filter(|member| member.pid != 0).collect();
        members.sort_by_key(|member| member.started);
        let instance = |member: &&Member| Instance {
            function: member.function.name.clone(),
            tenant: member.tenant.clone(),
            pid: member.pid,
            busy: member.current.is_some(),
        };
        members.iter().map(instance).collect()
    }

    pub(super) fn started(&self, function: &str) -> u64 {
        self.lock().started.get(function).copied().unwrap_or_default()
    }

    pub(super) fn has_pid(&self, id: Uuid, pid: u32) {
        if let Some(member) = self.lock().members.get_mut(&id) {
            member.pid = pid;
        }
    }

    /// Ends every task, and with it every process, without waiting.
    pub(super) fn abort(&self) {
        drop(self.take_tasks());
    }

    pub(super) async fn stop(&self) {
        let (server, mut tasks) = self.take_tasks();
        let all = async { while tasks.join_next().await.is_some() {} };
        // A process that outlives its kill is left to the drop of its task.
        drop(timeout(STOP_TIMEOUT, all).await);
        drop(server);
    }

    fn take_tasks(&self) -> (JoinSet<()>, JoinSet<()>) {
        let mut state = self.lock();
        state.stopped = true;
        for member in state.members.values() {
            member.deadline.send_replace(Instant::now());
        }
        state.members.clear();
        state.sets.clear();
        self.changed.send_replace(());
        (std::mem::take(&mut state.server), std::mem::take(&mut state.tasks))
    }

    /// Gives waiting calls to waiting instances, then starts instances for the calls that are left.
    fn dispatch(self: &Arc<Self>, state: &mut State, function: &Arc<Function>, key: &Key) {
        let Some(set) = state.sets.get_mut(key) else { return };
        while let Some(job) = set.queue.pop_front() {
            if job.reply.is_closed() {
                continue;
            }
            // The instance that worked last is the warmest.
            let Some((id, deliver)) = set.idle.pop() else {
                set.queue.push_front(job);
                break;
            };
            let Some(member) = state.members.get_mut(&id) else {
                set.queue.push_front(job);
                continue;
            };
            let Job { request_id, invocation, reply } = job;
            let delivery = Delivery { request_id, function: Arc::clone(function), invocation };
            if let Err(back) = deliver.send(delivery) {
                set.queue.push_front(Job { request_id, invocation: back.invocation, reply });
                continue;
            }
            member.current = Some((request_id, reply));
            let timeout = Duration::from_secs(u64::from(function.timeout_s));
            member.deadline.send_replace(deadline(timeout));
        }
        let room = self.config.instances_max.max(1).saturating_sub(set.alive);
        let wanted = set.queue.len().saturating_sub(set.coming).min(room);
        for _ in 0..wanted {
            self.start(state, function, key);
        }
        self.changed.send_replace(());
    }

    fn start(self: &Arc<Self>, state: &mut State, function: &Arc<Function>, key: &Key) {
        if state.stopped {
            return;
        }
        let id = Uuid::new_v4();
        state.total = state.total.saturating_add(1);
        let count = state.started.entry(function.name.clone()).or_default();
        *count = count.saturating_add(1);
        let set = state.sets.entry(key.clone()).or_default();
        set.alive = set.alive.saturating_add(1);
        set.coming = set.coming.saturating_add(1);
        let init = instance::INIT_TIMEOUT.saturating_add(Duration::from_secs(function.timeout_s.into()));
        let (deadline, ends) = watch::channel(deadline(init));
        let member = Member {
            function: Arc::clone(function),
            tenant: key.1.clone(),
            pid: 0,
            started: state.total,
            ready: false,
            coming: true,
            init_error: None,
            current: None,
            deadline,
        };
        state.members.insert(id, member);
        while state.tasks.try_join_next().is_some() {}
        #[expect(clippy::disallowed_methods, reason = "the laptop is never frozen, and the pool ends this")]
        state.tasks.spawn(instance::run(Arc::clone(self), id, Arc::clone(function), ends));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn deadline(after: Duration) -> Instant {
    Instant::now().checked_add(after).unwrap_or_else(far_future)
}

/// A day: no call and no start lasts as long, and an idle instance that is ended is replaced.
fn far_future() -> Instant {
    let now = Instant::now();
    now.checked_add(Duration::from_secs(86_400)).unwrap_or(now)
}
