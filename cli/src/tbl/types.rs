//! The arguments of a call, as a person writes them, and the types that `callgate-abi` has for them.
//!
//! Linux's prototypes say `char __user *buf, size_t count`; who writes Rust says `buf: *mut u8, count: usize`. Both are
//! understood, even in one list. What a `char *` is depends on what follows: with a length, bytes; without, a string.

use callgate_codegen::emit;

use crate::near::suggestion;

/// A parameter of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    /// Its name.
    pub(super) name: String,
    /// Its type.
    pub(super) ty: String,
    /// What the type needs of `callgate-abi`.
    pub(super) import: Option<&'static str>,
    /// A type within it that neither Rust nor `callgate-abi` has.
    pub(super) own: Option<String>,
}

/// A type before it is known what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Type {
    /// An integer, or `bool`.
    Scalar(&'static str),
    /// A type of `callgate-abi` without parameters.
    Abi(&'static str),
    /// The address of a value: to be written if it is mutable.
    Pointer { mutable: bool, to: String, own: bool },
    /// The address of characters: a string, unless a length follows.
    Chars { mutable: bool },
    /// An address, of bytes if a length follows.
    Void { mutable: bool },
    /// The user's own.
    Own(String),
}

/// The registers that a call has for its arguments.
const MOST: usize = 6;

/// What Rust, C and Linux call the integers, and what they are on x86-64.
const INTEGERS: &[(&str, &str)] = &[
    ("i8", "i8 signed_char s8 __s8 int8_t c_char c_schar char"),
    ("u8", "u8 unsigned_char __u8 uint8_t c_uchar"),
    ("i16", "i16 short short_int s16 __s16 int16_t c_short"),
    ("u16", "u16 unsigned_short unsigned_short_int __u16 uint16_t umode_t c_ushort"),
    ("i32", "i32 int signed signed_int s32 __s32 int32_t c_int pid_t clockid_t timer_t key_t mqd_t key_serial_t rwf_t"),
    ("u32", "u32 unsigned unsigned_int __u32 uint32_t c_uint uid_t gid_t mode_t qid_t"),
    (
        "i64",
        "i64 long long_int long_long signed_long s64 __s64 int64_t c_long c_longlong loff_t off_t time_t isize ssize_t",
    ),
    (
        "u64",
        "u64 unsigned_long unsigned_long_int unsigned_long_long __u64 uint64_t c_ulong c_ulonglong dev_t aio_context_t",
    ),
    ("usize", "usize size_t"),
    ("bool", "bool _Bool"),
];

/// Types of `callgate-abi` that stand for themselves.
const ABI: &[&str] = &["Fd", "UserStr", "UserAddr"];

/// A C name as a Rust one that is not the context's.
pub(super) fn identifier(name: &str) -> String {
    let taken = name == "task" || emit::ident(name).as_deref() != Some(name);
    if taken { format!("{name}_") } else { name.to_owned() }
}

/// Reads a list of arguments; the error says in one line what is wrong and what to write.
pub(super) fn arguments(text: &str) -> Result<Vec<Argument>, String> {
    let text = text.trim();
    if text.is_empty() || text == "void" {
        return Ok(Vec::new());
    }
    let mut read: Vec<(String, Type)> = Vec::new();
    for piece in pieces(text) {
        let (name, ty) = one(piece.trim())?;
        if read.iter().any(|(other, _)| *other == name) {
            return Err(format!("two arguments are named `{name}`; give each its own name"));
        }
        read.push((name, ty));
    }
    if read.len() > MOST {
        return Err(format!(
            "these are {} arguments, and a call has registers for {MOST}; pass a structure",
            read.len()
        ));
    }
    let is_length = |at: usize| read.get(at).is_some_and(|(_, ty)| *ty == Type::Scalar("usize"));
    Ok(read.iter().enumerate().map(|(at, (name, ty))| argument(name, ty, is_length(at + 1))).collect())
}

/// The list, taken apart at its commas, but not at those within brackets.
fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut depth, mut from) = (Vec::new(), 0_i32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth <= 0 => {
                pieces.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[from..]);
    pieces
}

