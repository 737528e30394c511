//! The tenant's own domains: claimed here, beside the claims of others, and proved by the function `domains`.
//!
//! A claim is the tenant's alone and keeps nobody else from the same claim. Whose the domain is, is decided when one of them
//! is proved, and routing knows of no claim.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    OnShelf, TenantScope,
    assets::{directory_id, read_directory},
};
use crate::{
    Challenge, Domain, Feature, Problem, Unproved, Verdict,
    crypto::random_bits,
    key::Shelf,
    record::{Prepared, Raw},
    registrant::{Registrant, WAIT_MAX_S},
    registrar::Deed,
    tenant::TenantId,
};

/// Domains that one tenant may claim.
pub const DOMAINS_MAX: usize = 5;
const KIND: &str = "domain";

/// A domain that the tenant claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainEntry {
    /// The domain.
    pub domain: Domain,
    /// How far it has come.
    pub state: DomainState,
    /// What proves it.
    pub challenge: Challenge,
    /// The MCP endpoint there, once it is verified.
    pub resource: String,
    /// When it was claimed, RFC 3339 in UTC.
    pub claimed: String,
    /// When the proof was last looked for, if it was.
    pub checked: Option<String>,
}

/// How far a claim has come. The tenant is served at a domain that is verified, and at no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainState {
    /// Nobody has looked for the proof yet.
    Pending,
    /// It was found.
    Verified,
    /// It was looked for and not found, or came too late.
    Failed(Unproved),
}

impl DomainState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Failed(_) => "failed",
        }
    }
}

