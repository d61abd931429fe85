//! `callgate gen`: headers, listings and functions from a table.

mod args;
mod batch;
mod reference;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write;
use std::path::{Path, PathBuf};

use callgate_codegen::dispatch::Dispatch;
use callgate_codegen::image::Image;
use callgate_codegen::{AbiFilter, Table, TableError, default_abis, emit, write_if_changed};

use crate::exit::{Failure, Result};
use crate::image;
use args::{Language, Output, UnistdArgs};
use reference::Programs;

pub(crate) use args::{EXAMPLES, GenCommand};

/// Makes what is asked for.
pub(crate) fn generate(command: &GenCommand) -> Result {
    match command {
        GenCommand::One(output) => make(output, &mut Tables::default()),
        GenCommand::Batch { file } => batch::batch(file),
    }
}

/// The tables that have been read, each once.
#[derive(Default)]
struct Tables(HashMap<Option<PathBuf>, Table>);

impl Tables {
    /// The table in a file, or the one that this kernel was built with.
    fn read(&mut self, path: Option<&Path>) -> Result<&Table, TableError> {
        match self.0.entry(path.map(Path::to_owned)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => Ok(new.insert(match path {
                Some(path) => Table::read(path)?,
                None => Table::parse(image::TABLE_PATH, image::TABLE)?,
            })),
        }
    }
}

/// Makes one output and puts it where it belongs.
fn make(output: &Output, tables: &mut Tables) -> Result {
    let text = match text(output, tables) {
        Ok(text) => text?,
        Err(error) => {
            say!("{error}");
            return Ok(1);
        }
    };
    match &output.table().output {
        Some(path) => {
            // /dev/stdout and its like are written to, not replaced.
            let special = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
            let written = if special { std::fs::write(path, text) } else { write_if_changed(path, text).map(|_| ()) };
            written.map_err(|error| Failure::own(format!("{}: can't be written: {error}", path.display())))?;
        }
        None => match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                return Err(Failure::own(format!("the output can't be written: {error}")));
            }
            _ => {}
        },
    }
    Ok(0)
}

/// What is to be written, unless the table is wrong or something else is.
fn text(command: &Output, tables: &mut Tables) -> Result<Result<String>, TableError> {
    if let Output::Json(args) = command
        && args.schema
    {
        return Ok(Ok(emit::JSON_SCHEMA.to_owned()));
    }
    let args = command.table();
    let table = tables.read(args.table.as_deref())?;
    let abis = args.abis.as_deref().map_or_else(|| default_abis(table), AbiFilter::new);
    Ok(Ok(match command {
        Output::Unistd(args) => unistd(table, abis, args),
        Output::Syscalls(_) => emit::syscalls(table, &abis)?,
        Output::Rust(_) => emit::rust(table, &abis)?,
        Output::Kallsyms(_) | Output::SystemMap(_) => {
            let image = if args.table.is_none() && args.abis.is_none() {
                Ok(image::built_in())
            } else {
                let ia32 = Table::parse("syscall_32.tbl", image::IA32_TABLE)?;
                let dispatch = Dispatch::new((table, &abis), Some((&ia32, &AbiFilter::all())))?;
                Image::new(&dispatch, "callgate\n")
            };
            let image = match image {
                Ok(image) => image,
                Err(error) => return Ok(Err(Failure::own(format!("the kernel image can't be assembled: {error}")))),
            };
            match command {
                Output::Kallsyms(_) => emit::kallsyms(&image),
                _ => emit::system_map(&image),
            }
        }
        Output::Prototypes(_) | Output::Wrappers(_) | Output::Json(_) | Output::Markdown(_) => {
            // One row a number, as for an array of handlers.
            table.ascending_rows(&abis)?;
            return Ok(of_handlers(command, table, &abis, reference::programs(table)?));
        }
    }))
}

fn unistd(table: &Table, abis: AbiFilter, args: &UnistdArgs) -> String {
    let file = args.table.output.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    let options = emit::Unistd {
        abis,
        offset: args.offset.clone(),
        prefix: args.prefix.clone().unwrap_or_default(),
        emit_nr: args.emit_nr,
    };
    emit::unistd(table, file.as_deref().unwrap_or("unistd_64.h"), &options)
}

/// What is made of the handlers' types, which only this kernel's own tables have.
fn of_handlers(command: &Output, table: &Table, abis: &AbiFilter, programs: Option<Programs>) -> Result<String> {
    let name = command.name();
    let Some(programs) = programs else {
        return Err(Failure::own(format!(
            "`gen {name}` is made of the handlers' types, and {} is another table than this kernel was built with: \
             leave it out, or build the kernel with it",
            table.path()
        )));
    };
    let reference = reference::reference(table, abis, programs);
    Ok(match command {
        Output::Wrappers(_) if programs == Programs::Ia32 => {
            return Err(Failure::own(format!(
                "`gen {name}` makes functions for 64-bit programs, and {} is the table of 32-bit ones",
                table.path()
            )));
        }
        Output::Wrappers(args) if args.language == Language::C => emit::wrappers_c(&reference),
        Output::Wrappers(_) => emit::wrappers_rust(&reference),
        Output::Json(_) => emit::json(&reference),
        Output::Markdown(_) => emit::markdown(&reference),
        _ => emit::prototypes(&reference),
    })
}

