//! Lambda's event source mappings: those of the template, and those that an operator makes for streams of other tables.

use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use http::{Method, request::Parts};
use serde_json::{Value, json};

use super::{
    emulated::{keep, read_kept},
    iam::Context,
    need::{Malformed, Need},
    reply::Reply,
};
use crate::template::{Function, Mapping, Stack};

const PATH: &str = "/2015-03-31/event-source-mappings/";
const FILE: &str = "mappings.json";
/// What the role of a function must be allowed on a stream that it is to follow. Source: Lambda, "Process DynamoDB records
/// with Lambda".
const FOLLOW: [&str; 4] = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];
/// What is not the laptop's to do: how long is tried again, and what becomes of what fails.
const IGNORED: [&str; 7] = [
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumBatchingWindowInSeconds",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
];

/// Every mapping there is.
#[derive(Debug)]
pub(crate) struct Mappings {
    functions: Vec<Function>,
    /// What the ARN of a mapping begins with.
    arn_prefix: String,
    all: RwLock<Vec<Known>>,
    data: Option<PathBuf>,
}

/// A mapping and its name.
#[derive(Debug)]
struct Known {
    uuid: String,
    /// Whether an operator has made it.
    is_made: bool,
    mapping: Mapping,
}

impl Known {
    fn new(is_made: bool, mapping: Mapping) -> Self {
        Self { uuid: uuid::Uuid::new_v4().to_string(), is_made, mapping }
    }
}

/// What is asked of Lambda's list.
pub(super) enum Ask {
    List { stream: String },
    Create(Box<Mapping>),
    Delete { uuid: String },
}

impl Mappings {
    /// Those of the template, and those that were kept.
    ///
    /// # Errors
    /// Kept ones that can't be read.
    pub(super) fn open(stack: &Stack, data: Option<&Path>) -> Result<Self, String> {
        let Stack { account, region, functions, .. } = stack;
        let mut all: Vec<_> =
            stack.mappings.iter().map(|mapping| Known::new(false, mapping.clone())).collect();
        let mappings = Self {
            functions: functions.clone(),
            arn_prefix: format!("arn:aws:lambda:{region}:{account}:event-source-mapping:"),
            all: RwLock::default(),
            data: data.map(Path::to_owned),
        };
        for kept in read_kept::<Vec<Value>>(data, FILE)?.unwrap_or_default() {
            let read = mappings.read(&kept).map_err(|Malformed(why)| format!("{FILE}: {why}"))?;
            all.push(Known::new(true, read));
        }
        Ok(Self { all: RwLock::new(all), ..mappings })
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Mapping> {
        self.open_all().iter().map(|known| known.mapping.clone()).collect()
    }

    /// The streams that somebody follows.
    pub(super) fn streams(&self) -> Vec<String> {
        self.open_all().iter().map(|known| known.mapping.stream_arn.clone()).collect()
    }

    /// Whether a request is for this list.
    pub(super) fn takes(head: &Parts) -> bool {
        head.uri.path().starts_with(PATH)
    }

    /// Lambda's name of what is asked.
    pub(super) fn operation(head: &Parts) -> &'static str {
        match head.method {
            Method::GET => "ListEventSourceMappings",
            Method::DELETE => "DeleteEventSourceMapping",
            _ => "CreateEventSourceMapping",
        }
    }

