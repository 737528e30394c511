//! A seat for everybody who is seen, taken at the entrance: one transaction, which does not go beyond the quota.

use std::time::Duration;

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update},
};
use moka::future::Cache;

use crate::{
    Plan, Problem, Quota, QuotaKind,
    aws::{is_passing, number, read_item, store_problem},
    key::{ItemId, Shelf},
    record::{Prepared, Raw, Stored},
    scope::{Member, Room, member_count, stock_key},
    tenant::{Role, TenantId},
};

/// For how long an instance does not look again whether somebody has a seat.
const SEEN_S: u64 = 60;
/// People whom an instance remembers.
const SEEN_MAX: u64 = 50_000;
/// Turns of a seat that is taken while others are, or while the plan changes.
const ATTEMPTS_MAX: u32 = 8;
const DOING: &str = "taking a seat";

/// Those who were seen with a seat a moment ago.
#[derive(Debug)]
pub(crate) struct Seats {
    seen: Cache<(TenantId, u64, ItemId, Role), ()>,
}

/// What came of a transaction.
enum Taken {
    Now,
    /// The plan is another than was thought.
    Plan,
    /// There is none left; so many are taken.
    None(u64),
    /// Somebody else was at the same rows.
    Contended,
}

impl Seats {
    pub(crate) fn new() -> Self {
        let ttl = Duration::from_secs(SEEN_S);
        Self { seen: Cache::builder().max_capacity(SEEN_MAX).time_to_live(ttl).build() }
    }

    /// Makes sure that the caller has a seat.
    ///
    /// # Errors
    /// [`Problem::QuotaReached`] when there is none left; [`Problem::Moving`] for somebody new while the tenant's data is
    /// moved; [`Problem::Suspended`].
    pub(crate) async fn take(&self, room: &Room) -> Result<(), Problem> {
        let id: ItemId = room.profile_id().parse().map_err(|err| Problem::internal(DOING, err))?;
        let key = (room.tenant.clone(), room.routed_epoch, id.clone(), room.caller.role);
        if self.seen.get(&key).await.is_some() {
            return Ok(());
        }
        Seat { room, id }.take().await?;
        self.seen.insert(key, ()).await;
        Ok(())
    }
}

/// The seat of one caller.
struct Seat<'r> {
    room: &'r Room,
    id: ItemId,
}

impl Seat<'_> {
    async fn take(&self) -> Result<(), Problem> {
        let mut plan = self.room.plan.clone();
        let mut is_new = false;
        for attempt in 0..ATTEMPTS_MAX {
            let table = plan.placement.table(self.room.plans.table(), &self.room.tenant);
            let found = self.find(&table).await?;
            let had = found.as_ref().map(Raw::typed::<Member>).transpose()?;
            if had.as_ref().is_some_and(|had| had.value.role == self.room.caller.role.word()) {
                return Ok(());
            }
            if plan.moving.is_some() && is_new {
                // Nothing may be written that the move would have to copy again. Who has a seat keeps it.
                return if had.is_some() { Ok(()) } else { Err(Problem::Moving) };
            }
            let taken = match plan.moving {
                // What is remembered may be over.
                Some(_) => Taken::Plan,
                None => self.write(&plan, &table, had.as_ref()).await?,
            };
            match taken {
                Taken::Now => return Ok(()),
                Taken::None(used) => {
                    let limit = plan.limits.members;
                    let contact = self.room.contact.clone();
                    let quota = Quota { kind: QuotaKind::Members, limit, used, resets: None, contact };
                    return Err(Problem::QuotaReached(Box::new(quota)));
                }
                Taken::Plan => {
                    plan = self.room.newer_plan().await?;
                    is_new = true;
                }
                Taken::Contended => {
                    let pause_ms = 10_u64.saturating_mul(1 << attempt.min(5));
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
            }
        }
        Err(Problem::Unavailable { doing: DOING, source: None })
    }

    async fn find(&self, table: &str) -> Result<Option<Raw>, Problem> {
        let key = Shelf::Members.key(&self.room.tenant, &self.id);
        let item = read_item(&self.room.store.client, table, key, "looking for a seat").await?;
        item.as_ref().map(Raw::read).transpose()
    }

    /// The plan as it was thought to be, the row of the member, and for somebody new one of the seats that are left.
    async fn write(&self, plan: &Plan, table: &str, had: Option<&Stored<Member>>) -> Result<Taken, Problem> {
        let still = plan.still(self.room.plans.table(), &self.room.tenant, 0).map_err(fault)?;
        let mut items = vec![still, self.member(table, had)?];
        if had.is_none() {
            items.push(self.count(plan, table)?);
        }
        let request = self.room.store.client.transact_write_items().set_transact_items(Some(items));
        let err = match request.send().await {
            Ok(_) => return Ok(Taken::Now),
            Err(err) => err,
        };
        let reasons = match err.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons()
            }
            _ => return Err(store_problem(DOING, err)),
        };
        let failed =
            |at: usize| reasons.get(at).filter(|reason| reason.code() == Some("ConditionalCheckFailed"));
        match (failed(0), failed(1), failed(2)) {
            (Some(_), ..) => Ok(Taken::Plan),
            // They have a seat, or another role, since a moment ago.
            (None, Some(_), _) => Ok(Taken::Contended),
            (None, None, Some(full)) => Ok(Taken::None(full.item().and_then(member_count).unwrap_or(0))),
            (None, None, None) if reasons.iter().any(is_passing) => Ok(Taken::Contended),
            (None, None, None) => Err(store_problem(DOING, err)),
        }
    }

    fn member(&self, table: &str, had: Option<&Stored<Member>>) -> Result<TransactWriteItem, Problem> {
        let caller = &self.room.caller;
        let member = Member {
            subject: caller.subject.clone(),
            issuer: caller.issuer.clone(),
            role: caller.role.word().to_owned(),
        };
        let now = self.room.clock.now().rfc3339();
        let raw = Raw {
            id: self.id.clone(),
            version: had.map_or(1, |had| had.version.saturating_add(1)),
            created: had.map_or_else(|| now.clone(), |had| had.created.clone()),
            updated: now,
            listed: false,
            prepared: Prepared::of(&member)?,
        };
        let put =
            Put::builder().table_name(table).set_item(Some(raw.item(&self.room.tenant, &Shelf::Members)));
        let put = match had {
            Some(had) => put
                .condition_expression("version = :before")
                .expression_attribute_values(":before", number(had.version)),
            None => put.condition_expression("attribute_not_exists(pk)"),
        };
        Ok(TransactWriteItem::builder().put(put.build().map_err(fault)?).build())
    }

    fn count(&self, plan: &Plan, table: &str) -> Result<TransactWriteItem, Problem> {
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(stock_key(&self.room.tenant)))
            .update_expression("ADD member_count :one, changes :one")
            .condition_expression(if plan.limits.members == 0 {
                "attribute_exists(member_count) AND member_count < :limit"
            } else {
                "attribute_not_exists(member_count) OR member_count < :limit"
            })
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":limit", number(plan.limits.members))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(fault)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

fn fault(err: aws_sdk_dynamodb::error::BuildError) -> Problem {
    Problem::internal(DOING, err)
}
