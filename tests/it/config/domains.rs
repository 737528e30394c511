//! The domains of a tenant: claimed by several, proved in the DNS, served for one and only when they are proved.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use insula_local::idp::Mint;
use insula_tenancy::{Domain, Feature, Tier};
use serde_json::{Value, json};

use super::{ADMIN, Config, MEMBER};
use crate::{
    ask::{ask, code_of, header, invoke, operate},
    dns::{Said, zone},
    harness::{CUSTOMERS, Stack, json_of, tool_call},
};

/// A name below that for which the gateway answers.
fn customer(label: &str) -> String {
    format!("{label}.{CUSTOMERS}")
}

impl Config {
    async fn on_domain(&self, method: Method, domain: &str, then: &str) -> Response<Bytes> {
        let path = format!("/v1/config/domains/{domain}{then}");
        self.send(("root", ADMIN), (method, &path), &[], "").await
    }

    /// The TXT record's name and text, for a domain that is claimed or claimed already.
    async fn claim(&self, domain: &str) -> (String, String) {
        let reply = self.on_domain(Method::PUT, domain, "").await;
        assert!(reply.status().is_success(), "{reply:?}");
        let record = &json_of(&reply)["record"];
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        assert_eq!((text("type").as_str(), text("name")), ("TXT", format!("_mcp-challenge.{domain}")));
        (text("name"), text("value"))
    }

    /// The state after the DNS was looked into, with the reason where there is one.
    async fn verify(&self, domain: &str) -> String {
        let reply = self.on_domain(Method::POST, domain, "/verify").await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        state_of(&json_of(&reply))
    }

    /// Claims a domain, puts its record into the DNS, and has it looked for.
    async fn prove(&self, domain: &str) -> String {
        let (name, value) = self.claim(domain).await;
        zone().texts(&name, &[&value]);
        self.verify(domain).await
    }

    /// The states of all domains that it claims.
    async fn domains(&self) -> Vec<String> {
        let listed = json_of(&self.get("/v1/config/domains").await);
        let domains = listed["domains"].as_array().unwrap().iter();
        domains.map(|each| format!("{} {}", each["domain"].as_str().unwrap(), state_of(each))).collect()
    }

    fn token_for(&self, resource: &str) -> String {
        let mint = Mint {
            tenant: Some(format!("org-{}", self.own.slug)),
            sub: Some("root".to_owned()),
            scope: Some(MEMBER.to_owned()),
            resource: resource.to_owned(),
            ..Mint::default()
        };
        self.stack.local.idp.mint(&mint).unwrap().access_token
    }

    /// A tool's call at a domain, with this tenant's token for an address.
    async fn call_at(&self, domain: &str, resource: &str) -> Response<Bytes> {
        let call = tool_call("notes_list", json!({}));
        self.stack.post(&at(self.stack, domain), Some(&self.token_for(resource)), &call).await
    }

    /// Whether `vend` gives credentials for a domain: the other functions remember where an address leads for 30 s, and it
    /// remembers nothing.
    async fn is_vended(&self, domain: &str) -> bool {
        let bearer = self.token_for(&at(self.stack, domain));
        let request = json!({ "bearer": bearer, "domain_name": domain, "api_id": null, "path_tenant": null });
        let answer = invoke(self.stack, "vend", &request).await.unwrap();
        assert!(answer == "refused" || answer["granted"].is_object(), "no other answer is expected");
        answer != "refused"
    }

    /// Whether it is served at a domain with a token for it.
    async fn is_served(&self, domain: &str) -> bool {
        let reply = self.call_at(domain, &at(self.stack, domain)).await;
        assert!(matches!(reply.status().as_u16(), 200 | 401), "{reply:?}");
        reply.status() == 200 && json_of(&reply)["result"]["isError"] == false
    }
}

fn state_of(view: &Value) -> String {
    let state = view["state"].as_str().unwrap();
    assert_eq!(view["reason"].is_null(), view["detail"].is_null(), "{view}");
    view["reason"].as_str().map_or_else(|| state.to_owned(), |reason| format!("{state} {reason}"))
}

/// The MCP endpoint of a domain.
fn at(stack: &Stack, domain: &str) -> String {
    format!("http://{domain}:{}/mcp", stack.local.port)
}

