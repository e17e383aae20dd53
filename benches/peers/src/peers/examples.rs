//! Our own servers: examples of the crate, built beforehand, wherever that was.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::external::Child;

/// The example `echo_server`.
pub fn echo(path: Option<&Path>) -> Result<Child> {
    let path = path.context("`--ours PATH` does not say where the example `echo_server` is")?;
    example(path)
}

/// The example `http_hello`.
pub fn http(path: Option<&Path>) -> Result<Child> {
    let path = path.context("`--ours-http PATH` does not say where the example `http_hello` is")?;
    example(path)
}

fn example(path: &Path) -> Result<Child> {
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(Child::without_version(path.to_owned(), vec![]))
}
