//! Keys of which an end was seen, so that their next sequence has all of its rows.
//!
//! It is asked where rows say which number they have, and in attempts that follow a failover
//! without state. What it forgets is marked again, which is once too often; what it holds is
//! certain.

use hashlink::LinkedHashMap;

use super::key::SequenceKey;

/// The most recent ones of such keys, each with the number of the row at which its sequence was
/// over, or 0 where rows have no numbers: keys may be as many as there are rows.
#[derive(Debug, Default)]
pub(super) struct WholeKeys(LinkedHashMap<SequenceKey, u64>);

impl WholeKeys {
    const MOST: usize = 100_000;

    pub(super) fn insert(&mut self, key: &SequenceKey, position: u64) {
        self.0.insert(key.clone(), position);
        if self.0.len() > Self::MOST {
            self.0.pop_front();
        }
    }

    pub(super) fn contains(&mut self, key: &SequenceKey) -> bool {
        self.0.to_back(key).is_some()
    }

    /// Forgets the key; at which row its sequence was over.
    pub(super) fn take(&mut self, key: &SequenceKey) -> Option<u64> {
        self.0.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recent_key_is_forgotten() {
        let key = |number: usize| SequenceKey::new(&number.to_string());
        let mut keys = WholeKeys::default();
        for number in 0..WholeKeys::MOST {
            keys.insert(&key(number), 7);
        }
        assert!(keys.contains(&key(0)));
        keys.insert(&key(WholeKeys::MOST), 0);
        assert!(keys.contains(&key(0)));
        assert!(!keys.contains(&key(1)));
        assert_eq!(keys.take(&key(0)), Some(7));
        assert_eq!(keys.take(&key(0)), None);
    }
}
