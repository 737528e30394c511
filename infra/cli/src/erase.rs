//! `insula tenant erase`: a tenant removed for ever, on the laptop or in a deployment.

use std::time::Duration;

use clap::Args;
use insula_tenancy::{
    AuditEnd, Erasure, Slug, Status,
    operator::{Erased, ROUTE_TTL_S},
};

use crate::{
    operator::{At, said},
    say,
};

/// The longest that a function runs. Source: template.yaml, the stream's.
const TIMEOUT_S: u64 = 30;

/// Which tenant.
#[derive(Debug, Args)]
pub(crate) struct Erase {
    /// The tenant's slug.
    slug: Slug,
    /// The tenant's id, as `show` prints it: a slug that was mistyped erases nobody.
    #[arg(long)]
    id: String,
    /// Keeps the audit trail, without its callers, so that it still can be verified.
    #[arg(long)]
    keep_audit: bool,
    #[command(flatten)]
    at: At,
}

impl Erase {
    /// What instances began before they knew ends meanwhile, so that no row of theirs comes after the others went.
    pub(crate) async fn run(self) -> Result<(), String> {
        let Self { slug, id: confirmed, keep_audit, at } = self;
        let audit = if keep_audit { AuditEnd::Kept } else { AuditEnd::Removed };
        let erasure = Erasure { audit, collections: at.collections()? };
        let eraser = at.operator("EraserRole").await?;
        let id = eraser.find_tenant(&slug).await.map_err(said)?;
        let plan = eraser.begin_erasure(&id, &confirmed, &erasure).await.map_err(said)?;
        if plan.status == Status::Erasing {
            say("waiting until no instance knows the tenant any more\n")?;
            tokio::time::sleep(Duration::from_secs(ROUTE_TTL_S.saturating_add(TIMEOUT_S))).await;
        }
        let Erased { keys, rows, records } = eraser.erase_tenant(&id).await.map_err(said)?;
        say(&format!(
            "{slug}: erased; {keys} data keys and {rows} rows removed, {records} audit records kept\n"
        ))
    }
}
