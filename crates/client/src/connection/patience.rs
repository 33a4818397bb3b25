//! The body of an answer, given up where nothing comes any more: a connection may be lost without a word.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::{AnswerBody, TransportError};

/// Time in which a further piece of a body must come.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A body that ends with an error once nothing has come for [`IDLE_TIMEOUT`].
struct Patience {
    body: AnswerBody,
    /// Runs while a piece is waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

/// `body`, as long as it comes.
pub(super) fn limited(body: AnswerBody) -> AnswerBody {
    Patience { body, timer: None }.boxed_unsync()
}

impl Body for Patience {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.timer = None;
            return Poll::Ready(frame);
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(IDLE_TIMEOUT)));
        ready!(timer.as_mut().poll(context));
        self.timer = None;
        let reason = format!("nothing of the answer came for {} s", IDLE_TIMEOUT.as_secs());
        Poll::Ready(Some(Err(TransportError::new(reason))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt as _};
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_not_stall() {
        let limit = IDLE_TIMEOUT.as_secs();
        // Seconds before each piece of a byte; the bytes that come, or none of a failure.
        let rows = [
            (vec![], Some(0)),
            (vec![0, limit - 1, limit - 1, limit - 1], Some(4)),
            (vec![0, limit + 1], None),
            (vec![u64::from(u32::MAX)], None),
        ];
        for (pauses, expected) in rows {
            let pieces = stream::iter(pauses.clone()).then(|seconds| async move {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(Frame::data(Bytes::from_static(b"x")))
            });
            let body = limited(StreamBody::new(pieces.boxed()).boxed_unsync());
            let read = body.collect().await;
            assert_eq!(read.ok().map(|body| body.to_bytes().len()), expected, "{pauses:?}");
        }
    }
}
