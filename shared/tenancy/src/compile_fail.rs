//! What must not compile, each beside its twin that does: they differ by one thing.
//!
//! A scope comes from the entrance, and from nowhere else:
//! ```no_run
//! # use insula_tenancy::{Entrance, Operation, Problem, Tenant, TenantScope};
//! async fn scope(entrance: &Entrance, tenant: Tenant, call: Operation) -> Result<TenantScope, Problem> {
//!     Ok(entrance.enter(tenant, call).await?.0)
//! }
//! ```
//! ```compile_fail
//! # use insula_tenancy::{Entrance, Operation, Problem, Tenant, TenantScope};
//! async fn scope(entrance: &Entrance, tenant: Tenant, call: Operation) -> Result<TenantScope, Problem> {
//!     Ok(TenantScope { room: entrance.enter(tenant, call).await?.0.room })
//! }
//! ```
//!
//! A tenant is entered once:
//! ```compile_fail
//! # use insula_tenancy::{Entrance, Operation, Problem, Tenant, TenantScope};
//! async fn scope(entrance: &Entrance, tenant: Tenant, call: Operation) -> Result<TenantScope, Problem> {
//!     entrance.enter(tenant, call.clone()).await?;
//!     Ok(entrance.enter(tenant, call).await?.0)
//! }
//! ```
//!
//! A tenant id is not made from text, as a slug is:
//! ```no_run
//! let slug: insula_tenancy::Slug = "acme".parse().unwrap();
//! ```
//! ```compile_fail
//! let slug: insula_tenancy::TenantId = "acme".parse().unwrap();
//! ```
//!
//! A tenant comes from the resolver, and can't be copied:
//! ```no_run
//! # use insula_tenancy::Tenant;
//! fn one(tenant: Tenant) -> Tenant { tenant }
//! ```
//! ```compile_fail
//! # use insula_tenancy::Tenant;
//! fn one(tenant: Tenant) -> Tenant { tenant.clone(); tenant }
//! ```
