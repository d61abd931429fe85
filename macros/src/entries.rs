//! The table's entry points, as `callgate_codegen::Build` lists them for the macro.
//!
//! The compiler's own message for an entry point without a row is that a trait is missing. With the
//! list the macro can say which names are near and which row to add. The file that the environment variable
//! names has lines of words:
//!
//! ```text
//! table syscall_64.tbl
//! next 472
//! entry sys_newstat stat 4
//! entry sys_exit exit 60 noreturn
//! prototype sys_exit\tsyscalls.h:7\tasmlinkage long sys_exit(int error_code);\tinteger4\terror_code\tint error_code\tint\t
//! ```

use std::path::{Path, PathBuf};

/// The variable that names the file.
const VARIABLE: &str = "CALLGATE_ENTRIES";

/// What is known of the table.
pub(crate) enum Entries {
    /// Nothing: no list was given.
    Unknown,
    /// The list that was given can't be read.
    Unreadable(PathBuf, String),
    /// The list.
    Known(Table),
}

/// The list. Each of a kernel's hundreds of handlers looks at one row of it, so that the text is
/// searched and not taken apart.
pub(crate) struct Table(String);

/// An entry point, and the first row that has it.
pub(crate) struct Row<'a> {
    pub(crate) entry: &'a str,
    pub(crate) name: &'a str,
}

/// What a C prototype says of an entry point.
pub(crate) struct Prototype<'a> {
    /// Its file and line.
    pub(crate) place: &'a str,
    /// The whole of it.
    pub(crate) text: &'a str,
    pub(crate) parameters: Vec<Parameter<'a>>,
}

/// A parameter of a prototype.
pub(crate) struct Parameter<'a> {
    /// What its type is, in a word.
    pub(crate) class: &'a str,
    /// Its name; empty if it has none.
    pub(crate) name: &'a str,
    /// The whole of it: `size_t count`.
    pub(crate) text: &'a str,
    /// Its type as it is spelled there.
    pub(crate) c_type: &'a str,
    /// Where it leads, if it is an address.
    pub(crate) pointee: Option<Pointee<'a>>,
}

/// What a prototype says of what is at an address.
pub(crate) struct Pointee<'a> {
    /// Whether the call only reads it.
    pub(crate) constant: bool,
    /// Its size if it is an integer, and 0 otherwise.
    pub(crate) size: usize,
    /// What C calls it.
    pub(crate) name: &'a str,
}

impl<'a> Pointee<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let (constant, text) = text.strip_prefix("const ").map_or((false, text), |rest| (true, rest));
        let (size, name) = text.split_once(' ')?;
        Some(Self { constant, size: size.parse().ok()?, name })
    }
}

impl Entries {
    pub(crate) fn from_env() -> Self {
        match std::env::var_os(VARIABLE) {
            None => Self::Unknown,
            Some(path) => Self::read(Path::new(&path)),
        }
    }

    fn read(path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::Known(Table(text)),
            Err(error) => Self::Unreadable(path.to_owned(), error.to_string()),
        }
    }
}

impl Table {
    /// What stands after a word that begins a line.
    fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix(' '))
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.values("entry").filter_map(|value| {
            let mut words = value.split(' ');
            Some(Row { entry: words.next()?, name: words.next()? })
        })
    }

    /// The table's path, as its user wrote it.
    pub(crate) fn path(&self) -> &str {
        self.values("table").next().unwrap_or("the table")
    }

    /// The first number that is free for a new row.
    pub(crate) fn next_number(&self) -> &str {
        self.values("next").next().unwrap_or_default()
    }

    /// What stands after the word of a line that begins with `key` and the word. It is searched for: to look at each
    /// line would take a build without optimising as long as all else that the macros do.
    fn value(&self, key: &str, word: &str, gap: char) -> Option<&str> {
        let line = format!("\n{key} {word}{gap}");
        let start = self.0.find(&line)? + line.len();
        self.0.get(start..)?.lines().next()
    }

    /// The name of the row with this entry point.
    pub(crate) fn name(&self, entry: &str) -> Option<&str> {
        self.value("entry", entry, ' ')?.split(' ').next()
    }

    /// The row with this name.
    pub(crate) fn named(&self, name: &str) -> Option<Row<'_>> {
        self.rows().find(|row| row.name == name)
    }

    /// The prototype of this entry point, if there is a file of them that has it.
    pub(crate) fn prototype(&self, entry: &str) -> Option<Prototype<'_>> {
        let mut words = self.value("prototype", entry, '\t')?.split('\t');
        let (place, text) = (words.next()?, words.next()?);
        let mut parameters = Vec::new();
        while let (Some(class), Some(name), Some(text), Some(c_type), Some(pointee)) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        {
            parameters.push(Parameter { class, name, text, c_type, pointee: Pointee::new(pointee) });
        }
        Some(Prototype { place, text, parameters })
    }

    /// At most three entry points that `entry` may be a slip of, nearest first.
    pub(crate) fn near(&self, entry: &str) -> Vec<&str> {
        let word = entry.trim_start_matches("sys_");
        let allowed = (word.len() / 3).clamp(1, 3);
        let mut near: Vec<_> = self
            .rows()
            .map(|row| (distance(word, row.entry.trim_start_matches("sys_")), row.entry))
            .filter(|&(distance, _)| distance <= allowed)
            .collect();
        near.sort_unstable();
        near.truncate(3);
        near.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// How many letters to add, drop, change or swap with their neighbour to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_names() {
        let table = Table(
            "table t.tbl\nnext 472\nentry sys_write write 1\nentry sys_writev writev 20\n\
             entry sys_newstat stat 4\nentry sys_exit exit 60 noreturn\n"
                .to_owned(),
        );
        assert_eq!(table.near("sys_wirte"), ["sys_write"]);
        assert_eq!(table.near("sys_writv"), ["sys_write", "sys_writev"]);
        assert!(table.near("sys_mount").is_empty());
        assert_eq!(table.named("stat").map(|row| row.entry), Some("sys_newstat"));
        assert_eq!(table.name("sys_newstat"), Some("stat"));
        assert_eq!((table.name("sys_writ"), table.name("write")), (None, None));
        assert_eq!((table.path(), table.next_number()), ("t.tbl", "472"));
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("greet", "greet"), 0);
        assert_eq!(distance("gret", "greet"), 1);
        assert_eq!(distance("rgeet", "greet"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