fn one(piece: &str) -> Result<(String, Type), String> {
    if piece.is_empty() {
        return Err("an argument is missing between two commas".to_owned());
    }
    let colon = piece.match_indices(':').map(|(at, _)| at).find(|at| {
        let around = (piece[..*at].ends_with(':'), piece[at + 1..].starts_with(':'));
        around == (false, false)
    });
    let (name, ty) = match colon {
        Some(at) => (piece[..at].trim().to_owned(), rust_type(piece[at + 1..].trim(), piece)?),
        None => c_declaration(piece)?,
    };
    let name = name.strip_prefix("mut ").unwrap_or(&name).trim();
    let good = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    if name.is_empty() || !good || name.as_bytes()[0].is_ascii_digit() {
        return Err(format!("`{piece}` has no name; write `name: type` or `type name`"));
    }
    Ok((identifier(name), ty))
}

fn integer(name: &str) -> Option<&'static str> {
    INTEGERS.iter().find(|(_, names)| names.split(' ').any(|known| known == name)).map(|(rust, _)| *rust)
}

fn rust_type(text: &str, piece: &str) -> Result<Type, String> {
    let pointer = [("*mut ", true), ("&mut ", true), ("*const ", false), ("&", false)];
    if let Some((to, mutable)) = pointer.iter().find_map(|(sign, mutable)| Some((text.strip_prefix(sign)?, *mutable))) {
        let to = to.trim();
        return Ok(match to {
            "str" | "CStr" | "c_char" | "i8" if !mutable => Type::Chars { mutable: false },
            "c_void" | "()" => Type::Void { mutable },
            _ if to.starts_with('[') || to == "str" || to == "CStr" => {
                return Err(format!(
                    "`{piece}` is more than one register; write a pointer and a length: `p: *const u8, len: usize`"
                ));
            }
            _ if to.starts_with(['*', '&']) => Type::Abi("UserAddr"),
            _ => match integer(to) {
                Some(int) => Type::Pointer { mutable, to: int.to_owned(), own: false },
                None => Type::Pointer { mutable, to: path(to, piece)?, own: true },
            },
        });
    }
    if let Some(abi) = ABI.iter().find(|abi| **abi == text) {
        return Ok(Type::Abi(abi));
    }
    for (generic, mutable) in [("UserMut<", true), ("UserPtr<", false)] {
        if let Some(to) = text.strip_prefix(generic).and_then(|rest| rest.strip_suffix('>')) {
            let (to, own) = match integer(to.trim()) {
                Some(int) => (int.to_owned(), false),
                None => (path(to.trim(), piece)?, true),
            };
            return Ok(Type::Pointer { mutable, to, own });
        }
    }
    // `isize` is as good as `i64`, but the user has said it.
    match integer(text) {
        Some(_) if text == "isize" => Ok(Type::Scalar("isize")),
        Some(int) => Ok(Type::Scalar(int)),
        None => Ok(Type::Own(path(text, piece)?)),
    }
}

/// A type that must be the user's own: the path of one.
fn path(text: &str, piece: &str) -> Result<String, String> {
    let part = |part: &str| {
        let mut bytes = part.bytes();
        bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
            && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    };
    let last = text.rsplit("::").next().unwrap_or_default();
    match text {
        "f32" | "f64" | "float" | "double" => {
            Err(format!("`{piece}`: a system call has no floating-point registers; pass a pointer"))
        }
        "i128" | "u128" | "char" | "String" => {
            Err(format!("`{piece}`: `{text}` does not fit in a register; pass a pointer"))
        }
        _ if text.split("::").all(part) && last.starts_with(|letter: char| letter.is_ascii_uppercase()) => {
            Ok(text.to_owned())
        }
        _ => {
            let known = INTEGERS.iter().flat_map(|(_, names)| names.split(' ')).chain(ABI.iter().copied());
            let near = suggestion(text, known.filter(|name| !name.contains('_') || text.contains('_')));
            Err(format!(
                "`{piece}`: there is no type `{text}`{near}{}",
                if near.is_empty() { "; write an integer, a pointer, or a type of your own" } else { "" }
            ))
        }
    }
}