    /// What is asked.
    ///
    /// # Errors
    /// What is not understood to its last member.
    pub(super) fn ask(&self, head: &Parts, body: &[u8]) -> Result<Ask, Malformed> {
        let wrong = |why: &str| Malformed(why.to_owned());
        let rest = head.uri.path().strip_prefix(PATH).unwrap_or_default();
        let query = head.uri.query().unwrap_or_default();
        match (&head.method, rest) {
            (&Method::GET, "") => {
                let mut pairs = url::form_urlencoded::parse(query.as_bytes());
                match (pairs.next(), pairs.next()) {
                    (Some((name, stream)), None) if name == "EventSourceArn" => {
                        Ok(Ask::List { stream: stream.into_owned() })
                    }
                    _ => Err(wrong("mappings are listed by EventSourceArn alone")),
                }
            }
            (&Method::POST, "") if query.is_empty() => {
                let body = serde_json::from_slice(body).map_err(|_err| wrong("the body is not JSON"))?;
                Ok(Ask::Create(Box::new(self.read(&body)?)))
            }
            (&Method::DELETE, uuid) if query.is_empty() && !uuid.is_empty() => {
                Ok(Ask::Delete { uuid: uuid.to_owned() })
            }
            _ => Err(wrong("this is not asked of mappings here")),
        }
    }

    /// What it needs to be allowed.
    pub(super) fn need(&self, ask: &Ask) -> Need {
        let mut context = Context::default();
        let function = |name: &str| self.function(name).map(|function| function.arn.clone());
        let (action, resource, of) = match ask {
            Ask::List { .. } => ("ListEventSourceMappings", "*".to_owned(), None),
            Ask::Create(mapping) => ("CreateEventSourceMapping", "*".to_owned(), function(&mapping.function)),
            Ask::Delete { uuid } => {
                let all = self.open_all();
                let known = all.iter().find(|known| known.uuid == *uuid);
                let of = known.and_then(|known| function(&known.mapping.function));
                ("DeleteEventSourceMapping", format!("{}{uuid}", self.arn_prefix), of)
            }
        };
        if let Some(of) = of {
            context.one("lambda:FunctionArn", of);
        }
        Need { action: format!("lambda:{action}"), resource, context }
    }

    /// What the role of a mapping's function needs, by the role.
    pub(super) fn follow(&self, mapping: &Mapping) -> Option<(String, Vec<Need>)> {
        let function = self.function(&mapping.function)?;
        let need = |action| Need {
            action: format!("dynamodb:{action}"),
            resource: mapping.stream_arn.clone(),
            context: Context::default(),
        };
        Some((function.role_arn.clone(), FOLLOW.map(need).into()))
    }

    /// Does it.
    pub(super) fn serve(&self, ask: Ask) -> Reply {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let reply = match ask {
            Ask::List { stream } => {
                let listed = all.iter().filter(|known| known.mapping.stream_arn == stream);
                let listed: Vec<_> = listed.map(|known| self.described(known)).collect();
                return Reply::ok(json!({ "EventSourceMappings": listed }));
            }
            Ask::Create(mapping) => {
                let is_same = |known: &Known| {
                    known.mapping.stream_arn == mapping.stream_arn
                        && known.mapping.function == mapping.function
                };
                if all.iter().any(is_same) {
                    let body = json!({ "__type": "ResourceConflictException", "Type": "User" });
                    return Reply { status: 409, body };
                }
                let known = Known::new(true, *mapping);
                let body = self.described(&known);
                all.push(known);
                Reply { status: 202, body }
            }
            Ask::Delete { uuid } => {
                let Some(at) = all.iter().position(|known| known.uuid == uuid) else {
                    let body = json!({ "__type": "ResourceNotFoundException", "Type": "User" });
                    return Reply { status: 404, body };
                };
                Reply { status: 202, body: self.described(&all.remove(at)) }
            }
        };
        let made: Vec<_> =
            all.iter().filter(|known| known.is_made).map(|known| asked(&known.mapping)).collect();
        match keep(self.data.as_deref(), FILE, &made) {
            Ok(()) => reply,
            Err(err) => {
                tracing::error!(error = err, "the mappings can't be kept");
                Reply::fault("ServiceException")
            }
        }
    }

