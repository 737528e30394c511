//! The way to a tenant's credentials and data key, when a call on it goes wrong: of the function that was asked, of `vend`
//! in its own process, of STS or of KMS.

use insula_local::aws::Whose;
use insula_tenancy::Tier;

use super::{
    Books, Guest, House, Said,
    door::{Turn, in_every_way},
    outside::Sharing,
    unique,
};
use crate::audit::chains::verify;

/// Two instances, of which the first has met nobody that it is asked for.
async fn houses() -> [House; 2] {
    let house = House::open().await;
    let other = House::before(house.stack).await;
    [house, other]
}

/// Somebody new puts a secret, for which there has to be a session and a data key: how many calls there were.
async fn make_key([house, other]: &[House; 2], turn: Turn) -> usize {
    let guest = Guest::make(house, &format!("new-{}", unique()), Tier::Professional).await;
    let sharing = Sharing::over(guest).await;
    let (own, put) = (&sharing.guest.own, sharing.put().keyed(&unique()));
    let (first, seen) = turn.run(house, Whose::Callers, sharing.guest.ask(house, &put)).await;
    let of = format!("{turn:?} of {seen:?}");
    let books =
        async || Books::read(house, own).await.unwrap_or_else(|wrong| panic!("{of}: {wrong}, {first:?}"));
    let middle = books().await;
    if first.as_ref().is_some_and(Said::is_done) {
        assert_eq!(middle.done(), 1, "{of}: {first:?}");
    }
    let again = sharing.guest.ask(if turn.call.is_multiple_of(2) { house } else { other }, &put).await;
    assert!(again.is_done(), "{of}: {again:?} after {first:?}");
    house.stack.local.aws.release().await;
    let after = books().await;
    assert_eq!(after.done(), 1, "{of}: {first:?}");
    assert!(middle.done() == 0 || middle.kept == after.kept, "{of}: {first:?}");
    if let Some(first) = first.filter(Said::is_done) {
        assert_eq!(first, again, "{of}");
    }
    // The key that sealed it is the one that was kept.
    let share = sharing.note(other).await;
    let said = sharing.guest.ask(other, &share.ask.clone().keyed(&unique())).await;
    assert!(said.is_done() && sharing.posts(&share) == 1, "{of}: {said:?}");
    assert!(verify(house.stack, own).await.is_ok(), "{of}");
    seen.calls.len()
}

/// An instance that has not met the tenant opens its secret and calls its webhook: how many calls there were.
async fn open_secret([house, other]: &[House; 2], turn: Turn) -> usize {
    let sharing = Sharing::make(other).await;
    let share = sharing.note(other).await;
    let ask = share.ask.clone().keyed(&unique());
    let before = Books::read(house, &sharing.guest.own).await.unwrap();
    let (first, seen) = turn.run(house, Whose::Callers, sharing.guest.ask(house, &ask)).await;
    let of = format!("{turn:?} of {seen:?}");
    let again = sharing.guest.ask(house, &ask).await;
    house.stack.local.aws.release().await;
    sharing.check([house, other], &share, (&before, first.as_ref(), &again), &of).await;
    assert!(verify(house.stack, &sharing.guest.own).await.is_ok(), "{of}");
    seen.calls.len()
}

#[tokio::test]
async fn a_fault_on_the_way_to_a_new_data_key_leaves_nothing_half_done() {
    let houses = houses().await;
    in_every_way(0, async |turn| make_key(&houses, turn).await).await;
}

#[tokio::test]
async fn a_fault_on_the_way_to_a_secret_that_is_used_outside_leaves_nothing_half_done() {
    let houses = houses().await;
    in_every_way(3, async |turn| open_secret(&houses, turn).await).await;
}
