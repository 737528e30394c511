//! A move to the tenant's own table, which ends at any of its calls and is taken up.

use insula_tenancy::{
    CollectionName, Placement, Tier,
    operator::{Operator, OperatorAuthority},
};
use serde_json::json;

use super::{Ask, Books, Guest, House, Kind, Plan, Session, access, settings, single::is_whole, unique};

/// Calls at which a move ends, where `FAULTS_WHOLE` does not ask for all of them.
const TURNS: usize = 5;

#[tokio::test]
async fn a_move_that_ends_at_any_call_is_taken_up_with_all_that_there_was() {
    let house = House::open().await;
    let guest = Guest::make(&house, "moving", Tier::Business).await;
    for n in 0..2 {
        let note = json!({ "title": format!("{n}"), "text": "" });
        let said = guest.ask(&house, &Ask::tool("notes_create", note).keyed(&unique())).await;
        assert!(said.is_done(), "{said:?}");
    }
    let at = access(house.stack, "MoverRole");
    let mover = Operator::open_at(&OperatorAuthority::ambient(), &settings(house.stack), at).await.unwrap();
    let collections: Vec<CollectionName> = vec!["notes".parse().unwrap()];
    let id = &guest.own.id;
    let before = Books::read(&house, &guest.own).await.unwrap();
    // No move makes so many calls, so nothing goes wrong with this one.
    let session = Session::new(Plan::At { call: usize::MAX, kind: Kind::Cut, every_try: false });
    for to in [Placement::Dedicated, Placement::Pooled] {
        session.run(mover.move_tenant(id, to, &collections)).await.unwrap().unwrap();
    }
    let calls = session.calls().len() / 2;
    assert!(calls > 10, "{calls}");
    let kinds = [(Kind::CrashAfter, false), (Kind::CrashBefore, false), (Kind::Failed, true)];
    let step = if is_whole() { 1 } else { calls.div_ceil(TURNS) };
    for (turn, call) in (0..calls).step_by(step).enumerate() {
        let (kind, every_try) = kinds[turn % kinds.len()];
        let session = Session::new(Plan::At { call, kind, every_try });
        let moved = session.run(mover.move_tenant(id, Placement::Dedicated, &collections)).await;
        assert!(session.was_hit(), "{call} of {calls}");
        tokio::time::resume();
        let again = mover.move_tenant(id, Placement::Dedicated, &collections).await;
        again.unwrap_or_else(|problem| panic!("{kind:?} at {call}: {problem:?} after {moved:?}"));
        // Nothing is left in the table of all, and everything comes back.
        let there = Books::read(&house, &guest.own).await.unwrap();
        assert_eq!((there.charged, there.done(), there.items()), (0, 0, 0), "{kind:?} at {call}");
        mover.move_tenant(id, Placement::Pooled, &collections).await.unwrap();
        assert_eq!(Books::read(&house, &guest.own).await.unwrap(), before, "{kind:?} at {call}");
    }
}
