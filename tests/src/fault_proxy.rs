//! A TCP proxy with the faults of a network: connections refused, cut, silent, slow or one-way.

use std::{io, net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

/// What the network does to connections while the fault is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkFault {
    /// Nothing.
    #[default]
    None,
    /// New connections are closed at once. Those that exist continue.
    Refuse,
    /// Connections that exist are silent. New ones work.
    Freeze,
    /// Every piece of data arrives this much later.
    Slow(Duration),
    /// Requests arrive, and answers do not.
    LoseAnswers,
    /// All connections are silent, new ones too.
    Partition,
}

/// A proxy on loopback. It and its connections end with this value.
pub struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

/// What all connections follow.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    fault: NetworkFault,
    /// How often a fault was set. A connection that is older than the fault existed before it.
    faults: u64,
    /// How often all connections were closed.
    cuts: u64,
    /// How often all connections were silenced for good.
    freezes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl State {
    /// Whether a connection that began in the state `born` loses what is sent in this direction.
    fn loses(&self, born: &Self, direction: Direction) -> bool {
        self.is_frozen_for_good(born)
            || match self.fault {
                NetworkFault::None | NetworkFault::Refuse | NetworkFault::Slow(_) => false,
                NetworkFault::Freeze => self.faults > born.faults,
                NetworkFault::LoseAnswers => direction == Direction::ToClient,
                NetworkFault::Partition => true,
            }
    }

    fn is_frozen_for_good(&self, born: &Self) -> bool {
        self.freezes > born.freezes
    }
}

impl FaultProxy {
    /// Passes connections on to `upstream`.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = watch::Sender::new(State::default());
        let task = tokio::spawn(serve(listener, upstream, state.clone()));
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a fault in force in place of the last one. A connection that lost data by the last one
    /// is closed, as its peer would do with the next packet.
    pub fn set(&self, fault: NetworkFault) {
        self.state.send_modify(|state| {
            state.fault = fault;
            state.faults += 1;
        });
    }

    /// Closes all connections.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Silences all connections that exist, without an end: whatever is set later, they accept
    /// data and pass nothing on. New ones work.
    pub fn freeze(&self) {
        self.state.send_modify(|state| state.freezes += 1);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, upstream: SocketAddr, state: watch::Sender<State>) {
    // They end when this is dropped.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A connection that is broken already needs nothing.
                let Ok((client, _)) = accepted else { continue };
                if state.borrow().fault == NetworkFault::Refuse {
                    continue;
                }
                let state = state.subscribe();
                connections.spawn(async move { pass(client, upstream, state).await.ok() });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(
    mut client: TcpStream,
    upstream: SocketAddr,
    state: watch::Receiver<State>,
) -> io::Result<()> {
    let born = *state.borrow();
    let mut server = TcpStream::connect(upstream).await?;
    let (client_reader, client_writer) = client.split();
    let (server_reader, server_writer) = server.split();
    let to_server = Pump { born, state: state.clone(), direction: Direction::ToServer };
    let to_client = Pump { born, state, direction: Direction::ToClient };
    tokio::select! {
        ended = to_server.run(client_reader, server_writer) => ended,
        ended = to_client.run(server_reader, client_writer) => ended,
    }
}

/// One direction of one connection.
struct Pump {
    born: State,
    state: watch::Receiver<State>,
    direction: Direction,
}

impl Pump {
    /// Passes data on. Returns when the whole connection should be closed.
    async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let state = *self.state.borrow_and_update();
            if state.cuts > self.born.cuts {
                return Ok(());
            }
            if state.loses(&self.born, self.direction) {
                return self.lose(from).await;
            }
            tokio::select! {
                // A fault comes before data that arrives with it.
                biased;
                Ok(()) = self.state.changed() => {}
                read = from.read(&mut buffer) => {
                    let length = read?;
                    if length == 0 {
                        return Ok(());
                    }
                    if let NetworkFault::Slow(delay) = state.fault {
                        sleep(delay).await;
                    }
                    to.write_all(&buffer[..length]).await?;
                }
            }
        }
    }

