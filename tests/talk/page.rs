//! The page of the whole talk, looked at by a browser.

use std::process::{Command, Stdio};

use super::{Folder, bad, good};

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

#[test]
fn the_page_of_the_talk_is_whole_and_every_chart_is_drawn() {
    let folder = Folder::new("page");
    let page = folder.path("talk.html");
    assert_eq!(good("talk", &["--quick", "--html", &page]), "");
    let text = std::fs::read_to_string(&page).expect("it was written");
    assert!(
        !text.contains("http://") || !text.contains("src="),
        "it needs nothing but itself"
    );
    let charts = text.matches("<figure class=\"chart\"").count();
    assert!(charts >= 9, "{charts} charts");

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
    assert!(
        bad("talk", &["--html", "/no/such/folder/talk.html", "3"], b"").contains("No such file")
    );
    assert!(good("talk", &["3", "--quick"]).contains("greenlet_2"));
}
