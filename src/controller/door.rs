//! How many passes over webhooks may be calling Cognigy, or be about to.
//!
//! Most of a pass is waiting for Cognigy, which holds no place at work, so that a change of a policy that all use could have ten
//! thousand passes under way at once. All of them would take memory, and all would end at the end. Behind a door, what has begun is
//! brought to its end before more begins: the first webhook of a mass roll-out is live while the last one has not begun. A pass that
//! has nothing to call tells its verdict without coming here.
//!
//! Whose turn it is at Cognigy is the gate's matter: what it tells apart has doors of its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{api::ObjectKey, cognigy::Urgency};

/// How many passes may be under way behind one door. Far more than are needed to keep the calls coming: some of them wait for
/// Kubernetes, or check the health of slow callbacks.
const LEAST: usize = 256;
/// How often somebody who waits is asked whether the pass is still wanted.
const STILL_WANTED: Duration = Duration::from_secs(1);

/// Who waits in one row, in order of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Whose webhooks.
    pub tenant: ObjectKey,
    /// In which namespace.
    pub namespace: String,
    /// How urgent the passes are.
    pub urgency: Urgency,
    /// How many calls the tenant allows at the same time: there is room for twice as many passes, if that is more than the usual.
    pub calls: usize,
}

/// All doors: those at which somebody waits or is inside.
#[derive(Debug, Default)]
pub struct Doors {
    doors: Mutex<HashMap<Row, Arc<Semaphore>>>,
}

/// A pass that is under way; it lets the next one in when it ends.
#[derive(Debug)]
pub struct Inside {
    doors: Arc<Doors>,
    row: Row,
    permit: Option<OwnedSemaphorePermit>,
}

impl Doors {
    fn lock(&self) -> MutexGuard<'_, HashMap<Row, Arc<Semaphore>>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a pass in where there is room and nobody waits.
    pub fn enter_now(self: &Arc<Self>, row: Row) -> Option<Inside> {
        // Under the lock, so that who does not enter has no part in the door when the last one leaves.
        let permit = door(&mut self.lock(), &row).clone().try_acquire_owned().ok()?;
        Some(Inside { doors: self.clone(), row, permit: Some(permit) })
    }

    /// Waits until a pass may begin. `None` when it is not wanted any more.
    pub async fn enter(self: &Arc<Self>, row: Row, wanted: impl Fn() -> bool) -> Option<Inside> {
        let door = door(&mut self.lock(), &row).clone();
        // Also where nobody enters, the door is looked at in the end.
        let mut inside = Inside { doors: self.clone(), row, permit: None };
        let mut turn = std::pin::pin!(door.acquire_owned());
        loop {
            match timeout(STILL_WANTED, &mut turn).await {
                Ok(permit) => {
                    // No door is ever closed for good.
                    inside.permit = permit.ok();
                    return Some(inside);
                }
                Err(_) if wanted() => {}
                Err(_) => return None,
            }
        }
    }
}

fn door<'a>(doors: &'a mut HashMap<Row, Arc<Semaphore>>, row: &Row) -> &'a Arc<Semaphore> {
    doors.entry(row.clone()).or_insert_with(|| Arc::new(Semaphore::new(LEAST.max(2 * row.calls))))
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut doors = self.doors.lock();
        // Nobody else has it: whoever waits or is inside has a part in it, and more parts are handed out only under this lock.
        if doors.get(&self.row).is_some_and(|door| Arc::strong_count(door) == 1) {
            doors.remove(&self.row);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::BoxFuture, poll};
    use tokio::task::unconstrained;

    use super::*;

    fn row(namespace: &str, urgency: Urgency) -> Row {
        Row { tenant: ObjectKey::new("cx", "production"), namespace: namespace.to_owned(), urgency, calls: 1 }
    }

    fn enter(doors: &Arc<Doors>, row: Row) -> BoxFuture<'static, Option<Inside>> {
        let doors = doors.clone();
        // So many enter at once that the runtime would have the test yield in between.
        unconstrained(async move { doors.enter(row, || true).await }).boxed()
    }

    /// As many inside as may be.
    async fn full() -> (Arc<Doors>, Vec<Inside>) {
        let doors = Arc::<Doors>::default();
        let mut inside = Vec::new();
        for _ in 0..LEAST {
            inside.extend(enter(&doors, row("cx", Urgency::Change)).await);
        }
        (doors, inside)
    }

    #[tokio::test]
    async fn who_comes_to_a_full_door_enters_when_somebody_leaves() {
        let (doors, mut inside) = full().await;
        let mut next = enter(&doors, row("cx", Urgency::Change));
        assert!(poll!(&mut next).is_pending());
        assert!(doors.enter_now(row("cx", Urgency::Change)).is_none());
        inside.pop();
        assert!(doors.enter_now(row("cx", Urgency::Change)).is_none(), "the one that waits goes first");
        assert!(next.await.is_some());
    }

    #[tokio::test]
    async fn a_full_door_holds_up_no_other_namespace_urgency_or_tenant() {
        let (doors, _inside) = full().await;
        for other in [
            row("other", Urgency::Change),
            row("cx", Urgency::Deletion),
            Row { tenant: ObjectKey::new("cx", "other"), ..row("cx", Urgency::Change) },
        ] {
            assert!(enter(&doors, other).now_or_never().flatten().is_some());
        }
    }

    #[tokio::test]
    async fn a_tenant_that_allows_many_calls_has_room_for_twice_as_many_passes() {
        let doors = Arc::<Doors>::default();
        let row = Row { calls: LEAST, ..row("cx", Urgency::Change) };
        let mut inside = Vec::new();
        for _ in 0..2 * LEAST {
            inside.push(enter(&doors, row.clone()).now_or_never().flatten().unwrap());
        }
        assert!(enter(&doors, row).now_or_never().is_none());
    }

    #[tokio::test]
    async fn who_is_not_wanted_any_more_leaves_and_takes_no_turn_with_it() {
        let (doors, mut inside) = full().await;
        assert!(doors.enter(row("cx", Urgency::Change), || false).await.is_none());
        let mut cut = enter(&doors, row("cx", Urgency::Change));
        assert!(poll!(&mut cut).is_pending());
        let mut next = enter(&doors, row("cx", Urgency::Change));
        assert!(poll!(&mut next).is_pending());
        inside.pop();
        drop(cut);
        assert!(next.await.is_some());
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_door_when_the_last_one_has_gone() {
        let (doors, inside) = full().await;
        let waiting = enter(&doors, row("cx", Urgency::Change));
        drop(inside);
        drop(waiting.await);
        assert!(doors.lock().is_empty());
    }
}
