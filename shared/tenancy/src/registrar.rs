//! Which domains are whose: proved in the DNS, and given to the first who proves it by one conditional put.

use std::{collections::HashMap, fmt};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use serde::{Deserialize, Serialize};

use crate::{
    Answered, Domain, Problem, Role,
    aws::{store_problem, text},
    clock::Clock,
    crypto::Sealer,
    registry::Row,
    resolve::Resolver,
    tenant::TenantId,
    vend::VendRequest,
};

/// What `config` asks `domains`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainRequest {
    /// Who is asking: the tenant is what this proves, and is said nowhere else.
    pub(crate) who: VendRequest,
    pub(crate) domain: Domain,
    pub(crate) deed: Deed,
}

/// What is to be done with a domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    /// Look for the proof of the claim with this nonce, and serve the tenant there if it is found before this second since
    /// 1970 UTC: then nobody waits for it any more, and the claim may have ended.
    Verify { nonce: String, until_s: i64 },
    /// Serve the tenant there no more; if only what this claim has brought about is to end, not what another has.
    Release { nonce: Option<String> },
}

/// What `domains` answers.
pub type DomainReply = Answered<Verdict>;

/// What came of a deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The proof was found, and the tenant is served at the domain.
    Verified,
    /// The tenant is not served there.
    Unproved(Unproved),
    /// The tenant is served there no more, or never was.
    Released,
}

/// Why a domain is not the tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unproved {
    /// There is no TXT record at the name.
    NoRecord,
    /// There are some, and none of them is the claim's own.
    OtherRecord,
    /// The DNS did not answer, or not in order.
    NoAnswer,
    /// The claim's record is there, and the domain is or was another tenant's.
    Taken,
}

/// The DNS did not answer whether there is a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoAnswer;

impl Unproved {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoRecord => "no_record",
            Self::OtherRecord => "other_record",
            Self::NoAnswer => "no_answer",
            Self::Taken => "taken",
        }
    }
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRecord => {
                "there is no TXT record of this name yet; what is put into the DNS can take some time to be seen"
            }
            Self::OtherRecord => "there are TXT records of this name, and none of them has this value",
            Self::NoAnswer => "the DNS did not answer; try again",
            Self::Taken => "the domain is or was in use by another workspace; the operator can say more",
        })
    }
}

impl fmt::Debug for DomainRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainRequest")
            .field("domain", &self.domain)
            .field("deed", &self.deed)
            .finish_non_exhaustive()
    }
}

/// The one writer of the registry's hosts.
#[derive(Debug)]
pub struct Registrar {
    pub(crate) resolver: Resolver,
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) sealer: Sealer,
    pub(crate) clock: Clock,
}

impl Registrar {
    /// Resolves the bearer again, with nothing remembered, and does the deed for the tenant that it proves, if it is an
    /// admin's. `look_up` gives the texts of a name's TXT records, each with its strings joined.
    pub async fn answer(
        &self,
        request: DomainRequest,
        look_up: impl AsyncFn(&str) -> Result<Vec<Vec<u8>>, NoAnswer>,
    ) -> DomainReply {
        DomainReply::of(self.decide(request, look_up).await)
    }

    async fn decide(
        &self,
        DomainRequest { who, domain, deed }: DomainRequest,
        look_up: impl AsyncFn(&str) -> Result<Vec<Vec<u8>>, NoAnswer>,
    ) -> Result<Verdict, Problem> {
        let tenant = who.resolve(&self.resolver).await?;
        tenant.demand_role(Role::Admin)?;
        domain.check_foreign(&self.resolver.config)?;
        let (nonce, until_s) = match deed {
            Deed::Verify { nonce, until_s } => (nonce, until_s),
            Deed::Release { nonce } => return self.release(&domain, &tenant.id, nonce.as_deref()).await,
        };
        let ring = self.sealer.ring().await?;
        let proofs = domain.proofs(&ring.shared(self.clock.now()), &tenant.id, &nonce)?;
        let is_proof = |text: &Vec<u8>| proofs.iter().any(|proof| proof.as_bytes() == text);
        let unproved = match look_up(&domain.challenge_name()).await {
            Ok(texts) if texts.iter().any(is_proof) => {
                return self.register(&domain, &tenant.id, (nonce, until_s)).await;
            }
            Ok(texts) if texts.is_empty() => Unproved::NoRecord,
            Ok(_) => Unproved::OtherRecord,
            Err(NoAnswer) => Unproved::NoAnswer,
        };
        Ok(Verdict::Unproved(unproved))
    }

