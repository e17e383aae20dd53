//! What the examples that serve have in common: words for a `--listen` that does not work.

/// What was bound to `listen`; or says what is wrong with that, and ends the process with status 2.
pub(crate) fn or_exit<T>(listen: &str, bound: std::io::Result<T>) -> T {
    bound.unwrap_or_else(|error| {
        eprintln!("error: cannot listen on '{listen}': {error}");
        eprintln!("say for example `--listen 127.0.0.1:7777`; port 0 takes any that is free");
        std::process::exit(2)
    })
}
