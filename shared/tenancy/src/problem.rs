//! Everything that can end a request, and nothing else.

use std::{error::Error, fmt, sync::Arc};

use crate::{Feature, Quota, Tier, alarm::Crossing, settings::Fault};

/// Why a request ended without its result. [`Display`](fmt::Display) is for the caller; `source()` is for the log.
#[derive(Debug)]
pub enum Problem {
    /// No token that proves a tenant at this address. Unknown, malformed, foreign and (without a valid token)
    /// suspended tenants answer with the same bytes.
    Unauthenticated(Box<Unauthenticated>),
    /// The token is good and lacks a scope.
    InsufficientScope {
        /// The scope that is missing.
        scope: String,
    },
    /// A valid token for a tenant that the operator has suspended.
    Suspended,
    /// A feature, role or right that this caller does not have.
    Forbidden {
        /// What is missing and who can grant it.
        detail: String,
    },
    /// A feature that the tenant does not have.
    FeatureOff {
        /// Which.
        feature: Feature,
        /// The tier that it is not part of.
        tier: Tier,
    },
    /// There is no such item, or it is another tenant's: the two are one.
    NotFound {
        /// The kind of thing, for instance `note`.
        kind: &'static str,
    },
    /// The request breaks a rule of its grammar or of a limit.
    Invalid {
        /// Where, and which rule.
        detail: String,
    },
    /// A document that is wrong in places, all of which are said.
    Faulty {
        /// What it is.
        what: &'static str,
        /// At least one.
        faults: Vec<Fault>,
    },
    /// A change of something that has versions, without the one that was seen.
    VersionRequired,
    /// A body, item or header over its limit.
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its limit.
        bytes_max: usize,
        /// What it has.
        bytes: usize,
    },
    /// A version or an existence condition did not hold.
    Conflict {
        /// What changed meanwhile.
        detail: String,
    },
    /// The same idempotency key came with other arguments.
    IdempotencyMismatch,
    /// One of several things that were asked for at once is wrong.
    At {
        /// Which.
        place: String,
        /// One that [`Problem::at`] says the place of.
        problem: Arc<Problem>,
    },
    /// A quota of the tenant is used up.
    QuotaReached(Box<Quota>),
    /// As many calls of the tenant run in this instance as may.
    Busy,
    /// The tenant's data is being moved: it can only be read, or not even that for a moment.
    Moving,
    /// Somebody outside whom a tool called on the tenant's behalf.
    Outside {
        /// What came of the call. It says neither URL nor body.
        detail: String,
    },
    /// A dependency failed or was too slow; nothing was half done, and a retry may succeed.
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The cause, for the log.
        source: Option<Cause>,
    },
    /// AWS refused what our own code asked for. To the caller it is a fault of ours.
    Denied {
        /// What was being done.
        doing: &'static str,
        /// The cause, for the log.
        source: Option<Cause>,
    },
    /// A seal that does not open: altered, or of another listing or tenant. Which one is not said.
    Forged {
        /// What it was to be, with the words for the caller.
        what: &'static str,
    },
    /// A fault of ours.
    Internal {
        /// What was being done.
        doing: &'static str,
        /// The cause, for the log.
        source: Option<Cause>,
    },
}

/// Any error, for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// What a caller without a valid token is told, and what only the log is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unauthenticated {
    /// For the log and the audit trail, never for the caller.
    pub denial: Denial,
    /// The document that says where to get a token (RFC 9728), if the address has one.
    pub resource_metadata: Option<String>,
    /// Whose token it was, where it is good at another tenant's address. For the operator alone.
    pub crossing: Option<Box<Crossing>>,
}

/// Why a token, a host or their combination was refused. A stable word in logs; the caller sees none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Denial {
    /// There is no bearer token.
    NoToken,
    /// Evidence that this edge must bring is missing, or some that it can't bring is there.
    Evidence,
    /// The address is no tenant's.
    UnknownHost,
    /// The token breaks the grammar of a signed JWT.
    MalformedToken,
    /// The token's header says more, or other, than a pinned issuer's access token may.
    TokenHeader,
    /// A claim is missing, duplicated or of the wrong type.
    TokenClaims,
    /// The issuer is not one that may speak for this tenant.
    Issuer,
    /// The audience is not this address.
    Audience,
    /// Expired, or not valid yet.
    Expired,
    /// No key of the issuer has this id and algorithm.
    UnknownKey,
    /// The signature does not verify.
    Signature,
    /// The tenant claim is missing, ambiguous or unknown.
    TenantClaim,
    /// Two pieces of evidence name two tenants: an attempt to cross.
    CrossTenant,
}

