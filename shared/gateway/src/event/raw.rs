//! The fields of an event that the check reads, as they stand in its JSON. A field that comes twice is an error.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// One event: a proxy event or an authorizer's, of REST API (1.0) or HTTP API (2.0).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Raw<'a> {
    #[serde(borrow)]
    pub(super) version: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) type_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) method_arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) resource: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) path: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) http_method: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) route_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) raw_path: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) raw_query_string: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) cookies: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(super) headers: Option<Entries<'a, Text<'a>>>,
    #[serde(borrow)]
    pub(super) multi_value_headers: Option<Entries<'a, Vec<Text<'a>>>>,
    #[serde(borrow)]
    pub(super) query_string_parameters: Option<Entries<'a, Text<'a>>>,
    #[serde(borrow)]
    pub(super) multi_value_query_string_parameters: Option<Entries<'a, Vec<Text<'a>>>>,
    #[serde(borrow)]
    pub(super) path_parameters: Option<Entries<'a, Text<'a>>>,
    #[serde(borrow)]
    pub(super) body: Option<Text<'a>>,
    pub(super) is_base64_encoded: Option<bool>,
    #[serde(borrow)]
    pub(super) request_context: RawContext<'a>,
}

/// `requestContext`: what API Gateway itself says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawContext<'a> {
    #[serde(borrow)]
    pub(super) domain_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) api_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) request_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) resource_path: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) route_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) http: Option<RawHttp<'a>>,
    /// Its form depends on the version.
    #[serde(borrow)]
    pub(super) authorizer: Option<&'a RawValue>,
    /// Only a load balancer sends it.
    pub(super) elb: Option<IgnoredAny>,
    /// Only a WebSocket API sends it.
    pub(super) connection_id: Option<IgnoredAny>,
    /// Only a WebSocket API sends it.
    pub(super) event_type: Option<IgnoredAny>,
}

/// `requestContext.http` of an HTTP API.
#[derive(Deserialize)]
pub(super) struct RawHttp<'a> {
    #[serde(borrow)]
    pub(super) method: Text<'a>,
}

/// `requestContext.authorizer` of an HTTP API.
#[derive(Deserialize)]
pub(super) struct RawAuthorizer<'a> {
    #[serde(borrow)]
    pub(super) jwt: Option<RawJwt<'a>>,
    #[serde(borrow)]
    pub(super) lambda: Option<Entries<'a, serde_json::Value>>,
}

/// What the JWT authorizer of an HTTP API read.
#[derive(Deserialize)]
pub(super) struct RawJwt<'a> {
    #[serde(borrow)]
    pub(super) claims: Option<Entries<'a, Text<'a>>>,
}

/// A text, borrowed from the event where it has no escapes: a body of 1 MiB is not copied to be measured.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(super) fn owned(&self) -> String {
        self.0.clone().into_owned()
    }
}

/// A JSON object whose keys are data. A key that comes twice is an error, where serde's own maps keep the last.
pub(super) struct Entries<'a, V>(pub(super) BTreeMap<Cow<'a, str>, V>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Entries<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<'a, V>(PhantomData<(&'a (), V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for EntriesVisitor<'a, V> {
    type Value = Entries<'a, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without repeated keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<Text<'a>, V>()? {
            if entries.insert(key.0, value).is_some() {
                return Err(A::Error::custom("a repeated key"));
            }
        }
        Ok(Entries(entries))
    }
}
