//! A DNS server on loopback whose zone the tests write, and how the function `domains` asks it.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use domains::Dns;
use hickory_resolver::proto::{
    op::{Message, MessageType, OpCode, ResponseCode},
    rr::{Name, RData, Record, rdata::CNAME, rdata::TXT},
};
use insula_tenancy::NoAnswer;

/// Bytes that fit into an answer over UDP. Source: DNS Flag Day 2020.
const UDP_BYTES_MAX: usize = 1_232;

/// What the server says of a name. Of every other name it says that there is none.
#[derive(Clone)]
pub(crate) enum Said {
    /// TXT records, each of these strings.
    Texts(Vec<Vec<String>>),
    /// It is an alias of this name, which is to be asked for.
    Alias(String),
    /// This code and nothing else.
    Code(ResponseCode),
    /// An answer that is cut off, over TCP too.
    CutOff,
    /// Nothing.
    Silence,
}

/// A server that answers as long as the process lives.
pub(crate) struct Zone {
    pub(crate) address: SocketAddr,
    names: Arc<Mutex<BTreeMap<String, (Said, usize)>>>,
}

/// The server that all tests share, each with names of its own.
pub(crate) fn zone() -> &'static Zone {
    static ZONE: OnceLock<Zone> = OnceLock::new();
    ZONE.get_or_init(Zone::start)
}

impl Zone {
    fn start() -> Self {
        // A port that is free for one may be taken for the other.
        let (udp, tcp) = std::iter::repeat_with(|| {
            let udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            TcpListener::bind(udp.local_addr().unwrap()).ok().map(|tcp| (udp, tcp))
        })
        .take(20)
        .flatten()
        .next()
        .unwrap();
        let zone = Self { address: udp.local_addr().unwrap(), names: Arc::default() };
        let (for_udp, for_tcp) = (Arc::clone(&zone.names), Arc::clone(&zone.names));
        thread(move || {
            let mut bytes = [0; 4_096];
            while let Ok((length, from)) = udp.recv_from(&mut bytes) {
                if let Some(answer) = answer(&for_udp, &bytes[..length], UDP_BYTES_MAX) {
                    udp.send_to(&answer, from).unwrap();
                }
            }
        });
        thread(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                let mut length = [0; 2];
                if stream.read_exact(&mut length).is_err() {
                    continue;
                }
                let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut bytes).unwrap();
                if let Some(answer) = answer(&for_tcp, &bytes, usize::from(u16::MAX)) {
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &answer].concat()).unwrap();
                }
            }
        });
        zone
    }

    /// Says something of a name from now on.
    pub(crate) fn say(&self, name: &str, said: Said) {
        self.names.lock().unwrap().insert(name.to_owned(), (said, 0));
    }

    /// One TXT record a text, each of one string.
    pub(crate) fn texts(&self, name: &str, texts: &[&str]) {
        self.say(name, Said::Texts(texts.iter().map(|text| vec![(*text).to_owned()]).collect()));
    }

    /// How often a name was asked for since something was said of it.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.names.lock().unwrap()[name].1
    }
}

fn thread(work: impl FnOnce() + Send + 'static) {
    #[expect(clippy::disallowed_methods, reason = "the server of the tests serves until the process ends")]
    drop(std::thread::spawn(work));
}

fn answer(
    names: &Mutex<BTreeMap<String, (Said, usize)>>,
    question: &[u8],
    bytes_max: usize,
) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let said = {
        let mut names = names.lock().unwrap();
        let known = names.get_mut(query.name().to_string().trim_end_matches('.'));
        known.map(|(said, asked)| {
            *asked += 1;
            said.clone()
        })
    };
    let record = |data: RData| Record::from_rdata(query.name().clone(), 60, data);
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.queries.push(query.clone());
    match said {
        None => answer.metadata.response_code = ResponseCode::NXDomain,
        Some(Said::Silence) => return None,
        Some(Said::Code(code)) => answer.metadata.response_code = code,
        Some(Said::CutOff) => answer.metadata.truncation = true,
        Some(Said::Alias(name)) => {
            answer.answers.push(record(RData::CNAME(CNAME(Name::from_ascii(format!("{name}.")).unwrap()))));
        }
        Some(Said::Texts(texts)) => {
            answer.answers.extend(texts.into_iter().map(|strings| record(RData::TXT(TXT::new(strings)))));
        }
    }
    let bytes = answer.to_vec().unwrap();
    if bytes.len() <= bytes_max {
        return Some(bytes);
    }
    answer.answers.clear();
    answer.metadata.truncation = true;
    Some(answer.to_vec().unwrap())
}

