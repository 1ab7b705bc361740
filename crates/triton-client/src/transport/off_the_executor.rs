//! Work on large bodies, done where no other task waits for it.

/// The size from which on a body is not worked on between two other tasks, in bytes.
pub(super) const LARGE: usize = 256 << 10;

/// Does `work` on a body of `size` bytes, on a thread apart from the executor's where it is large.
///
/// Dropping the future gives the outcome up; the work itself is done to its end.
pub(super) async fn off_the_executor<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if size < LARGE {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_large_bodies_leave_the_thread() {
        let here = std::thread::current().id();
        let there = async |size| off_the_executor(size, || std::thread::current().id()).await;
        assert_eq!(there(LARGE - 1).await, here);
        assert_ne!(there(LARGE).await, here);
    }
}
