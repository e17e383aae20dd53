//! What was found in a chunk, as a line of text, and in all of them.

use std::collections::{HashMap, HashSet};

use redis::{Commands, RedisResult};

use crate::engine::Engine;
use crate::talk_parts::weblog::Found;

/// What was found, or why a chunk could not be searched.
pub(crate) type Outcome = Result<Found, String>;

impl Engine {
    /// What has been found so far in these chunks, and in how many of them. There may be results of others: a worker
    /// that was slow may have been of an earlier search of this name.
    pub(crate) fn found(&mut self, chunks: &HashSet<String>) -> Result<(usize, Found), String> {
        let results: RedisResult<HashMap<String, String>> = self.redis.hgetall(&self.results);
        let results = self.told(results)?;
        let mut ours = results.iter().filter(|(id, _)| chunks.contains(*id));
        ours.try_fold((0, Found::default()), |(count, all), (_, result)| {
            read(result).map(|found| (count + 1, all + found))
        })
    }
}

pub(crate) fn write(outcome: &Outcome) -> String {
    match outcome {
        Ok(found) => {
            let Found {
                records,
                bytes,
                lines,
                broken,
            } = found;
            format!("{records} {bytes} {lines} {broken}")
        }
        Err(why) => format!("error {why}"),
    }
}

fn read(line: &str) -> Outcome {
    if let Some(why) = line.strip_prefix("error ") {
        return Err(why.into());
    }
    let numbers = line.split(' ').map(|number| number.parse().ok());
    match numbers.collect::<Option<Vec<u64>>>().as_deref() {
        Some(&[records, bytes, lines, broken]) => Ok(Found {
            records,
            bytes,
            lines,
            broken,
        }),
        _ => Err(format!("a result that is none: {line:?}")),
    }
}
