use std::collections::BTreeMap;

use super::*;
use crate::{Bearer, events::Events, registry::Freshness};

const POSITIONS: [Position; 3] = [Position::Edge, Position::Behind, Position::Vend];

fn resolver(edge: &str, base: &str, isolation: &str) -> Resolver {
    let settings = [
        ("EDGE", edge),
        ("BASE_DOMAIN", base),
        ("ISOLATION", isolation),
        ("AWS_REGION", "eu-central-1"),
        ("ISSUER", "https://login.example.com"),
    ];
    let config =
        Config::read(settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).unwrap();
    let sdk = aws_sdk_dynamodb::Config::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .region(aws_sdk_dynamodb::config::Region::new("eu-central-1"))
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(sdk);
    let fetch = Fetch::new(&config);
    let nobody = aws_credential_types::Credentials::new("id", "secret", None, None, "test");
    let sdk = aws_config::SdkConfig::builder()
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(nobody))
        .build();
    let events = Events::new(fetch.clone(), &sdk, "eu-central-1").unwrap();
    let clock = Clock::fixed_at_s(0);
    let alarms = Arc::new(Alarms::new(events, clock.clone(), None));
    let registry = Registry::new(client, "registry".to_owned(), (Freshness::Read, clock.clone()));
    let denials = Arc::new(Denials::new(clock, None, None));
    Resolver::new(config, registry, fetch, (alarms, denials))
}

fn evidence(event: EventKind, [ours, native, lambda]: [bool; 3]) -> Evidence {
    Evidence {
        event,
        domain_name: None,
        api_id: None,
        path_tenant: None,
        authorizer: ours.then(BTreeMap::new),
        jwt_claims: native.then(BTreeMap::new),
        lambda_tenant: lambda.then(String::new),
        bearer: Some(Bearer::from_token("a.b.c").unwrap()),
    }
}

/// Every row of the table that is let through, spelled `position event place evidence`.
fn let_through(resolver: &Resolver) -> Vec<String> {
    let base = resolver.config.base_domain.as_ref().unwrap().as_str();
    let sites = [base.to_owned(), format!("acme.{base}")];
    let mut rows = Vec::new();
    for position in POSITIONS {
        for (event, site, bits) in [EventKind::V1, EventKind::V2]
            .iter()
            .flat_map(|event| sites.iter().map(move |site| (event, site)))
            .flat_map(|(event, site)| (0..8_u8).map(move |bits| (event, site, bits)))
        {
            let there = [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0];
            let site = Site::read(&resolver.config, site, None, None).unwrap();
            if resolver.check_presence(position, &site, &evidence(*event, there)).is_ok() {
                let place = if site.place == Place::Universal { "universal" } else { "host" };
                let names = ["ours", "native", "lambda"];
                let names: Vec<_> =
                    names.iter().zip(there).filter(|(_, there)| *there).map(|(n, _)| *n).collect();
                rows.push(format!("{position:?} {event:?} {place} {}", names.join("+")));
            }
        }
    }
    rows
}

/// What `vend` takes, whatever the edge is: the bearer and the address, and no one's opinion of them.
const VEND: [&str; 4] = ["Vend V1 universal ", "Vend V1 host ", "Vend V2 universal ", "Vend V2 host "];

fn expect(rows: &[&'static str]) -> Vec<&'static str> {
    rows.iter().chain(&VEND).copied().collect()
}

#[test]
fn behind_a_rest_edge_our_authorizer_is_evidence_and_nothing_else() {
    assert_eq!(
        let_through(&resolver("rest", "mcp.example.com", "off")),
        expect(&["Edge V1 universal ", "Edge V1 host ", "Behind V1 universal ours", "Behind V1 host ours"])
    );
}

#[test]
fn with_isolation_on_lambdas_tenant_must_be_there_too() {
    assert_eq!(
        let_through(&resolver("rest", "mcp.example.com", "on")),
        expect(&[
            "Edge V1 universal ",
            "Edge V1 host ",
            "Behind V1 universal ours+lambda",
            "Behind V1 host ours+lambda"
        ])
    );
}

#[test]
fn behind_an_http_edge_the_place_says_whose_authorizer_it_was() {
    assert_eq!(
        let_through(&resolver("http", "mcp.example.com", "off")),
        expect(&["Edge V2 universal ", "Edge V2 host ", "Behind V2 universal native", "Behind V2 host ours"])
    );
}

#[test]
fn without_an_edge_only_the_laptop_is_served() {
    assert_eq!(
        let_through(&resolver("watch", "localhost", "off")),
        expect(&["Behind V2 universal ", "Behind V2 host "])
    );
}

#[test]
fn an_address_under_our_domain_is_ours_and_one_that_only_looks_so_is_not() {
    let resolver = resolver("rest", "mcp.example.com", "off");
    for (audience, ours) in [
        ("https://mcp.example.com/mcp", true),
        ("https://acme.mcp.example.com/mcp", true),
        ("https://ACME.MCP.example.com/mcp", true),
        ("https://mcp.example.com:8443/acme/mcp", true),
        ("https://a1b2.execute-api.eu-central-1.amazonaws.com/mcp", true),
        ("https://evilmcp.example.com/mcp", false),
        ("https://mcp.example.com.evil.org/mcp", false),
        ("https://login.example.com/mcp", false),
        ("urn:mcp.example.com", false),
        ("mcp.example.com", false),
    ] {
        assert_eq!(resolver.is_ours(audience), ours, "{audience}");
    }
}
