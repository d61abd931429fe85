//! `callgate gen`: headers and listings from a table.

use std::io::Write;
use std::path::Path;

use callgate_codegen::dispatch::Dispatch;
use callgate_codegen::image::Image;
use callgate_codegen::{AbiFilter, Table, TableError, default_abis, emit, write_if_changed};

use crate::args::{Artifact, GenArgs};
use crate::exit::{Failure, Result};
use crate::image;

/// Makes what is asked for.
pub(crate) fn generate(args: &GenArgs) -> Result {
    let for_unistd =
        [("--offset", args.offset.is_some()), ("--prefix", args.prefix.is_some()), ("--emit-nr", args.emit_nr)];
    if args.what != Artifact::Unistd
        && let Some((option, _)) = for_unistd.iter().find(|(_, given)| *given)
    {
        return Err(Failure::own(format!("{option} is an option of `gen unistd` only")));
    }
    let text = match text(args) {
        Ok(text) => text?,
        Err(error) => {
            eprintln!("{error}");
            return Ok(1);
        }
    };
    match &args.output {
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
fn text(args: &GenArgs) -> Result<Result<String>, TableError> {
    let table = table(args.table.as_deref())?;
    let abis = args.abis.as_deref().map_or_else(|| default_abis(&table), AbiFilter::new);
    Ok(Ok(match args.what {
        Artifact::Unistd => {
            let file = args.output.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
            let options = emit::Unistd {
                abis,
                offset: args.offset.clone(),
                prefix: args.prefix.clone().unwrap_or_default(),
                emit_nr: args.emit_nr,
            };
            emit::unistd(&table, file.as_deref().unwrap_or("unistd_64.h"), &options)
        }
        Artifact::Syscalls => emit::syscalls(&table, &abis)?,
        Artifact::Rust => emit::rust(&table, &abis)?,
        Artifact::Kallsyms | Artifact::SystemMap => {
            let image = if args.table.is_none() && args.abis.is_none() {
                Ok(image::built_in())
            } else {
                let ia32 = Table::parse("syscall_32.tbl", image::IA32_TABLE)?;
                let dispatch = Dispatch::new((&table, &abis), Some((&ia32, &AbiFilter::all())))?;
                Image::new(&dispatch, "callgate\n")
            };
            let image = match image {
                Ok(image) => image,
                Err(error) => return Ok(Err(Failure::own(format!("the kernel image can't be assembled: {error}")))),
            };
            match args.what {
                Artifact::Kallsyms => emit::kallsyms(&image),
                _ => emit::system_map(&image),
            }
        }
    }))
}

fn table(path: Option<&Path>) -> Result<Table, TableError> {
    match path {
        Some(path) => Table::read(path),
        None => Table::parse(image::TABLE_PATH, image::TABLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(what: Artifact) -> GenArgs {
        GenArgs { what, table: None, abis: None, offset: None, prefix: None, emit_nr: false, output: None }
    }

    fn made(args: &GenArgs) -> String {
        text(args).unwrap().unwrap()
    }

    #[test]
    fn the_built_in_table_makes_headers() {
        let header = made(&args(Artifact::Unistd));
        assert!(header.contains("#define __NR_write 1\n") && !header.contains("__NR_syscalls"), "{header}");
        assert!(made(&args(Artifact::Syscalls)).contains("__SYSCALL(1, sys_write)\n"));
        assert!(made(&args(Artifact::Rust)).contains("__NR_write: u32 = 1;"));
    }

    #[test]
    fn an_option_changes_each_line() {
        let mut args = args(Artifact::Unistd);
        args.prefix = Some("my_".to_owned());
        args.offset = Some("BASE".to_owned());
        args.emit_nr = true;
        let header = made(&args);
        assert!(header.contains("#define __NR_my_write (BASE + 1)\n") && header.contains("__NR_my_syscalls"));
    }

    #[test]
    fn the_listing_is_that_of_the_image_that_a_table_makes() {
        let built_in = made(&args(Artifact::SystemMap));
        assert!(built_in.starts_with("ffffffff81000000 T entry_SYSCALL_64\n"));
        assert!(built_in.contains(" __x64_sys_write\n"));
        let mut anew = args(Artifact::SystemMap);
        anew.abis = Some("common,64".to_owned());
        assert_eq!(built_in, made(&anew));
    }
}
