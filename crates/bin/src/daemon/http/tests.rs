//! The server among clients of all kinds, with real sockets.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use ecr_refresher_core::{
    Files, Random,
    clock::Clock,
    tokens::{SharedTokenStore, TokenStore},
};
use ecr_refresher_sync::{
    engine::runner::{EngineDependencies, Runner},
    leadership::Leadership,
    release::Release,
};
use kube::{Client, client::Body};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestRunner};
use serde_json::json;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::{About, HEADER_TIMEOUT, LIFE, MOST_CONNECTIONS, Server, pages::MOST_SCRAPES};
use crate::{
    config::{self, ConfigState},
    metrics::Metrics,
};

/// The time in which a probe is answered.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A deadline for everything else, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Their series are more than the sockets of a connection hold.
const NAMESPACES: usize = 2000;
/// The connections of one attack.
const CLIENTS: usize = 200;
const METRICS: &str = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST_METRICS: &str = "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n";
/// Parts of requests, and bytes that are no part of one.
const PIECES: [&[u8]; 24] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"/",
    b"/healthz",
    b"/metrics",
    b"*",
    b"http://a/",
    b"?\xff",
    b" HTTP/1.1",
    b" HTTP/1.0",
    b" HTTP/9.9",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b": ",
    b"Host",
    b"Content-Length: 7",
    b"Content-Length: 18446744073709551616",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"Connection: close",
    b"Upgrade: h2c",
    b"FFFFFFFFFFFFFFFFF",
];
/// The end of a whole page of metrics.
const END: &str = "\r\n0\r\n\r\n";

/// A client of an API server with many namespaces, no Secrets, and watches without events.
fn cluster() -> Client {
    let list = |items: Vec<_>| {
        let list = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "metadata": { "resourceVersion": "1" }, "items": items,
        });
        Arc::new(list.to_string())
    };
    let namespace = |number| {
        let name = format!("{number:a>63}");
        json!({ "metadata": { "name": name, "uid": name, "resourceVersion": "1" } })
    };
    let namespaces = list((0..NAMESPACES).map(namespace).collect());
    let nothing = list(Vec::new());
    let answer = move |request: http::Request<Body>| {
        let uri = request.uri().to_string();
        let list = if uri.contains("/namespaces?") { &namespaces } else { &nothing };
        let response = http::Response::new(Body::from(list.as_bytes().to_vec()));
        async move {
            if uri.contains("watch=") {
                std::future::pending::<()>().await;
            }
            Ok::<_, io::Error>(response)
        }
    };
    Client::new(service_fn(answer), "home")
}

/// Starts a server with a real engine, which knows all namespaces once this returns.
async fn start() -> SocketAddr {
    let address = start_server();
    let complete = async {
        while get(address, "/metrics").await.unwrap().lines().count() < NAMESPACES {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, complete).await.unwrap();
    address
}

fn start_server() -> SocketAddr {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let text = "registries: [{ name: main, ecr: { region: eu-west-1 } }]\n\
                secrets: [{ name: ecr-pull, namespaces: ['*'] }]\n\
                metrics: { perNamespace: all }\n";
    std::fs::write(&path, text).unwrap();
    let (config, _) = config::load(Path::new(&path), &Files::system(), "ours").unwrap();
    let (clock, random) = (Clock::system(), Random::from_seed(1));
    let leadership = Leadership::always(clock.clone());
    let tokens = SharedTokenStore::new(TokenStore::new(random.clone()));
    let state = watch::channel(ConfigState { is_valid: true, since: clock.wall() }).1;
    let metrics = Metrics::register(leadership.clone(), tokens.clone(), state).unwrap();
    let about = About {
        release: Release::new("home", "ours"),
        replica: "ours-0".to_owned(),
        leader: watch::channel(None).1,
        clock: clock.clone(),
    };
    let dependencies = EngineDependencies {
        client: cluster(),
        release: Release::new("home", "ours"),
        tokens,
        leadership,
        restores: watch::Sender::new(0).subscribe(),
        clock,
        random,
    };
    let (runner, engine) = Runner::new(dependencies, config.sync, metrics.sync.clone());
    tokio::spawn(runner.run(CancellationToken::new()));
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    // The buffers of the system would hold the whole page.
    SockRef::from(&listener).set_send_buffer_size(4096).unwrap();
    let server = Server { listener: TcpListener::from_std(listener).unwrap() };
    let address = server.listener.local_addr().unwrap();
    tokio::spawn(server.serve(metrics, engine, about));
    address
}

/// A connection of a client that has sent this, or as much of it as is taken without a pause.
async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(address).await.unwrap();
    stream.writable().await.unwrap();
    // It may have been closed already.
    let _ = stream.try_write(bytes);
    stream
}

/// All that the server sends until it closes the connection.
async fn read(stream: &mut TcpStream) -> io::Result<String> {
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap()?;
    Ok(String::from_utf8(answer).unwrap())
}

async fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    read(&mut send(address, request.as_bytes()).await).await
}

async fn assert_probes_are_answered(address: SocketAddr, during: &str) {
    for path in ["/healthz", "/readyz"] {
        let answer = timeout(PROBE_TIMEOUT, get(address, path)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path} hangs: {during}"));
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}: {during}"));
        // The copies have no token yet: it is not ready, but well.
        let code = if path == "/healthz" { 200 } else { 503 };
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}: {during}");
    }
}

