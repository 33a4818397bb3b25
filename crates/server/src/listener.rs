//! From sockets to requests: accepts, speaks TLS, tells HTTP/1.1 from HTTP/2, and drains.
//!
//! It knows connections and their limits; what a request is answered with is not its business.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tidelock_s3::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::config::ListenerLimits;
use crate::dispatch::Dispatch;
use crate::pace::{Overdue, Pace};
use crate::stall::StallGuard;

/// Headers of one request, HTTP/1.1: S3's own limit is 8 KiB, presigned URLs and proxies add.
const HEADERS_BYTES_MAX: usize = 64 << 10;
/// Requests in work on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// HTTP/2 flow control: enough for a part of 16 MiB to travel without waiting for round trips.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// A silent HTTP/2 connection is asked for a sign of life this often, and closed without one.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause between looks at how the requests of an HTTP/2 connection get on.
const PACE_INTERVAL: Duration = Duration::from_secs(1);
/// Pause after the system refused a connection (usually for lack of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How HTTP/2 without TLS begins (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Pause between looks at a preface that arrives in pieces.
const SNIFF_PAUSE: Duration = Duration::from_millis(5);

/// What every connection of a listener shares.
#[derive(Clone)]
pub(crate) struct Listening {
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) limits: ListenerLimits,
    /// Turns true when connections are to end after the requests they are in.
    pub(crate) draining: watch::Receiver<bool>,
}

/// The protocols a connection can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// Accepts until `listening.draining`; returns the connections that are still open.
pub(crate) async fn accept(listener: TcpListener, mut listening: Listening) -> JoinSet<()> {
    let slots = Arc::new(Semaphore::new(listening.limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = listening.draining.wait_for(|draining| *draining) => return connections,
            Some(_ended) = connections.join_next() => continue,
            accepted = accept_one(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, address, slot)) => {
                connections.spawn(connection(stream, address, listening.clone(), slot));
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept_one(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // First the slot: a connection that nobody may serve stays in the system's queue.
    let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, slot))
}

async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    mut listening: Listening,
    _slot: OwnedSemaphorePermit,
) {
    let _open = listening.dispatch.connection_opened();
    let mut draining = listening.draining.clone();
    let served = async {
        // Answers are small and waited for.
        stream.set_nodelay(true)?;
        let conversation = listening.dispatch.connections.next();
        let peer = Peer { address, secure: listening.tls.is_some(), conversation };
        let timeout = listening.limits.header_timeout;
        let stall_limit = listening.limits.body_timeout;
        match listening.tls.take() {
            Some(acceptor) => {
                let guarded = StallGuard::new(stream, stall_limit);
                let accepting = tokio::time::timeout(timeout, acceptor.accept(guarded));
                let Some(accepted) = unless_draining(&mut draining, accepting).await else {
                    return Ok(());
                };
                let stream = accepted??;
                let protocol = match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => Protocol::Http2,
                    _ => Protocol::Http1,
                };
                serve(stream, protocol, peer, listening).await
            }
            None => {
                let sniffing = tokio::time::timeout(timeout, sniff(&stream));
                let Some(sniffed) = unless_draining(&mut draining, sniffing).await else {
                    return Ok(());
                };
                let protocol = sniffed??;
                serve(StallGuard::new(stream, stall_limit), protocol, peer, listening).await
            }
        }
    };
    let served: Result<(), BoxError> = served.await;
    if let Err(error) = served {
        // Clients that break off are their own business; a wrong certificate shows here as well.
        tracing::debug!(peer.address = %address, error = %error, "connection ended early");
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of `future`, or nothing when the server goes down first.
async fn unless_draining<F: Future>(
    draining: &mut watch::Receiver<bool>,
    future: F,
) -> Option<F::Output> {
    tokio::select! {
        _ = draining.wait_for(|draining| *draining) => None,
        output = future => Some(output),
    }
}

/// Looks at the first bytes without taking them.
async fn sniff(stream: &TcpStream) -> std::io::Result<Protocol> {
    let mut start = [0; HTTP2_PREFACE.len()];
    loop {
        let length = stream.peek(&mut start).await?;
        if length == 0 || start[..length] != HTTP2_PREFACE[..length] {
            return Ok(Protocol::Http1);
        }
        if length == HTTP2_PREFACE.len() {
            return Ok(Protocol::Http2);
        }
        // Peeking again returns at once with the same bytes until more arrive.
        tokio::time::sleep(SNIFF_PAUSE).await;
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    protocol: Protocol,
    peer: Peer,
    listening: Listening,
) -> Result<(), BoxError> {
    match protocol {
        Protocol::Http1 => serve_http1(stream, peer, listening).await,
        Protocol::Http2 => serve_http2(stream, peer, listening).await,
    }
}

async fn serve_http1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    listening: Listening,
) -> Result<(), BoxError> {
    let Listening { dispatch, limits, mut draining, .. } = listening;
    let service = service_fn(move |request| {
        let (dispatch, peer) = (dispatch.clone(), peer.clone());
        async move { Ok::<_, Infallible>(dispatch.answer(request, peer, None).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEADERS_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return Ok(served?),
        _ = draining.wait_for(|draining| *draining) => {}
    }
    connection.as_mut().graceful_shutdown();
    Ok(connection.await?)
}

async fn serve_http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    listening: Listening,
) -> Result<(), BoxError> {
    let Listening { dispatch, limits, mut draining, .. } = listening;
    let pace = Pace::new(dispatch.clock.clone());
    let watched = pace.clone();
    let service = service_fn(move |request| {
        let (dispatch, peer, turn) = (dispatch.clone(), peer.clone(), watched.begin());
        async move { Ok::<_, Infallible>(dispatch.answer(request, peer, Some(turn)).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut looks = tokio::time::interval(PACE_INTERVAL);
    let overdue = loop {
        tokio::select! {
            served = connection.as_mut() => return Ok(served?),
            _ = draining.wait_for(|draining| *draining) => break None,
            _ = looks.tick() => {}
        }
        let overdue = pace.overdue(limits.header_timeout, limits.body_timeout);
        if overdue.is_some() {
            break overdue;
        }
    };
    if overdue == Some(Overdue::Stalled) {
        return Err("the peer takes no answer".into());
    }
    connection.as_mut().graceful_shutdown();
    match overdue {
        // What was already handed to the connection may still be on its way.
        Some(_) => Ok(tokio::time::timeout(limits.body_timeout, connection).await??),
        None => Ok(connection.await?),
    }
}
