//! The page of the whole talk, looked at by a browser.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::{Folder, bad, command, good, runner, text};

/// What is drawn in a quick run, too.
const DRAWN: &str =
    "costs bigfile_all fibonacci optimizations timeline readiness event_bench urlclient";

/// Examples that are no programs of the talk, and what examples have in common. `echo_server` is
/// started beside its client.
const OTHERS: &str = "chat echo_server gui_inversion http_hello listen processes same_code \
                      slow_server talk talk_parts tcp_proxy top udp_echo unix_socket";

/// Tells, as the title of the page, what is drawn of each chart, and what went wrong.
const LOOK: &str = "<script>
addEventListener('error', event => { document.title += ' error: ' + event.message });
addEventListener('load', () => {
  for (const figure of document.querySelectorAll('figure.chart')) {
    const svg = figure.querySelector('svg'), box = svg && svg.getBoundingClientRect();
    const marks = svg ? svg.querySelectorAll('rect, polyline, polygon, path').length : 0;
    document.title += ` ${figure.id}=${box && box.width > 300 && box.height > 60 && marks > 2 ? 'drawn' : 'empty'}`;
  }
});
</script>";

/// The folder that the talk takes for what it makes. Nothing may stay there.
struct Temporary(Folder);

impl Temporary {
    fn new(name: &str) -> Temporary {
        Temporary(Folder::new(&format!("temporary-{name}")))
    }

    fn entries(&self) -> usize {
        fs::read_dir(&self.0.0).expect("a folder").count()
    }

    /// Starts the talk, or one that lies elsewhere.
    fn start(&self, mut talk: Command) -> Child {
        let talk = talk.env("TMPDIR", &self.0.0).stdin(Stdio::null());
        let piped = talk.stdout(Stdio::piped()).stderr(Stdio::piped());
        piped.spawn().expect("`cargo test` builds the examples")
    }

    #[track_caller]
    fn output(&self, talk: Command) -> Output {
        let output = self.start(talk).wait_with_output().expect("it ends");
        assert_eq!(self.entries(), 0, "something is left");
        output
    }
}

#[test]
fn the_page_of_the_talk_is_whole_and_every_chart_is_drawn() {
    let (folder, temporary) = (Folder::new("page"), Temporary::new("page"));
    let page = folder.path("talk.html");
    let output = temporary.output(command("talk", &["--quick", "--html", &page]));
    let said = [&output.stdout, &output.stderr].map(|bytes| text(bytes));
    assert_eq!((output.status.code(), said), (Some(0), ["", ""]));
    let text = fs::read_to_string(&page).expect("it was written");
    assert!(
        !text.contains("http://") || !text.contains("src="),
        "it needs nothing but itself"
    );
    let charts = DRAWN.split(' ').count();
    for name in DRAWN.split(' ') {
        assert!(text.contains(&format!("id=\"chart-{name}\"")), "{name}");
    }
    says_all_that_was_measured(&text);

    let looked_at = folder.file(
        "look.html",
        text.replace("</head>", &format!("{LOOK}</head>"))
            .as_bytes(),
    );
    let Some(dom) = browse(&looked_at) else {
        return eprintln!("not run: there is no chromium");
    };
    let title = dom
        .split("<title>")
        .nth(1)
        .and_then(|rest| rest.split("</title>").next());
    let title = title.expect("a title");
    assert_eq!(title.matches("=drawn").count(), charts, "{title}");
    assert!(
        !title.contains("error:") && !title.contains("=empty"),
        "{title}"
    );
}

fn says_all_that_was_measured(page: &str) {
    let section = |name: &str| {
        let rest = page.split(&format!("<h3>{name}</h3>")).nth(1);
        let rest = rest.unwrap_or_else(|| panic!("there is no {name}"));
        rest.split("<h3>").next().unwrap_or_default()
    };
    for (name, fields) in [
        ("readiness", "case active calls code reading value x"),
        ("bigfile_all", "case broken cpu records seconds value"),
        ("fibonacci", "case answer calls kept value"),
        ("event_bench", "case total value x"),
    ] {
        let columns = section(name).matches("<th>").count();
        for field in fields.split(' ') {
            let head = format!("<th>{field}</th>");
            assert!(section(name).contains(&head), "{name}: {field}");
        }
        let cells = section(name).matches("<td>").count();
        assert_eq!(cells % columns, 0, "{name}: a row with holes");
    }
    for name in ["blocking_io_1", "non_blocking_io_1", "non_blocking_io_2"] {
        let told = format!("<pre class=\"told\">{name}: ");
        assert!(section(name).contains(&told), "{}", section(name));
    }
    assert!(section("echo_client").contains("1000 requests in"));
    let workers = section("bigfile_workers");
    assert!(
        workers.contains("records of jim") || workers.contains("not run: there is no redis"),
        "{workers}"
    );
}

