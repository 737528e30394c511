//! Operations of every kind, what they need to be there, and how they are asked.

use http::Method;
use insula_tenancy::Tier;
use serde_json::{Value, json};

use super::{Ask, Guest, House};
use crate::{ask::operate, config::PNG, harness::CUSTOMERS};

/// An operation, and how many transactions it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A read, which is charged all the same.
    ToolRead,
    ToolCreate,
    Create,
    Replace,
    Patch,
    Delete,
    Transaction,
    /// More than one transaction holds.
    Batch,
    Settings,
    PutAsset,
    DeleteAsset,
    PutSecret,
    RotateSecret,
    DeleteSecret,
    RemoveMember,
    /// By the tool for every collection.
    ToolItem,
    /// By a tool that asks its user, where nobody has to be asked.
    ToolDelete,
    /// Secrets under an older data key.
    Reseal,
    ClaimDomain,
    /// The first call of somebody new in a tenant whose data key is not there yet.
    Newcomer,
    /// Reads of other kinds.
    List,
    Search,
    Trail,
    /// Looks at what was used, which are recorded and not charged.
    ToolUsage,
    Usage,
}

const ITEMS: &str = "/v1/collections/notes/items";

/// Creates a note, with no fault.
async fn note(house: &House, guest: &Guest, n: usize) -> String {
    let ask = Ask::rest(Method::POST, ITEMS, &json!({ "title": format!("{n}"), "text": "before" }));
    let said = done(house, guest, ask).await;
    said["id"].as_str().unwrap().to_owned()
}

/// What must be there before, under a key of its own.
async fn done(house: &House, guest: &Guest, ask: Ask) -> Value {
    let key = format!("before-{}-{}", ask.path, super::unique());
    let said = guest.ask(house, &ask.keyed(&key)).await;
    assert!(said.is_done(), "{said:?}");
    serde_json::from_str(&said.body).unwrap_or(Value::Null)
}

fn claim(n: usize) -> Ask {
    Ask::rest(Method::PUT, format!("/v1/config/domains/claim-{n}.{CUSTOMERS}"), &Value::Null)
}

fn image(method: Method, name: &str) -> Ask {
    Ask::rest(method, format!("/v1/config/assets/{name}"), &Value::Null).with("content-type", "image/png")
}

/// Three notes, of which one is replaced, one deleted and one looked at while another is made.
async fn transaction(house: &House, guest: &Guest, value: &Value) -> Ask {
    let path = "/v1/collections/notes/transaction";
    let three = json!({ "operations": vec![json!({ "op": "create", "value": value }); 3] });
    let made = done(house, guest, Ask::rest(Method::POST, path, &three)).await;
    let id = |at: usize| made["done"][at]["id"].clone();
    let (replaced, deleted, checked) = (id(0), id(1), id(2));
    let operations = json!([
        { "op": "create", "value": value },
        { "op": "replace", "id": replaced, "version": 1, "value": value },
        { "op": "delete", "id": deleted },
        { "op": "check", "id": checked, "version": 1 },
    ]);
    Ask::rest(Method::POST, path, &json!({ "operations": operations }))
}

/// Somebody who has a seat, and loses it.
async fn removal(house: &House, guest: &Guest, n: usize) -> Ask {
    let sub = format!("person {n} {}", super::unique());
    done(house, &guest.beside(house, &sub), Ask::tool("notes_list", json!({}))).await;
    let list = Ask::rest(Method::GET, "/v1/config/members", &Value::Null);
    let listed = done(house, guest, list).await;
    let members = listed["members"].as_array().unwrap();
    let id = members.iter().find(|member| member["subject"] == sub).unwrap()["id"].as_str();
    Ask::rest(Method::DELETE, format!("/v1/config/members/{}", id.unwrap()), &Value::Null)
}

impl Operation {
    pub(crate) const ALL: [Self; 25] = [
        Self::ToolRead,
        Self::ToolCreate,
        Self::Create,
        Self::Replace,
        Self::Patch,
        Self::Delete,
        Self::Transaction,
        Self::Batch,
        Self::Settings,
        Self::PutAsset,
        Self::DeleteAsset,
        Self::PutSecret,
        Self::RotateSecret,
        Self::DeleteSecret,
        Self::RemoveMember,
        Self::ToolItem,
        Self::ToolDelete,
        Self::Reseal,
        Self::ClaimDomain,
        Self::Newcomer,
        Self::List,
        Self::Search,
        Self::Trail,
        Self::ToolUsage,
        Self::Usage,
    ];

    /// Its transactions.
    pub(crate) fn parts(self) -> u64 {
        if self == Self::Batch { 2 } else { 1 }
    }

    /// How often it is done when it is asked for so many times: what writes is done once, in its parts, and what reads each
    /// time that its reply does not get lost.
    pub(crate) fn times(self, asked: u64) -> std::ops::RangeInclusive<u64> {
        if self.writes() { self.parts()..=self.parts() } else { 1..=asked }
    }

