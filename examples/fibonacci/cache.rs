//! A cache that throws out what was not asked for the longest (LRU).

use std::collections::VecDeque;

/// A few answers; the one that was asked for last is the last.
pub(crate) struct Cache {
    room: usize,
    answers: VecDeque<(u64, u64)>,
}

impl Cache {
    pub(crate) fn new(room: usize) -> Cache {
        let answers = VecDeque::with_capacity(room);
        Cache { room, answers }
    }

    pub(crate) fn find(&mut self, question: u64) -> Option<u64> {
        let at = self.answers.iter().position(|known| known.0 == question)?;
        let known = self.answers.remove(at)?;
        self.answers.push_back(known);
        Some(known.1)
    }

    pub(crate) fn keep(&mut self, question: u64, answer: u64) {
        if self.answers.len() == self.room {
            self.answers.pop_front();
        }
        self.answers.push_back((question, answer));
    }

    pub(crate) fn kept(&self) -> usize {
        self.answers.len()
    }
}
