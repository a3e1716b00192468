//! Whatever bytes ECR answers with: an error, or a whole token that lives.

use std::fs;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::aws::{Aws, IdentitySettings};
use crate::clock::Clock;
use crate::tokens::{Api, AwsSource, Token, TokenSource};
use crate::{Files, Host};

const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// `AWS:good`.
const TOKEN: &str = "QVdTOmdvb2Q=";

const CASES: u32 = 2000;

/// The next answer of the endpoint, and the number of its requests.
#[derive(Default)]
struct Endpoint {
    status: u16,
    body: Vec<u8>,
    asked: u32,
}

/// One way to spoil a body.
#[derive(Debug, Clone)]
enum Spoil {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
    Repeat,
}

impl Spoil {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Replace(at, byte)),
            2 => (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..8))
                .prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            1 => any::<prop::sample::Index>().prop_map(Self::Cut),
            1 => Just(Self::Repeat),
        ]
    }

    fn apply(self, body: &mut Vec<u8>) {
        let place = |at: prop::sample::Index, body: &[u8]| at.index(body.len().max(1));
        match self {
            Self::Replace(at, byte) => {
                let at = place(at, body);
                if let Some(old) = body.get_mut(at) {
                    *old = byte;
                }
            }
            Self::Insert(at, bytes) => {
                let at = place(at, body).min(body.len());
                body.splice(at..at, bytes);
            }
            Self::Cut(at) => body.truncate(place(at, body)),
            Self::Repeat => body.extend_from_within(..),
        }
    }
}

#[test]
fn no_reply_panics_or_gives_an_empty_document() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (endpoint, aws, source, _keys) = runtime.block_on(set_up());
    let ask = |status: u16, body: Vec<u8>| {
        let asked = endpoint.lock().unwrap().asked;
        *endpoint.lock().unwrap() = Endpoint { status, body, asked };
        runtime.block_on(aws.fetch(&source))
    };
    let good = ask(200, good_reply()).unwrap();
    assert_eq!(host_of(&good).unwrap(), HOST);

    let cases =
        ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let spoils = prop::collection::vec(Spoil::any(), 1..4);
    let status = prop_oneof![8 => Just(200), 1 => 100_u16..600];
    TestRunner::new(cases)
        .run(&(status, spoils), |(status, spoils)| {
            let mut body = good_reply();
            for spoil in spoils {
                spoil.apply(&mut body);
            }
            // An error is as good an answer: the copies stay as they are.
            if let Ok(token) = ask(status, body) {
                prop_assert!(host_of(&token).is_some());
                prop_assert!(!token.lifetime().unwrap().is_expired(now()));
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(endpoint.lock().unwrap().asked, 1 + CASES);
}

fn host_of(token: &Token) -> Option<&str> {
    match token {
        Token::Ecr { host, .. } => host.as_ref().map(Host::as_str),
        Token::File(_) => None,
    }
}

fn now() -> Timestamp {
    Clock::system().wall()
}

fn good_reply() -> Vec<u8> {
    let expires_at = now() + SignedDuration::from_hours(12);
    format!(
        r#"{{"authorizationData":[{{"authorizationToken":"{TOKEN}","expiresAt":{},"proxyEndpoint":"https://{HOST}"}}]}}"#,
        expires_at.as_second()
    )
    .into_bytes()
}

async fn set_up() -> (Arc<Mutex<Endpoint>>, Aws, TokenSource, TempDir) {
    let endpoint = Arc::<Mutex<Endpoint>>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::clone(&endpoint)));
    let keys = TempDir::new().unwrap();
    fs::write(keys.path().join("AWS_ACCESS_KEY_ID"), "AKIAEXAMPLE").unwrap();
    fs::write(keys.path().join("AWS_SECRET_ACCESS_KEY"), "example").unwrap();
    let credentials_directory = Some(keys.path().to_owned());
    let source = TokenSource::Aws(AwsSource {
        api: Api::Ecr,
        identity: IdentitySettings { credentials_directory, ..IdentitySettings::default() },
        region: Some("eu-west-1".to_owned()),
        endpoint_url: Some(format!("http://{address}")),
    });
    let aws = Aws::load(Clock::system(), Files::system()).await.unwrap();
    (endpoint, aws, source, keys)
}

async fn serve(listener: TcpListener, endpoint: Arc<Mutex<Endpoint>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (status, body) = {
            let mut endpoint = endpoint.lock().unwrap();
            endpoint.asked += 1;
            (endpoint.status, endpoint.body.clone())
        };
        // A client may close its connection.
        let _ = answer(stream, status, &body).await;
    }
}

/// Reads the request, whose body is `{}`, and answers; one request for a connection.
async fn answer(mut stream: TcpStream, status: u16, body: &[u8]) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"{}") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let head = format!(
        "HTTP/1.1 {status} Word\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.shutdown().await
}
