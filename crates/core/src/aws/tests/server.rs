//! ECR and STS on loopback.

use std::{
    io::{Error, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use jiff::SignedDuration;

use crate::clock::Clock;

/// An AWS. The key of each session is the next one of `ASIA1`, `ASIA2` and so on.
pub(super) struct Server {
    url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    sessions: usize,
    refusals: Vec<(usize, &'static str)>,
}

impl Server {
    /// Listens at a free port.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client may close its connection.
                let _ = stream.and_then(|stream| answer(stream, &shared));
            }
        });
        Self { url, state }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Refuses a call, counted from 0, with this code.
    pub(super) fn refuse(&self, call: usize, code: &'static str) {
        self.state.lock().unwrap().refusals.push((call, code));
    }

    /// All calls, each as `OPERATION ROLE REGION KEY`. The call of a web identity is not signed, and has no
    /// region and no key.
    pub(super) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let request = read(&mut stream)?;
    let (status, body) = state.lock().unwrap().answer(&request);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} Word\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all((head + &body).as_bytes())
}

fn read(stream: &mut TcpStream) -> std::io::Result<String> {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").and_then(|length| length.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(text);
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(Error::from(ErrorKind::UnexpectedEof)),
            length => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
}

impl State {
    fn answer(&mut self, request: &str) -> (u16, String) {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let field = |name: &str| {
            body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let operation = field("Action").unwrap_or("GetAuthorizationToken");
        let role = field("RoleArn").and_then(|arn| arn.rsplit("%2F").next()).unwrap_or("-");
        let scope = header(head, "authorization").and_then(|it| it.split_once("Credential="));
        let mut scope = scope.map_or("-", |(_, rest)| rest).split('/');
        let (key, region) = (scope.next().unwrap_or("-"), scope.nth(1).unwrap_or("-"));
        let number = self.calls.len();
        self.calls.push(format!("{operation} {role} {region} {key}"));
        if let Some((_, code)) = self.refusals.iter().find(|(call, _)| *call == number) {
            return (403, refusal(operation, code));
        }
        let result = match operation {
            "GetAuthorizationToken" => return (200, token(region)),
            "GetCallerIdentity" => "<Arn>arn:aws:iam::123456789012:user/a</Arn>\
                <UserId>A</UserId><Account>123456789012</Account>"
                .to_owned(),
            _ => {
                self.sessions += 1;
                session(self.sessions)
            }
        };
        let result = format!("<{operation}Result>{result}</{operation}Result>");
        (200, format!("<{operation}Response>{result}</{operation}Response>"))
    }
}

fn token(region: &str) -> String {
    let expires_at = Clock::system().wall().as_second() + 43_200;
    let host = format!("123456789012.dkr.ecr.{region}.amazonaws.com");
    format!(
        r#"{{"authorizationData":[{{"authorizationToken":"QVdTOmdvb2Q=","expiresAt":{expires_at},"proxyEndpoint":"https://{host}"}}]}}"#
    )
}

fn session(number: usize) -> String {
    let expiration = Clock::system().wall() + SignedDuration::from_hours(1);
    format!(
        "<Credentials><AccessKeyId>ASIA{number}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
         <SessionToken>t</SessionToken><Expiration>{expiration:.0}</Expiration></Credentials>"
    )
}

fn refusal(operation: &str, code: &str) -> String {
    if operation == "GetAuthorizationToken" {
        return format!(r#"{{"__type":"{code}","message":"refused by the test"}}"#);
    }
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>refused by the test</Message></Error></ErrorResponse>"
    )
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
