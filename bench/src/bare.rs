//! A server that answers every request with 4 KiB and knows nothing else: what hyper itself costs.

use std::convert::Infallible;

use anyhow::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::wire::BODY_BYTES;

/// Serves until it is killed; says where on stderr, as `tidelock serve` does.
#[tokio::main]
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("tidelock: listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let served =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that goes away ends its connection, nothing else.
            drop(served.await);
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    static BODY: [u8; BODY_BYTES] = [b'x'; BODY_BYTES];
    let is_get = request.method() == hyper::Method::GET;
    drop(request.into_body().collect().await);
    Ok(Response::new(Full::new(if is_get { Bytes::from_static(&BODY) } else { Bytes::new() })))
}
