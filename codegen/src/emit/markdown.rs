//! The reference as a page for people: number, name, arguments, the handler's place, the first line of its
//! documentation.

use super::{Reference, Syscall};

/// The page.
pub fn markdown(reference: &Reference) -> String {
    let (all, implemented) = (reference.calls.len(), reference.implemented().count());
    let lines: String = reference.calls.iter().map(line).collect();
    let table = text(&reference.table);
    format!(
        "# System calls of {table}\n\n\
         {implemented} of {all} calls have a handler; the others answer ENOSYS.\n\n\
         | number | name | arguments | handler | description |\n\
         |-------:|------|-----------|---------|-------------|\n\
         {lines}"
    )
}

fn line(call: &Syscall) -> String {
    let (number, name) = (call.number, code(&call.name));
    if !call.implemented {
        return format!("| {number} | {name} | | not implemented | |\n");
    }
    let args = match call.args.as_slice() {
        [] => "none".to_owned(),
        _ => code(&call.parameters().replace("__user ", "")),
    };
    let place = code(&format!("{}:{}", call.file, call.line));
    let never = if call.noreturn { " Never returns." } else { "" };
    format!("| {number} | {name} | {args} | {place} | {}{never} |\n", text(&call.doc))
}

/// Words as code. A table's cell ends at any `|` that has no backslash, even in code.
fn code(words: &str) -> String {
    let words = words.replace('|', "\\|");
    match words.contains('`') {
        true => format!("`` {words} ``"),
        false => format!("`{words}`"),
    }
}

/// Words that are the page's own text. They are documentation, which is Markdown as well: only what would break the
/// table is escaped.
fn text(words: &str) -> String {
    words.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}
