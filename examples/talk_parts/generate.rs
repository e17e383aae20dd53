//! A web log that is made up, a megabyte at a time. The same seed makes the same log.

const PIECE: usize = 1 << 20;
const PATHS: [&str; 6] = [
    "/index.html",
    "/~jim/talks/greenlets.pdf",
    "/images/logo.png",
    "/search?q=jim%20-%20the%20rest",
    "/api/v1/users/42/messages",
    "/",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "curl/8.5.0",
    "a - jim [of all trades] (compatible; bot)",
];
const OTHERS: [&str; 8] = [
    "-",
    "ann",
    "bob",
    "jimmy",
    "slim",
    "zoe",
    "Jim",
    "long.user.name",
];

/// A log that grows.
pub(crate) struct Log {
    state: u64,
    user: String,
    pub(crate) one_in: u64,
    pub(crate) broken_in: u64,
    /// The last piece.
    pub(crate) text: Vec<u8>,
    /// A line that is made and not in a piece yet.
    next: Vec<u8>,
    kind: Kind,
    /// The second for which there is a text, and that.
    date: (u64, String),
    /// What is in the log so far. The records are those of the user.
    pub(crate) records: u64,
    pub(crate) lines: u64,
    pub(crate) broken: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Wanted,
    Other,
    Broken,
}

impl Log {
    pub(crate) fn new(seed: u64, user: &str) -> Log {
        Log {
            state: seed,
            user: user.into(),
            one_in: 1000,
            broken_in: 0,
            text: Vec::with_capacity(PIECE),
            next: Vec::new(),
            kind: Kind::Other,
            date: (u64::MAX, String::new()),
            records: 0,
            lines: 0,
            broken: 0,
        }
    }

    /// Makes the next piece, of `most` bytes at most; false if no line fits in that.
    pub(crate) fn fill(&mut self, most: u64) -> bool {
        let room = most.min(PIECE as u64) as usize;
        self.text.clear();
        loop {
            if self.next.is_empty() {
                self.line();
            }
            if self.text.len() + self.next.len() > room {
                return !self.text.is_empty();
            }
            self.text.append(&mut self.next);
            self.lines += 1;
            self.records += u64::from(self.kind == Kind::Wanted);
            self.broken += u64::from(self.kind == Kind::Broken);
        }
    }

    /// The generator `splitmix64`.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn line(&mut self) {
        let (which, r) = (self.random(), self.random());
        if self.broken_in > 0 && (which >> 32).is_multiple_of(self.broken_in) {
            self.kind = Kind::Broken;
            self.broken_line(r);
        } else {
            let other = OTHERS[r as usize % OTHERS.len()];
            let wanted = which.is_multiple_of(self.one_in) || other == self.user;
            self.kind = if wanted { Kind::Wanted } else { Kind::Other };
            self.record(r, (!wanted).then_some(other));
        }
        self.next.push(b'\n');
    }

    fn record(&mut self, r: u64, other: Option<&str>) {
        // About eight records a second.
        self.set_date(1_791_000_000 + self.lines / 8);
        let line = &mut self.next;
        for (shift, end) in [(8, b'.'), (16, b'.'), (24, b'.'), (32, b' ')] {
            push_number(line, (r >> shift) % 256, end);
        }
        line.extend_from_slice(b"- ");
        line.extend_from_slice(other.unwrap_or(&self.user).as_bytes());
        line.extend_from_slice(self.date.1.as_bytes());
        line.extend_from_slice(PATHS[(r >> 40) as usize % PATHS.len()].as_bytes());
        line.extend_from_slice(b" HTTP/1.1\" ");
        push_number(
            line,
            [200, 200, 200, 304, 404][(r >> 44) as usize % 5],
            b' ',
        );
        push_number(line, (r >> 36) % 100_000, b' ');
        line.extend_from_slice(b"\"http://www.example.org/start\" \"");
        line.extend_from_slice(AGENTS[(r >> 52) as usize % AGENTS.len()].as_bytes());
        line.push(b'"');
    }

    /// A record that is cut off, one that misses a field, two spaces, no text at all, an empty line.
    fn broken_line(&mut self, r: u64) {
        let user = self.user.clone();
        match r % 5 {
            0 => {
                self.record(r / 5, None);
                let _quote = self.next.pop();
            }
            1 => self
                .next
                .extend_from_slice(format!("10.0.0.1 {user} [x] \"-\"").as_bytes()),
            2 => self
                .next
                .extend_from_slice(format!("10.0.0.1 -  {user} [x \"").as_bytes()),
            3 => self
                .next
                .extend((0..100).map(|n| 200_u8 ^ (r >> (n % 48)) as u8 & 0x37)),
            _ => {}
        }
    }

    /// The text between the user and the path.
    fn set_date(&mut self, second: u64) {
        if self.date.0 != second {
            self.date = (second, format!(" [{}] \"GET ", date(second)));
        }
    }
}

fn push_number(line: &mut Vec<u8>, number: u64, end: u8) {
    let mut digits = [0; 20];
    let (mut left, mut at) = (number, digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[at..]);
    line.push(end);
}

/// A second since 1970 as a log has it.
fn date(second: u64) -> String {
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let (mut day, mut year) = (second / 86_400, 1970);
    let leaps = |year: u64| u64::from(year.is_multiple_of(4)); // right until 2099
    while day >= 365 + leaps(year) {
        day -= 365 + leaps(year);
        year += 1;
    }
    let mut month = 0;
    let length = |month: usize| MONTHS[month].1 + if month == 1 { leaps(year) } else { 0 };
    while day >= length(month) {
        day -= length(month);
        month += 1;
    }
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    format!(
        "{:02}/{}/{year}:{hour:02}:{minute:02}:{second:02} +0000",
        day + 1,
        MONTHS[month].0
    )
}

/// A number of bytes, with a unit or without.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("`{unit}` is no unit of bytes")),
    };
    let number: u64 = digits.parse().map_err(|error| format!("{error}"))?;
    number.checked_mul(unit).ok_or_else(|| "too large".into())
}