    /// Of two who have proved it at once, one is the first. What was anybody's is nobody else's ever. First the domain is the
    /// claim's, and then it routes: a put that comes late, when the domain was released meanwhile, finds the claim gone.
    async fn register(
        &self,
        domain: &Domain,
        tenant: &TenantId,
        (nonce, until_s): (String, i64),
    ) -> Result<Verdict, Problem> {
        const FREE: &str = "attribute_not_exists(pk) OR (#owner = :owner AND attribute_not_exists(tenant))";
        const CLAIMED: &str = "#owner = :owner AND (claim = :claim OR attribute_exists(tenant))";
        const DOING: &str = "giving a domain to its claim";
        let claim = ("claim", text(&nonce));
        let reserved = self.put(domain, tenant, [claim.clone()], (FREE, &[])).await?;
        let now_s = self.clock.now().seconds();
        if now_s >= until_s {
            return Err(Problem::Unavailable { doing: DOING, source: None });
        }
        let now_s = AttributeValue::N(now_s.to_string());
        let row = [("tenant", text(tenant.as_str())), ("verified_s", now_s), claim];
        if self.put(domain, tenant, row, (CLAIMED, &[(":claim", &nonce)])).await? {
            tracing::info!(domain = domain.as_str(), tenant.id = %tenant, "a domain was proved");
            return Ok(Verdict::Verified);
        }
        if reserved {
            return Err(Problem::Unavailable { doing: DOING, source: None });
        }
        tracing::warn!(domain = domain.as_str(), tenant.id = %tenant, "a domain of another tenant was proved");
        Ok(Verdict::Unproved(Unproved::Taken))
    }

    /// Leaves the owner in the row and nothing that routes.
    async fn release(
        &self,
        domain: &Domain,
        tenant: &TenantId,
        claim: Option<&str>,
    ) -> Result<Verdict, Problem> {
        let now_s = self.clock.now().seconds();
        let row = [("released_s", AttributeValue::N(now_s.to_string()))];
        let put = match claim {
            None => self.put(domain, tenant, row, ("#owner = :owner", &[])).await?,
            Some(claim) => {
                let of_claim = "#owner = :owner AND claim = :claim";
                self.put(domain, tenant, row, (of_claim, &[(":claim", claim)])).await?
            }
        };
        tracing::info!(domain = domain.as_str(), tenant.id = %tenant, was_served = put, "a domain was released");
        Ok(Verdict::Released)
    }

    /// Whether the condition held.
    async fn put<const N: usize>(
        &self,
        domain: &Domain,
        owner: &TenantId,
        row: [(&str, AttributeValue); N],
        (condition, values): (&str, &[(&str, &str)]),
    ) -> Result<bool, Problem> {
        let mut item: HashMap<_, _> = row.map(|(name, value)| (name.to_owned(), value)).into();
        item.insert("pk".to_owned(), text(&Row::Host(domain.clone()).key()));
        item.insert("owner".to_owned(), text(owner.as_str()));
        let mut values: HashMap<_, _> =
            values.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        values.insert(":owner".to_owned(), text(owner.as_str()));
        let reply = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .expression_attribute_names("#owner", "owner")
            .set_expression_attribute_values(Some(values))
            .send()
            .await;
        match reply {
            Ok(_) => Ok(true),
            Err(err)
                if err.as_service_error().is_some_and(|err| err.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(err) => Err(store_problem("writing the registry", err)),
        }
    }
}
