//! The port: bound to this machine's own address alone, and as many connections as one reader needs.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::door::Door;
use crate::cli::Failure;

/// Connections at a time; the next ones wait.
const CONNECTIONS: usize = 64;

/// How long a connection may take to ask, and stay without asking.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the system is left alone when it gives no connection.
const PAUSE: Duration = Duration::from_millis(200);

/// The first of the ports that are tried by themselves; the system gives none of these away by chance.
const FIRST: u16 = 20_000;
const PORTS: u32 = 12_000;

/// Binds a port of 127.0.0.1: the one that is wished for; else the user's usual one, or a free one.
///
/// # Errors
/// When it is taken, or may not be had.
pub(super) async fn bind(wish: Option<u16>) -> Result<TcpListener, Failure> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let bound = match wish {
        Some(port) => at(port).await,
        None => match at(usual(nix::unistd::getuid().as_raw())).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => at(0).await,
            other => other,
        },
    };
    bound.map_err(|error| {
        let port = wish.map_or("any port".to_owned(), |port| format!("port {port}"));
        match error.kind() {
            ErrorKind::AddrInUse => {
                Failure::user(format!("{port} of 127.0.0.1 is taken by another program"))
                    .hint("leave --port out for one that is free")
                    .hint("if a page of yours is served there, Ctrl-C in its terminal ends it")
            }
            ErrorKind::PermissionDenied => {
                Failure::user(format!("{port} of 127.0.0.1 may not be used: {error}"))
                    .hint("ports below 1024 are root's: choose a larger one, or leave --port out")
            }
            _ => Failure::site(format!("failed to listen at {port} of 127.0.0.1: {error}")),
        }
    })
}

/// A user's usual port: the same each time, so that a forward to it can stand in a file.
fn usual(user: u32) -> u16 {
    FIRST + u16::try_from(user % PORTS).unwrap_or(0)
}

/// Answers until it is dropped.
pub(super) async fn answer(listener: TcpListener, door: Arc<Door>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let door = door.clone();
                tokio::spawn(async move {
                    serve(stream, door).await;
                    drop(place);
                });
            }
            // Out of files, or a connection that broke before it was made.
            Err(error) => {
                tracing::debug!(%error, "no connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, door: Arc<Door>) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = door.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(64 << 10);
    // Whom it breaks for asks again; addresses are not written down, since one of them has the token.
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(is_timeout = error.is_timeout(), "a connection broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_ports_are_none_that_the_system_gives_by_chance() {
        for user in [0, 1000, 65_534, u32::MAX] {
            assert!((20_000..32_000).contains(&usual(user)), "{user}");
        }
        assert_eq!(usual(1000), usual(1000));
        assert_ne!(usual(1000), usual(1001));
    }
}
