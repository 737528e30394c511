//! An erasure that ends at any of its calls, and is taken up.

use insula_tenancy::{
    AuditEnd, Clock, Period, Problem, Status, Tier,
    operator::{Erased, Operator, OperatorAuthority},
};
use serde_json::json;

use super::{change_plan, erasure, moved, own_key, places, rows_with, suspend};
use crate::{
    ask::{Own, on_stack},
    faults::{Ask, Guest, House, Kind, Plan, Session, access, settings, unique},
};

/// Erasures that end early.
const TURNS: usize = 9;

async fn guest(house: &House) -> Guest {
    let guest = Guest::make(house, &format!("erase-{}", unique()), Tier::Business).await;
    for n in 0..2 {
        let note = json!({ "title": format!("{n}"), "text": "" });
        let said = guest.ask(house, &Ask::tool("notes_create", note).keyed(&unique())).await;
        assert!(said.is_done(), "{said:?}");
    }
    own_key(house.stack, &guest.own).await;
    moved(house.stack, &guest.own).await;
    suspend(house.stack, &guest.own.id).await;
    guest
}

async fn run(eraser: &Operator, own: &Own) -> Result<Erased, Problem> {
    eraser.begin_erasure(&own.id, &own.id.to_string(), &erasure(AuditEnd::Removed)).await?;
    eraser.erase_tenant(&own.id).await
}

#[tokio::test]
async fn an_erasure_that_ends_at_any_call_is_taken_up_and_leaves_the_same_as_any_other() {
    let house = House::open().await;
    let at = access(house.stack, "EraserRole");
    let eraser = Operator::open_at(&OperatorAuthority::ambient(), &settings(house.stack), at).await.unwrap();
    let left = async |own: &Own| {
        let rows = rows_with(house.stack, &[&own.id.to_string(), &own.slug]).await;
        places(own, &rows)
    };
    let whole = guest(&house).await.own;
    // No erasure makes so many calls, so nothing goes wrong with this one.
    let session = Session::new(Plan::At { call: usize::MAX, kind: Kind::Cut, every_try: false });
    session.run(run(&eraser, &whole)).await.unwrap().unwrap();
    let (calls, expected) = (session.calls().len(), left(&whole).await);
    assert!(calls > 20 && expected.len() == 4, "{calls} {expected:?}");
    let kinds = [(Kind::CrashAfter, false), (Kind::CrashBefore, false), (Kind::Failed, true)];
    let step = calls.div_ceil(TURNS);
    // The last calls are those that say that it is done.
    for (turn, call) in (0..calls).step_by(step).chain([calls - 2, calls - 1]).enumerate() {
        let own = guest(&house).await.own;
        let (kind, every_try) = kinds[turn % kinds.len()];
        let session = Session::new(Plan::At { call, kind, every_try });
        let ended = session.run(run(&eraser, &own)).await;
        assert!(session.was_hit(), "{call} of {calls}");
        tokio::time::resume();
        // Whatever is gone already, nobody's bill fails for it.
        let (id, slug, month) = (own.id.clone(), own.slug.clone(), Period::month_of(Clock::System.now()));
        let bill = async move { house.stack.local.accountant.used(&id, &slug, &month).await };
        assert!(on_stack(house.stack, bill).await.is_ok(), "{kind:?} at {call} of {calls}");
        let again = run(&eraser, &own).await;
        again.unwrap_or_else(|problem| panic!("{kind:?} at {call}: {problem:?} after {ended:?}"));
        assert_eq!(left(&own).await, expected, "{kind:?} at {call} of {calls}");
        let back =
            change_plan(house.stack, &own.id, |plan| insula_tenancy::Plan { status: Status::Active, ..plan });
        assert_eq!(back.await.unwrap_err().code(), "conflict");
    }
}