/// What `domains` finds at a name of the zone.
async fn found(name: &str) -> Result<Vec<String>, NoAnswer> {
    let dns = Dns::open(Some(&zone().address.to_string())).unwrap();
    let texts = dns.texts(name).await?;
    Ok(texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect())
}

#[tokio::test]
async fn the_texts_of_a_name_are_found_with_their_strings_joined() {
    zone().texts("one.zone.test", &["a"]);
    assert_eq!(found("one.zone.test").await.unwrap(), ["a"]);
    let strings = |all: &[&str]| all.iter().map(|string| (*string).to_owned()).collect();
    zone().say("two.zone.test", Said::Texts(vec![strings(&["a", "b", ""]), strings(&["c"])]));
    assert_eq!(found("two.zone.test").await.unwrap(), ["ab", "c"]);
}

#[tokio::test]
async fn a_name_that_is_not_there_and_one_without_texts_have_none() {
    assert_eq!(found("never.zone.test").await.unwrap(), [""; 0]);
    zone().texts("none.zone.test", &[]);
    assert_eq!(found("none.zone.test").await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_a_name_is_an_alias_of_counts_as_its_own() {
    zone().say("alias.zone.test", Said::Alias("target.zone.test".to_owned()));
    zone().texts("target.zone.test", &["a"]);
    assert_eq!(found("alias.zone.test").await.unwrap(), ["a"]);
    zone().say("astray.zone.test", Said::Alias("nowhere.zone.test".to_owned()));
    assert_eq!(found("astray.zone.test").await.unwrap(), [""; 0]);
    for (name, next) in [("round", "about"), ("about", "round")] {
        zone().say(&format!("{name}.zone.test"), Said::Alias(format!("{next}.zone.test")));
    }
    assert_eq!(found("round.zone.test").await.unwrap(), [""; 0]);
    assert!(zone().asked("round.zone.test") < 20, "a circle ends");
}

#[tokio::test]
async fn an_answer_too_large_for_udp_comes_over_tcp_and_its_first_hundred_records_count() {
    let text = |n: usize| format!("{n:03}{}", "x".repeat(200));
    let many: Vec<String> = (0..150).map(text).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    zone().texts("large.zone.test", &many);
    let large = found("large.zone.test").await.unwrap();
    assert_eq!(
        (large.len(), &large[..]),
        (100, &many[..100].iter().map(ToString::to_string).collect::<Vec<_>>()[..])
    );
    assert_eq!(zone().asked("large.zone.test"), 2, "over UDP and over TCP");
}

#[tokio::test]
async fn what_the_dns_does_not_say_is_no_answer() {
    for (name, said) in [
        ("servfail", Said::Code(ResponseCode::ServFail)),
        ("refused", Said::Code(ResponseCode::Refused)),
        ("notimp", Said::Code(ResponseCode::NotImp)),
        ("cut", Said::CutOff),
    ] {
        let name = format!("{name}.zone.test");
        zone().say(&name, said);
        assert_eq!(found(&name).await, Err(NoAnswer), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for_long() {
    zone().say("silent.zone.test", Said::Silence);
    let started = Instant::now();
    assert_eq!(found("silent.zone.test").await, Err(NoAnswer));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(zone().asked("silent.zone.test") >= 1);
}

#[tokio::test]
async fn each_question_is_asked_anew() {
    assert_eq!(found("late.zone.test").await.unwrap(), [""; 0]);
    zone().texts("late.zone.test", &["a"]);
    assert_eq!(found("late.zone.test").await.unwrap(), ["a"]);
    zone().texts("late.zone.test", &["b"]);
    assert_eq!(found("late.zone.test").await.unwrap(), ["b"]);
}

#[test]
fn a_resolver_is_an_address_with_a_port_or_without() {
    for (text, good) in [
        ("127.0.0.1", true),
        ("127.0.0.1:5353", true),
        ("[::1]:5353", true),
        ("::1", true),
        ("localhost", false),
        ("127.0.0.1:", false),
        ("127.0.0.1:99999", false),
        ("", false),
    ] {
        assert_eq!(Dns::open(Some(text)).is_ok(), good, "{text}");
    }
}
