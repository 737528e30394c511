//! One call, admitted exactly once: its charge, its audit record, its idempotency record and its writes become
//! durable in one transaction, or none of them does.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::{
    Problem,
    aws::store_problem,
    clock::{Clock, Moment},
    crypto::{Purpose, Ring, random_bits, sha256},
    key::Family,
    plan::Plan,
    scope::Room,
    tenant::{Status, TenantId},
};

mod transaction;

use transaction::{Cancelled, Transaction, Window};

/// How long a client may repeat a call under its key.
const KEY_TTL_S: i64 = 24 * 3600;
/// How long an answer to a question may take.
const STATE_TTL_S: i64 = 600;
/// Bytes of a result that is kept for replays.
const RESULT_BYTES_MAX: usize = 256 * 1024;
/// Turns of the transaction: a newer plan, a turned minute, and what is left for conflicts with other calls.
const ATTEMPTS_MAX: u32 = 8;

/// What is about to be done, for the charge and the audit record.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The tool's name.
    pub action: String,
    /// The client's own idempotency key, if it sent one.
    pub idempotency_key: Option<String>,
    /// The arguments in one canonical form: only their hash is kept.
    pub arguments: Vec<u8>,
    /// API Gateway's request id.
    pub request_id: String,
}

/// The right to do one operation, still to be charged for.
#[derive(Debug)]
pub struct Admission {
    room: Arc<Room>,
    plan: Plan,
    operation: Operation,
    arguments_hash: String,
    /// The name of the idempotency record, where the client gave a key.
    name: Option<String>,
    ring: Ring,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It did what it was asked: its writes become durable, and a replay gets this result, byte for byte.
    Done {
        /// The result.
        result: &'a str,
    },
    /// It only reads: nothing is written but the charge, and a replay reads again.
    Read,
    /// It did nothing, and says so in this word: it is charged, its writes are dropped, its key stays free.
    Failed {
        /// The problem's code.
        code: &'a str,
    },
}

impl Outcome<'_> {
    const fn code(&self) -> &str {
        match self {
            Self::Done { .. } | Self::Read => "ok",
            Self::Failed { code } => code,
        }
    }
}

/// Seals what an `input_required` result must bring back: good for one tenant, caller and operation with the same
/// arguments, for ten minutes.
#[derive(Debug, Clone)]
pub struct StateSeal {
    ring: Ring,
    tenant: TenantId,
    context: String,
    clock: Clock,
}

impl StateSeal {
    /// The sealed form; `None` if the AEAD fails.
    #[must_use]
    pub fn seal(&self, text: &str) -> Option<String> {
        let until_s = self.clock.now().plus_s(STATE_TTL_S).seconds();
        self.ring.seal(Purpose::RequestState, &self.tenant, &self.context, &format!("{until_s} {text}"))
    }

    /// What was sealed; `None` when it was altered, is another's, or has expired.
    #[must_use]
    pub fn open(&self, sealed: &str) -> Option<String> {
        let opened = self.ring.open(Purpose::RequestState, &self.tenant, &self.context, sealed)?;
        let (until, text) = opened.split_once(' ')?;
        (self.clock.now().seconds() < until.parse::<i64>().ok()?).then(|| text.to_owned())
    }
}

/// A committed operation.
#[derive(Debug, PartialEq, Eq)]
pub enum Committed {
    /// Charged now, and every staged write is durable.
    Now,
    /// The same operation was charged before; nothing was written. Its kept result, if it keeps one.
    Before(Option<String>),
}

impl Admission {
    pub(crate) async fn new(room: Arc<Room>, plan: Plan, operation: Operation) -> Result<Self, Problem> {
        let ring = room.sealer.ring().await?;
        let name = match &operation.idempotency_key {
            Some(key) => {
                let caller = &room.caller;
                let parts = [&*caller.issuer, &caller.subject, &caller.client, &operation.action, key];
                let name = ring.name(Purpose::Idempotency, &room.tenant, &parts);
                Some(name.ok_or_else(|| Problem::internal("naming", "there is no platform key"))?)
            }
            None => None,
        };
        let arguments_hash = sha256(&operation.arguments);
        Ok(Self { room, plan, operation, arguments_hash, name, ring })
    }