/// What a domain says to a token of its own, whatever its name is.
async fn said_at(config: &Config, domain: &str) -> String {
    let call = config.call_at(domain, &at(config.stack, domain)).await;
    let document = at(config.stack, domain).replace("/mcp", "/.well-known/oauth-protected-resource/mcp");
    let document = config.stack.send(&document, Request::get("/").body(Full::default()).unwrap()).await;
    let challenge = header(call.headers(), "www-authenticate");
    let texts = [call.body(), document.body()].map(|body| String::from_utf8_lossy(body).into_owned());
    format!("{} {challenge} {} {texts:?}", call.status(), document.status()).replace(domain, "DOMAIN")
}

#[tokio::test]
async fn a_domain_is_served_from_its_proof_to_its_release_and_no_longer() {
    let config = Config::make("domains-life", Tier::Professional).await;
    let (domain, never) = (customer("life"), customer("life-never"));
    let claimed = config.on_domain(Method::PUT, &domain, "").await;
    assert_eq!(claimed.status(), 201);
    assert_eq!(header(claimed.headers(), "location"), format!("/v1/config/domains/{domain}"));
    let view = json_of(&claimed);
    assert_eq!((&view["state"], &view["checked"]), (&json!("pending"), &Value::Null));
    assert_eq!(view["url"], at(config.stack, &domain));
    let (name, value) = config.claim(&domain).await;
    assert!(value.starts_with("mcp-challenge=") && !claimed.body().windows(6).any(|word| word == b"insula"));
    // What is claimed and not proved is as if it had never been claimed, with a token for it too.
    let unknown = said_at(&config, &never).await;
    assert!(unknown.starts_with("401"), "{unknown}");
    assert_eq!(said_at(&config, &domain).await, unknown);

    assert_eq!(config.verify(&domain).await, "failed no_record");
    zone().texts(&name, &["v=spf1 -all", &value[1..], &format!("{value} "), &value.to_uppercase()]);
    assert_eq!(config.verify(&domain).await, "failed other_record");
    zone().say(&name, Said::Silence);
    assert_eq!(config.verify(&domain).await, "failed no_answer");
    assert_eq!(said_at(&config, &domain).await, unknown);
    assert!(!config.is_vended(&domain).await);
    // Among others, and in two strings.
    let (first, second) = value.split_at(20);
    let strings = vec![vec!["other".to_owned()], vec![first.to_owned(), second.to_owned()]];
    zone().say(&name, Said::Texts(strings));
    assert_eq!(config.verify(&domain).await, "verified");
    assert!(config.is_served(&domain).await && config.is_vended(&domain).await);
    assert_eq!(config.domains().await, [format!("{domain} verified")]);
    // Each address is an audience of its own.
    let own = config.stack.host_url(&config.own.slug);
    assert_eq!(config.call_at(&domain, &own).await.status(), 401);
    let document =
        format!("http://{domain}:{}/.well-known/oauth-protected-resource", config.stack.local.port);
    let document = config.stack.send(&document, Request::get("/").body(Full::default()).unwrap()).await;
    assert_eq!(json_of(&document)["resource"], at(config.stack, &domain));
    // What is verified stays so when its record has gone.
    zone().texts(&name, &[]);
    assert_eq!(config.verify(&domain).await, "verified");
    assert!(config.is_served(&domain).await);

    for status in [204, 404] {
        assert_eq!(config.on_domain(Method::DELETE, &domain, "").await.status(), status);
    }
    assert_eq!(config.domains().await, [""; 0]);
    assert!(!config.is_vended(&domain).await);
    // A new claim is proved anew: what may still be in the DNS from before is nothing to it.
    let (_, again) = config.claim(&domain).await;
    assert_ne!(again, value);
    zone().texts(&name, &[&value]);
    assert_eq!(config.verify(&domain).await, "failed other_record");
    zone().texts(&name, &[&value, &again]);
    assert_eq!(config.verify(&domain).await, "verified");
    assert!(config.is_vended(&domain).await);
}

