//! What the identity provider knows while it runs.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::StartError;
use super::authorize::Ask;
use super::client::{Client, REGISTERED_MAX};
use super::key::KeyRing;
use super::options::{Options, User};
use super::shelf::Shelf;
use super::token::{Code, Family};

const WAITING_MAX: usize = 1_000;

#[derive(Debug)]
pub(super) struct State {
    /// `http://localhost:<port>`.
    pub(super) issuer: String,
    pub(super) port: u16,
    pub(super) options: Options,
    pub(super) keys: KeyRing,
    pub(super) predefined: Vec<Client>,
    pub(super) clients_file: Option<PathBuf>,
    shelves: Mutex<Shelves>,
}

/// Everything that comes and goes.
#[derive(Debug)]
pub(super) struct Shelves {
    pub(super) clients: Shelf<Client>,
    /// Sign-in pages that were shown.
    pub(super) tickets: Shelf<Ask>,
    pub(super) codes: Shelf<Code>,
    pub(super) families: Shelf<Family>,
}

impl State {
    pub(super) fn new(port: u16, options: Options) -> Result<State, StartError> {
        let mut users: Vec<String> = options.users.iter().map(User::key).collect();
        users.sort();
        users.dedup();
        if users.len() != options.users.len() {
            return Err(StartError::Users);
        }
        let keys = KeyRing::open(options.data.as_deref(), options.clock.now_s()).map_err(StartError::Keys)?;
        let predefined = options.clients.iter().map(Client::predefined).collect::<Result<_, _>>();
        let state = State {
            issuer: format!("http://localhost:{port}"),
            port,
            keys,
            predefined: predefined.map_err(StartError::Clients)?,
            clients_file: options.data.as_ref().map(|data| data.join("idp-clients.json")),
            shelves: Mutex::new(Shelves {
                clients: Shelf::new(REGISTERED_MAX),
                tickets: Shelf::new(WAITING_MAX),
                codes: Shelf::new(WAITING_MAX),
                families: Shelf::new(WAITING_MAX),
            }),
            options,
        };
        state.read_clients().map_err(StartError::Clients)?;
        Ok(state)
    }

    /// Nothing panics while it holds the lock, so what a poisoned lock guards is whole.
    pub(super) fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_s(&self) -> u64 {
        self.options.clock.now_s()
    }

    /// The user of this [`User::key`].
    pub(super) fn user(&self, key: &str) -> Option<&User> {
        self.options.users.iter().find(|user| user.key() == key)
    }

    /// What was asked for, less what nobody can have here; everything of the resources when nothing was asked.
    pub(super) fn supported_scopes(&self, asked: Option<&str>) -> Vec<String> {
        let Some(asked) = asked else { return self.options.scopes.clone() };
        let mut scopes: Vec<String> = Vec::new();
        for scope in asked.split(' ') {
            let is_known = is_oidc_scope(scope) || self.options.scopes.iter().any(|known| known == scope);
            if is_known && !scopes.iter().any(|scope_before| scope_before == scope) {
                scopes.push(scope.to_owned());
            }
        }
        scopes
    }

    /// RFC 8414 and OpenID Connect Discovery in one: neither forbids the other's members.
    pub(super) fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        let mut scopes = self.options.scopes.clone();
        scopes.extend(OIDC_SCOPES.map(str::to_owned));
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"),
            "jwks_uri": format!("{issuer}/jwks"),
            "scopes_supported": scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": self.options.advertise_client_documents,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
        })
    }
}

const OIDC_SCOPES: [&str; 2] = ["openid", "offline_access"];

/// Scopes that open no resource, so that every user may be granted them.
pub(super) fn is_oidc_scope(scope: &str) -> bool {
    OIDC_SCOPES.contains(&scope)
}
