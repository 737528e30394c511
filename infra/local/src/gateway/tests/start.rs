use super::*;

async fn problem(api: Api) -> Option<String> {
    let stack = Arc::new(stack_of(api));
    let lambda = Arc::new(Lambda::start(&stack, config(&[])).await.unwrap());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let started = Gateway::start(listener, stack, lambda, Names::under("localhost")).await;
    started.err().map(|err| err.to_string())
}

#[tokio::test]
async fn an_api_that_the_laptop_can_do_starts() {
    assert_eq!(problem(rest_api()).await, None);
    assert_eq!(problem(http_api()).await, None);
}

#[tokio::test]
async fn a_tenant_from_a_clients_header_does_not_start() {
    for value in ["method.request.header.X-Amz-Tenant-Id", "method.request.querystring.t", "nonsense"] {
        let mut api = rest_api();
        let parameters = &mut api.routes[2].request_parameters;
        parameters.values_mut().for_each(|each| value.clone_into(each));
        let problem = problem(api).await.unwrap();
        assert!(problem.contains("the tenant id may come from the authorizer's context only"), "{problem}");
    }
}

#[tokio::test]
async fn what_does_not_exist_or_is_not_known_does_not_start() {
    let jwt = |issuer: &str| Authorizer::Jwt {
        issuer: issuer.to_owned(),
        audiences: Vec::new(),
        identity_source: "$request.header.Authorization".to_owned(),
    };
    let broken = |change: &dyn Fn(&mut Api), mut api: Api| {
        change(&mut api);
        api
    };
    let cached = Authorizer::Request {
        function_arn: function("Authorize").arn,
        identity_sources: Vec::new(),
        ttl_s: 300,
        simple_responses: false,
    };
    let with = |authorizer: Authorizer, mut api: Api| {
        api.authorizers.insert("new".to_owned(), authorizer);
        api
    };
    for api in [
        broken(&|api| api.routes[0].function_arn.push('x'), rest_api()),
        broken(&|api| api.routes[0].authorizer = Some("none".to_owned()), rest_api()),
        broken(
            &|api| drop(api.routes[0].request_parameters.insert("a".to_owned(), "'b'".to_owned())),
            http_api(),
        ),
        with(cached, rest_api()),
        with(request_authorizer(&["context.identity.sourceIp"], false), rest_api()),
        with(jwt("http://localhost:1"), rest_api()),
        with(jwt("https://example.com"), http_api()),
        with(jwt("http://example.com"), http_api()),
    ] {
        assert!(problem(api).await.is_some());
    }
    assert_eq!(problem(with(jwt("http://localhost:1"), http_api())).await, None);
}
