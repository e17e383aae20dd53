//! Dumps for programs. The format is written by hand: it is small, and no dependency is worth it.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use super::{Call, Dump, Seen, WaitObject};

impl Dump {
    /// As one JSON object, on one line.
    ///
    /// ```text
    /// {"thread":"main","number":71,"busy":0.001,"missed":0,"silence":null,"cycles":[[2,3]],"greenlets":[
    ///   {"id":2,"name":"first","main":false,"state":"parked","waits":"waits for a mutex",
    ///    "objects":[{"address":140724603,"made":"src/main.rs:3:17"}],"descriptors":[],
    ///    "holders":[[3]],"holder":3,"known_to":null,
    ///    "waiting":1.5,"deadline":null,"turns":7,"site":"src/main.rs:5:9","spawner":1,
    ///    "stack":{"size":262144,"used":1024,"deepest":4096},
    ///    "frames":[94083],"calls":[{"name":"main::work","place":"src/main.rs:7:1"}]}]}
    /// ```
    ///
    /// Times are in seconds, sizes in bytes; what is not known, or is not so, is null. New members may be added.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        // A string takes everything.
        let _ = self.write_json(&mut text);
        text
    }

    fn write_json(&self, f: &mut String) -> fmt::Result {
        write!(f, "{{\"thread\":{}", maybe(self.thread().map(Text)))?;
        write!(f, ",\"number\":{}", self.number())?;
        write!(f, ",\"busy\":{}", Seconds(self.busy()))?;
        write!(f, ",\"missed\":{}", self.missed())?;
        write!(f, ",\"silence\":{}", maybe(self.silence().map(Text)))?;
        f.push_str(",\"cycles\":");
        list(f, self.cycles(), |f, cycle| {
            list(f, cycle, |f, seen| write!(f, "{}", seen.id().number()))
        })?;
        f.push_str(",\"greenlets\":");
        list(f, self.greenlets(), |f, seen| seen.write_json(f))?;
        f.push('}');
        Ok(())
    }
}

impl Seen {
    fn write_json(&self, f: &mut String) -> fmt::Result {
        write!(f, "{{\"id\":{}", self.id().number())?;
        write!(f, ",\"name\":{}", maybe(self.name().map(Text)))?;
        write!(f, ",\"main\":{}", self.is_main())?;
        write!(f, ",\"state\":{}", Text(self.state().name()))?;
        write!(f, ",\"waits\":{}", maybe(self.waits().map(Text)))?;
        f.push_str(",\"objects\":");
        list(f, self.objects(), |f, WaitObject { address, made }| {
            let made = made.to_string();
            write!(f, "{{\"address\":{address},\"made\":{}}}", Text(&made))
        })?;
        f.push_str(",\"descriptors\":");
        list(f, self.descriptors(), |f, fd| write!(f, "{fd}"))?;
        f.push_str(",\"holders\":");
        list(f, self.holders(), |f, holders| {
            list(f, holders, |f, id| write!(f, "{}", id.number()))
        })?;
        write!(
            f,
            ",\"holder\":{}",
            maybe(self.holder().map(|id| id.number()))
        )?;
        match self.known_to() {
            Some(known_to) => {
                f.push_str(",\"known_to\":");
                list(f, known_to, |f, id| write!(f, "{}", id.number()))?;
            }
            None => f.push_str(",\"known_to\":null"),
        }
        write!(f, ",\"waiting\":{}", maybe(self.waiting().map(Seconds)))?;
        write!(f, ",\"deadline\":{}", maybe(self.deadline().map(Seconds)))?;
        write!(f, ",\"turns\":{}", self.turns())?;
        let site = (!self.is_main()).then(|| self.site().to_string());
        write!(f, ",\"site\":{}", maybe(site.as_deref().map(Text)))?;
        write!(
            f,
            ",\"spawner\":{}",
            maybe(self.spawner().map(|id| id.number()))
        )?;
        let stack = self.stack();
        write!(
            f,
            ",\"stack\":{{\"size\":{},\"used\":{}",
            stack.size, stack.used
        )?;
        write!(f, ",\"deepest\":{}}},\"frames\":", stack.deepest)?;
        list(f, self.frames(), |f, frame| write!(f, "{frame}"))?;
        f.push_str(",\"calls\":");
        list(f, self.calls().iter(), write_call)?;
        f.push('}');
        Ok(())
    }
}

fn write_call(f: &mut String, call: &Call) -> fmt::Result {
    let place = maybe(call.place.as_deref().map(Text));
    write!(f, "{{\"name\":{},\"place\":{place}}}", Text(&call.name))
}

fn list<T>(
    f: &mut String,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut String, T) -> fmt::Result,
) -> fmt::Result {
    f.push('[');
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            f.push(',');
        }
        write(f, item)?;
    }
    f.push(']');
    Ok(())
}

struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0.as_secs_f64())
    }
}

/// In quotes, with what JSON cannot have in them escaped.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\u{0}'..'\u{20}' => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

fn maybe<T: Display>(value: Option<T>) -> impl Display {
    let null = || "null".to_owned();
    value.map_or_else(null, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn text_is_escaped() {
        let text = Text("a \"b\" \\ \n\u{1} ü").to_string();
        assert_eq!(text, r#""a \"b\" \\ \u000a\u0001 ü""#);
    }
}