impl Denial {
    /// The word for logs and audit records.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::Evidence => "evidence",
            Self::UnknownHost => "unknown_host",
            Self::MalformedToken => "malformed_token",
            Self::TokenHeader => "token_header",
            Self::TokenClaims => "token_claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::TenantClaim => "tenant_claim",
            Self::CrossTenant => "cross_tenant",
        }
    }
}

impl Unauthenticated {
    /// The value of `WWW-Authenticate` (RFC 6750 § 3, RFC 9728 § 5.1). Which of the many reasons it was is not said.
    #[must_use]
    pub fn challenge(&self) -> String {
        let mut parts = Vec::with_capacity(3);
        if self.denial != Denial::NoToken {
            parts
                .push(r#"error="invalid_token", error_description="the token is not valid here""#.to_owned());
        }
        if let Some(url) = &self.resource_metadata {
            parts.push(format!(r#"resource_metadata="{url}""#));
        }
        if parts.is_empty() { "Bearer".to_owned() } else { format!("Bearer {}", parts.join(", ")) }
    }
}

impl Problem {
    /// A refusal for want of a valid token.
    #[must_use]
    pub fn unauthenticated(denial: Denial, resource_metadata: Option<String>) -> Self {
        Self::Unauthenticated(Box::new(Unauthenticated { denial, resource_metadata, crossing: None }))
    }

    /// A fault of ours, with what was being done and its cause.
    pub fn internal(doing: &'static str, cause: impl Into<Cause>) -> Self {
        Self::Internal { doing, source: Some(cause.into()) }
    }

    /// A dependency that failed or was too slow.
    pub fn unavailable(doing: &'static str, cause: impl Into<Cause>) -> Self {
        Self::Unavailable { doing, source: Some(cause.into()) }
    }

    /// The problem with the place of what was wrong, such as `operations[7]`. What is not in the request has no place in it.
    #[must_use]
    pub fn at(self, place: String) -> Self {
        match self {
            Self::NotFound { .. } | Self::Invalid { .. } | Self::TooLarge { .. } | Self::Conflict { .. } => {
                Self::At { place, problem: Arc::new(self) }
            }
            other => other,
        }
    }

    /// The problem of one flight, made anew for each of those who waited for it. Its causes are the first one's own.
    pub(crate) fn again(shared: Arc<Self>) -> Self {
        match &*shared {
            Self::Unauthenticated(refusal) => Self::Unauthenticated(refusal.clone()),
            Self::InsufficientScope { scope } => Self::InsufficientScope { scope: scope.clone() },
            Self::Suspended => Self::Suspended,
            Self::Forbidden { detail } => Self::Forbidden { detail: detail.clone() },
            &Self::FeatureOff { feature, tier } => Self::FeatureOff { feature, tier },
            &Self::NotFound { kind } => Self::NotFound { kind },
            Self::Invalid { detail } => Self::Invalid { detail: detail.clone() },
            &Self::Faulty { what, ref faults } => Self::Faulty { what, faults: faults.clone() },
            Self::VersionRequired => Self::VersionRequired,
            &Self::TooLarge { what, bytes_max, bytes } => Self::TooLarge { what, bytes_max, bytes },
            Self::Conflict { detail } => Self::Conflict { detail: detail.clone() },
            Self::IdempotencyMismatch => Self::IdempotencyMismatch,
            Self::At { place, problem } => Self::At { place: place.clone(), problem: Arc::clone(problem) },
            Self::QuotaReached(quota) => Self::QuotaReached(quota.clone()),
            Self::Busy => Self::Busy,
            Self::Moving => Self::Moving,
            Self::Outside { detail } => Self::Outside { detail: detail.clone() },
            &Self::Unavailable { doing, .. } => Self::unavailable(doing, shared),
            &Self::Denied { doing, .. } => Self::Denied { doing, source: Some(shared.into()) },
            &Self::Forged { what } => Self::Forged { what },
            &Self::Internal { doing, .. } => Self::internal(doing, shared),
        }
    }

    /// Whether it comes of what was asked for and what there is or can be had just now, and not of what the caller may do.
    pub(crate) fn is_of_state(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::Invalid { .. }
            | Self::Faulty { .. }
            | Self::VersionRequired
            | Self::TooLarge { .. }
            | Self::Conflict { .. }
            | Self::Unavailable { .. } => true,
            Self::At { problem, .. } => problem.is_of_state(),
            _ => false,
        }
    }

    /// The stable word that clients branch on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::Suspended => "suspended",
            Self::Forbidden { .. } => "forbidden",
            Self::FeatureOff { .. } => "feature_off",
            Self::NotFound { .. } => "not_found",
            Self::Invalid { .. } | Self::Faulty { .. } | Self::Forged { .. } => "invalid",
            Self::VersionRequired => "version_required",
            Self::TooLarge { .. } => "too_large",
            Self::Conflict { .. } => "conflict",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::At { problem, .. } => problem.code(),
            Self::QuotaReached(_) => "quota_reached",
            Self::Busy => "busy",
            Self::Moving => "moving",
            Self::Outside { .. } => "outside",
            Self::Unavailable { .. } => "unavailable",
            Self::Denied { .. } | Self::Internal { .. } => "internal",
        }
    }

