//! The embedded AWS: what the functions call instead of AWS, with the same signatures demanded and the same policies
//! enforced.

pub mod dynamodb;
mod emulated;
mod events;
pub mod front;
pub mod iam;
pub mod kms;
mod ledger;
mod mappings;
pub mod need;
pub mod reply;
pub mod secrets;
pub mod sessions;
pub mod sigv4;
mod sts;
mod trap;
mod wire;

pub use front::{Aws, Invoke, Invoked};
pub use ledger::{Fault, FaultKind};
pub(crate) use mappings::Mappings;
pub use sessions::{Credentials, Sessions};
pub use trap::{Trap, Trapped, Whose};