    /// Whether this operation was done before under the client's key: then the result that it had.
    ///
    /// # Errors
    /// [`Problem::IdempotencyMismatch`] when the key was used with other arguments.
    pub async fn replay(&self) -> Result<Option<Committed>, Problem> {
        let Some(name) = &self.name else { return Ok(None) };
        let reply = self
            .room
            .store
            .client
            .get_item()
            .table_name(&*self.room.table)
            .key("pk", AttributeValue::S(Family::Idempotency(name).of(&self.room.tenant)))
            .key("sk", AttributeValue::S("IDEM".to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|err| store_problem("reading an idempotency record", err))?;
        let now_s = self.room.clock.now().seconds();
        match reply.item {
            Some(item) if !expired(&item, now_s) => self.same(&item).map(Some),
            _ => Ok(None),
        }
    }

    /// The seal of this operation's state.
    #[must_use]
    pub fn state_seal(&self) -> StateSeal {
        let caller = &self.room.caller;
        let parts =
            [&*caller.issuer, &caller.subject, &caller.client, &self.operation.action, &self.arguments_hash];
        StateSeal {
            ring: self.ring.clone(),
            tenant: self.room.tenant.clone(),
            context: parts.join("\0"),
            clock: self.room.clock.clone(),
        }
    }

    /// Records that the operation is refused before it ran. It is not charged.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer: a refusal without a record is none to rely on.
    pub async fn refuse(self, problem: &Problem) -> Result<(), Problem> {
        self.room.staged().close();
        self.record_denial(problem.code()).await
    }

    /// Charges, records and writes, all or nothing. What is staged after this is refused.
    ///
    /// # Errors
    /// [`Problem::QuotaReached`], [`Problem::Suspended`], [`Problem::Conflict`] when a record that was read has
    /// changed, [`Problem::IdempotencyMismatch`], [`Problem::Unavailable`] when the store does not answer in time.
    pub async fn commit(mut self, outcome: Outcome<'_>) -> Result<Committed, Problem> {
        let writes = self.room.staged().close();
        // An operation that failed is charged and recorded, and changes nothing.
        let writes = if matches!(outcome, Outcome::Done { .. }) { writes } else { BTreeMap::new() };
        if let (Some(_), Outcome::Done { result }) = (&self.name, outcome)
            && result.len() > RESULT_BYTES_MAX
        {
            let bytes = result.len();
            return Err(Problem::TooLarge { what: "result", bytes_max: RESULT_BYTES_MAX, bytes });
        }
        let mut window = Window::Opened;
        let mut refreshed = false;
        for attempt in 0..ATTEMPTS_MAX {
            let now = self.room.clock.now();
            let transaction = Transaction {
                admission: &self,
                outcome,
                writes: &writes,
                window,
                now,
                audit_key: audit_key(now)?,
            };
            match transaction.send().await? {
                Ok(()) => return Ok(Committed::Now),
                Err(Cancelled::Done(item)) => return self.same(&item),
                Err(Cancelled::Plan) if !refreshed => {
                    refreshed = true;
                    self.refresh().await?;
                }
                Err(Cancelled::Meter(meter)) => window = self.next_window(&meter, now).await?,
                Err(Cancelled::Write) => {
                    let detail = "a record that this call read has changed meanwhile".to_owned();
                    return Err(Problem::Conflict { detail });
                }
                Err(Cancelled::Plan | Cancelled::Contended) => {
                    let pause_ms = 10_u64.saturating_mul(1 << attempt.min(5));
                    tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
                }
            }
        }
        Err(Problem::Unavailable { doing: "committing a call", source: None })
    }

    /// Reads the plan again, since the operator has changed it; a tenant that is suspended meanwhile ends here.
    async fn refresh(&mut self) -> Result<(), Problem> {
        let room = &self.room;
        self.plan = Plan::fetch(&room.store.client, &room.table, &room.tenant).await?;
        if self.plan.status == Status::Suspended {
            return Err(Problem::Suspended);
        }
        Ok(())
    }

    /// Which window to try next, seeing the meter as it was when the condition failed; or which quota is used up.
    async fn next_window(&self, meter: &Meter, now: Moment) -> Result<Window, Problem> {
        let limits = self.plan.limits;
        let quota = |kind, limit, used, resets_at_s: i64| {
            let retry_after_s = u64::try_from(resets_at_s.saturating_sub(now.seconds())).unwrap_or(1).max(1);
            crate::problem::Quota { kind, limit, used, resets_at_s, retry_after_s }
        };
        let reached = if meter.calls >= limits.calls_month {
            quota("tool_calls_month", limits.calls_month, meter.calls, now.next_month_s())
        } else if meter.minute >= now.minute() && meter.minute_calls >= limits.calls_minute {
            let resets_at_s = meter.minute.saturating_add(1).saturating_mul(60);
            quota("tool_calls_minute", limits.calls_minute, meter.minute_calls, resets_at_s)
        } else if meter.minute >= now.minute() {
            // Another instance opened this minute, or its clock is a little ahead: its minute counts.
            return Ok(Window::Running(meter.minute));
        } else {
            return Ok(Window::Opened);
        };
        self.record_denial("quota_reached").await?;
        Err(Problem::QuotaReached(Box::new(reached)))
    }

    /// The audit record of a refusal, durable before the caller hears of it.
    async fn record_denial(&self, code: &str) -> Result<(), Problem> {
        let now = self.room.clock.now();
        let item = self.audit_item(now, audit_key(now)?, code, "denied");
        self.room
            .store
            .client
            .put_item()
            .table_name(&*self.room.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await
            .map_err(|err| store_problem("recording a refusal", err))?;
        Ok(())
    }

    fn audit_item(
        &self,
        now: Moment,
        key: String,
        code: &str,
        decision: &str,
    ) -> HashMap<String, AttributeValue> {
        let Self { room, operation, plan, .. } = self;
        let text = |s: &str| AttributeValue::S(s.to_owned());
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(Family::Audit(&now.day()).of(&room.tenant))),
            ("sk".to_owned(), AttributeValue::S(key)),
            ("at".to_owned(), AttributeValue::S(now.rfc3339())),
            ("subject".to_owned(), text(&room.caller.subject)),
            ("issuer".to_owned(), text(&room.caller.issuer)),
            ("client".to_owned(), text(&room.caller.client)),
            ("action".to_owned(), text(&operation.action)),
            ("decision".to_owned(), text(decision)),
            ("code".to_owned(), text(code)),
            ("epoch".to_owned(), AttributeValue::N(plan.epoch.to_string())),
            ("request_id".to_owned(), text(&operation.request_id)),
        ])
    }

    /// What a record of the same name means: a replay, if the arguments are the same.
    fn same(&self, item: &HashMap<String, AttributeValue>) -> Result<Committed, Problem> {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
        if text("arguments") != Some(&self.arguments_hash) {
            return Err(Problem::IdempotencyMismatch);
        }
        Ok(Committed::Before(text("result").cloned()))
    }
}

/// The month's counters as they were when a condition on them failed. A row that is missing counts nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Meter {
    calls: u64,
    minute: i64,
    minute_calls: u64,
}

/// The sort key of an audit record: its time, and 128 random bits, so that no record can meet another.
fn audit_key(now: Moment) -> Result<String, Problem> {
    Ok(format!("{}#{}", now.rfc3339(), TenantId::spell(random_bits()?)))
}

fn expired(item: &HashMap<String, AttributeValue>, now_s: i64) -> bool {
    let ttl = item.get("ttl").and_then(|value| value.as_n().ok()).and_then(|text| text.parse::<i64>().ok());
    ttl.is_none_or(|until_s| until_s <= now_s)
}
