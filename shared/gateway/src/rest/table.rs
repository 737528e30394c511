//! Which endpoint a request is for. A function declares its endpoints once, in init, and ends there if they are not in order.

use std::{collections::BTreeMap, fmt, pin::Pin};

use http::Method;
use insula_tenancy::{Admission, Effect, Feature, Problem, Role, TenantScope};

use super::{Answer, Ask, RoleOf, Takes};
use crate::Request;

/// An operation under `/v1`, with every member written out.
#[derive(Debug)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// The path below `/v1/`, whose `{name}`s are whole segments: `collections/{collection}/items/{id}`.
    pub path: &'static str,
    /// The names of the query that it knows; every other is refused.
    pub query: &'static [&'static str],
    /// What it takes as a body.
    pub takes: Takes,
    /// OAuth scopes, all of which the token needs: what a user let the client do.
    pub scopes: &'static [&'static str],
    /// The feature without which a tenant does not have it.
    pub feature: Option<Feature>,
    /// Its name in the table of roles, in the audit trail and in idempotency records.
    pub action: &'static str,
    /// Whether it writes.
    pub effect: Effect,
    /// What it does.
    pub run: Run,
}

/// An endpoint's function with its type taken off.
pub struct Run(pub(super) Runs);

pub(super) enum Runs {
    /// In one transaction, which the runner commits.
    Whole(Box<dyn Fn(TenantScope, Ask) -> Running + Send + Sync>),
    /// In parts, each of which the function commits itself.
    Parts(Box<dyn Fn(Admission, Ask) -> RunningParts + Send + Sync>),
}

type Running = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;
/// An instance has one thread, so this need not go to another.
type RunningParts = Pin<Box<dyn Future<Output = Result<Answer, Problem>>>>;

/// Takes the type off a function.
#[must_use]
pub fn run<F, Fut>(function: F) -> Run
where
    F: Fn(TenantScope, Ask) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Problem>> + Send + 'static,
{
    Run(Runs::Whole(Box::new(move |scope, ask| Box::pin(function(scope, ask)))))
}

/// Takes the type off a function for what is too large for one transaction: it commits part by part, by
/// [`Admission::chunk`], and never the admission that it is given.
#[must_use]
pub fn run_parts<F, Fut>(function: F) -> Run
where
    F: Fn(Admission, Ask) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Answer, Problem>> + 'static,
{
    Run(Runs::Parts(Box::new(move |admission, ask| Box::pin(function(admission, ask)))))
}

/// Endpoints that are not in order: the function must not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableError(String);

/// A function's endpoints.
#[derive(Debug)]
pub(super) struct Table(Vec<(Endpoint, Role)>);

/// What a request is for.
pub(super) enum Found<'a> {
    Endpoint(Match<'a>),
    /// The path is known, with these methods alone.
    OtherMethods(Vec<Method>),
    Nothing,
}

/// The endpoint of a request, the least role that may use it, and what the variables of its path stand for.
pub(super) struct Match<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) role: Role,
    pub(super) parameters: BTreeMap<&'static str, String>,
}

impl Table {
    /// Takes the endpoints that are whole, no two for the same request, each with a row in the table of roles.
    pub(super) fn new(endpoints: Vec<Endpoint>, role_of: RoleOf) -> Result<Self, TableError> {
        let mut table = Self(Vec::with_capacity(endpoints.len()));
        for endpoint in endpoints {
            let wrong =
                |why: &str| TableError(format!("the endpoint {} {} {why}", endpoint.method, endpoint.path));
            if !is_path(endpoint.path) {
                return Err(wrong(
                    "has an empty segment, or a variable that is no whole segment or comes twice",
                ));
            }
            let same = |other: &Endpoint| other.method == endpoint.method && alike(other.path, endpoint.path);
            if table.0.iter().any(|(other, _)| same(other)) {
                return Err(wrong("is there twice"));
            }
            let role = role_of(endpoint.action)
                .ok_or_else(|| wrong(&format!("does {}, for which no role is named", endpoint.action)))?;
            table.0.push((endpoint, role));
        }
        Ok(table)
    }

    /// The endpoint of a request, by its route and not by the client's path. Of two paths that fit, the one with a word
    /// wins where the other has a variable, whatever their methods are.
    pub(super) fn find(&self, request: &Request) -> Found<'_> {
        let Some(path) = below_v1(request) else { return Found::Nothing };
        let segments: Vec<&str> = path.split('/').collect();
        let fitting = self.0.iter().filter_map(|row| Some((fit(row.0.path, &segments)?, row)));
        let mut fitting: Vec<_> = fitting.collect();
        let Some(best) = fitting.iter().map(|((variables, _), _)| variables.clone()).min() else {
            return Found::Nothing;
        };
        fitting.retain(|((variables, _), _)| *variables == best);
        let mut allow: Vec<_> = fitting.iter().map(|(_, (endpoint, _))| endpoint.method.clone()).collect();
        let mut right = fitting.into_iter().filter(|(_, (endpoint, _))| endpoint.method == request.method);
        match right.next() {
            Some(((_, parameters), (endpoint, role))) => {
                Found::Endpoint(Match { endpoint, role: *role, parameters })
            }
            None => {
                allow.sort_by(|a, b| a.as_str().cmp(b.as_str()));
                Found::OtherMethods(allow)
            }
        }
    }
}

/// The path below `/v1/`, decoded: the route's own words, and what its greedy variable stands for.
fn below_v1(request: &Request) -> Option<String> {
    let route = request.route.strip_prefix("/{tenant}").unwrap_or(&request.route).strip_prefix("/v1/")?;
    match (route.strip_suffix("{proxy+}"), request.parameters.get("proxy")) {
        (Some(words), Some(rest)) => Some(format!("{words}{rest}")),
        (None, None) => Some(route.to_owned()),
        _ => None,
    }
}

/// Where the path has variables, and what they stand for; `None` if it does not fit. A variable is never empty and never
/// one of the segments that other readers of a path would take away.
fn fit(path: &'static str, segments: &[&str]) -> Option<(Vec<bool>, BTreeMap<&'static str, String>)> {
    let declared: Vec<&'static str> = path.split('/').collect();
    if declared.len() != segments.len() {
        return None;
    }
    let mut variables = Vec::with_capacity(segments.len());
    let mut parameters = BTreeMap::new();
    for (declared, segment) in declared.into_iter().zip(segments) {
        match variable(declared) {
            Some(name) if !matches!(*segment, "" | "." | "..") => {
                parameters.insert(name, (*segment).to_owned());
                variables.push(true);
            }
            None if declared == *segment => variables.push(false),
            _ => return None,
        }
    }
    Some((variables, parameters))
}

fn variable(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn is_path(path: &'static str) -> bool {
    let is_word = |word: &str| !word.is_empty() && !word.contains(['{', '}', '+', '*', '.', '?', '%']);
    let mut names: Vec<_> = path.split('/').filter_map(variable).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() == count && path.split('/').all(|segment| is_word(variable(segment).unwrap_or(segment)))
}

/// Whether two paths fit the same requests and no others.
fn alike(one: &'static str, other: &'static str) -> bool {
    let shape = |path: &'static str| {
        path.split('/').map(|segment| variable(segment).is_none().then_some(segment)).collect::<Vec<_>>()
    };
    shape(one) == shape(other)
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Run(…)")
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TableError {}
