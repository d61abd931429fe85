//! The handler of a new call, as text to paste.

use callgate_codegen::table::Row;

use super::types::Argument;

/// A line longer than this is written as several, as rustfmt does.
const WIDTH: usize = 100;

/// The handler of `row`, which answers ENOSYS until somebody has written it. `word` is what the attribute takes.
pub(super) fn handler(row: &Row, word: &str, arguments: &[Argument]) -> String {
    let count = arguments.len();
    let mut abi: Vec<&str> = arguments.iter().filter_map(|argument| argument.import).collect();
    let define = format!("SYSCALL_DEFINE{count}");
    abi.push(&define);
    abi.sort_unstable();
    abi.dedup();
    let abi = if let [one] = abi.as_slice() { (*one).to_owned() } else { format!("{{{}}}", abi.join(", ")) };

    let name = word.strip_prefix("compat_sys_").map_or(word.to_owned(), |rest| format!("compat_{rest}"));
    let name = super::types::identifier(&name);
    let parameters: Vec<String> = std::iter::once("task: &mut Task".to_owned())
        .chain(arguments.iter().map(|argument| format!("{}: {}", argument.name, argument.ty)))
        .collect();
    let mut signature = format!("pub fn {name}({}) -> Result<usize> {{", parameters.join(", "));
    if signature.len() > WIDTH {
        signature = format!("pub fn {name}(\n    {},\n) -> Result<usize> {{", parameters.join(",\n    "));
    }
    let names: Vec<&str> = std::iter::once("task").chain(arguments.iter().map(|one| one.name.as_str())).collect();
    let unused = if let [task] = names.as_slice() { (*task).to_owned() } else { format!("({})", names.join(", ")) };
    let mut text = format!(
        "use callgate_abi::{abi};

use crate::{{Errno, Result, Task}};

/// {}(2): what it does, in one sentence.
#[{define}({word})]
{signature}
    let _ = {unused}; // To be written.
    Err(Errno::ENOSYS)
}}
",
        row.name
    );
    let own: Vec<&str> = arguments.iter().filter_map(|argument| argument.own.as_deref()).collect();
    if !own.is_empty() {
        text += &format!(
            "\n// Types of your own: {}. What a pointer leads to needs zerocopy's FromBytes, IntoBytes and Immutable,\n\
             // and CType for its name in C; what comes in a register needs SyscallArg.\n",
            own.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use callgate_codegen::Table;
    use callgate_codegen::table::NewRow;

    use super::super::types::arguments;
    use super::handler;

    fn made(name: &str, args: &str) -> String {
        let table = Table::parse("t", "0 common read sys_read\n").unwrap();
        let new = NewRow { name: name.to_owned(), ..NewRow::default() };
        let row = table.insert(&new).unwrap().row;
        handler(&row, name, &arguments(args).unwrap())
    }

    #[test]
    fn a_handler_has_its_imports_and_types() {
        let expected = "\
use callgate_abi::{SYSCALL_DEFINE2, UserMut};

use crate::{Errno, Result, Task};

/// greet(2): what it does, in one sentence.
#[SYSCALL_DEFINE2(greet)]
pub fn greet(task: &mut Task, buf: UserMut<u8>, len: usize) -> Result<usize> {
    let _ = (task, buf, len); // To be written.
    Err(Errno::ENOSYS)
}
";
        assert_eq!(made("greet", "buf:*mut u8,len:usize"), expected);
    }

    #[test]
    fn a_handler_without_arguments_is_short_and_one_with_six_is_long() {
        let none = made("getuid2", "");
        assert!(none.starts_with("use callgate_abi::SYSCALL_DEFINE0;\n"), "{none}");
        assert!(none.contains("pub fn getuid2(task: &mut Task) -> Result<usize> {\n    let _ = task;"), "{none}");
        let six = made("six", "int fd, const char *path, struct stat *st, size_t len, unsigned long flags, long last");
        let signature = "pub fn six(\n    task: &mut Task,\n    fd: Fd,\n    path: UserStr,\n    st: UserMut<Stat>,\n    \
                         len: usize,\n    flags: u64,\n    last: i64,\n) -> Result<usize> {\n";
        assert!(six.contains(signature), "{six}");
        assert!(six.contains("{Fd, SYSCALL_DEFINE6, UserMut, UserStr}") && six.contains("of your own: Stat."), "{six}");
    }

    #[test]
    fn a_name_that_rust_keeps_for_itself_is_changed() {
        assert!(
            made("yield", "int type").contains("#[SYSCALL_DEFINE1(yield)]\npub fn yield_(task: &mut Task, type_: i32)")
        );
    }
}
