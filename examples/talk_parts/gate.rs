//! A gate between greenlets of one thread, in plain cells.

use std::cell::{Cell, RefCell};

use greenlet::thread::{self, Thread};

/// Lets so many pass at once.
pub(crate) struct Gate {
    free: Cell<usize>,
    waiting: RefCell<Vec<Thread>>,
}

/// One that has passed; another may when it is dropped.
pub(crate) struct Passed<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new(free: usize) -> Gate {
        let (free, waiting) = (Cell::new(free), RefCell::default());
        Gate { free, waiting }
    }

    pub(crate) fn pass(&self) -> Passed<'_> {
        while self.free.get() == 0 {
            self.waiting.borrow_mut().push(thread::current());
            thread::park();
        }
        self.free.set(self.free.get() - 1);
        Passed(self)
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        self.0.free.set(self.0.free.get() + 1);
        // All of them look again: there are few.
        self.0.waiting.take().iter().for_each(Thread::unpark);
    }
}
