//! Panics of libraries as failures of the token source for which they were called.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::{FetchError, Reason};

/// The result of `future`, or the failure `internal` when it panics. The panic hook has logged the place by
/// then.
///
/// Nothing is left half done: what the future shares is behind locks, and is replaced as a whole.
pub(crate) async fn caught<T>(
    future: impl Future<Output = Result<T, FetchError>>,
) -> Result<T, FetchError> {
    let outcome = AssertUnwindSafe(future).catch_unwind().await;
    outcome.unwrap_or_else(|_| {
        let message = "a library has panicked, at the place in the log; retrying. Report it with \
                       the version of ecr-refresher";
        Err(FetchError::new(Reason::Internal, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failure_that_shows_nothing_of_its_message() {
        let panics = async { panic!("hunter2") };
        let error = caught::<()>(panics).await.unwrap_err();
        assert_eq!(error.reason, Reason::Internal);
        assert!(!error.message.contains("hunter2"), "{error}");
        assert_eq!(caught(async { Ok(7) }).await, Ok(7));
    }
}