fn c_declaration(piece: &str) -> Result<(String, Type), String> {
    if piece.contains(['(', ')']) {
        return Err(format!("`{piece}` is not understood; write a pointer to a function as `name: UserAddr`"));
    }
    let (declared, array) = match piece.find('[') {
        Some(at) => (&piece[..at], true),
        None => (piece, false),
    };
    let spaced = declared.replace('*', " * ");
    let mut words: Vec<&str> = spaced.split_whitespace().collect();
    words.retain(|word| !matches!(*word, "__user" | "restrict" | "__restrict" | "volatile" | "register"));
    let name = match words.pop() {
        Some(name) if !words.is_empty() && name != "*" && name != "const" => name.to_owned(),
        _ => return Err(format!("`{piece}` has no name; write `type name` or `name: type`")),
    };
    let stars = words.iter().filter(|word| **word == "*").count() + usize::from(array);
    let base: Vec<&str> = words.iter().copied().take_while(|word| *word != "*").collect();
    let mutable = !base.contains(&"const");
    let base: Vec<&str> = base.into_iter().filter(|word| *word != "const").collect();
    let ty = match (stars, base.as_slice()) {
        (_, []) => return Err(format!("`{piece}` has no type; write `type name` or `name: type`")),
        (2.., _) => Type::Abi("UserAddr"),
        (0, ["struct" | "union", _]) => {
            return Err(format!("`{piece}`: a structure does not fit in a register; pass a pointer to it"));
        }
        (0, ["enum", tag]) => Type::Own(path(&camel_case(tag), piece)?),
        (0, base) => match integer(&base.join("_")) {
            Some("i32" | "u32") if name == "fd" || name.ends_with("fd") => Type::Abi("Fd"),
            Some(int) if base == ["ssize_t"] || int == "isize" => Type::Scalar("isize"),
            Some(int) => Type::Scalar(int),
            None => Type::Own(path(&base.join(" "), piece)?),
        },
        (_, ["char"]) => Type::Chars { mutable },
        (_, ["void"]) => Type::Void { mutable },
        (_, ["struct" | "union" | "enum", tag]) => {
            Type::Pointer { mutable, to: path(&camel_case(tag), piece)?, own: true }
        }
        (_, base) => match (integer(&base.join("_")), base) {
            (Some(int), _) => Type::Pointer { mutable, to: int.to_owned(), own: false },
            (None, [typedef]) if typedef.ends_with("_t") => {
                Type::Pointer { mutable, to: path(&camel_case(typedef.trim_end_matches("_t")), piece)?, own: true }
            }
            (None, base) => Type::Pointer { mutable, to: path(&base.join(" "), piece)?, own: true },
        },
    };
    Ok((name, ty))
}

/// `old_timespec32` as `OldTimespec32`.
fn camel_case(tag: &str) -> String {
    let words = tag.split('_').filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    words.map(capital).collect()
}

