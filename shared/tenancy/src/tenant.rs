//! A tenant: an opaque id made once, and what the registry says of it.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{Bearer, Problem};

/// Names a tenant for ever. 26 characters of `0-9 a-z` without `i l o u`: 128 random bits in Crockford's base 32.
///
/// It is read from the registry, nowhere else: there is no way from text to a `TenantId` outside this crate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Box<str>);

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl TenantId {
    /// Length of every id: keys rely on it, since `acme` must not be the beginning of `acme-eu`.
    pub(crate) const LENGTH: usize = 26;

    /// Reads an id that the registry or `vend` gave.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let fits = text.len() == Self::LENGTH && text.bytes().all(|b| CROCKFORD.contains(&b));
        fits.then(|| Self(text.into()))
    }

    /// Spells 128 random bits.
    pub(crate) fn spell(bits: [u8; 16]) -> Self {
        let mut rest = u128::from_be_bytes(bits);
        let mut letters = Vec::with_capacity(Self::LENGTH);
        for _ in 0..Self::LENGTH {
            let digit = usize::try_from(rest & 31).unwrap_or(0);
            letters.push(CROCKFORD.get(digit).copied().unwrap_or(b'0'));
            rest >>= 5;
        }
        letters.reverse();
        Self(letters.into_iter().map(char::from).collect())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a tenant pays for. Each word is also a value of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// `free`
    Free,
    /// `starter`
    Starter,
    /// `professional`
    Professional,
    /// `business`
    Business,
}

impl Tier {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Starter => "starter",
            Self::Professional => "professional",
            Self::Business => "business",
        }
    }
}

impl FromStr for Tier {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Free, Self::Starter, Self::Professional, Self::Business]
            .into_iter()
            .find(|tier| tier.word() == text)
            .ok_or(UnknownWord)
    }
}

/// Whether a tenant is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Served.
    Active,
    /// Known, kept, and not served.
    Suspended,
    /// Known to the operator alone, while what it had is being removed. Nothing leads back from here.
    Erasing,
    /// Known to the operator alone, and nothing is left but its name, which is never another tenant's.
    Erased,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Erasing => "erasing",
            Self::Erased => "erased",
        }
    }

    /// Whether its erasure has begun.
    #[must_use]
    pub const fn is_gone(self) -> bool {
        match self {
            Self::Active | Self::Suspended => false,
            Self::Erasing | Self::Erased => true,
        }
    }
}

impl FromStr for Status {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let all = [Self::Active, Self::Suspended, Self::Erasing, Self::Erased];
        all.into_iter().find(|status| status.word() == text).ok_or(UnknownWord)
    }
}

/// What a person may do in their own tenant; each role may do all that the ones before it may. Each word is also what
/// an issuer's role claim says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// `read_only`: sees, and changes nothing.
    ReadOnly,
    /// `member`: works with the tenant's items.
    Member,
    /// `admin`: changes what the tenant is: its settings, secrets and members.
    Admin,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    /// The role that scopes give where an issuer has no claim for it: `workspace:admin` an admin's, any scope that ends in
    /// `:write` a member's.
    pub(crate) fn of_scopes(scopes: &BTreeSet<String>) -> Self {
        if scopes.contains("workspace:admin") {
            Self::Admin
        } else if scopes.iter().any(|scope| scope.ends_with(":write")) {
            Self::Member
        } else {
            Self::ReadOnly
        }
    }
}

impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::ReadOnly, Self::Member, Self::Admin]
            .into_iter()
            .find(|role| role.word() == text)
            .ok_or(UnknownWord)
    }
}

/// A word that is not in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord;

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of the allowed words")
    }
}

impl std::error::Error for UnknownWord {}

/// The person and program behind a request, as the token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's `sub`, unique within its issuer.
    pub subject: String,
    /// The issuer that vouches for the subject.
    pub issuer: String,
    /// The token's `client_id`, or `azp` where the issuer's profile says so.
    pub client: String,
    /// The token's scopes.
    pub scopes: BTreeSet<String>,
    /// What they may do, by the issuer's role claim where it has one, else by the scopes.
    pub role: Role,
}

