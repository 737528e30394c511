//! The tenant's own domains: claimed, proved and given up.

use insula_gateway::rest::{Answer, Ask};
use insula_tenancy::{
    Admission, Challenge, Checked, DOMAINS_MAX, Domain, DomainEntry, DomainState, Effect, Keep, Outcome,
    Problem, TenantScope,
};
use serde::{Serialize, de::DeserializeOwned};

#[derive(Debug, Serialize)]
struct DomainsView {
    domains: Vec<DomainView>,
    /// How many there may be.
    limit: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct DomainView {
    domain: String,
    /// `pending`, `verified` or `failed`.
    state: &'static str,
    /// Why it failed: a stable word, and a sentence.
    reason: Option<&'static str>,
    detail: Option<String>,
    /// What is put into the DNS.
    record: RecordView,
    /// The MCP endpoint there, once the domain is verified.
    url: String,
    claimed: String,
    checked: Option<String>,
}

#[derive(Debug, Serialize)]
struct RecordView {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    value: String,
}

impl From<DomainEntry> for DomainView {
    fn from(entry: DomainEntry) -> Self {
        let DomainEntry { domain, state, challenge: Challenge { name, value }, resource, claimed, checked } =
            entry;
        let failed = match state {
            DomainState::Failed(why) => Some(why),
            DomainState::Pending | DomainState::Verified => None,
        };
        Self {
            domain: domain.to_string(),
            state: state.word(),
            reason: failed.map(|why| why.word()),
            detail: failed.map(|why| why.to_string()),
            record: RecordView { kind: "TXT", name, value },
            url: resource,
            claimed,
            checked,
        }
    }
}

pub(crate) async fn list(scope: TenantScope, _ask: Ask) -> Result<Answer, Problem> {
    let domains = scope.list_domains().await?.into_iter().map(DomainView::from).collect();
    Answer::ok(&DomainsView { domains, limit: DOMAINS_MAX })
}

pub(crate) async fn claim(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let (entry, is_new) = scope.claim_domain(&domain(&ask)?).await?;
    let path = format!("config/domains/{}", entry.domain);
    let view = DomainView::from(entry);
    if is_new { Answer::created(path, &view) } else { Answer::ok(&view) }
}

/// Two parts, each with a charge and a record of its own: the look into the DNS, which no transaction takes back, and what
/// is noted of it.
pub(crate) async fn verify(admission: Admission, ask: Ask) -> Result<Answer, Problem> {
    let domain = domain(&ask)?;
    let (scope, look) = admission.chunk(0);
    let work = async |scope: TenantScope| text(&scope.check_domain(&domain).await?);
    let checked: Checked = read(&look.settle(scope, Effect::Outside, work, KEPT).await?)?;
    let (scope, note) = admission.chunk(1);
    let work = async |scope: TenantScope| {
        text(&Answer::ok(&DomainView::from(scope.note_checked(&domain, &checked).await?))?)
    };
    read(&note.settle(scope, Effect::Write, work, KEPT).await?)
}

/// Two parts as well, in this order: what is claimed no more is never served.
pub(crate) async fn release(admission: Admission, ask: Ask) -> Result<Answer, Problem> {
    let domain = domain(&ask)?;
    let (scope, end) = admission.chunk(0);
    let work = async |scope: TenantScope| scope.release_domain(&domain).await.map(|()| String::new());
    end.settle(scope, Effect::Outside, work, KEPT).await?;
    let (scope, note) = admission.chunk(1);
    let work = async |scope: TenantScope| scope.unclaim_domain(&domain).await.map(|()| String::new());
    note.settle(scope, Effect::Write, work, KEPT).await?;
    Ok(Answer::no_content())
}

/// What a part came to is kept as its text.
const KEPT: Keep<String> = Keep { outcome: |result| Outcome::Done { result }, restore: Some };

fn domain(ask: &Ask) -> Result<Domain, Problem> {
    Ok(ask.parameter("domain")?.parse::<Domain>()?)
}

fn text(of: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(of).map_err(|err| Problem::internal("keeping an answer", err))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|err| Problem::internal("replaying a part", err))
}
