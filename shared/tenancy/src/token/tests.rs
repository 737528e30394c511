use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
    },
};

use super::*;
use crate::clock::Clock;

mod claims;
mod forged;
mod header;
mod shape;

const NOW_S: i64 = 1_790_000_000;
const ISSUER: &str = "https://login.example.com";
const RESOURCE: &str = "https://acme.mcp.example.com/mcp";

/// A JSON object as a list of names and raw values, so that a name can stand twice.
type Members = Vec<(&'static str, String)>;

/// What makes a good token another one.
#[derive(Clone, Copy)]
enum Change {
    Nothing,
    /// The header's member has this raw value.
    Header(&'static str, &'static str),
    NoHeader(&'static str),
    /// The header's member stands twice.
    HeaderTwice(&'static str, &'static str),
    /// The claim has this raw value.
    Claim(&'static str, &'static str),
    NoClaim(&'static str),
    /// The claim stands twice.
    ClaimTwice(&'static str, &'static str),
}

/// A case: its name, the change to a good token, and what is said of it.
type Case = (&'static str, Change, Option<Denial>);

struct Signer {
    pair: EcdsaKeyPair,
    key: Key,
}

impl Signer {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let set = format!(r#"{{"keys":[{{"kid":"k1","kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}]}}"#);
        Self { pair, key: Key::from_set(set.as_bytes()) }
    }

    fn signature(&self, message: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap())
    }

    /// Signs two texts, whatever they are.
    fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{message}.{}", self.signature(&message))
    }

    fn changed(&self, change: Change) -> String {
        let (header, claims) = members(change);
        self.sign(&object(&header), &object(&claims))
    }
}

struct RsaSigner {
    pair: rsa::KeyPair,
    n: String,
}

impl RsaSigner {
    fn new() -> Self {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        // DER of an RSA public key of 2048 bits: nine bytes of lengths and sign, the modulus, the exponent.
        let n = URL_SAFE_NO_PAD.encode(&pair.public_key().as_ref()[9..265]);
        Self { pair, n }
    }

    fn key(&self, alg: &str) -> Key {
        let set =
            format!(r#"{{"keys":[{{"kid":"k1","kty":"RSA","alg":"{alg}","n":"{}","e":"AQAB"}}]}}"#, self.n);
        Key::from_set(set.as_bytes())
    }

    fn sign(&self, alg: &'static str, padding: &'static dyn RsaEncoding) -> String {
        let (mut header, claims) = members(Change::Nothing);
        header[0].1 = format!(r#""{alg}""#);
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(object(&header)),
            URL_SAFE_NO_PAD.encode(object(&claims))
        );
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn members(change: Change) -> (Members, Members) {
    let text = |text: &str| format!(r#""{text}""#);
    let mut header = vec![("alg", text("ES256")), ("kid", text("k1")), ("typ", text("at+jwt"))];
    let mut claims = vec![
        ("iss", text(ISSUER)),
        ("sub", text("user-1")),
        ("aud", text(RESOURCE)),
        ("exp", (NOW_S + 600).to_string()),
        ("iat", (NOW_S - 60).to_string()),
        ("client_id", text("client-1")),
        ("tenant_id", text("t-1")),
    ];
    match change {
        Change::Nothing => {}
        Change::Header(name, raw) => set(&mut header, name, raw),
        Change::NoHeader(name) => header.retain(|(other, _)| *other != name),
        Change::HeaderTwice(name, raw) => header.push((name, raw.to_owned())),
        Change::Claim(name, raw) => set(&mut claims, name, raw),
        Change::NoClaim(name) => claims.retain(|(other, _)| *other != name),
        Change::ClaimTwice(name, raw) => claims.push((name, raw.to_owned())),
    }
    (header, claims)
}

fn set(members: &mut Members, name: &'static str, raw: &str) {
    members.retain(|(other, _)| *other != name);
    members.push((name, raw.to_owned()));
}

fn object(members: &Members) -> String {
    let members: Vec<_> = members.iter().map(|(name, raw)| format!(r#""{name}":{raw}"#)).collect();
    format!("{{{}}}", members.join(","))
}

/// What the resolver does with a token of one pinned issuer, in its order.
fn accept_as(profile: Profile, token: &str, key: &Key) -> Result<Claims, Denial> {
    let bearer = Bearer::from_token(token)?;
    let draft = Draft::parse(&bearer)?;
    draft.algorithm()?;
    if draft.issuer()? != ISSUER {
        return Err(Denial::Issuer);
    }
    let is_ours = |audience: &str| audience.starts_with("https://globex.mcp.example.com/");
    draft.check(profile, RESOURCE, Clock::fixed_at_s(NOW_S).now(), is_ours)?;
    if draft.key_id() != "k1" {
        return Err(Denial::UnknownKey);
    }
    draft.verify(key, profile)
}

fn accept(token: &str, key: &Key) -> Result<Claims, Denial> {
    accept_as(Profile::Rfc9068, token, key)
}

fn assert_table(cases: &[Case]) {
    let signer = Signer::new();
    assert_eq!(accept(&signer.changed(Change::Nothing), &signer.key).err(), None, "the good twin");
    for (name, change, denial) in cases {
        assert_eq!(accept(&signer.changed(*change), &signer.key).err(), *denial, "{name}");
    }
}