    /// The function of this name or ARN.
    pub(super) fn function(&self, named: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == named || function.arn == named)
    }

    /// A mapping of Lambda's own form.
    fn read(&self, body: &Value) -> Result<Mapping, Malformed> {
        let wrong = |why: &str| Malformed(why.to_owned());
        let members = body.as_object().ok_or_else(|| wrong("an object is expected"))?;
        let read = ["FunctionName", "EventSourceArn", "StartingPosition", "BatchSize", "FilterCriteria"];
        let strange = |name: &&String| {
            let name = name.as_str();
            !(read.contains(&name) || IGNORED.contains(&name) || name == "FunctionResponseTypes")
        };
        if let Some(name) = members.keys().find(strange) {
            return Err(Malformed(format!("the member {name} is not understood")));
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let is_strict = members.get("FunctionResponseTypes") == Some(&json!(["ReportBatchItemFailures"]))
            && text("StartingPosition") == Some("TRIM_HORIZON");
        if !is_strict {
            return Err(wrong("the laptop knows TRIM_HORIZON and ReportBatchItemFailures alone"));
        }
        let function = text("FunctionName").and_then(|named| self.function(named));
        let filters = body.pointer("/FilterCriteria/Filters").and_then(Value::as_array);
        let pattern = |filter: &Value| {
            let text = filter.get("Pattern").and_then(Value::as_str);
            text.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| wrong("a pattern is JSON"))
        };
        let batch = members.get("BatchSize").map_or(Some(100), Value::as_u64);
        Ok(Mapping {
            function: function.ok_or_else(|| wrong("there is no such function"))?.name.clone(),
            stream_arn: text("EventSourceArn").ok_or_else(|| wrong("a stream is expected"))?.to_owned(),
            batch_records_max: batch
                .and_then(|count| u32::try_from(count).ok())
                .ok_or_else(|| wrong("BatchSize is a number"))?,
            patterns: filters.into_iter().flatten().map(pattern).collect::<Result<_, _>>()?,
        })
    }

    /// As Lambda lists it.
    fn described(&self, known: &Known) -> Value {
        let Known { uuid, mapping, .. } = known;
        let mut described = asked(mapping);
        if let Some(members) = described.as_object_mut() {
            members.remove("FunctionName");
            let arn = self.function(&mapping.function).map(|function| &function.arn);
            members.extend([
                ("UUID".to_owned(), json!(uuid)),
                ("State".to_owned(), json!("Enabled")),
                ("FunctionArn".to_owned(), json!(arn)),
            ]);
        }
        described
    }

    fn open_all(&self) -> RwLockReadGuard<'_, Vec<Known>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The request that makes it.
