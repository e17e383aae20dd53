//! What was found in a chunk, as a line of text.

use std::error::Error;

use crate::talk_parts::weblog::Found;

/// What was found, or why a chunk could not be searched.
pub(crate) type Outcome = Result<Found, String>;

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

pub(crate) fn read(line: &str) -> Result<Found, Box<dyn Error>> {
    if let Some(why) = line.strip_prefix("error ") {
        return Err(why.into());
    }
    let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    match numbers[..] {
        [records, bytes, lines, broken] => Ok(Found {
            records,
            bytes,
            lines,
            broken,
        }),
        _ => Err(format!("a result that is none: {line:?}").into()),
    }
}