fn argument(name: &str, ty: &Type, length_follows: bool) -> Argument {
    let pointer = |mutable: bool| if mutable { "UserMut" } else { "UserPtr" };
    let (ty, import, own) = match ty {
        Type::Scalar(int) => ((*int).to_owned(), None, None),
        Type::Abi(abi) => ((*abi).to_owned(), Some(*abi), None),
        Type::Own(own) => (own.clone(), None, Some(own.clone())),
        Type::Pointer { mutable, to, own } => {
            (format!("{}<{to}>", pointer(*mutable)), Some(pointer(*mutable)), own.then(|| to.clone()))
        }
        Type::Chars { mutable: false } if !length_follows => ("UserStr".to_owned(), Some("UserStr"), None),
        Type::Void { .. } if !length_follows => ("UserAddr".to_owned(), Some("UserAddr"), None),
        Type::Chars { mutable } | Type::Void { mutable } => {
            (format!("{}<u8>", pointer(*mutable)), Some(pointer(*mutable)), None)
        }
    };
    Argument { name: name.to_owned(), ty, import, own }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(text: &str) -> String {
        let all = arguments(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        all.iter().map(|one| format!("{}: {}", one.name, one.ty)).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_is_written_as_in_rust() {
        for (text, expected) in [
            ("buf:*mut u8,len:usize", "buf: UserMut<u8>, len: usize"),
            (" buf : *const u8 , len : usize ", "buf: UserPtr<u8>, len: usize"),
            ("path: &str, flags: i32", "path: UserStr, flags: i32"),
            ("path: *const c_char", "path: UserStr"),
            ("path: *const c_char, len: usize", "path: UserPtr<u8>, len: usize"),
            ("st: &mut Stat, at: *const abi::Timespec", "st: UserMut<Stat>, at: UserPtr<abi::Timespec>"),
            (
                "fd: Fd, p: UserPtr<u32>, q: UserMut<Stat>, a: UserAddr",
                "fd: Fd, p: UserPtr<u32>, q: UserMut<Stat>, a: UserAddr",
            ),
            ("flags: OpenFlags, n: c_int, b: bool, i: isize", "flags: OpenFlags, n: i32, b: bool, i: isize"),
            ("addr: *mut c_void, argv: *const *const u8", "addr: UserAddr, argv: UserAddr"),
            ("addr: *mut c_void, len: usize", "addr: UserMut<u8>, len: usize"),
            ("", ""),
        ] {
            assert_eq!(types(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_as_in_c() {
        for (text, expected) in [
            ("unsigned int fd, const char __user *buf, size_t count", "fd: Fd, buf: UserPtr<u8>, count: usize"),
            ("const char *path, int flags, umode_t mode", "path: UserStr, flags: i32, mode: u16"),
            ("char __user *buf, unsigned long size", "buf: UserMut<u8>, size: u64"),
            ("int dfd, struct old_timespec32 __user *ts", "dfd: Fd, ts: UserMut<OldTimespec32>"),
            ("const struct stat *st, siginfo_t *info", "st: UserPtr<Stat>, info: UserMut<Siginfo>"),
            ("void *addr, loff_t off, ssize_t n", "addr: UserAddr, off: i64, n: isize"),
            ("const void *data, size_t len", "data: UserPtr<u8>, len: usize"),
            ("int fds[2], unsigned *n, const char *const *argv", "fds: UserMut<i32>, n: UserMut<u32>, argv: UserAddr"),
            ("unsigned long long x,long int y,unsigned z", "x: u64, y: i64, z: u32"),
            ("void", ""),
            ("size_t len, buf: *mut u8", "len: usize, buf: UserMut<u8>"),
        ] {
            assert_eq!(types(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (text, said) in [
            ("buf", "`buf` has no name"),
            ("int", "`int` has no name"),
            ("char *", "`char *` has no name"),
            ("a: u8,,b: u8", "missing between two commas"),
            ("a: u8, a: u8", "two arguments are named `a`"),
            ("a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8", "these are 7 arguments"),
            ("x: f64", "no floating-point registers"),
            ("double x", "no floating-point registers"),
            ("x: u128", "does not fit in a register"),
            ("struct stat st", "does not fit in a register"),
            ("s: &[u8]", "more than one register"),
            ("x: uszie", "there is no type `uszie`; did you mean `usize`"),
            ("siz_t n", "did you mean `size_t`"),
            ("void (*f)(int)", "`name: UserAddr`"),
            ("x: ", "there is no type ``"),
            (": u8", "has no name"),
            ("1x: u8", "has no name"),
            ("é: u8", "has no name"),
            ("struct é *x", "no type `é`"),
            ("x: Vec<u8>", "there is no type `Vec<u8>`"),
        ] {
            let error = arguments(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