fn asked(mapping: &Mapping) -> Value {
    let filters: Vec<_> =
        mapping.patterns.iter().map(|pattern| json!({ "Pattern": pattern.to_string() })).collect();
    json!({
        "FunctionName": mapping.function,
        "EventSourceArn": mapping.stream_arn,
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": mapping.batch_records_max,
        "FilterCriteria": { "Filters": filters },
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::{
        aws::iam::{Decision, Policies, Query},
        template::tests::load,
    };

    const STREAM: &str = "arn:aws:dynamodb:eu-central-1:000000000000:table/own/stream/local";

    fn stack() -> Stack {
        load(&[]).unwrap()
    }

    fn create(function: &str) -> Value {
        json!({
            "FunctionName": function, "EventSourceArn": STREAM, "StartingPosition": "TRIM_HORIZON",
            "FilterCriteria": { "Filters": [{ "Pattern": "{\"eventName\":[\"INSERT\"]}" }] },
            "FunctionResponseTypes": ["ReportBatchItemFailures"], "BisectBatchOnFunctionError": true,
        })
    }

    fn ask(mappings: &Mappings, method: Method, rest: &str, body: &Value) -> Result<Ask, Malformed> {
        let request = Request::builder().method(method).uri(format!("{PATH}{rest}")).body(()).unwrap();
        mappings.ask(&request.into_parts().0, body.to_string().as_bytes())
    }

    #[test]
    fn a_function_follows_a_stream_once_until_it_is_told_not_to() {
        let mappings = Mappings::open(&stack(), None).unwrap();
        let there = mappings.all().len();
        let serve =
            |method, rest: &str, body: &Value| mappings.serve(ask(&mappings, method, rest, body).unwrap());
        let list = format!("?EventSourceArn={STREAM}");
        assert_eq!(serve(Method::GET, &list, &Value::Null).body, json!({ "EventSourceMappings": [] }));
        let made = serve(Method::POST, "", &create("MeterFunction"));
        assert_eq!((made.status, &made.body["BatchSize"]), (202, &json!(100)));
        assert_eq!(serve(Method::POST, "", &create("MeterFunction")).status, 409);
        assert_eq!(serve(Method::GET, &list, &Value::Null).body["EventSourceMappings"][0], made.body);
        assert_eq!(mappings.all().len(), there.checked_add(1).unwrap());
        let uuid = made.body["UUID"].as_str().unwrap();
        assert_eq!(serve(Method::DELETE, uuid, &Value::Null).status, 202);
        assert_eq!((serve(Method::DELETE, uuid, &Value::Null).status, mappings.all().len()), (404, there));
    }

    #[test]
    fn what_an_operator_made_is_there_after_a_new_start() {
        let folder = std::env::temp_dir().join(format!("insula-mappings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let stack = stack();
        let before = Mappings::open(&stack, Some(&folder)).unwrap();
        before.serve(ask(&before, Method::POST, "", &create("MeterFunction")).unwrap());
        let after = Mappings::open(&stack, Some(&folder)).unwrap();
        assert_eq!(after.streams(), before.streams());
        assert_eq!(after.all().last().unwrap().patterns, [json!({ "eventName": ["INSERT"] })]);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let mappings = Mappings::open(&stack(), None).unwrap();
        assert!(ask(&mappings, Method::POST, "", &create("MeterFunction")).is_ok());
        for (name, value) in [
            ("FunctionName", json!("NoFunction")),
            ("StartingPosition", json!("LATEST")),
            ("FunctionResponseTypes", json!([])),
            ("BatchSize", json!("many")),
            ("SourceAccessConfigurations", json!([])),
            ("FilterCriteria", json!({ "Filters": [{ "Pattern": "{" }] })),
        ] {
            let mut body = create("MeterFunction");
            body[name] = value;
            assert!(ask(&mappings, Method::POST, "", &body).is_err(), "{name}");
        }
        assert!(ask(&mappings, Method::GET, "", &Value::Null).is_err());
        assert!(ask(&mappings, Method::PUT, "some", &Value::Null).is_err());
    }

    #[test]
    fn who_moves_says_who_follows_a_stream_and_who_erases_that_nobody_does() {
        let stack = stack();
        let mappings = Mappings::open(&stack, None).unwrap();
        let decide = |role: &str, ask: &Ask| {
            let role = stack.roles.iter().find(|known| known.name == role).unwrap();
            let Need { action, resource, context } = mappings.need(ask);
            let query = Query { action: &action, resource: &resource, principal: None, context: &context };
            Policies::parse(&role.policies).unwrap().decide(&query)
        };
        let create = |function: &str| ask(&mappings, Method::POST, "", &create(function)).unwrap();
        let pooled = mappings.open_all()[0].uuid.clone();
        let delete = ask(&mappings, Method::DELETE, &pooled, &Value::Null).unwrap();
        let list = ask(&mappings, Method::GET, "?EventSourceArn=a", &Value::Null).unwrap();
        let may = ["MoverRole", "EraserRole"];
        for (ask, may) in [(&create("MeterFunction"), &may[..1]), (&delete, &may), (&list, &may)] {
            for name in stack.roles.iter().map(|role| &role.name) {
                assert_eq!(decide(name, ask) == Decision::Allow, may.contains(&&**name), "{name}");
            }
        }
        assert_eq!(decide("MoverRole", &create("McpFunction")), Decision::ImplicitDeny);
    }
}
