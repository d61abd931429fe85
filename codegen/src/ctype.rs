//! C's parameter types, as far as a register can carry them: integers and addresses.
//!
//! A system call's prototype is C text (`unsigned int`, `const char __user *`), and so is what a Rust type calls itself
//! in C. What both mean for a register is worked out here, once.
//!
//! The sizes are those of a 64-bit Linux, whose `long` is as wide as an address.

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CType<'t> {
    /// A number of that many bytes.
    Integer {
        /// How many of the register's bytes count.
        size: u8,
        /// Whether the rest is copies of the sign.
        signed: bool,
    },
    /// `size_t`.
    Length,
    /// A type that only has a name: a number, for all that is known.
    Named(&'t str),
    /// The address of something.
    Pointer {
        /// What is there, without `const`: `char`, `struct stat`; `*` for another address.
        to: &'t str,
        /// Whether the call only reads it.
        constant: bool,
    },
}

/// Words that say where an address leads or how a parameter is kept, and nothing about its type.
const SILENT: &[&str] = &["__user", "volatile", "register", "restrict", "__restrict", "__force"];

impl<'t> CType<'t> {
    /// The type that a text names; `None` if no register carries it.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let text = text.trim();
        if let Some((to, after)) = text.rsplit_once('*') {
            let to_pointer = to.contains('*');
            let own = to.rsplit('*').next().unwrap_or_default();
            let constant = words(own).any(|word| word == "const");
            let silent = |word: &str| SILENT.contains(&word) || word == "const";
            let first = text.split('*').next().unwrap_or_default();
            if words(after).any(|word| !silent(word)) || !is_type(first) {
                return None;
            }
            return Some(Self::Pointer { to: if to_pointer { "*" } else { pointee(to) }, constant });
        }
        let words: Vec<_> = words(text).filter(|word| !SILENT.contains(word) && *word != "const").collect();
        match words.as_slice() {
            [] | ["void" | "float" | "double", ..] | ["struct" | "union", ..] => None,
            ["long", "double"] => None,
            ["size_t"] => Some(Self::Length),
            ["enum", _] => Some(Self::Integer { size: 4, signed: false }),
            words => match integer(words) {
                Some((size, signed)) => Some(Self::Integer { size, signed }),
                None if words.len() == 1 => Some(Self::Named(words[0])),
                None => None,
            },
        }
    }
}

/// Whether a text names one type: by one word, by C's words for integers, or as a structure.
fn is_type(text: &str) -> bool {
    let words: Vec<_> = words(text).filter(|word| !SILENT.contains(word) && *word != "const").collect();
    match words.as_slice() {
        [word] => !matches!(*word, "struct" | "union" | "enum"),
        ["struct" | "union" | "enum", _] => true,
        words => integer(words).is_some_and(|_| !words.is_empty()),
    }
}

/// What is at an address: the text without what does not belong to the type's name.
fn pointee(text: &str) -> &str {
    let mut text = text.trim();
    let mut again = true;
    while again {
        again = false;
        for word in SILENT.iter().chain(&["const"]) {
            let ends = |rest: &str, at_start: bool| {
                let next = if at_start { rest.chars().next() } else { rest.chars().next_back() };
                next.is_none_or(|letter| !is_word(letter))
            };
            if let Some(rest) = text.strip_prefix(word).filter(|rest| ends(rest, true)) {
                (text, again) = (rest.trim(), true);
            }
            if let Some(rest) = text.strip_suffix(word).filter(|rest| ends(rest, false)) {
                (text, again) = (rest.trim(), true);
            }
        }
    }
    text
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !is_word(letter)).filter(|word| !word.is_empty())
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The size and the sign of an integer type.
fn integer(words: &[&str]) -> Option<(u8, bool)> {
    if let [name] = words {
        let known = match *name {
            "bool" | "_Bool" | "u8" | "__u8" | "uint8_t" => (1, false),
            "s8" | "__s8" | "int8_t" => (1, true),
            "u16" | "__u16" | "uint16_t" | "umode_t" => (2, false),
            "s16" | "__s16" | "int16_t" => (2, true),
            "u32" | "__u32" | "uint32_t" | "uid_t" | "gid_t" | "qid_t" => (4, false),
            "s32" | "__s32" | "int32_t" | "pid_t" | "clockid_t" | "timer_t" | "key_t" | "mqd_t" | "rwf_t" => (4, true),
            "key_serial_t" => (4, true),
            "u64" | "__u64" | "uint64_t" | "aio_context_t" | "uintptr_t" => (8, false),
            "s64" | "__s64" | "int64_t" | "ssize_t" | "off_t" | "loff_t" | "intptr_t" => (8, true),
            _ => (0, false),
        };
        if known.0 != 0 {
            return Some(known);
        }
    }
    let count = |what: &str| words.iter().filter(|word| **word == what).count();
    let of_c = ["signed", "unsigned", "char", "short", "int", "long"];
    if !words.iter().all(|word| of_c.contains(word)) {
        return None;
    }
    let signed = count("unsigned") == 0;
    Some(match (count("char"), count("short"), count("long")) {
        (0, 0, 0) => (4, signed),
        (1, 0, 0) => (1, signed),
        (0, 1, 0) => (2, signed),
        (0, 0, 1 | 2) => (8, signed),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::CType::{self, Integer, Length, Named, Pointer};

    #[test]
    fn types_as_linux_writes_them() {
        let parse = |text| CType::parse(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(parse("unsigned int"), Integer { size: 4, signed: false });
        assert_eq!(parse("int unsigned long"), Integer { size: 8, signed: false });
        assert_eq!(parse("umode_t"), Integer { size: 2, signed: false });
        assert_eq!(parse("size_t"), Length);
        assert_eq!(parse("cap_user_header_t"), Named("cap_user_header_t"));
        assert_eq!(parse("const char __user *"), Pointer { to: "char", constant: true });
        assert_eq!(parse("struct stat __user *"), Pointer { to: "struct stat", constant: false });
        assert_eq!(parse("const char __user *const __user *"), Pointer { to: "*", constant: true });
        assert_eq!(parse("char const*restrict"), Pointer { to: "char", constant: true });
        assert_eq!(parse("const_t *"), Pointer { to: "const_t", constant: false });
        for none in [
            "",
            "void",
            "double",
            "struct stat",
            "long double",
            "short long",
            "foo bar",
            "struct a b *",
            "a b *",
            "*",
            "struct *",
        ] {
            assert_eq!(CType::parse(none), None, "{none}");
        }
    }
}
