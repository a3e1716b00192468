//! Sockets that listen.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};
use tracing::info;

/// As tokio's own listeners.
const BACKLOG: u32 = 1024;

/// Listens at an address. `[::]` is every address of this machine: those of IPv4 too, and these alone
/// where there is no IPv6. Any other address is used as it is.
///
/// Must be called within a tokio runtime.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_with(address, listen)
}

fn bind_with<T>(
    address: SocketAddr,
    listen: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    match listen(address) {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && lacks_ipv6(&error) => {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            info!("this machine has no IPv6 ({error}): using {address}");
            listen(address)
        }
        result => result,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    // The kernel has no IPv6, or the network namespace has none.
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => {
            let socket = TcpSocket::new_v6()?;
            // The default is a setting of the machine.
            SockRef::from(&socket).set_only_v6(false)?;
            socket
        }
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, net::TcpStream};

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// The addresses on a machine that answers with `error` to each IPv6 address.
    fn without_ipv6(text: &str, error: Errno) -> (Vec<String>, Result<(), Option<i32>>) {
        let asked = RefCell::new(Vec::new());
        let listen = |address: SocketAddr| {
            asked.borrow_mut().push(address.to_string());
            if address.is_ipv6() { Err(error.into()) } else { Ok(()) }
        };
        let result = bind_with(address(text), listen);
        (asked.into_inner(), result.map_err(|error| error.raw_os_error()))
    }

    #[tokio::test]
    async fn every_address_of_the_machine_includes_those_of_ipv4() {
        let listener = bind(address("[::]:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[tokio::test]
    async fn an_ipv4_address_is_used_as_it_is() {
        let listener = bind(address("127.0.0.1:0")).unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn without_ipv6_every_address_is_that_of_ipv4() {
        for error in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            let asked = ["[::]:8080", "0.0.0.0:8080"].map(str::to_owned);
            assert_eq!(without_ipv6("[::]:8080", error), (asked.to_vec(), Ok(())));
        }
    }

    #[test]
    fn a_certain_ipv6_address_is_never_replaced() {
        let error = Errno::ADDRNOTAVAIL;
        let failed = (vec!["[::1]:8080".to_owned()], Err(Some(error.raw_os_error())));
        assert_eq!(without_ipv6("[::1]:8080", error), failed);
    }

    #[test]
    fn another_failure_is_reported_as_it_is() {
        let error = Errno::ADDRINUSE;
        let failed = (vec!["[::]:8080".to_owned()], Err(Some(error.raw_os_error())));
        assert_eq!(without_ipv6("[::]:8080", error), failed);
    }
}
