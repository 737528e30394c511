//! One process of a function: its start, its output, its end.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use crate::lambda::pool::Pool;
use crate::lambda::{Invoked, environment};
use crate::template::Function;

/// Lambda's limit of the init phase. A start that was too slow is repeated inside of the call and counts
/// against the function's own timeout, so an instance has both together.
pub(super) const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long output may still arrive after the process has ended.
const DRAIN: Duration = Duration::from_millis(200);

/// Why an instance is no more.
#[derive(Debug)]
pub(super) enum End {
    /// The binary could not be run.
    NotStarted(io::Error),
    /// The process ended by itself, or by somebody's signal.
    Exited(ExitStatus),
    /// The process was ended at its deadline.
    TimedOut,
}

impl End {
    /// The error that the caller of the interrupted call sees.
    pub(super) fn outcome(&self, request_id: Uuid, function: &Function) -> Invoked {
        match self {
            Self::NotStarted(err) => Invoked::failed(
                "Runtime.InvalidEntrypoint",
                &format!("RequestId: {request_id} Error: {}: {err}", function.binary),
            ),
            Self::Exited(status) if status.success() => Invoked::failed(
                "Runtime.ExitError",
                &format!("RequestId: {request_id} Error: Runtime exited without providing a reason"),
            ),
            Self::Exited(status) => Invoked::failed(
                "Runtime.ExitError",
                &format!("RequestId: {request_id} Error: Runtime exited with error: {status}"),
            ),
            Self::TimedOut => Invoked::failed(
                "Sandbox.Timedout",
                &format!(
                    "RequestId: {request_id} Error: Task timed out after {}.00 seconds",
                    function.timeout_s
                ),
            ),
        }
    }
}

/// Runs one instance from its start to its end.
pub(super) async fn run(pool: Arc<Pool>, id: Uuid, function: Arc<Function>, ends: watch::Receiver<Instant>) {
    let end = match spawn(&pool, id, &function) {
        Ok(child) => {
            pool.has_pid(id, child.id().unwrap_or_default());
            supervise(&pool, &function, child, ends).await
        }
        Err(err) => End::NotStarted(err),
    };
    pool.ended(id, &end);
}

fn spawn(pool: &Pool, id: Uuid, function: &Function) -> io::Result<Child> {
    let program: PathBuf = match pool.config.overrides.get(&function.name) {
        Some(program) => program.clone(),
        None => pool.config.bin_dir.join(&function.binary),
    };
    let variables = environment::of(function, &pool.config, &pool.region, &program);
    Command::new(&program)
        .env_clear()
        .envs(variables)
        .env("AWS_LAMBDA_RUNTIME_API", pool.runtime_api(id))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn supervise(
    pool: &Pool,
    function: &Function,
    mut child: Child,
    mut ends: watch::Receiver<Instant>,
) -> End {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let output = async { tokio::join!(pump(pool, function, stdout), pump(pool, function, stderr)) };
    tokio::pin!(output);
    let mut drained = false;
    let end = loop {
        let deadline = *ends.borrow_and_update();
        tokio::select! {
            status = child.wait() => break status.map_or_else(End::NotStarted, End::Exited),
            () = sleep_until(deadline) => {
                // The process may have ended in the same moment; then there is nothing to kill.
                drop(child.kill().await);
                break End::TimedOut;
            }
            _ = &mut output, if !drained => drained = true,
            Ok(()) = ends.changed() => {}
        }
    };
    if !drained {
        // A grandchild may hold the pipe open, so the wait for the last lines has an end.
        drop(timeout(DRAIN, output).await);
    }
    end
}

async fn pump(pool: &Pool, function: &Function, stream: Option<impl AsyncRead + Unpin>) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        (pool.config.log)(&function.name, text.trim_end());
        line.clear();
    }
}
