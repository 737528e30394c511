//! Calls of the store that are slow or cost much, by operation and tenant: seen by the SDK's own hooks, in one place.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
            FinalizerInterceptorContextRef,
        },
    },
    error::BoxError,
    operation::{
        batch_get_item::{BatchGetItemInput, BatchGetItemOutput},
        batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput},
        delete_item::{DeleteItemInput, DeleteItemOutput},
        get_item::{GetItemInput, GetItemOutput},
        put_item::{PutItemInput, PutItemOutput},
        query::{QueryInput, QueryOutput},
        transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput},
        update_item::{UpdateItemInput, UpdateItemOutput},
    },
    types::{ConsumedCapacity, ReturnConsumedCapacity},
};
use aws_smithy_runtime_api::client::{
    interceptors::context::{Input, Output},
    orchestrator::Metadata,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use crate::{clock::Clock, metric, tenant::TenantId};

/// A call that takes as long or longer is slow: all attempts of it and the waits between them.
const SLOW: Duration = Duration::from_millis(200);
/// A call that consumes as many units or more costs much: 50 KB in a transaction, or 400 KB that are read.
const COSTLY_UNITS: f64 = 100.0;
/// Bytes of lines that wait for the end of a call.
const WAITING_BYTES_MAX: usize = 16 * 1024;

/// What was seen since the last call ended.
pub(crate) struct Watch {
    namespace: Option<String>,
    clock: Clock,
    waiting: Mutex<String>,
}

/// The hooks of one tenant's client.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) watch: Arc<Watch>,
    pub(crate) tenant: TenantId,
}

#[derive(Debug)]
struct Began(Instant);

impl Storable for Began {
    type Storer = StoreReplace<Self>;
}

impl Watch {
    pub(crate) fn new(namespace: Option<String>, clock: Clock) -> Self {
        Self { namespace, clock, waiting: Mutex::default() }
    }

    /// Lines of metrics to write before the reply; nothing for most calls.
    pub(crate) fn take(&self) -> Option<String> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        (!waiting.is_empty()).then(|| std::mem::take(&mut *waiting))
    }

    fn see(&self, tenant: &TenantId, operation: &str, took: Duration, units: f64) {
        let (is_slow, is_costly) = (took >= SLOW, units >= COSTLY_UNITS);
        if !is_slow && !is_costly {
            return;
        }
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let units = units.ceil().to_string().parse::<u64>().unwrap_or(u64::MAX);
        tracing::warn!(tenant.id = %tenant, operation, duration_ms, units, "a slow or costly call of the store");
        let Some(namespace) = &self.namespace else { return };
        let metrics = [
            ("SlowStoreCalls", "Count", u64::from(is_slow)),
            ("CostlyStoreCalls", "Count", u64::from(is_costly)),
            ("StoreCallLatency", "Milliseconds", duration_ms),
            ("StoreCallUnits", "Count", units),
        ];
        let about = (namespace.as_str(), "a slow or costly call of the store");
        let line = metric::line(about, Some(tenant), Some(operation), self.clock.now(), &metrics) + "\n";
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len().saturating_add(line.len()) <= WAITING_BYTES_MAX {
            waiting.push_str(&line);
        }
    }
}

impl Intercept for Watched {
    fn name(&self) -> &'static str {
        "Watched"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(Began(Instant::now()));
        Ok(())
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        ask(context.input_mut());
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let took = cfg.load::<Began>().map(|Began(instant)| instant.elapsed()).unwrap_or_default();
        let units = match context.output_or_error() {
            Some(Ok(output)) => units(output),
            _ => 0.0,
        };
        let operation = cfg.load::<Metadata>().map_or("unknown", Metadata::name);
        self.watch.see(&self.tenant, operation, took, units);
        Ok(())
    }
}

/// Has the store say what a call consumes.
fn ask(input: &mut Input) {
    macro_rules! ask {
        ($($of:ty),*) => {
            $(if let Some(input) = input.downcast_mut::<$of>() {
                input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
                return;
            })*
        };
    }
    ask!(
        TransactWriteItemsInput,
        GetItemInput,
        QueryInput,
        BatchGetItemInput,
        PutItemInput,
        UpdateItemInput,
        DeleteItemInput,
        BatchWriteItemInput
    );
}

/// What the store says that a call has consumed.
fn units(output: &Output) -> f64 {
    let of = |one: &ConsumedCapacity| one.capacity_units.unwrap_or(0.0);
    macro_rules! said {
        ($($of:ty),*) => {
            $(if let Some(output) = output.downcast_ref::<$of>() {
                return output.consumed_capacity.iter().flatten().map(of).sum();
            })*
        };
    }
    macro_rules! said_once {
        ($($of:ty),*) => {
            $(if let Some(output) = output.downcast_ref::<$of>() {
                return output.consumed_capacity.as_ref().map_or(0.0, of);
            })*
        };
    }
    said!(TransactWriteItemsOutput, BatchGetItemOutput, BatchWriteItemOutput);
    said_once!(GetItemOutput, QueryOutput, PutItemOutput, UpdateItemOutput, DeleteItemOutput);
    0.0
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_slow_or_costly_is_seen() {
        let watch = Watch::new(Some("Insula/test".to_owned()), Clock::fixed_at_s(1_795_500_000));
        let tenant = TenantId::spell([7; 16]);
        let see = |took_ms, units| {
            watch.see(&tenant, "Query", Duration::from_millis(took_ms), units);
            watch.take().map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap())
        };
        assert_eq!(see(199, 99.5), None);
        let slow = see(200, 0.5).unwrap();
        assert_eq!((&slow["SlowStoreCalls"], &slow["CostlyStoreCalls"]), (&1.into(), &0.into()));
        assert_eq!((&slow["class"], &slow["tenant"]["id"]), (&"Query".into(), &tenant.as_str().into()));
        let costly = see(1, 100.5).unwrap();
        assert_eq!((&costly["SlowStoreCalls"], &costly["CostlyStoreCalls"]), (&0.into(), &1.into()));
        assert_eq!(costly["StoreCallUnits"], 101);
    }

    #[test]
    fn lines_that_nobody_takes_are_bounded() {
        let watch = Watch::new(Some("Insula/test".to_owned()), Clock::fixed_at_s(1_795_500_000));
        let tenant = TenantId::spell([7; 16]);
        for _ in 0..1_000 {
            watch.see(&tenant, "Query", SLOW, 0.0);
        }
        assert!(watch.take().unwrap().len() <= WAITING_BYTES_MAX);
        assert_eq!(watch.take(), None);
    }

    #[test]
    fn every_operation_of_a_tenant_is_asked_what_it_consumes() {
        let mut input = Input::erase(QueryInput::builder().table_name("t").build().unwrap());
        ask(&mut input);
        let asked = input.downcast_ref::<QueryInput>().unwrap().return_consumed_capacity.clone();
        assert_eq!(asked, Some(ReturnConsumedCapacity::Total));
        let capacity = ConsumedCapacity::builder().capacity_units(1.5).build();
        let output = TransactWriteItemsOutput::builder()
            .consumed_capacity(capacity.clone())
            .consumed_capacity(capacity);
        assert!((units(&Output::erase(output.build())) - 3.0).abs() < f64::EPSILON);
    }
}