    /// Accepts data and passes nothing on, until the fault ends. A server that closes the
    /// connection is not noticed either.
    async fn lose(mut self, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let Self { born, direction, .. } = self;
        let over =
            self.state.wait_for(|state| state.cuts > born.cuts || !state.loses(&born, direction));
        let client_leaves = async {
            // However it ends, the other side does not notice.
            let _ = copy(&mut from, &mut sink()).await;
            if direction == Direction::ToClient {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = over => {}
            () = client_leaves => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    const SILENCE: Duration = Duration::from_millis(200);

    /// A proxy in front of a server that sends everything back.
    async fn proxy() -> FaultProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    copy(&mut reader, &mut writer).await
                });
            }
        });
        FaultProxy::start(upstream).await.unwrap()
    }

    async fn connect(proxy: &FaultProxy) -> TcpStream {
        TcpStream::connect(proxy.address()).await.unwrap()
    }

    async fn ping(stream: &mut TcpStream) {
        stream.write_all(b"ping").await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ping");
    }

    async fn is_silent(stream: &mut TcpStream) {
        stream.write_all(b"ping").await.unwrap();
        let answer = timeout(SILENCE, stream.read_u8()).await;
        assert!(answer.is_err(), "it answered {answer:?}");
    }

    async fn is_closed(stream: &mut TcpStream) {
        let read = stream.read(&mut [0]).await;
        assert!(matches!(read, Ok(0) | Err(_)), "it is open: {read:?}");
    }

    #[tokio::test]
    async fn frozen_connections_stay_open_and_silent_and_new_ones_work() {
        let proxy = proxy().await;
        let mut old = connect(&proxy).await;
        ping(&mut old).await;
        proxy.freeze();
        let mut new = connect(&proxy).await;
        ping(&mut new).await;
        is_silent(&mut old).await;
        proxy.set(NetworkFault::None);
        is_silent(&mut old).await;
        ping(&mut new).await;
    }

    #[tokio::test]
    async fn a_freeze_that_ends_closes_the_connections_that_lost_data() {
        let proxy = proxy().await;
        let mut old = connect(&proxy).await;
        ping(&mut old).await;
        proxy.set(NetworkFault::Freeze);
        let mut new = connect(&proxy).await;
        ping(&mut new).await;
        is_silent(&mut old).await;
        proxy.set(NetworkFault::None);
        is_closed(&mut old).await;
        ping(&mut new).await;
    }

    #[tokio::test]
    async fn a_cut_closes_existing_connections_and_a_refusal_new_ones() {
        let proxy = proxy().await;
        let mut old = connect(&proxy).await;
        ping(&mut old).await;
        proxy.set(NetworkFault::Refuse);
        is_closed(&mut connect(&proxy).await).await;
        ping(&mut old).await;
        proxy.cut();
        is_closed(&mut old).await;
        proxy.set(NetworkFault::None);
        ping(&mut connect(&proxy).await).await;
    }

    #[tokio::test]
    async fn a_partition_is_silent_for_old_and_new_connections_until_it_ends() {
        let proxy = proxy().await;
        let mut old = connect(&proxy).await;
        ping(&mut old).await;
        proxy.set(NetworkFault::Partition);
        let mut new = connect(&proxy).await;
        is_silent(&mut old).await;
        is_silent(&mut new).await;
        proxy.set(NetworkFault::None);
        is_closed(&mut old).await;
        is_closed(&mut new).await;
        ping(&mut connect(&proxy).await).await;
    }

    #[tokio::test]
    async fn requests_arrive_and_their_answers_are_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = FaultProxy::start(listener.local_addr().unwrap()).await.unwrap();
        proxy.set(NetworkFault::LoseAnswers);
        let mut client = connect(&proxy).await;
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"a").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'a');
        server.write_all(b"b").await.unwrap();
        is_silent(&mut client).await;
    }

    #[tokio::test]
    async fn slow_connections_work_later() {
        let proxy = proxy().await;
        let mut stream = connect(&proxy).await;
        proxy.set(NetworkFault::Slow(SILENCE));
        let start = Instant::now();
        ping(&mut stream).await;
        assert!(start.elapsed() >= 2 * SILENCE, "{:?}", start.elapsed());
    }
}