/// What was found for one claim of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    nonce: String,
    verdict: Verdict,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Directory {
    domains: BTreeMap<Domain, Claim>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claim {
    /// Makes the proof of this claim another than that of one before it, which may still be in the DNS.
    nonce: String,
    state: DomainState,
    claimed: String,
    checked: Option<String>,
}

impl TenantScope {
    /// The domains that the tenant claims, in alphabetical order.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn list_domains(&self) -> Result<Vec<DomainEntry>, Problem> {
        let directory: Directory = read_directory(self.domains().find(&directory_id()?).await?.as_ref())?;
        let mut entries = Vec::with_capacity(directory.domains.len());
        for (domain, claim) in directory.domains {
            entries.push(self.entry(domain, claim).await?);
        }
        Ok(entries)
    }

    /// Stages a claim, and says whether it is a new one: a domain that is claimed already stays as it is.
    ///
    /// # Errors
    /// [`Problem::FeatureOff`] without [`Feature::CustomBranding`]; [`Problem::Invalid`] for the deployment's own names, where
    /// it has no hosts for tenants, and for one more than 5 domains.
    pub async fn claim_domain(&self, domain: &Domain) -> Result<(DomainEntry, bool), Problem> {
        self.demand(Feature::CustomBranding)?;
        self.registrant()?.check(domain)?;
        let (found, mut directory) = self.rely_on_domains().await?;
        if let Some(claim) = directory.domains.get(domain) {
            return Ok((self.entry(domain.clone(), claim.clone()).await?, false));
        }
        if directory.domains.len() >= DOMAINS_MAX {
            let detail = format!("domains: {} of at most {DOMAINS_MAX}", directory.domains.len());
            return Err(Problem::Invalid { detail });
        }
        let claim = Claim {
            nonce: TenantId::spell(random_bits()?).to_string(),
            state: DomainState::Pending,
            claimed: self.room.clock.now().rfc3339(),
            checked: None,
        };
        directory.domains.insert(domain.clone(), claim.clone());
        self.stage_domains(found.as_ref(), &directory)?;
        Ok((self.entry(domain.clone(), claim).await?, true))
    }

    /// Has the proof of a claim looked for, in a call that is charged already. If it is found, the tenant is served there.
    ///
    /// # Errors
    /// [`Problem::FeatureOff`] without [`Feature::CustomBranding`]; [`Problem::NotFound`] for a domain that the tenant does
    /// not claim; [`Problem::Unavailable`] when `domains` does not answer.
    pub async fn check_domain(&self, domain: &Domain) -> Result<Checked, Problem> {
        self.demand(Feature::CustomBranding)?;
        let registrant = self.acting()?;
        let Claim { nonce, .. } = self.claim(domain).await?;
        let until_s = self.room.clock.now().plus_s(WAIT_MAX_S.into()).seconds();
        let verdict = registrant.ask(domain, Deed::Verify { nonce: nonce.clone(), until_s }).await?;
        Ok(Checked { nonce, verdict })
    }

    /// Stages what was found. What is verified stays so, whatever becomes of its record, unless it is another's by now.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when the claim has ended meanwhile, and [`Problem::Conflict`] when it was made anew.
    pub async fn note_checked(&self, domain: &Domain, checked: &Checked) -> Result<DomainEntry, Problem> {
        let (found, mut directory) = self.rely_on_domains().await?;
        let Some(claim) = directory.domains.get_mut(domain) else {
            if checked.verdict == Verdict::Verified {
                // Whoever ended the claim may have done so before the domain was served, and nobody would end that.
                self.registrant()?.ask(domain, Deed::Release { nonce: Some(checked.nonce.clone()) }).await?;
            }
            return Err(Problem::NotFound { kind: KIND });
        };
        if claim.nonce != checked.nonce {
            if checked.verdict == Verdict::Verified && claim.state != DomainState::Verified {
                // It is served by a claim that has ended, and this one is not proved.
                self.registrant()?.ask(domain, Deed::Release { nonce: Some(checked.nonce.clone()) }).await?;
            }
            let detail = "the domain was claimed anew while its record was looked for".to_owned();
            return Err(Problem::Conflict { detail });
        }
        claim.state = match checked.verdict {
            Verdict::Verified => DomainState::Verified,
            Verdict::Unproved(Unproved::Taken) => DomainState::Failed(Unproved::Taken),
            _ if claim.state == DomainState::Verified => DomainState::Verified,
            Verdict::Unproved(why) => DomainState::Failed(why),
            Verdict::Released => claim.state,
        };
        claim.checked = Some(self.room.clock.now().rfc3339());
        let claim = claim.clone();
        self.stage_domains(found.as_ref(), &directory)?;
        self.entry(domain.clone(), claim).await
    }

    /// Ends that the tenant is served at a domain, in a call that is charged already. It stays the tenant's: nobody else is
    /// ever served there.
    ///
    /// # Errors
    /// As [`TenantScope::check_domain`], but for the feature.
    pub async fn release_domain(&self, domain: &Domain) -> Result<(), Problem> {
        let registrant = self.acting()?;
        self.claim(domain).await?;
        registrant.ask(domain, Deed::Release { nonce: None }).await.map(drop)
    }

    /// Stages the end of a claim whose domain is released.
    ///
    /// # Errors
    /// [`Problem::NotFound`] for a domain that the tenant does not claim.
    pub async fn unclaim_domain(&self, domain: &Domain) -> Result<(), Problem> {
        let (found, mut directory) = self.rely_on_domains().await?;
        directory.domains.remove(domain).ok_or(Problem::NotFound { kind: KIND })?;
        self.stage_domains(found.as_ref(), &directory)
    }

    async fn claim(&self, domain: &Domain) -> Result<Claim, Problem> {
        let mut directory: Directory = read_directory(self.domains().find(&directory_id()?).await?.as_ref())?;
        directory.domains.remove(domain).ok_or(Problem::NotFound { kind: KIND })
    }

    async fn entry(&self, domain: Domain, claim: Claim) -> Result<DomainEntry, Problem> {
        let Claim { nonce, state, claimed, checked } = claim;
        let ring = self.room.sealer.ring().await?;
        let proofs = domain.proofs(&ring.shared(self.room.clock.now()), &self.room.tenant, &nonce)?;
        let value = proofs.into_iter().next();
        let value = value.ok_or_else(|| Problem::internal("deriving a proof", "there is no platform key"))?;
        let challenge = Challenge { name: domain.challenge_name(), value };
        let resource = self.registrant()?.resource(&domain);
        Ok(DomainEntry { domain, state, challenge, resource, claimed, checked })
    }

    fn registrant(&self) -> Result<&Registrant, Problem> {
        let registrant = self.room.registrant.as_ref();
        registrant.ok_or_else(|| Problem::internal("asking about a domain", "this function has no way to it"))
    }

    /// The registrant in a call that may act outside.
    fn acting(&self) -> Result<&Registrant, Problem> {
        if !self.room.staged().is_closed() {
            return Err(Problem::internal("asking about a domain", "the call is not charged yet"));
        }
        self.registrant()
    }

    async fn rely_on_domains(&self) -> Result<(Option<Raw>, Directory), Problem> {
        let found = self.domains().rely(&directory_id()?).await?;
        let directory = read_directory(found.as_ref())?;
        Ok((found, directory))
    }

    fn stage_domains(&self, found: Option<&Raw>, directory: &Directory) -> Result<(), Problem> {
        self.domains().put(directory_id()?, found, Prepared::of(directory)?).map(drop)
    }

    fn domains(&self) -> OnShelf<'_> {
        OnShelf { room: &self.room, shelf: &Shelf::Domains, kind: KIND, indexes: &[] }
    }
}
