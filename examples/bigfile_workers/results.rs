//! What was found in a chunk, as a line of text, and in all of them.

use redis::{Commands, RedisResult};

use crate::engine::Engine;
use crate::talk_parts::weblog::Found;

/// What was found, or why a chunk could not be searched.
pub(crate) type Outcome = Result<Found, String>;

impl Engine {
    /// What has been found so far, and in how many chunks.
    pub(crate) fn found(&mut self) -> Result<(usize, Found), String> {
        let results: RedisResult<Vec<String>> = self.redis.hvals(&self.results);
        let results = self.told(results)?;
        let all = results.iter().try_fold(Found::default(), |all, result| {
            read(result).map(|found| all + found)
        });
        Ok((results.len(), all?))
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