/// A tenant that all evidence of one request agrees on, with the caller who proved it.
///
/// Made by [`crate::Resolver`] alone; entering it ([`crate::Entrance::enter`]) takes it by value.
#[derive(Debug)]
pub struct Tenant {
    // INVARIANT: `id` was read from the registry for this request's address and token; the resolver keeps it.
    pub(crate) id: TenantId,
    pub(crate) tier: Tier,
    pub(crate) epoch: u64,
    pub(crate) caller: Caller,
    pub(crate) origins: Vec<String>,
    /// Where an item is seen, with `{collection}` and `{id}` for its own.
    pub(crate) item_url: String,
    pub(crate) proof: Proof,
}

/// What `vend` needs to convince itself.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub(crate) bearer: Bearer,
    pub(crate) expires_s: i64,
    pub(crate) domain_name: String,
    pub(crate) api_id: Option<String>,
    pub(crate) path_tenant: Option<String>,
}

impl Tenant {
    /// The opaque id, for logs.
    #[must_use]
    pub const fn id(&self) -> &TenantId {
        &self.id
    }

    /// The registry's version of this tenant: every change of the operator raises it.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the tenant pays for.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// Who is calling.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The web origins that may read replies, exactly as browsers send them.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Demands a role, or a higher one.
    ///
    /// # Errors
    /// [`Problem::Forbidden`], with who can grant it.
    pub fn demand_role(&self, role: Role) -> Result<(), Problem> {
        if self.caller.role >= role {
            return Ok(());
        }
        let word = role.word();
        let detail = format!("this needs the role {word} in the workspace, which its admins grant");
        Err(Problem::Forbidden { detail })
    }

    /// Demands every one of these scopes.
    ///
    /// # Errors
    /// [`Problem::InsufficientScope`] with the first that the token lacks.
    pub fn demand_scopes(&self, scopes: &[&str]) -> Result<(), Problem> {
        match scopes.iter().find(|scope| !self.caller.scopes.contains(**scope)) {
            Some(missing) => Err(Problem::InsufficientScope { scope: (*missing).to_owned() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static_assertions::assert_not_impl_any!(TenantId: FromStr, From<String>, From<&'static str>, Default, serde::de::DeserializeOwned);
    static_assertions::assert_not_impl_any!(Tenant: Clone, Default, serde::de::DeserializeOwned);

    #[test]
    fn an_id_is_read_only_at_its_full_length_and_alphabet() {
        let id = TenantId::spell([255; 16]).to_string();
        assert_eq!(TenantId::read(&id).map(|id| id.to_string()), Some(id.clone()));
        for wrong in
            ["", "*", id.get(1..).unwrap(), &format!("{id}0"), &id.replacen('z', "*", 1), &id.to_uppercase()]
        {
            assert_eq!(TenantId::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_role_may_do_what_the_ones_before_it_may() {
        assert!(Role::Admin > Role::Member && Role::Member > Role::ReadOnly);
        for role in [Role::ReadOnly, Role::Member, Role::Admin] {
            assert_eq!(role.word().parse(), Ok(role));
        }
        for word in ["", "Admin", "admin ", "owner", "read-only"] {
            assert_eq!(word.parse::<Role>(), Err(UnknownWord), "{word}");
        }
    }

    #[test]
    fn scopes_give_the_role_that_they_name_and_no_more() {
        for (scopes, role) in [
            ("", Role::ReadOnly),
            ("notes:read profile:read", Role::ReadOnly),
            ("notes:writer writes :write:x workspace:admins admin", Role::ReadOnly),
            ("notes:read notes:write", Role::Member),
            ("notes:read workspace:admin", Role::Admin),
            ("Workspace:Admin", Role::ReadOnly),
        ] {
            let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
            assert_eq!(Role::of_scopes(&scopes), role, "{scopes:?}");
        }
    }

    proptest! {
        #[test]
        fn two_ids_never_begin_alike_to_the_end(a: [u8; 16], b: [u8; 16]) {
            let (left, right) = (TenantId::spell(a), TenantId::spell(b));
            prop_assert_eq!(left == right, a == b);
            prop_assert_eq!(left.as_str().len(), TenantId::LENGTH);
        }
    }
}
