//! Chunks of a search in Redis: a stream of work, a group of workers, a hash of results.
//!
//! ```text
//!   XADD ──▶ XREADGROUP (a worker has it) ──▶ searched ──▶ HSETNX the result, then XACK
//!                └─ the worker is gone: XAUTOCLAIM, by another one, after a while
//! ```
//! A result stands under the number of its chunk, so one that was searched twice counts once, and it is there before
//! the chunk is done with: whenever a worker dies, its chunk is counted, or handed out again.

use std::error::Error;

use redis::streams::{StreamAutoClaimOptions, StreamId, StreamReadOptions, StreamReadReply};
use redis::{Commands, Connection, RedisResult};

use crate::results::{self, Outcome};
use crate::talk_parts::weblog::Found;

const GROUP: &str = "searchers";
/// How long a worker waits for a new chunk, in ms.
const A_WHILE: usize = 100;

/// A part of a log, to be searched by whoever is free.
pub(crate) struct Chunk {
    pub(crate) id: String,
    pub(crate) file: String,
    pub(crate) user: String,
    pub(crate) part: (u64, u64),
}

/// One search, under a name of its own.
pub(crate) struct Engine {
    redis: Connection,
    chunks: String,
    results: String,
}

impl Engine {
    pub(crate) fn open(url: &str, search: &str) -> RedisResult<Engine> {
        Ok(Engine {
            redis: redis::Client::open(url)?.get_connection()?,
            chunks: format!("{search}:chunks"),
            results: format!("{search}:results"),
        })
    }

    /// Makes the group that all workers are of.
    pub(crate) fn begin(&mut self) -> RedisResult<()> {
        self.redis.xgroup_create_mkstream(&self.chunks, GROUP, "0")
    }

    pub(crate) fn add(
        &mut self,
        file: &str,
        user: &str,
        (begin, end): (u64, u64),
    ) -> RedisResult<()> {
        let (begin, end) = (begin.to_string(), end.to_string());
        let fields = [
            ("file", file),
            ("user", user),
            ("begin", &begin),
            ("end", &end),
        ];
        self.redis.xadd(&self.chunks, "*", &fields)
    }

    /// A chunk that another worker has had for `idle` ms, or the next one, if one comes within a while.
    pub(crate) fn next(&mut self, me: &str, idle: u64) -> RedisResult<Option<Chunk>> {
        let one = StreamAutoClaimOptions::default().count(1);
        let left = self
            .redis
            .xautoclaim_options(&self.chunks, GROUP, me, idle, "0-0", one);
        let left: redis::streams::StreamAutoClaimReply = left?;
        if let Some(chunk) = left.claimed.iter().find_map(Chunk::of) {
            return Ok(Some(chunk));
        }
        let one = StreamReadOptions::default()
            .group(GROUP, me)
            .count(1)
            .block(A_WHILE);
        let new: Option<StreamReadReply> =
            self.redis.xread_options(&[&self.chunks], &[">"], &one)?;
        let new = new
            .into_iter()
            .flat_map(|reply| reply.keys)
            .flat_map(|key| key.ids);
        Ok(new.filter_map(|id| Chunk::of(&id)).next())
    }

    /// The chunk is done with: what was found, or why nothing could be.
    pub(crate) fn done(&mut self, chunk: &Chunk, outcome: &Outcome) -> RedisResult<()> {
        let result = results::write(outcome);
        let _: bool = self.redis.hset_nx(&self.results, &chunk.id, result)?;
        self.redis.xack(&self.chunks, GROUP, &[&chunk.id])
    }

    /// What has been found so far, and in how many chunks.
    pub(crate) fn found(&mut self) -> Result<(usize, Found), Box<dyn Error>> {
        let results: Vec<String> = self.redis.hvals(&self.results)?;
        let all = results.iter().try_fold(Found::default(), |all, result| {
            results::read(result).map(|found| all + found)
        });
        Ok((results.len(), all?))
    }

    /// The search is over, and workers see that.
    pub(crate) fn end(&mut self) -> RedisResult<()> {
        self.redis.del(&[&self.chunks, &self.results])
    }
}

impl Chunk {
    fn of(entry: &StreamId) -> Option<Chunk> {
        Some(Chunk {
            id: entry.id.clone(),
            file: entry.get("file")?,
            user: entry.get("user")?,
            part: (entry.get("begin")?, entry.get("end")?),
        })
    }
}
