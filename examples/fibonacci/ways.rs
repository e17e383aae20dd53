//! The function, three ways. Calls are counted for each greenlet.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use greenlet::greenlet_local;

use super::cache::Cache;

greenlet_local! {
    pub(crate) static MEMO: RefCell<HashMap<u64, u64>> = RefCell::default();
    pub(crate) static CALLS: Cell<u64> = Cell::new(0);
}

fn called() {
    CALLS.with(|calls| calls.set(calls.get() + 1));
}

pub(crate) fn plain(n: u64) -> u64 {
    called();
    match n {
        0 | 1 => n,
        _ => plain(n - 1) + plain(n - 2),
    }
}

pub(crate) fn memoised(n: u64) -> u64 {
    called();
    if let Some(answer) = MEMO.with(|memo| memo.borrow().get(&n).copied()) {
        return answer;
    }
    let answer = match n {
        0 | 1 => n,
        _ => memoised(n - 1) + memoised(n - 2),
    };
    MEMO.with(|memo| memo.borrow_mut().insert(n, answer));
    answer
}

pub(crate) fn cached(n: u64, cache: &mut Cache) -> u64 {
    called();
    if let Some(answer) = cache.find(n) {
        return answer;
    }
    let answer = match n {
        0 | 1 => n,
        _ => cached(n - 1, cache) + cached(n - 2, cache),
    };
    cache.keep(n, answer);
    answer
}
