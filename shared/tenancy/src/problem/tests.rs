use super::*;
use crate::QuotaKind;

#[test]
fn a_problem_that_waiters_share_stays_what_it_was() {
    let fault = Fault { path: "branding".to_owned(), reason: "unknown".to_owned() };
    for problem in [
        Problem::unauthenticated(Denial::Evidence, None),
        Problem::InsufficientScope { scope: "notes:write".to_owned() },
        Problem::Suspended,
        Problem::Forbidden { detail: "no".to_owned() },
        Problem::FeatureOff { feature: Feature::ApiAccess, tier: Tier::Free },
        Problem::NotFound { kind: "note" },
        Problem::Invalid { detail: "limit: 0".to_owned() },
        Problem::Faulty { what: "settings", faults: vec![fault] },
        Problem::VersionRequired,
        Problem::TooLarge { what: "note", bytes_max: 1, bytes: 2 },
        Problem::Conflict { detail: "changed".to_owned() },
        Problem::IdempotencyMismatch,
        Problem::NotFound { kind: "note" }.at("operations[7]".to_owned()),
        Problem::QuotaReached(Box::new(Quota {
            kind: QuotaKind::Items,
            limit: 1,
            used: 1,
            resets: None,
            contact: None,
        })),
        Problem::Moving,
        Problem::Outside { detail: "no answer".to_owned() },
        Problem::unavailable("asking", "no answer"),
        Problem::internal("asking", "a fault"),
    ] {
        let (code, said) = (problem.code(), problem.to_string());
        let again = Problem::again(Arc::new(problem));
        assert_eq!((again.code(), again.to_string()), (code, said));
    }
}

#[test]
fn what_is_wrong_in_a_request_is_said_with_its_place_and_what_is_not_in_it_without() {
    let too_large = || Problem::TooLarge { what: "note", bytes_max: 1, bytes: 2 };
    let invalid = || Problem::Invalid { detail: "id: none".to_owned() };
    let conflict = || Problem::Conflict { detail: "changed".to_owned() };
    for problem in [|| Problem::NotFound { kind: "note" }, too_large, invalid, conflict] {
        let (plain, placed) = (problem(), problem().at("operations[7]".to_owned()));
        assert_eq!((placed.code(), placed.status()), (plain.code(), plain.status()));
        assert_eq!(placed.to_string(), format!("operations[7]: {plain}"));
    }
    let fault = Problem::internal("asking", "a fault").at("operations[7]".to_owned());
    assert!(matches!(fault, Problem::Internal { .. }), "its cause is for the log");
}

#[test]
fn a_shared_problem_keeps_its_causes_for_the_log() {
    let again = Problem::again(Arc::new(Problem::unavailable("asking", "no answer")));
    let first = again.source().and_then(Error::source).map(ToString::to_string);
    assert_eq!(first.as_deref(), Some("no answer"));
}