    /// The HTTP status, where the problem becomes an HTTP reply.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unauthenticated(_) => 401,
            Self::InsufficientScope { .. }
            | Self::Suspended
            | Self::Forbidden { .. }
            | Self::FeatureOff { .. } => 403,
            Self::NotFound { .. } => 404,
            Self::Invalid { .. } | Self::Faulty { .. } | Self::Forged { .. } => 400,
            Self::VersionRequired => 428,
            Self::TooLarge { .. } => 413,
            Self::Conflict { .. } => 409,
            Self::IdempotencyMismatch => 422,
            Self::At { problem, .. } => problem.status(),
            Self::QuotaReached(_) | Self::Busy => 429,
            Self::Outside { .. } => 502,
            Self::Moving | Self::Unavailable { .. } => 503,
            Self::Denied { .. } | Self::Internal { .. } => 500,
        }
    }

    /// The value of `WWW-Authenticate`, for the problems that have one.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        match self {
            Self::Unauthenticated(refusal) => Some(refusal.challenge()),
            Self::InsufficientScope { scope } => Some(format!(
                r#"Bearer error="insufficient_scope", error_description="the token lacks a scope", scope="{scope}""#
            )),
            _ => None,
        }
    }
}

/// For what is generic over a function's own error, which is made from a problem.
impl AsRef<Self> for Problem {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated(_) => f.write_str("a valid access token for this address is required"),
            Self::InsufficientScope { scope } => write!(f, "the token lacks the scope {scope}"),
            Self::Suspended => f.write_str("this workspace is suspended; its operator can say why"),
            Self::Forbidden { detail }
            | Self::Invalid { detail }
            | Self::Conflict { detail }
            | Self::Outside { detail } => f.write_str(detail),
            Self::NotFound { kind } => write!(f, "there is no such {kind}"),
            Self::Faulty { what, faults } => {
                let all: Vec<_> = faults.iter().map(Fault::to_string).collect();
                write!(f, "the {what} is not in order: {}", all.join("; "))
            }
            Self::VersionRequired => {
                f.write_str("If-Match: the ETag of what is to change is needed here, as it was last read")
            }
            Self::TooLarge { what, bytes_max, bytes } => {
                write!(f, "the {what} has {bytes} bytes, and at most {bytes_max} are allowed")
            }
            Self::At { place, problem } => write!(f, "{place}: {problem}"),
            Self::IdempotencyMismatch => f.write_str("this idempotency key was used with other arguments"),
            Self::FeatureOff { feature, tier } => write!(
                f,
                "{} is not part of this workspace's {} plan; its operator can switch it on",
                feature.title(),
                tier.word()
            ),
            Self::QuotaReached(quota) => quota.fmt(f),
            Self::Busy => f.write_str("this workspace makes too many calls at once; try again in a moment"),
            Self::Moving => f.write_str(
                "this workspace is being moved, and can only be read until that is done; try again in some minutes",
            ),
            Self::Unavailable { .. } => f.write_str("temporarily unavailable; try again"),
            Self::Denied { .. } | Self::Internal { .. } => f.write_str("internal error"),
            Self::Forged { what } => f.write_str(what),
        }
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable { source, .. }
            | Self::Denied { source, .. }
            | Self::Internal { source, .. } => {
                source.as_ref().map(|cause| &**cause as &(dyn Error + 'static))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
