//! Which route serves a request.

use std::collections::BTreeMap;

use crate::template::{Api, ApiKind, Route};

/// An HTTP API's route for everything that has no route of its own.
const DEFAULT: &str = "$default";

/// What `ANY` stands for. Source: the HTTP methods that API Gateway knows.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// How a path matches a route's, segment by segment; the least is the most specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Exact,
    Parameter,
    Greedy,
    Default,
}

/// A route and what its variables stand for.
#[derive(Debug)]
pub(super) struct Matched<'a> {
    pub(super) route: &'a Route,
    /// The route's place in the list.
    pub(super) index: usize,
    /// In the letters of the path.
    pub(super) parameters: BTreeMap<String, String>,
}

impl Matched<'_> {
    /// `POST /mcp`, or `$default`.
    pub(super) fn key(&self) -> String {
        if self.route.path == DEFAULT {
            return DEFAULT.to_owned();
        }
        format!("{} {}", self.route.method, self.route.path)
    }
}

/// The most specific route. A REST API finds the resource first and then its method, so a resource without
/// the method hides less specific ones; an HTTP API looks for both at once.
pub(super) fn find<'a>(api: &'a Api, method: &str, path: &str) -> Option<Matched<'a>> {
    let fitting = api.routes.iter().enumerate().filter_map(|(index, route)| {
        let (fit, parameters) = fit(&route.path, path)?;
        Some((fit, Matched { route, index, parameters }))
    });
    let mut fitting: Vec<_> = fitting.collect();
    if api.kind == ApiKind::Rest {
        let best = fitting.iter().map(|(fit, _)| fit.clone()).min()?;
        fitting.retain(|(fit, _)| *fit == best);
    }
    fitting.retain(|(_, matched)| takes(&matched.route.method, method));
    let specific =
        fitting.into_iter().min_by_key(|(fit, matched)| (fit.clone(), matched.route.method == "ANY"));
    specific.map(|(_, matched)| matched)
}

fn takes(route: &str, method: &str) -> bool {
    METHODS.contains(&method) && (route == method || route == "ANY")
}

fn fit(route: &str, path: &str) -> Option<(Vec<Fit>, BTreeMap<String, String>)> {
    let mut fits = Vec::new();
    let mut parameters = BTreeMap::new();
    if route == DEFAULT {
        return Some((vec![Fit::Default], parameters));
    }
    let mut left = Some(path.strip_prefix('/')?);
    for segment in route.strip_prefix('/')?.split('/') {
        let rest = left?;
        let variable = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        if let Some(name) = variable.and_then(|name| name.strip_suffix('+')) {
            fits.push(Fit::Greedy);
            parameters.insert(name.to_owned(), filled(rest)?);
            return Some((fits, parameters));
        }
        let (value, after) = rest.split_once('/').map_or((rest, None), |(value, after)| (value, Some(after)));
        left = after;
        match variable {
            Some(name) => {
                fits.push(Fit::Parameter);
                parameters.insert(name.to_owned(), filled(value)?);
            }
            None if segment == value => fits.push(Fit::Exact),
            None => return None,
        }
    }
    left.is_none().then_some((fits, parameters))
}

fn filled(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(kind: ApiKind, routes: &[(&str, &str)]) -> Api {
        let route = |(method, path): &(&str, &str)| Route {
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            function_arn: String::new(),
            authorizer: None,
            request_parameters: BTreeMap::new(),
        };
        Api {
            id: String::new(),
            kind,
            stage: String::new(),
            routes: routes.iter().map(route).collect(),
            authorizers: BTreeMap::new(),
            gateway_responses: BTreeMap::new(),
            binary_media_types: Vec::new(),
        }
    }

    fn found(api: &Api, method: &str, path: &str) -> Option<String> {
        find(api, method, path).map(|matched| matched.key())
    }

    const ROUTES: [(&str, &str); 5] = [
        ("ANY", "/.well-known/{proxy+}"),
        ("POST", "/{tenant}/mcp"),
        ("POST", "/mcp"),
        ("GET", "/.well-known/one"),
        ("POST", "/acme/mcp"),
    ];

    #[test]
    fn the_most_specific_route_wins() {
        for kind in [ApiKind::Rest, ApiKind::Http] {
            let api = api(kind, &ROUTES);
            let found = |method, path| found(&api, method, path);
            assert_eq!(found("POST", "/mcp").as_deref(), Some("POST /mcp"));
            assert_eq!(found("POST", "/acme/mcp").as_deref(), Some("POST /acme/mcp"));
            assert_eq!(found("POST", "/globex/mcp").as_deref(), Some("POST /{tenant}/mcp"));
            assert_eq!(found("GET", "/.well-known/one").as_deref(), Some("GET /.well-known/one"));
            assert_eq!(found("GET", "/.well-known/a/b").as_deref(), Some("ANY /.well-known/{proxy+}"));
            for none in ["/", "/mcp/", "//mcp", "/a/b/mcp", "/MCP", "/.well-known", "/.well-known/", "/%6dcp"]
            {
                assert_eq!(found("POST", none), None, "{none}");
            }
            assert_eq!(found("TRACE", "/.well-known/a"), None);
        }
    }

    #[test]
    fn a_rest_resource_without_the_method_hides_the_greedy_one() {
        let path = "/.well-known/one";
        assert_eq!(found(&api(ApiKind::Rest, &ROUTES), "POST", path), None);
        let http = found(&api(ApiKind::Http, &ROUTES), "POST", path);
        assert_eq!(http.as_deref(), Some("ANY /.well-known/{proxy+}"));
    }

    #[test]
    fn an_http_apis_default_route_comes_last() {
        let api = api(ApiKind::Http, &[("ANY", "$default"), ("ANY", "/{proxy+}"), ("GET", "/a")]);
        assert_eq!(found(&api, "GET", "/a").as_deref(), Some("GET /a"));
        assert_eq!(found(&api, "POST", "/a").as_deref(), Some("ANY /{proxy+}"));
        assert_eq!(found(&api, "POST", "/").as_deref(), Some("$default"));
    }

    #[test]
    fn variables_stand_for_what_the_path_has() {
        let api = api(ApiKind::Rest, &ROUTES);
        let matched = find(&api, "POST", "/a%2Fb%zz/mcp").unwrap();
        assert_eq!(matched.parameters["tenant"], "a%2Fb%zz");
        assert_eq!(find(&api, "GET", "/.well-known/x/y%20z").unwrap().parameters["proxy"], "x/y%20z");
    }
}