#[tokio::test]
async fn probes_are_answered_within_a_second_whatever_other_clients_send() {
    let address = start().await;
    let attacks = [
        ("idle connections", Vec::new()),
        ("pages that are never read", METRICS.into()),
        ("pipelined requests", METRICS.repeat(2000).into_bytes()),
        ("pipelined probes", "GET /healthz HTTP/1.1\r\n\r\n".repeat(2000).into_bytes()),
        ("half a request", b"GET /healthz HTTP/1.1\r\nHost: ".to_vec()),
        ("huge headers", format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(1 << 20)).into_bytes()),
        ("many headers", format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(9999)).into_bytes()),
        ("a long path", format!("GET /{}", "a".repeat(1 << 20)).into_bytes()),
        ("a body", b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\nabc".to_vec()),
        ("a chunked body", b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9".into()),
        ("a body announced", b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(99)),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("garbage", (0..=255).cycle().take(1 << 16).collect()),
    ];
    for (attack, bytes) in attacks {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(send(address, &bytes).await);
        }
        assert_probes_are_answered(address, attack).await;
        for client in &mut clients {
            let _ = client.shutdown().await;
        }
        assert_probes_are_answered(address, &format!("{attack}, half-closed")).await;
        drop(clients);
        assert_probes_are_answered(address, &format!("{attack}, closed")).await;
    }
}

#[tokio::test]
async fn probes_are_answered_within_a_second_while_others_come_again_and_again() {
    let address = start().await;
    let mut clients = JoinSet::new();
    for pages in 0..40 {
        clients.spawn(async move {
            loop {
                let path = if pages % 2 == 0 { "/metrics" } else { "/healthz" };
                let _ = get(address, path).await;
            }
        });
    }
    for _ in 0..5 {
        assert_probes_are_answered(address, "clients that come again").await;
    }
}

#[tokio::test]
async fn probes_are_answered_within_a_second_while_others_send_and_read_slowly() {
    let address = start().await;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = send(address, b"GET /metrics HTTP/1.1\r\n").await;
        clients.spawn(async move {
            let mut byte = [0];
            while client.write_all(b"A: b\r\n").await.is_ok() {
                let _ = timeout(Duration::from_millis(10), client.read(&mut byte)).await;
            }
        });
    }
    for _ in 0..5 {
        assert_probes_are_answered(address, "slow clients").await;
    }
}

#[tokio::test]
async fn of_too_many_connections_the_oldest_are_closed() {
    let address = start().await;
    let mut clients = Vec::new();
    for _ in 0..MOST_CONNECTIONS + 10 {
        clients.push(send(address, b"").await);
    }
    // The connection of this is another one.
    assert_probes_are_answered(address, "idle connections").await;
    for client in &mut clients[..11] {
        let closed = timeout(HEADER_TIMEOUT / 2, read(client)).await.unwrap();
        assert_eq!(closed.unwrap_or_default(), "");
    }
    for client in &mut clients[20..] {
        client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(read(client).await.unwrap().starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn of_too_many_clients_that_get_the_metrics_the_oldest_are_cut_off() {
    let address = start().await;
    let mut clients = Vec::new();
    for _ in 0..MOST_SCRAPES + 6 {
        let client = send(address, LAST_METRICS.as_bytes()).await;
        // It has its first bytes.
        timeout(PATIENCE, client.readable()).await.unwrap().unwrap();
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let is_whole = read(client).await.is_ok_and(|answer| answer.ends_with(END));
        assert_eq!(is_whole, number >= 6, "client {number}");
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_by_one() {
    let address = start().await;
    // More scrapes than there are places, of one connection.
    let requests = METRICS.repeat(MOST_SCRAPES + 1) + LAST_METRICS;
    let answers = read(&mut send(address, requests.as_bytes()).await).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), MOST_SCRAPES + 2);
    assert!(answers.ends_with(END));
}

#[tokio::test]
async fn a_client_that_has_closed_its_half_gets_its_answer() {
    let address = start().await;
    let mut client = send(address, METRICS.as_bytes()).await;
    client.shutdown().await.unwrap();
    assert!(read(&mut client).await.unwrap().ends_with(END));
}

#[test]
fn no_bytes_of_a_client_harm_another_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let address = runtime.block_on(async { start_server() });
    let random = vec(any::<u8>(), 0..8);
    let piece = prop_oneof![9 => select(&PIECES[..]).prop_map(<[u8]>::to_vec), 1 => random];
    let request = vec(piece, 0..16).prop_map(|pieces| pieces.concat());
    let ran = TestRunner::default().run(&request, |bytes| {
        runtime.block_on(async {
            let mut client = send(address, &bytes).await;
            // The server may have closed it.
            let _ = client.shutdown().await;
            let answer = read(&mut client).await.unwrap_or_default();
            prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{answer}");
            assert_probes_are_answered(address, &format!("{bytes:?}")).await;
            Ok(())
        })
    });
    ran.unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let address = start().await;
    let head = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(super::BUFFER));
    let answer = read(&mut send(address, head.as_bytes()).await).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_whole_request_is_closed_in_time() {
    let address = start_server();
    for request in ["", "GET"] {
        let start = Instant::now();
        let mut client = send(address, request.as_bytes()).await;
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        let times = HEADER_TIMEOUT..HEADER_TIMEOUT * 2;
        assert!(times.contains(&start.elapsed()), "{request}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_is_closed_in_time() {
    let address = start().await;
    let mut client = send(address, METRICS.as_bytes()).await;
    client.readable().await.unwrap();
    sleep(LIFE * 3).await;
    let is_whole = read(&mut client).await.is_ok_and(|answer| answer.ends_with(END));
    assert!(!is_whole);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_request_after_request_is_closed_in_time() {
    let address = start_server();
    let start = Instant::now();
    let mut client = send(address, b"").await;
    let mut answer = [0; 1024];
    while client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.is_ok() {
        if !matches!(client.read(&mut answer).await, Ok(1..)) {
            break;
        }
        sleep(HEADER_TIMEOUT / 10).await;
    }
    assert!((LIFE..LIFE * 2).contains(&start.elapsed()), "{:?}", start.elapsed());
}