/// The searches are run by `bigfile_all`.
#[test]
fn every_program_of_the_talk_is_in_a_chapter() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let contents = ["computing", "waiting"].map(|name| {
        fs::read_to_string(examples.join(format!("talk/contents/{name}.rs"))).expect("readable")
    });
    let searches = super::SEARCHES.map(|search| format!("bigfile_{search}"));
    for entry in fs::read_dir(examples).expect("examples") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.expect("text");
        let elsewhere = OTHERS.split(' ').any(|other| other == name);
        if elsewhere || searches.iter().any(|search| search == name) {
            continue;
        }
        assert!(
            contents.concat().contains(&format!("\"{name}\"")),
            "{name} is in no chapter"
        );
    }
}

/// A talk whose programs are scripts. They are made by a shell: a file that this process had open
/// for writing may still be so in a child of another test, and could not be run.
fn among(folder: &Folder, name: &str, script: &str) -> impl Fn(&[&str]) -> Command {
    let talk = command("talk", &[]);
    let built = talk.get_args().last().unwrap_or(talk.get_program());
    let (copy, program) = (folder.path("talk"), folder.path(name));
    let made = Command::new("sh")
        .args([
            "-ec",
            "cp \"$1\" \"$2\"; printf '%s\\n' \"$4\" > \"$3\"; chmod +x \"$3\"",
            "sh",
        ])
        .arg(built)
        .args([&copy, &program, &format!("#!/bin/sh\n{script}")])
        .status();
    assert!(made.expect("a shell").success());
    move |arguments| {
        let mut command = runner::command(Path::new(&copy));
        command.args(arguments);
        command
    }
}

#[test]
fn a_program_that_fails_is_told_and_the_rest_is_there() {
    let (folder, temporary) = (Folder::new("fails"), Temporary::new("fails"));
    let talk = among(
        &folder,
        "greenlet_1",
        "echo half; echo 'no <luck>' >&2; exit 3",
    );
    let page = folder.path("talk.html");
    let (shown, written) = (
        temporary.output(talk(&["3"])),
        temporary.output(talk(&["3", "--html", &page])),
    );
    for output in [&shown, &written] {
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        assert!(told.contains("failed: generators_1, "), "{told}");
        assert!(told.contains("greenlet_1, greenlet_2"), "{told}");
    }
    let shown = text(&shown.stdout);
    let how = "$ greenlet_1\nhalf\nno <luck>\nfailed: exit status: 3\n\n$ greenlet_2\n";
    assert!(shown.contains(how), "{shown}");
    let page = fs::read_to_string(page).expect("it was written");
    for words in ["half", "no &lt;luck&gt;", "exit status: 3", "</html>"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

/// Whoever runs the tests may ignore signals (`nohup`, a job in the background), and so would what is started here.
fn heeding_signals(mut command: Command) -> Command {
    // SAFETY: between fork and exec, calls that may be made there.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    command
}

#[test]
fn a_talk_that_is_ended_leaves_nothing() {
    let (folder, temporary) = (Folder::new("ended"), Temporary::new("ended"));
    let talk = among(&folder, "costs", "exec sleep 100");
    for signal in ["-INT", "-TERM", "-HUP"] {
        let begin = Instant::now();
        let mut running = temporary.start(heeding_signals(talk(&["1"])));
        while temporary.entries() == 0 {
            assert!(
                running.try_wait().expect("a child").is_none(),
                "it has ended"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let kill = Command::new("kill")
            .args([signal, &running.id().to_string()])
            .status();
        assert!(kill.expect("there is a kill").success());
        let output = running.wait_with_output().expect("it ends");
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "it has waited for its program"
        );
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("a signal"));
        assert_eq!(temporary.entries(), 0, "{signal} has left something");
    }
}

#[test]
fn without_a_redis_the_rest_of_its_chapter_is_run() {
    if std::env::var_os("GREENLET_TEST_RUNNER").is_some() {
        return; // it would not be found either
    }
    let temporary = Temporary::new("no-redis");
    let mut talk = command("talk", &["2", "--quick"]);
    talk.env("PATH", "/no/such/folder");
    let output = temporary.output(talk);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        said.contains("not run: there is no redis-server here"),
        "{said}"
    );
    assert!(said.contains("of the limit"), "{said}");
}

/// What a browser makes of a page; None where there is no browser.
fn browse(page: &str) -> Option<String> {
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=5000",
        "--dump-dom",
    ]);
    let output = command
        .arg(format!("file://{page}"))
        .stderr(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_talk_says_what_it_cannot_do() {
    assert!(bad("talk", &["99"], b"").contains("no chapter 99"));
    // All of it, which would take minutes.
    let told = bad("talk", &["--html", "/no/such/folder/talk.html"], b"");
    assert!(
        told.starts_with("talk: /no/such/folder/talk.html: No such file"),
        "{told}"
    );
    let told = bad("talk", &["--html", "/dev/full", "3", "--quick"], b"");
    assert!(told.starts_with("talk: /dev/full: No space left"), "{told}");
    assert!(good("talk", &["3", "--quick"]).contains("greenlet_2"));
}