#[tokio::test]
async fn two_may_claim_a_domain_and_the_first_to_prove_it_has_it_for_ever() {
    let (a, b) = (
        Config::make("domains-race-a", Tier::Professional).await,
        Config::make("domains-race-b", Tier::Professional).await,
    );
    let domain = customer("race");
    let ((name, of_a), (_, of_b)) = (a.claim(&domain).await, b.claim(&domain).await);
    assert_ne!(of_a, of_b);
    // A proof is its own tenant's alone.
    zone().texts(&name, &[&of_a]);
    assert_eq!(b.verify(&domain).await, "failed other_record");
    zone().texts(&name, &[&of_a, &of_b]);
    let (said_a, said_b) = tokio::join!(a.verify(&domain), b.verify(&domain));
    let (winner, loser) = match (said_a.as_str(), said_b.as_str()) {
        ("verified", "failed taken") => (&a, &b),
        ("failed taken", "verified") => (&b, &a),
        said => panic!("{said:?}"),
    };
    assert!(winner.is_served(&domain).await && !loser.is_served(&domain).await);
    assert_eq!(winner.domains().await, [format!("{domain} verified")]);
    assert_eq!(loser.domains().await, [format!("{domain} failed taken")]);
    // Nobody ends what is another's, and what the winner gives up is nobody else's.
    assert_eq!(loser.on_domain(Method::DELETE, &domain, "").await.status(), 204);
    assert!(winner.is_served(&domain).await);
    assert_eq!(winner.on_domain(Method::DELETE, &domain, "").await.status(), 204);
    assert_eq!(loser.prove(&domain).await, "failed taken");
    assert!(!loser.is_vended(&domain).await && !winner.is_vended(&domain).await);
    assert_eq!(winner.prove(&domain).await, "verified");
    assert!(winner.is_vended(&domain).await && !loser.is_vended(&domain).await);
    // But for the operator, who knows both.
    let typed: Domain = domain.parse().unwrap();
    let free = async |owner: &Config| {
        let (id, typed) = (owner.own.id.clone(), typed.clone());
        operate(a.stack, |operator| async move { operator.free_domain(&typed, &id).await }).await
    };
    assert_eq!(free(loser).await.unwrap_err().code(), "not_found");
    free(winner).await.unwrap();
    assert!(!winner.is_vended(&domain).await);
    assert_eq!(loser.verify(&domain).await, "failed other_record");
    assert_eq!(loser.prove(&domain).await, "verified");
    assert!(loser.is_vended(&domain).await && !winner.is_vended(&domain).await);
    assert_eq!(winner.domains().await, [format!("{domain} verified")]);
    assert_eq!(winner.prove(&domain).await, "failed taken");
}

#[tokio::test]
async fn another_tenants_claim_is_as_missing_as_none() {
    let (own, other) = (
        Config::make("domains-own", Tier::Professional).await,
        Config::make("domains-other", Tier::Professional).await,
    );
    let (domain, never) = (customer("own"), customer("own-never"));
    assert_eq!(own.prove(&domain).await, "verified");
    for (method, then) in [(Method::POST, "/verify"), (Method::DELETE, "")] {
        let foreign = other.on_domain(method.clone(), &domain, then).await;
        let missing = other.on_domain(method.clone(), &never, then).await;
        assert_eq!((foreign.status().as_u16(), foreign.body()), (404, missing.body()), "{method}");
    }
    assert_eq!(other.domains().await, [""; 0]);
    // A claim says nothing of another's, whose domain is verified.
    let plain = |reply: &Response<Bytes>, domain: &str| {
        let mut view = json_of(reply);
        view["record"]["value"] = Value::Null;
        view["claimed"] = Value::Null;
        (reply.status(), view.to_string().replace(domain, "DOMAIN"))
    };
    let taken = other.on_domain(Method::PUT, &domain, "").await;
    let free = other.on_domain(Method::PUT, &never, "").await;
    assert_eq!(plain(&taken, &domain), plain(&free, &never));
    assert!(own.is_served(&domain).await);
}

#[tokio::test]
async fn a_domain_that_breaks_a_rule_is_refused_by_its_name() {
    let config = Config::make("domains-rules", Tier::Professional).await;
    for (domain, rule) in [
        ("localhost", "at least two labels"),
        ("acme.localhost", "names of a machine, a private network or AWS are nobody's"),
        ("127.0.0.1", "the last label begins with a letter; an IP address is no domain"),
        ("rules.customers.test.", "each label has 1 to 63 characters"),
        ("%2A.customers.test", "without scheme, port or wildcard"),
        ("Rules.customers.test", "lower case"),
        ("r%C3%BCles.customers.test", "in their xn-- form"),
    ] {
        let reply = config.on_domain(Method::PUT, domain, "").await;
        let said =
            json_of(&reply)["detail"].as_str().unwrap_or_else(|| panic!("{domain}: {reply:?}")).to_owned();
        assert_eq!((reply.status().as_u16(), code_of(&reply).as_str()), (400, "invalid"), "{domain}");
        assert!(said.starts_with("domain: ") && said.contains(rule), "{domain}: {said}");
    }
    // One more than there may be, until there is room again.
    for number in 0..5 {
        assert_eq!(
            config.on_domain(Method::PUT, &customer(&format!("rules-{number}")), "").await.status(),
            201
        );
    }
    let sixth = customer("rules-5");
    let refused = config.on_domain(Method::PUT, &sixth, "").await;
    assert_eq!(
        (refused.status().as_u16(), &json_of(&refused)["detail"]),
        (400, &json!("domains: 5 of at most 5"))
    );
    assert_eq!(config.on_domain(Method::PUT, &customer("rules-0"), "").await.status(), 200);
    assert_eq!(config.on_domain(Method::DELETE, &customer("rules-0"), "").await.status(), 204);
    assert_eq!(config.on_domain(Method::PUT, &sixth, "").await.status(), 201);
}

