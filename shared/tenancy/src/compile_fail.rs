//! What must not compile, each beside its twin that does: they differ by one thing. The code of the one error that each
//! has is named; `.ci/run` has it compared, which a stable rustdoc does not do unasked.
//!
//! A scope comes from the entrance, and from nowhere else:
//! ```no_run
//! # use insula_tenancy::{Entrance, Operation, Problem, Tenant, TenantScope};
//! async fn scope(entrance: &Entrance, tenant: Tenant, call: Operation) -> Result<TenantScope, Problem> {
//!     Ok(entrance.enter(tenant, call).await?.0)
//! }
//! ```
//! ```compile_fail,E0451
//! # use insula_tenancy::{Entrance, Operation, Problem, Tenant, TenantScope};
//! async fn scope(entrance: &Entrance, tenant: Tenant, call: Operation) -> Result<TenantScope, Problem> {
//!     Ok(TenantScope { ..entrance.enter(tenant, call).await?.0 })
//! }
//! ```
//!
//! A tenant is entered once:
//! ```compile_fail,E0382
//! # use insula_tenancy::{Entrance, Operation, Problem, Tenant, TenantScope};
//! async fn scope(entrance: &Entrance, tenant: Tenant, call: Operation) -> Result<TenantScope, Problem> {
//!     entrance.enter(tenant, call.clone()).await?;
//!     Ok(entrance.enter(tenant, call).await?.0)
//! }
//! ```
//!
//! A tenant comes from the resolver, and can be neither made nor copied:
//! ```no_run
//! # use insula_tenancy::{Evidence, Position, Problem, Resolver, Tenant};
//! async fn tenant(resolver: &Resolver, at: Position, evidence: &Evidence) -> Result<Tenant, Problem> {
//!     resolver.resolve(at, evidence).await
//! }
//! fn moved(tenant: Tenant) -> Tenant { tenant }
//! ```
//! ```compile_fail,E0451
//! # use insula_tenancy::{Evidence, Position, Problem, Resolver, Tenant};
//! async fn tenant(resolver: &Resolver, at: Position, evidence: &Evidence) -> Result<Tenant, Problem> {
//!     Ok(Tenant { ..resolver.resolve(at, evidence).await? })
//! }
//! ```
//! ```compile_fail,E0599
//! # use insula_tenancy::Tenant;
//! fn copied(tenant: Tenant) -> Tenant { tenant.clone() }
//! ```
//!
//! A tenant's id is not made from text, as a slug is:
//! ```no_run
//! let slug: insula_tenancy::Slug = "acme".parse().unwrap();
//! ```
//! ```compile_fail,E0277
//! let id: insula_tenancy::TenantId = "acme".parse().unwrap();
//! ```
//!
//! Nor is it read from a message, as a text is:
//! ```no_run
//! let text: String = serde_json::from_str("").unwrap();
//! ```
//! ```compile_fail,E0277
//! let id: insula_tenancy::TenantId = serde_json::from_str("").unwrap();
//! ```
//!
//! Nor can its maker be called outside of the kernel, where an id can only be shown:
//! ```no_run
//! # use insula_tenancy::TenantId;
//! fn shown(id: &TenantId) -> String { id.to_string() }
//! ```
//! ```compile_fail,E0624
//! # use insula_tenancy::TenantId;
//! fn read(text: &str) -> Option<TenantId> { TenantId::read(text) }
//! ```
//!
//! What a scope is asked by is an item's name, which is made from text and never from a tenant:
//! ```no_run
//! # use insula_tenancy::{ItemId, Problem, Record, Stored, TenantScope};
//! async fn get<R: Record>(scope: &TenantScope, id: &ItemId) -> Result<Stored<R>, Problem> {
//!     scope.get(id).await
//! }
//! fn named(text: &str) -> ItemId { text.parse().unwrap() }
//! ```
//! ```compile_fail,E0308
//! # use insula_tenancy::{Problem, Record, Stored, TenantId, TenantScope};
//! async fn get<R: Record>(scope: &TenantScope, id: &TenantId) -> Result<Stored<R>, Problem> {
//!     scope.get(id).await
//! }
//! ```
//! ```compile_fail,E0277
//! # use insula_tenancy::{ItemId, TenantId};
//! fn named(tenant: TenantId) -> ItemId { tenant.into() }
//! ```
//!
//! A listing goes on by a cursor, which is sealed text. It has no place for a tenant:
//! ```no_run
//! # use insula_tenancy::{Query, TenantId};
//! fn next<'q>(cursor: &'q str, tenant: &'q TenantId) -> Query<'q> {
//!     Query { cursor: Some(cursor), ..Query::default() }
//! }
//! ```
//! ```compile_fail,E0308
//! # use insula_tenancy::{Query, TenantId};
//! fn next<'q>(cursor: &'q str, tenant: &'q TenantId) -> Query<'q> {
//!     Query { cursor: Some(tenant), ..Query::default() }
//! }
//! ```
//! ```compile_fail,E0560
//! # use insula_tenancy::{Query, TenantId};
//! fn next<'q>(cursor: &'q str, tenant: &'q TenantId) -> Query<'q> {
//!     Query { cursor: Some(cursor), tenant, ..Query::default() }
//! }
//! ```
