//! Requests that are held back until as many are there as somebody waits for.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Open unless somebody holds it.
#[derive(Debug)]
pub(super) struct Hold {
    is_held: watch::Sender<bool>,
    waiting: AtomicUsize,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            is_held: watch::Sender::new(false),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Hold {
    /// From now on requests wait here.
    pub(super) fn begin(&self) {
        self.waiting.store(0, Ordering::Relaxed);
        self.is_held.send_replace(true);
    }

    /// Those that wait go on, and others need not wait.
    pub(super) fn end(&self) {
        self.is_held.send_replace(false);
    }

    /// How many have come since it was held.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A request comes by.
    pub(super) async fn pass(&self) {
        let mut is_held = self.is_held.subscribe();
        if *is_held.borrow_and_update() {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            // The sender is here, so that this has no error.
            let _ = is_held.wait_for(|is_held| !is_held).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn requests_wait_until_they_are_let_go() {
        let hold = Hold::default();
        hold.pass().await;
        assert_eq!(hold.waiting(), 0);

        hold.begin();
        let held = async { tokio::join!(hold.pass(), hold.pass()) };
        tokio::pin!(held);
        assert!(
            timeout(Duration::from_millis(10), &mut held).await.is_err(),
            "nobody has let them go"
        );
        assert_eq!(hold.waiting(), 2);
        hold.end();
        held.await;
        hold.pass().await;
        assert_eq!(hold.waiting(), 2);
    }
}