#[tokio::test]
async fn domains_are_for_admins_of_tenants_with_custom_branding() {
    let config = Config::make("domains-feature", Tier::Starter).await;
    let domain = customer("feature");
    assert_eq!(code_of(&config.on_domain(Method::PUT, &domain, "").await), "feature_off");
    config.switch(Feature::CustomBranding, true).await;
    assert_eq!(config.prove(&domain).await, "verified");
    let path = format!("/v1/config/domains/{domain}");
    for (method, path) in [
        (Method::GET, "/v1/config/domains"),
        (Method::PUT, &path),
        (Method::POST, &format!("{path}/verify")),
        (Method::DELETE, &path),
    ] {
        let refused = config.send(("mia", MEMBER), (method.clone(), path), &[], "").await;
        assert_eq!((refused.status().as_u16(), code_of(&refused).as_str()), (403, "forbidden"), "{method}");
    }
    // Without the feature nothing new is proved, and what is served stays until its admin ends it.
    config.switch(Feature::CustomBranding, false).await;
    assert_eq!(code_of(&config.on_domain(Method::POST, &domain, "/verify").await), "feature_off");
    assert!(config.is_served(&domain).await);
    assert_eq!(config.domains().await, [format!("{domain} verified")]);
    assert_eq!(config.on_domain(Method::DELETE, &domain, "").await.status(), 204);
    assert!(!config.is_vended(&domain).await);
}

#[tokio::test]
async fn under_one_key_the_dns_is_looked_into_once_and_both_parts_are_charged_once() {
    let config = Config::make("domains-key", Tier::Professional).await;
    let domain = customer("key");
    let (name, value) = config.claim(&domain).await;
    zone().texts(&name, &["other"]);
    let path = format!("/v1/config/domains/{domain}/verify");
    let verify = async |key: &str| {
        let reply =
            config.send(("root", ADMIN), (Method::POST, &path), &[("idempotency-key", key)], "").await;
        (reply.status().as_u16(), json_of(&reply))
    };
    let before = config.own.meter(config.stack).await.0;
    let first = verify("k1").await;
    assert_eq!((first.0, state_of(&first.1).as_str()), (200, "failed other_record"));
    assert_eq!(config.own.meter(config.stack).await.0, before + 2);
    zone().texts(&name, &[&value]);
    assert_eq!(verify("k1").await, first);
    assert_eq!((zone().asked(&name), config.own.meter(config.stack).await.0), (0, before + 2));
    assert!(!config.is_served(&domain).await);
    assert_eq!(state_of(&verify("k2").await.1), "verified");
    assert_eq!(zone().asked(&name), 1);
    assert!(config.is_served(&domain).await);
}

#[tokio::test]
async fn a_deployment_with_one_address_for_all_takes_no_claim() {
    let stack = crate::harness::http_stack();
    let url = stack.path_url("acme");
    let mint = Mint {
        user: Some("org-acme".to_owned()),
        scope: Some(ADMIN.to_owned()),
        resource: url.clone(),
        ..Mint::default()
    };
    let bearer = format!("Bearer {}", stack.local.idp.mint(&mint).unwrap().access_token);
    let headers = [("authorization", bearer.as_str())];
    let domains = url.replace("/mcp", "/v1/config/domains");
    assert_eq!(ask(stack, Method::GET, &domains, &headers, "").await.status(), 200);
    let refused = ask(stack, Method::PUT, &format!("{domains}/{}", customer("one")), &headers, "").await;
    assert_eq!(
        json_of(&refused)["detail"],
        "domain: this deployment has one address for all, and serves no other domains"
    );
}
