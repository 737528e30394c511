//! What the rows name: made for the owner, and looked at after somebody else has tried to have it.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Response;
use serde_json::Value;

use super::{
    Attempt, Crossing, Form, NEVER, PNG, Side, row,
    table::{Names, Words},
};
use crate::harness::{CUSTOMERS, json_of};

impl Crossing {
    /// Makes what a row names, for the owner's mark to be found; its id.
    pub(super) async fn plant(&self, names: Names, side: &Side) -> String {
        let number = || self.planted.fetch_add(1, Ordering::Relaxed);
        match names {
            Names::Note => {
                let made = self.send(row("notes_create"), &self.attempt(Form::Path, side, NEVER)).await;
                json_of(&made)["result"]["structuredContent"]["id"].as_str().unwrap().to_owned()
            }
            Names::Secret => {
                let name = format!("secret_{}", number());
                self.put(side, &name, side.mark).await;
                name
            }
            Names::Image => {
                let name = format!("image-{}", number());
                self.put_image(side, &name).await;
                name
            }
            Names::Domain => {
                let domain = format!("crossing-{}.{CUSTOMERS}", number());
                self.claim(side, &domain).await;
                domain
            }
            // Whoever is asking has a seat.
            Names::Member => {
                let members = self.read("GET config/members", NEVER).await;
                json_of(&members)["members"][0]["id"].as_str().unwrap().to_owned()
            }
        }
    }

    /// Puts a secret of this tenant's.
    pub(super) async fn put(&self, side: &Side, name: &str, value: &str) {
        let words = Words { id: name, mark: value };
        let attempt = Attempt { words, ..self.attempt(Form::Path, side, name) };
        let reply = self.send(row("PUT secrets/{name}"), &attempt).await;
        assert_eq!(reply.status(), 201, "{reply:?}");
    }

    /// Puts an image of this tenant's, with its mark in it.
    pub(super) async fn put_image(&self, side: &Side, name: &str) {
        let attempt = self.attempt(Form::Path, side, name);
        let reply = self.send(row("PUT config/assets/{name}"), &attempt).await;
        assert_eq!(reply.status(), 201, "{reply:?}");
    }

    /// Claims a domain for this tenant.
    pub(super) async fn claim(&self, side: &Side, domain: &str) {
        let attempt = self.attempt(Form::Path, side, domain);
        let reply = self.send(row("PUT config/domains/{domain}"), &attempt).await;
        assert_eq!(reply.status(), 201, "{reply:?}");
    }

    /// Whether what was planted is as it was, with the owner's words.
    pub(super) async fn is_kept(&self, names: Names, id: &str) -> bool {
        let any = |list: &Value, is: &dyn Fn(&Value) -> bool| list.as_array().unwrap().iter().any(is);
        match names {
            Names::Note => {
                let note = json_of(&self.read("GET collections/{collection}/items/{id}", id).await);
                note["version"] == 1 && note["value"]["text"] == self.owner.mark
            }
            Names::Secret => {
                let secrets = json_of(&self.read("GET secrets", id).await);
                any(&secrets["secrets"], &|secret| {
                    secret["name"] == id && secret["created"] == secret["updated"]
                })
            }
            Names::Image => {
                // Its version goes on over all that were there before.
                let image = self.read("GET config/assets/{name}", id).await;
                image.body()[..] == [PNG, self.owner.mark.as_bytes()].concat()
            }
            Names::Domain => {
                let domains = json_of(&self.read("GET config/domains", id).await);
                any(&domains["domains"], &|each| each["domain"] == id && each["state"] == "pending")
            }
            Names::Member => {
                let members = json_of(&self.read("GET config/members", id).await);
                any(&members["members"], &|member| member["id"] == id)
            }
        }
    }

    /// What the owner reads by this row.
    async fn read(&self, name: &str, id: &str) -> Response<Bytes> {
        self.send(row(name), &self.attempt(Form::Path, &self.owner, id)).await
    }
}