    /// How many items more there are when it is done, in one transaction.
    pub(crate) fn more_items(self) -> isize {
        match self {
            Self::ToolCreate | Self::ToolItem | Self::Create => 1,
            Self::Delete | Self::ToolDelete => -1,
            _ => 0,
        }
    }

    /// Whether it changes what is kept.
    pub(crate) fn writes(self) -> bool {
        use Operation::{List, Search, ToolRead, ToolUsage, Trail, Usage};
        !matches!(self, ToolRead | List | Search | Trail | ToolUsage | Usage)
    }

    /// Whether a repetition is told what the first was. Some tell of calls, and so of themselves; a batch, how far it came.
    pub(crate) fn answers_the_same(self) -> bool {
        !matches!(self, Self::Batch | Self::Trail | Self::ToolUsage | Self::Usage)
    }

    /// What only reads needs nothing.
    fn read(self) -> Ask {
        match self {
            Self::List => Ask::rest(Method::GET, ITEMS, &Value::Null),
            Self::Search => Ask::tool("search", json!({ "query": "before" })),
            Self::Trail => Ask::tool("audit_search", json!({})),
            Self::ToolUsage => Ask::tool("usage_show", json!({})),
            Self::Usage => Ask::rest(Method::GET, "/v1/usage", &Value::Null),
            _ => Ask::tool("notes_list", json!({})),
        }
    }

    /// Makes what it needs for the turn of this number, and says what is to be asked, by whom if not by the guest.
    pub(crate) async fn prepare(self, house: &House, guest: &Guest, n: usize) -> (Option<Guest>, Ask) {
        let fresh =
            async || Guest::make(house, &format!("fresh-{}", super::unique()), Tier::Professional).await;
        let item = async || format!("{ITEMS}/{}", note(house, guest, n).await);
        let value = json!({ "title": "after", "text": format!("{n}") });
        let secret = format!("/v1/secrets/s{n}");
        let secret_value = json!({ "value": format!("value {n}") });
        let ask = match self {
            Self::ToolRead | Self::List | Self::Search | Self::Trail | Self::ToolUsage | Self::Usage => {
                self.read()
            }
            Self::ToolCreate => Ask::tool("notes_create", value),
            Self::Create => Ask::rest(Method::POST, ITEMS, &value),
            Self::Replace => Ask::rest(Method::PUT, item().await, &value).with("if-match", "\"1\""),
            Self::Patch => Ask::rest(Method::PATCH, item().await, &json!({ "text": "after" }))
                .with("content-type", "application/merge-patch+json"),
            Self::Delete => Ask::rest(Method::DELETE, item().await, &Value::Null),
            Self::Transaction => transaction(house, guest, &value).await,
            Self::Batch => {
                let operations = vec![json!({ "op": "create", "value": value }); 91];
                let path = "/v1/collections/notes/batch-write";
                let ask = Ask::rest(Method::POST, path, &json!({ "operations": operations }));
                return (Some(fresh().await), ask);
            }
            Self::Settings => {
                let patch = json!({ "branding": { "company_name": format!("Company {n}") } });
                Ask::rest(Method::PATCH, "/v1/config", &patch)
                    .with("content-type", "application/merge-patch+json")
            }
            Self::PutAsset => image(Method::PUT, "logo").bytes(&[PNG, &[7; 3][..n % 3]].concat()),
            Self::DeleteAsset => {
                done(house, guest, image(Method::PUT, "gone").bytes(PNG)).await;
                Ask::rest(Method::DELETE, "/v1/config/assets/gone", &Value::Null)
            }
            Self::PutSecret => Ask::rest(Method::PUT, secret, &secret_value),
            Self::RotateSecret | Self::DeleteSecret => {
                done(house, guest, Ask::rest(Method::PUT, secret.clone(), &json!({ "value": "old" }))).await;
                match self {
                    Self::RotateSecret => Ask::rest(Method::PUT, secret, &secret_value),
                    _ => Ask::rest(Method::DELETE, secret, &Value::Null),
                }
            }
            Self::RemoveMember => removal(house, guest, n).await,
            Self::ToolItem => Ask::tool("items_create", json!({ "collection": "notes", "value": value })),
            Self::ToolDelete => {
                let allow = json!({ "tools": { "confirm_deletes": "allow" } });
                let allow = Ask::rest(Method::PATCH, "/v1/config", &allow)
                    .with("content-type", "application/merge-patch+json");
                done(house, guest, allow).await;
                let id = note(house, guest, n).await;
                Ask::tool("items_delete", json!({ "collection": "notes", "id": id }))
            }
            Self::Reseal => {
                let fresh = fresh().await;
                done(house, &fresh, Ask::rest(Method::PUT, secret, &secret_value)).await;
                let id = fresh.own.id.clone();
                operate(house.stack, |operator| async move { operator.rotate_data_key(&id).await })
                    .await
                    .unwrap();
                return (Some(fresh), Ask::rest(Method::POST, "/v1/secrets/re-seal", &Value::Null));
            }
            Self::ClaimDomain => return (Some(fresh().await), claim(n)),
            Self::Newcomer => {
                return (Some(fresh().await), Ask::rest(Method::PUT, secret, &secret_value));
            }
        };
        (None, ask)
    }
}
