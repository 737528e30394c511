//! The kernel: who the tenant is, and the only way to its data.
//!
//! A request goes through four types, each made from the one before, by value: [`Bearer`] → claims → [`Tenant`] →
//! [`TenantScope`]. Whoever holds a scope can name one tenant's data and nobody else's.

mod admission;
mod alarm;
mod audit;
mod aws;
mod cache;
mod canonical;
mod clock;
mod collection;
#[cfg(doctest)]
mod compile_fail;
mod config;
mod crypto;
mod denials;
mod domain;
mod egress;
mod entrance;
mod events;
mod evidence;
mod feature;
mod fetch;
mod gauge;
mod invoke;
mod key;
mod keys;
mod meter;
mod metric;
pub mod operator;
mod plan;
mod problem;
mod profile;
mod quota;
mod record;
mod recount;
mod registrant;
mod registrar;
mod registry;
mod resolve;
mod rollup;
mod scope;
mod search;
mod seats;
mod settings;
mod settle;
mod signed;
mod site;
mod slug;
mod staged;
mod tenant;
mod token;
mod turnstile;
mod vault;
mod vend;
mod watch;

pub use admission::{Admission, Committed, Door, Idempotency, Opened, Operation, Outcome, StateSeal};
pub use alarm::{Attempt, Crossing};
pub use audit::{
    AUDIT_PAGE_MAX, AuditPage, AuditQuery, AuditRecord, Break, CountedDenials, Decision, Head, Resource,
    Verified, Who, Wrong,
};
pub use aws::Access;
pub use cache::Cacheable;
pub use clock::{Clock, Moment, MomentError};
pub use collection::Collection;
pub use config::{BaseDomain, Config, ConfigError, Edge};
pub use domain::{Challenge, Domain, DomainError};
pub use entrance::{
    Entrance, start_entrance, start_entrance_at, start_registrar, start_resolver, start_vend,
};
pub use evidence::{Bearer, EventKind, Evidence};
pub use feature::{Feature, Overrides};
pub use gauge::Gauge;
pub use invoke::Answered;
pub use key::{CollectionName, CollectionNameError, ItemId, ItemIdError};
pub use meter::{Meter, StreamEvent, StreamReply, start_meter, start_meter_at};
pub use plan::{AuditEnd, Erasure, Limits, Moving, Placement, Plan, Spread};
pub use problem::{Cause, Denial, Problem, Unauthenticated};
pub use profile::Profile;
pub use quota::{Quota, QuotaKind, Reset};
pub use record::{INDEXES_MAX, Indexed, RECORD_BYTES_MAX, Record, Stored};
pub use recount::{Recounted, Stock};
pub use registrar::{DomainReply, DomainRequest, NoAnswer, Registrar, Unproved, Verdict};
pub use resolve::{Position, Resolver, ResourceMetadata};
pub use rollup::{Latency, Period, PeriodError, Rollup, Tally};
pub use scope::{
    ASSET_BYTES_MAX, ASSETS_MAX, Activity, Asset, AssetEntry, AssetName, AssetNameError, AssetPut, BATCH_MAX,
    Checked, DOMAINS_MAX, Direction, DomainEntry, DomainState, HITS_MAX, ImageType, Items, Member, Order,
    PAGE_MAX, Page, Query, Resealed, SECRET_BYTES_MAX, SECRETS_MAX, SecretEntry, SecretName, SecretNameError,
    SecretPut, StoredSettings, TenantScope, Transact, Usage,
};
pub use search::{Hit, Searchable};
pub use settings::{
    Branding, BrandingSettings, Color, ColorError, ColorName, Colors, ConfirmDeletes, Email, EmailTemplate,
    EmailTexts, Fault, Integration, Integrations, PRODUCT, Pattern, SETTINGS_BYTES_MAX, Settings,
    ToolSettings, Variable,
};
pub use settle::{Effect, Keep};
pub use site::{Place, Site};
pub use slug::{Slug, SlugError};
pub use staged::{WRITES_MAX, WRITTEN_BYTES_MAX};
pub use tenant::{Caller, Role, Status, Tenant, TenantId, Tier, UnknownWord};
pub use vend::{Grant, Vend, VendReply, VendRequest};
