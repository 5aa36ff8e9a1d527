//! When a provider is asked whether something in doubt was carried out: it shows what was sent late.
//!
//! In: a way to look once. Out: what was found. Nothing found by the end counts as not carried out, unless the last look failed.

use std::{future::Future, time::Duration};

use crate::workflows::Finding;

/// When the looks begin, counted from the beginning of the search.
pub const LOOK_UPS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

/// Looks at each of these times until something is found. A look gives `None` when nothing is to be seen so far.
pub async fn search<F>(at: [Duration; 3], mut look: impl FnMut() -> F) -> Finding
where
    F: Future<Output = Result<Option<Finding>, String>>,
{
    let began = tokio::time::Instant::now();
    let mut last = Ok(None);
    for after in at {
        tokio::time::sleep_until(began + after).await;
        last = look().await;
        if let Ok(Some(finding)) = last {
            return finding;
        }
    }
    match last {
        Ok(_) => Finding::Absent,
        Err(reason) => Finding::CannotTell { reason },
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn looks_at_its_times_until_something_is_found_and_the_last_look_counts() {
        let began = tokio::time::Instant::now();
        let looked_at = RefCell::new(Vec::new());
        let absent = search(LOOK_UPS, || {
            looked_at.borrow_mut().push(began.elapsed().as_secs());
            let first = looked_at.borrow().len() == 1;
            async move { if first { Err("busy".to_owned()) } else { Ok(None) } }
        });
        assert_eq!(absent.await, Finding::Absent);
        assert_eq!(looked_at.into_inner(), [5, 20, 60]);

        let looks = Cell::new(0);
        let present = Finding::Present {
            provider_id: None,
            output: serde_json::Value::Null,
        };
        let found = search(LOOK_UPS, || {
            looks.set(looks.get() + 1);
            let seen = (looks.get() == 2).then(|| present.clone());
            async { Ok(seen) }
        });
        assert_eq!(found.await, present);
        assert_eq!(looks.get(), 2);

        let reason = "nobody answers".to_owned();
        let blind = search(LOOK_UPS, || async { Err(reason.clone()) });
        assert_eq!(
            blind.await,
            Finding::CannotTell {
                reason: reason.clone()
            }
        );
    }
}