#[cfg(test)]
mod tests {
    use callgate_codegen::Prototypes;
    use callgate_codegen::prototypes::Parameter;

    use super::args::{JsonArgs, TableArgs, WrappersArgs};
    use super::*;
    use crate::deferred::Deferred;

    fn made(command: &Output) -> String {
        text(command, &mut Tables::default()).unwrap().unwrap()
    }

    fn all() -> TableArgs {
        TableArgs::default()
    }

    #[test]
    fn the_built_in_table_makes_headers() {
        let header = made(&Output::Unistd(Deferred(UnistdArgs::default())));
        assert!(header.contains("#define __NR_write 1\n") && !header.contains("__NR_syscalls"), "{header}");
        assert!(made(&Output::Syscalls(Deferred(all()))).contains("__SYSCALL(1, sys_write)\n"));
        assert!(made(&Output::Rust(Deferred(all()))).contains("__NR_write: u32 = 1;"));
    }

    #[test]
    fn an_option_changes_each_line() {
        let args = UnistdArgs {
            prefix: Some("my_".to_owned()),
            offset: Some("BASE".to_owned()),
            emit_nr: true,
            ..UnistdArgs::default()
        };
        let header = made(&Output::Unistd(Deferred(args)));
        assert!(header.contains("#define __NR_my_write (BASE + 1)\n") && header.contains("__NR_my_syscalls"));
    }

    #[test]
    fn the_listing_is_that_of_the_image_that_a_table_makes() {
        let built_in = made(&Output::SystemMap(Deferred(all())));
        assert!(built_in.starts_with("ffffffff81000000 T entry_SYSCALL_64\n"));
        assert!(built_in.contains(" __x64_sys_write\n"));
        let abis = Some("common,64".to_owned());
        assert_eq!(built_in, made(&Output::SystemMap(Deferred(TableArgs { abis, ..all() }))));
    }

    #[test]
    fn what_is_made_of_handlers_has_their_types() {
        let prototypes = made(&Output::Prototypes(Deferred(all())));
        let write = "asmlinkage long sys_write(unsigned int fd, const char __user *buf, size_t count);\n";
        assert!(prototypes.contains(write), "{prototypes}");
        let c = Output::Wrappers(Deferred(WrappersArgs { language: Language::C, table: all() }));
        assert!(made(&c).contains("sys_write(unsigned int fd, const char *buf, size_t count)"));
        let rust = Output::Wrappers(Deferred(WrappersArgs { language: Language::Rust, table: all() }));
        assert!(made(&rust).contains("pub fn write(") || made(&rust).contains("pub unsafe fn write("));
        let page = made(&Output::Markdown(Deferred(all())));
        let line = page.lines().find(|line| line.starts_with("| 1 | `write` |"));
        assert!(line.is_some_and(|line| line.contains("kernel/src/fs/read_write.rs:")), "{line:?}");
        assert!(page.contains("| 134 | `uselib` | | not implemented | |"), "{page}");
        let json = made(&Output::Json(Deferred(JsonArgs::default())));
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed["calls"][1]["args"][2]["type"], "size_t");
        let schema = made(&Output::Json(Deferred(JsonArgs { schema: true, table: all() })));
        assert!(serde_json::from_str::<serde_json::Value>(&schema).is_ok());
    }

    /// Handlers have Rust's types; what is printed is what their prototypes say, to the letter.
    #[test]
    fn prototypes_are_spelled_as_they_were_declared() {
        let declared = Prototypes::parse("syscalls.h", include_str!("../../../syscalls.h")).unwrap();
        let printed = Prototypes::parse("printed.h", &made(&Output::Prototypes(Deferred(all())))).unwrap();
        let find = |entry| declared.list().iter().find(|one| one.entry == entry);
        let mut compared = 0;
        for ours in printed.list() {
            let Some(theirs) = find(ours.entry.clone()) else { continue };
            // What only a name is known of is printed as the handler knows it: these are addresses of structures.
            let known = |one: &&Parameter| !one.c_type.contains("cap_user_");
            let pairs = theirs.parameters.iter().zip(&ours.parameters).filter(|(theirs, _)| known(theirs));
            for (theirs, ours) in pairs {
                assert_eq!(ours.c_type, theirs.c_type, "{theirs} is printed as {ours}");
                compared += 1;
            }
        }
        assert!(compared > 400, "only {compared} parameters");
    }

    #[test]
    fn handlers_are_known_by_the_rows_and_not_by_the_path() {
        let table = |text: &str| Table::parse("other.tbl", text).unwrap();
        let other = image::TABLE.replace("sys_newuname", "sys_uname");
        for (text, programs) in [
            (image::TABLE, Some(Programs::Native)),
            (image::IA32_TABLE, Some(Programs::Ia32)),
            (&image::TABLE.replace("\t", "  "), Some(Programs::Native)),
            (&other, None),
        ] {
            assert_eq!(reference::programs(&table(text)).unwrap(), programs);
        }
    }
}
