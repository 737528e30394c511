//! The platform's keys over time, read from a server that answers as Secrets Manager does.

use std::sync::{
    Mutex,
    atomic::{AtomicI64, Ordering},
};

use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const KEYS: [&str; 3] = [
    "the first secret, which has over 32 characters",
    "the second secret, which has over 32 characters",
    "the third secret, which has over 32 characters",
];

const NOW_S: i64 = 1_795_500_000;

/// The versions of a secret with the times of their making, the newest last, and how often they were asked for.
#[derive(Debug, Default)]
struct Manager {
    versions: Mutex<Vec<(&'static str, i64)>>,
    asked: AtomicI64,
}

impl Manager {
    async fn start(first: &'static str) -> (Arc<Self>, String) {
        let manager = Arc::new(Self { versions: Mutex::new(vec![(first, NOW_S)]), ..Self::default() });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::clone(&manager);
        #[expect(clippy::disallowed_methods, reason = "a test server, never frozen")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 16 * 1024];
                let count = stream.read(&mut request).await.unwrap_or(0);
                let (status, body) = served.answer(&String::from_utf8_lossy(&request[..count]));
                let reply = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.to_string().len()
                );
                drop(stream.write_all(reply.as_bytes()).await);
            }
        });
        (manager, endpoint)
    }

    fn answer(&self, request: &str) -> (&'static str, Value) {
        let versions = self.versions.lock().unwrap();
        let key = if request.contains("AWSPREVIOUS") {
            versions.iter().rev().nth(1)
        } else {
            self.asked.fetch_add(1, Ordering::Relaxed);
            versions.last()
        };
        match key {
            Some((key, made_s)) => {
                let secret = json!({ "key": key }).to_string();
                ("200 OK", json!({ "SecretString": secret, "CreatedDate": made_s }))
            }
            None => ("400 Bad Request", json!({ "__type": "ResourceNotFoundException" })),
        }
    }

    fn rotate(&self, next: &'static str) {
        self.rotate_at(next, NOW_S);
    }

    fn rotate_at(&self, next: &'static str, made_s: i64) {
        self.versions.lock().unwrap().push((next, made_s));
    }

    /// How often the keys were read.
    fn reads(&self) -> i64 {
        self.asked.load(Ordering::Relaxed)
    }
}

/// An instance, and its clock in microseconds.
async fn instance(endpoint: &str) -> (Sealer, Arc<AtomicI64>) {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .build();
    let now = Arc::new(AtomicI64::new(NOW_S * 1_000_000));
    let clock = Clock::Fixed(Arc::clone(&now));
    (Sealer::open(Client::from_conf(config), "sealing".to_owned(), clock).await.unwrap(), now)
}

fn pass(clock: &AtomicI64, seconds: i64) {
    clock.fetch_add(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
}

async fn seal(sealer: &Sealer) -> String {
    sealer.seal(Purpose::Cursor, &tenant(1), "notes", TEXT).await.unwrap()
}

async fn opens(sealer: &Sealer, sealed: &str) -> bool {
    sealer.open_seal(Purpose::Cursor, &tenant(1), "notes", sealed).await.unwrap().is_ok()
}

fn key_of(sealed: &str) -> [u8; KEY_ID_BYTES] {
    take_apart(sealed).unwrap().0
}

#[tokio::test]
async fn a_rotation_is_met_without_a_start_and_what_was_sealed_before_it_opens() {
    let (manager, endpoint) = Manager::start(KEYS[0]).await;
    let (sealer, clock) = instance(&endpoint).await;
    let first = seal(&sealer).await;
    manager.rotate(KEYS[1]);
    pass(&clock, FRESH_S - 1);
    assert_eq!(key_of(&seal(&sealer).await), key_of(&first));
    pass(&clock, 1);
    let second = seal(&sealer).await;
    assert_ne!(key_of(&second), key_of(&first));
    assert!(opens(&sealer, &first).await && opens(&sealer, &second).await);
    manager.rotate(KEYS[2]);
    pass(&clock, FRESH_S);
    let third = seal(&sealer).await;
    assert!(opens(&sealer, &third).await && opens(&sealer, &second).await && !opens(&sealer, &first).await);
}

#[tokio::test]
async fn a_seal_of_an_instance_that_has_met_the_rotation_opens_at_one_that_has_not() {
    let (manager, endpoint) = Manager::start(KEYS[0]).await;
    let (before, _) = instance(&endpoint).await;
    let old = seal(&before).await;
    manager.rotate(KEYS[1]);
    let (after, _) = instance(&endpoint).await;
    let new = seal(&after).await;
    assert_ne!(key_of(&new), key_of(&old));
    assert!(opens(&after, &old).await && opens(&before, &new).await);
    assert_eq!(key_of(&seal(&before).await), key_of(&new), "it goes on with the new key");
}

#[tokio::test]
async fn seals_under_keys_that_never_were_make_an_instance_ask_once_a_minute() {
    let (manager, endpoint) = Manager::start(KEYS[0]).await;
    let (sealer, clock) = instance(&endpoint).await;
    let mut forged = URL_SAFE_NO_PAD.decode(seal(&sealer).await).unwrap();
    for (passed_s, reads) in [(0, 2), (0, 2), (UNKNOWN_KEY_REFRESH_S - 1, 2), (1, 3), (0, 3)] {
        pass(&clock, passed_s);
        forged[1] = forged[1].wrapping_add(1);
        assert!(!opens(&sealer, &URL_SAFE_NO_PAD.encode(&forged)).await);
        assert_eq!(manager.reads(), reads, "{passed_s}");
    }
}

#[tokio::test]
async fn a_name_is_found_for_a_day_over_any_renewals_that_are_a_day_apart() {
    let (manager, endpoint) = Manager::start(KEYS[0]).await;
    let (sealer, clock) = instance(&endpoint).await;
    let names = async |sealer: &Sealer, at: &AtomicI64| -> Vec<String> {
        let now = Moment::at_micros(at.load(Ordering::Relaxed));
        let ring = sealer.ring().await.unwrap();
        let keys = ring.shared(now);
        keys.iter().map(|key| key.name(Purpose::Idempotency, &tenant(1), &["a"]).unwrap()).collect()
    };
    let apart_s = NAMES_COUNT_S + SETTLES_S;
    let mut made: Vec<(i64, String)> = Vec::new();
    let mut versions = KEYS.into_iter().skip(1).peekable();
    for passed_s in (0..3 * apart_s).step_by(300) {
        let now_s = NOW_S + passed_s;
        let is_due = passed_s > 0 && passed_s % apart_s < 300;
        if let Some(next) = versions.next_if(|_| is_due) {
            manager.rotate_at(next, now_s);
        }
        let found = names(&sealer, &clock).await;
        // An instance that has just started writes under the same name as one that holds older keys.
        let (other, at) = instance(&endpoint).await;
        at.store(now_s * 1_000_000, Ordering::Relaxed);
        let of_other = names(&other, &at).await;
        assert!(of_other.contains(&found[0]) && found.contains(&of_other[0]), "{passed_s}");
        made.retain(|(when_s, _)| now_s - when_s < NAMES_COUNT_S);
        for (when_s, name) in &made {
            assert!(
                of_other.contains(name) && found.contains(name),
                "{passed_s}: a name of {when_s} is lost"
            );
        }
        made.push((now_s, found[0].clone()));
        pass(&clock, 300);
    }
}
