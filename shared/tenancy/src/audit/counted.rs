//! One record for many denials of a tenant's, written by the first of its calls after their window.

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{Put, TransactWriteItem},
};

use super::{Chain, Decision, Entry, Link, Stage};
use crate::{Plan, Problem, aws::store_problem, denials::Counted, scope::Room};

const DOING: &str = "recording denials";

impl Room {
    /// Writes what was counted in a window that has ended. What can't be written now is written later: this call has
    /// nothing to do with it.
    pub(crate) async fn write_denials(&self) {
        // Nothing is written that a move would have to copy again.
        if self.plan.moving.is_some() {
            return;
        }
        let Some(counted) = self.denials.take_ended(&self.tenant) else { return };
        if let Err(problem) = self.write_counted(&counted).await {
            let cause = std::error::Error::source(&problem).map(ToString::to_string);
            tracing::warn!(cause, "denials could not be recorded yet");
            self.denials.put_back(&self.tenant, &counted);
        }
    }

    async fn write_counted(&self, counted: &Counted) -> Result<(), Problem> {
        let now = self.clock.now();
        let code = match counted.codes.first_key_value() {
            Some((code, _)) if counted.codes.len() == 1 => code,
            _ => "several",
        };
        let entry = Entry {
            caller: None,
            action: "calls",
            decision: Decision::Denied,
            stage: Stage::Whole,
            code,
            door: None,
            resources: &[],
            epoch: self.plan.epoch,
            request_id: "",
            duration_ms: 0,
            counted: Some(counted),
            ended: &self.chains.take_ended(&self.tenant),
        };
        let chain = self.chains.take(&self.tenant, now)?;
        let link = chain.link(&self.tenant, now, &entry)?;
        if self.add_record(&self.plan, (chain, link)).await? {
            return Ok(());
        }
        Err(Problem::Unavailable { doing: DOING, source: None })
    }

    /// Adds a record where the trail is under this plan, which holds only if it still is the plan; `false` where it is not, or
    /// where somebody else was at it. The chain goes on as far as is known.
    pub(crate) async fn add_record(
        &self,
        plan: &Plan,
        (chain, link): (Chain, Link),
    ) -> Result<bool, Problem> {
        let table = plan.placement.table(self.plans.table(), &self.tenant);
        let put = Put::builder().table_name(&*table).set_item(Some(link.item.clone()));
        let put = put.condition_expression("attribute_not_exists(pk)").build().map_err(fault)?;
        let still = plan.still(self.plans.table(), &self.tenant, plan.spread.any()?).map_err(fault)?;
        let items = vec![still, TransactWriteItem::builder().put(put).build()];
        let sent = self.store.client.transact_write_items().set_transact_items(Some(items)).send().await;
        match sent {
            Ok(_) => {
                self.chains.keep(&self.tenant, chain.after(link));
                Ok(true)
            }
            Err(err) if err.as_service_error().is_some_and(|err| err.is_transaction_canceled_exception()) => {
                self.chains.keep_without(&self.tenant, chain, &link);
                Ok(false)
            }
            // Where no reply came, nobody knows whether the record is there: then the chain ends.
            Err(err) => Err(store_problem(DOING, err)),
        }
    }
}

fn fault(err: BuildError) -> Problem {
    Problem::internal(DOING, err)
}
