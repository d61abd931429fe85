//! The reference as JSON, for programs. [`JSON_SCHEMA`] describes it in the language of json-schema.org; each file names
//! it in `$schema`.

use super::Reference;

/// The schema of what [`json`] makes.
pub const JSON_SCHEMA: &str = include_str!("syscalls.schema.json");

/// What `$schema` says: the `$id` of [`JSON_SCHEMA`].
const SCHEMA_ID: &str = "urn:callgate:syscalls:1";

/// The reference, a call a line.
pub fn json(reference: &Reference) -> String {
    let calls: Vec<_> = reference
        .calls
        .iter()
        .map(|call| {
            let (number, name) = (call.number, string(&call.name));
            let entry = if call.entry.is_empty() { "null".to_owned() } else { string(&call.entry) };
            let mut line = format!(
                r#"{{"number": {number}, "name": {name}, "entry": {entry}, "implemented": {}"#,
                call.implemented
            );
            if call.implemented {
                let arg = |arg: &super::Argument| {
                    format!(r#"{{"name": {}, "type": {}}}"#, string(&arg.name), string(&arg.c_type))
                };
                let args: Vec<_> = call.args.iter().map(arg).collect();
                line += &format!(
                    r#", "args": [{}], "returns": {}, "noreturn": {}, "file": {}, "line": {}, "doc": {}"#,
                    args.join(", "),
                    string(&call.ret),
                    call.noreturn,
                    string(&call.file),
                    call.line,
                    string(&call.doc)
                );
            }
            format!("    {line}}}")
        })
        .collect();
    let calls = if calls.is_empty() { String::new() } else { format!("\n{}\n  ", calls.join(",\n")) };
    format!(
        "{{\n  \"$schema\": {},\n  \"table\": {},\n  \"calls\": [{calls}]\n}}\n",
        string(SCHEMA_ID),
        string(&reference.table)
    )
}

/// A string literal of JSON.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            letter if letter < ' ' => out += &format!("\\u{:04x}", u32::from(letter)),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
