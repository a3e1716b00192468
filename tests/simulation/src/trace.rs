//! What happened, in its order: two runs of one seed must agree. And what the product logged, in which
//! no secret may be.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{Arc, Mutex},
};

use ecr_refresher::logging::shows_no_secret;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    fmt::{MakeWriter, layer},
    layer::SubscriberExt,
};

use crate::time::TrueTime;

/// How many lines are kept for a seed that fails.
const KEPT: usize = 4_000;
/// What a token looks like in a log: as a password, and in an `auth`.
const SECRETS: [&str; 4] = ["token-", "file-secret", "QVdTOnRva2Vu", "bWU6ZmlsZS1zZWNyZXQ"];

/// The trace of one run. Clones are the same.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Inner>>);

struct Inner {
    time: TrueTime,
    hasher: DefaultHasher,
    lines: VecDeque<String>,
    /// The first lines of the logs.
    logged: Vec<String>,
    leaks: Vec<String>,
}

impl Trace {
    /// An empty trace.
    #[must_use]
    pub fn new(time: TrueTime) -> Self {
        let (hasher, lines) = (DefaultHasher::new(), VecDeque::new());
        let (logged, leaks) = (Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(Inner { time, hasher, lines, logged, leaks })))
    }

    /// Adds a line.
    pub fn add(&self, line: &str) {
        self.0.lock().unwrap().add(line);
    }

    /// A number that differs when anything does.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.0.lock().unwrap().hasher.finish()
    }

    /// The last lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().lines.iter().cloned().collect()
    }

    /// The first lines of the logs.
    #[must_use]
    pub fn logged(&self) -> Vec<String> {
        self.0.lock().unwrap().logged.clone()
    }

    /// The lines of logs that show a secret.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        self.0.lock().unwrap().leaks.clone()
    }

    /// Whether a text shows a secret.
    #[must_use]
    pub fn shows_secret(text: &str) -> bool {
        SECRETS.iter().any(|secret| {
            text.match_indices(secret).any(|(at, _)| {
                // The name of the token cache ends in "tokens", and is none.
                *secret != "token-"
                    || text[at + secret.len()..].starts_with(|c: char| c.is_ascii_digit())
            })
        })
    }

    /// Has all logs of this thread come here, of a level such as `info`.
    #[must_use]
    pub fn capture(&self, level: &str) -> tracing::subscriber::DefaultGuard {
        let filter = EnvFilter::new(level).and(filter_fn(shows_no_secret));
        let lines = layer().without_time().with_ansi(false).with_writer(self.clone());
        let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter));
        tracing::subscriber::set_default(subscriber)
    }
}

impl Inner {
    fn add(&mut self, line: &str) {
        let line = format!("{:>13.6} {line}", self.time.elapsed().as_secs_f64());
        line.hash(&mut self.hasher);
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

/// One line of a log.
pub struct Line(Trace);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut inner = self.0.0.lock().unwrap();
        if Trace::shows_secret(&text) {
            inner.leaks.push(text.chars().take(300).collect());
        }
        if inner.logged.len() < KEPT {
            inner.logged.push(text.trim_end().to_owned());
        }
        inner.add(text.trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Trace {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.clone())
    }
}
