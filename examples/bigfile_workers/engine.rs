//! One search in Redis: a stream of chunks, a group of workers, a hash of results, all under the name of the search.
//!
//! ```text
//!   XADD ──▶ XREADGROUP (a worker has it) ──▶ searched ──▶ HSETNX the result, then XACK
//!                └─ the worker is gone: XAUTOCLAIM, by another one, after a while
//! ```
//! A result stands under the number of its chunk, so one that was searched twice counts once, and it is there before
//! the chunk is done with: whenever a worker dies, its chunk is counted, or handed out again. All of it is leased: whoever
//! coordinates renews that while it lives, and when it does not, Redis forgets the search and the workers see its end.

use std::time::Duration;

use redis::{Client, Commands, Connection, RedisError, RedisResult};

pub(crate) const GROUP: &str = "searchers";
/// How long Redis may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a search outlives whoever coordinates it, in ms.
pub(crate) const LEASE: i64 = 30_000;

/// One search, under a name of its own.
pub(crate) struct Engine {
    pub(crate) redis: Connection,
    pub(crate) chunks: String,
    pub(crate) results: String,
    /// Where Redis is, for messages.
    place: String,
}

impl Engine {
    pub(crate) fn open(url: &str, search: &str) -> Result<Engine, String> {
        let client = Client::open(url).map_err(|error| format!("--redis: {error}"))?;
        let place = client.get_connection_info().addr().to_string();
        let opened = client.get_connection_with_timeout(PATIENCE);
        let opened = opened.and_then(|redis| {
            redis.set_read_timeout(Some(PATIENCE))?;
            redis.set_write_timeout(Some(PATIENCE))?;
            Ok(redis)
        });
        Ok(Engine {
            redis: opened.map_err(|error| words(&place, &error))?,
            chunks: format!("{search}:chunks"),
            results: format!("{search}:results"),
            place,
        })
    }

    /// What Redis answers, or says in words that tell that it is Redis, and where.
    pub(crate) fn told<R>(&self, answer: RedisResult<R>) -> Result<R, String> {
        answer.map_err(|error| words(&self.place, &error))
    }

    /// Makes the group that all workers are of.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        let made: RedisResult<()> = self.redis.xgroup_create_mkstream(&self.chunks, GROUP, "0");
        match made {
            Err(error) if error.code() == Some("BUSYGROUP") => Err(format!(
                "Redis at {}: there is a search of this name already, or what is left of one for a while; `--name` \
                 gives another",
                self.place
            )),
            made => self.told(made),
        }?;
        self.renew().map(drop)
    }

    /// The search goes on; false if Redis has lost it.
    pub(crate) fn renew(&mut self) -> Result<bool, String> {
        self.renew_results()?;
        let is_there = self.redis.pexpire(&self.chunks, LEASE);
        self.told(is_there)
    }

    pub(crate) fn renew_results(&mut self) -> Result<(), String> {
        // There may be none yet.
        let renewed = self.redis.pexpire(&self.results, LEASE);
        self.told(renewed)
    }

    /// Whether Redis has the search.
    pub(crate) fn is_there(&mut self) -> Result<bool, String> {
        let is_there = self.redis.exists(&self.chunks);
        self.told(is_there)
    }

    /// The search is over, and workers see that.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        let deleted = self.redis.del(&[&self.chunks, &self.results]);
        self.told(deleted)
    }
}

fn words(place: &str, error: &RedisError) -> String {
    match error.is_timeout() {
        true => format!("Redis at {place} does not answer within {PATIENCE:?}"),
        false => format!("Redis at {place}: {error}"),
    }
}
