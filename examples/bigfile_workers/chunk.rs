//! Chunks: parts of a log, to be searched by whoever is free.

use redis::streams::{StreamAddOptions, StreamAutoClaimOptions, StreamAutoClaimReply};
use redis::streams::{StreamId, StreamInfoConsumersReply, StreamInfoGroupsReply};
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{Commands, RedisResult};

use crate::engine::{Engine, GROUP, LEASE};
use crate::results::{self, Outcome};

/// How long a worker waits for a new chunk, in ms.
const A_WHILE: usize = 100;
/// Who has not asked for so long, in ms, is gone.
const GONE: usize = 5000;

/// A part of a log.
pub(crate) struct Chunk {
    pub(crate) id: String,
    pub(crate) file: String,
    pub(crate) user: String,
    pub(crate) part: (u64, u64),
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

/// What there is to do.
pub(crate) enum Next {
    Chunk(Chunk),
    /// Nothing for now.
    Nothing,
    /// There is no such search: it has not begun, or is over.
    NoSearch,
}

impl Engine {
    /// Hands out a chunk; returns its id, or None if Redis has lost the search.
    pub(crate) fn add(
        &mut self,
        file: &str,
        user: &str,
        (begin, end): (u64, u64),
    ) -> Result<Option<String>, String> {
        let (begin, end) = (begin.to_string(), end.to_string());
        let fields = [
            ("file", file),
            ("user", user),
            ("begin", &begin),
            ("end", &end),
        ];
        // A stream made here would have no group, and nobody would read it.
        let there_only = StreamAddOptions::default().nomkstream();
        let mut add = redis::pipe();
        add.xadd_options(&self.chunks, "*", &fields, &there_only);
        add.pexpire(&self.chunks, LEASE).ignore();
        let added: RedisResult<(Option<String>,)> = add.query(&mut self.redis);
        self.told(added).map(|(id,)| id)
    }

    /// Whether some chunk is not done with, of those up to the `last` one. There is none if Redis has lost the search.
    pub(crate) fn has_work(&mut self, last: &str) -> Result<bool, String> {
        let groups: RedisResult<StreamInfoGroupsReply> = self.redis.xinfo_groups(&self.chunks);
        if groups.is_err() && !self.is_there()? {
            return Ok(false);
        }
        let mut groups = self.told(groups)?.groups.into_iter();
        Ok(!groups.any(|group| group.pending == 0 && group.last_delivered_id == last))
    }

    /// Whether some worker has asked for work not long ago.
    pub(crate) fn has_workers(&mut self) -> Result<bool, String> {
        let asked = self.redis.xinfo_consumers(&self.chunks, GROUP);
        let workers: StreamInfoConsumersReply = self.told(asked)?;
        let mut idle = workers.consumers.iter().map(|worker| worker.idle);
        Ok(idle.any(|idle| idle < GONE))
    }

    /// A chunk that another worker has had for `idle` ms, or the next one, if one comes within a while.
    pub(crate) fn next(&mut self, me: &str, idle: u64) -> Result<Next, String> {
        let next = self.left_one(me, idle).and_then(|left| match left {
            None => self.new_one(me),
            left => Ok(left),
        });
        match next {
            Ok(chunk) => Ok(chunk.map_or(Next::Nothing, Next::Chunk)),
            Err(error) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                Ok(Next::NoSearch)
            }
            Err(error) => self.told(Err(error)),
        }
    }

    fn left_one(&mut self, me: &str, idle: u64) -> RedisResult<Option<Chunk>> {
        let (one, redis) = (StreamAutoClaimOptions::default(), &mut self.redis);
        let left = redis.xautoclaim_options(&self.chunks, GROUP, me, idle, "0-0", one.count(1));
        let left: StreamAutoClaimReply = left?;
        Ok(left.claimed.iter().find_map(Chunk::of))
    }

    fn new_one(&mut self, me: &str) -> RedisResult<Option<Chunk>> {
        let one = StreamReadOptions::default().group(GROUP, me).count(1);
        let new = self
            .redis
            .xread_options(&[&self.chunks], &[">"], &one.block(A_WHILE));
        let new: Option<StreamReadReply> = new?;
        let keys = new.into_iter().flat_map(|reply| reply.keys);
        let ids = keys.flat_map(|key| key.ids);
        Ok(ids.filter_map(|id| Chunk::of(&id)).next())
    }

    /// The chunk is done with: what was found, or why nothing could be.
    pub(crate) fn done(&mut self, chunk: &Chunk, outcome: &Outcome) -> Result<(), String> {
        let result = results::write(outcome);
        let set: RedisResult<bool> = self.redis.hset_nx(&self.results, &chunk.id, result);
        self.told(set)?;
        self.renew_results()?;
        let acked = self.redis.xack(&self.chunks, GROUP, &[&chunk.id]);
        self.told(acked)
    }
}
