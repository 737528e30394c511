//! Every call of the store goes wrong in every way, one after the other and at random, and what the store has then is
//! whole.

mod books;
mod halves;
mod house;
mod operations;
mod wire;

pub(crate) use self::{
    books::Books,
    house::{Ask, Guest, House, Said, access, settings},
    wire::{Arrival, Dice, Kind, Plan, Session},
};

mod credentials;
mod domains;
mod door;
mod many;
mod moving;
mod outside;
mod refusals;
mod single;
mod stream;
mod tokens;
mod transact;

/// A word that no other turn of this process has.
pub(crate) fn unique() -> String {
    static TURNS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    format!("t{}", TURNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}
