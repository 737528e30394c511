//! Replies of two deployments made comparable: what is generated is called by its kind and its order.

use std::collections::HashMap;

/// How a moment is written.
const MOMENT: &str = "0000-00-00T00:00:00.000000Z";
/// How a minute is written.
const MINUTE: &str = "0000-00-00T00:00:00Z";
/// How a request's id is written, in hexadecimal digits.
const REQUEST: &str = "00000000-0000-0000-0000-000000000000";
/// What is measured, and which instance of a function wrote a record and how many of its chain were before, is never the same
/// twice.
const OF_INSTANCES: [&str; 7] = ["duration_ms", "mean_ms", "p50_ms", "p95_ms", "max_ms", "writer", "seq"];
/// From so many letters on a word is a seal: nothing that a test says is as long.
const SEAL_MIN: usize = 40;

/// What one tenant was told in one deployment, in order.
#[derive(Debug)]
pub(super) struct Names {
    /// What is of the deployment and not of the tenant, with its names.
    addresses: Vec<(String, String)>,
    known: HashMap<String, usize>,
}

impl Names {
    pub(super) fn new(addresses: impl Iterator<Item = String>) -> Self {
        let addresses = addresses.enumerate().map(|(at, address)| (address, format!("<address {at}>")));
        Self { addresses: addresses.collect(), known: HashMap::new() }
    }

    /// The text with names. The same id has the same name wherever it is.
    pub(super) fn plain(&mut self, text: &str) -> String {
        let text =
            self.addresses.iter().fold(text.to_owned(), |text, (address, name)| text.replace(address, name));
        let text = without_minute(&text);
        let mut plain = String::with_capacity(text.len());
        let (mut rest, mut last_word) = (text.as_str(), "");
        while let Some(first) = rest.chars().next() {
            let starts = |form: &&str| {
                rest.get(..form.len()).is_some_and(|start| is_like(start, form, u8::is_ascii_digit))
            };
            let moment = [MOMENT, MINUTE].into_iter().find(starts);
            let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let word = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            let (token, behind) = rest.split_at(moment.map_or(word.max(first.len_utf8()), str::len));
            match kind(token) {
                // The one deployment is asked some minutes after the other.
                _ if moment == Some(MINUTE) => plain.push_str("<minute>"),
                _ if OF_INSTANCES.contains(&last_word) && token.starts_with(is_of_word) => {
                    plain.push_str(&format!("<{last_word}>"));
                }
                Some(kind) => {
                    let next = self.known.len();
                    let number = *self.known.entry(token.to_owned()).or_insert(next);
                    plain.push_str(&format!("<{kind} {number}>"));
                }
                None => plain.push_str(token),
            }
            rest = behind;
            last_word = if token.starts_with(is_of_word) { token } else { last_word };
        }
        plain
    }
}

/// The text without what is counted of a minute, which is another one in the other deployment: the one flat object of this
/// name, escaped or not.
fn without_minute(text: &str) -> String {
    const NAME: &str = "calls_minute";
    let mut parts = text.split(NAME);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        let is_object = part.trim_start_matches(['\\', '"', ':']).starts_with('{');
        let rest = if is_object { part.split_once('}').map_or(part, |(_, rest)| rest) } else { part };
        plain + NAME + rest
    })
}

/// What a token is that is made anew in every deployment.
fn kind(token: &str) -> Option<&'static str> {
    if is_moment(token) {
        Some("moment")
    } else if token.len() == 26 && token.starts_with('0') && token.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        Some("id")
    } else if is_like(token, REQUEST, |b| b.is_ascii_hexdigit()) {
        Some("request")
    } else if token.len() >= SEAL_MIN {
        Some("seal")
    } else {
        None
    }
}

fn is_moment(token: &str) -> bool {
    is_like(token, MOMENT, |b| b.is_ascii_digit())
}

fn is_like(token: &str, form: &str, is_digit: impl Fn(&u8) -> bool) -> bool {
    let fits = |(b, like): (u8, u8)| if like == b'0' { is_digit(&b) } else { b == like };
    token.len() == form.len() && token.bytes().zip(form.bytes()).all(fits)
}

#[test]
fn what_is_generated_has_a_name_and_nothing_else_has() {
    let (one, two) = ("01m00000000000000000000001", "01m00000000000000000000002");
    let seal = "A-_".repeat(20);
    let moment = "2026-11-24T06:00:00.000000Z";
    let mut names = Names::new(["localhost:8080".to_owned()].into_iter());
    let text =
        format!("http://localhost:8080/notes.{one} \"{two}\" {one}, {moment}{moment} é{seal} W/\"1\" 0");
    let plain = "http://<address 0>/notes.<id 0> \"<id 1>\" <id 0>, <moment 2><moment 2> é<seal 3> W/\"1\" 0";
    assert_eq!(names.plain(&text), plain);
    // One that was seen is the same later on, and one that is new is another.
    assert_eq!(names.plain(&format!("{two} 01m00000000000000000000003")), "<id 1> <id 4>");
    let request = "e3e56820-7ac3-44a3-b694-1bfd2843af50";
    assert_eq!(
        names.plain(&format!("{{\"request_id\":\"{request}\",\"seq\":91,\"epoch\":91}}")),
        "{\"request_id\":\"<request 5>\",\"seq\":<seq>,\"epoch\":91}"
    );
    for ordinary in ["2026-11-24T06:00Z", "2026-11-24", &one[1..], "01M-0000000000000000000001"] {
        assert_eq!(names.plain(ordinary), ordinary);
    }
}
