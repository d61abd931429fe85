//! Control: words, environment, whole state, and the stack pointer.

use iced_x86::Code;

use super::check_pending;
use crate::cpu::reg;
use crate::interp::core::Core;
use crate::interp::op::{Exec, Op, Stop};
use crate::softfloat::flag;
use crate::x87::{F80, Fpu, Pointers};

type Done = Result<(), Stop>;

/// Control instructions, which leave the unit's pointers alone or load them.
pub(super) fn select(code: Code) -> Option<Exec> {
    use Code::*;
    Some(match code {
        Wait => wait,
        Fninit | Finit => fninit,
        Fnclex | Fclex => fnclex,
        Fneni | Feni | Fndisi | Fdisi | Fnsetpm | Fsetpm => nothing,
        Fnstcw_m2byte | Fstcw_m2byte => fnstcw,
        Fldcw_m2byte => fldcw,
        Fnstsw_m2byte | Fstsw_m2byte => fnstsw,
        Fnstsw_AX | Fstsw_AX => fnstsw_ax,
        Fnstenv_m14byte | Fstenv_m14byte => fnstenv::<true>,
        Fnstenv_m28byte | Fstenv_m28byte => fnstenv::<false>,
        Fldenv_m14byte => fldenv::<true>,
        Fldenv_m28byte => fldenv::<false>,
        Fnsave_m94byte | Fsave_m94byte => fnsave::<true>,
        Fnsave_m108byte | Fsave_m108byte => fnsave::<false>,
        Frstor_m94byte => frstor::<true>,
        Frstor_m108byte => frstor::<false>,
        _ => return None,
    })
}

/// The stack pointer's, which the manual counts among them, but silicon does not.
pub(super) fn select_stack(code: Code) -> Option<Exec> {
    use Code::*;
    Some(match code {
        Fnop => wait,
        Ffree_sti => ffree::<false>,
        Ffreep_sti => ffree::<true>,
        Fincstp => rotate::<1>,
        Fdecstp => rotate::<-1>,
        _ => return None,
    })
}

fn nothing(_: &mut Core<'_>, _: &Op) -> Done {
    Ok(())
}

fn wait(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)
}

fn fninit(core: &mut Core<'_>, _: &Op) -> Done {
    core.cpu.fpu.init();
    Ok(())
}

fn fnclex(core: &mut Core<'_>, _: &Op) -> Done {
    core.cpu.fpu.clear_exceptions();
    Ok(())
}

fn fnstcw(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), core.cpu.fpu.control)
}

fn fldcw(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let word = core.load(core.ea(op))?;
    core.cpu.fpu.set_control_word(word);
    Ok(())
}

fn fnstsw(core: &mut Core<'_>, op: &Op) -> Done {
    core.store(core.ea(op), core.cpu.fpu.status_word())
}

fn fnstsw_ax(core: &mut Core<'_>, _: &Op) -> Done {
    let rax = &mut core.gpr[reg::RAX];
    *rax = *rax & !0xffff | u64::from(core.cpu.fpu.status_word());
    Ok(())
}

fn ffree<const POP: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    core.cpu.fpu.clear_c1();
    core.cpu.fpu.free(op.dst as u8);
    if POP {
        core.cpu.fpu.pop();
    }
    Ok(())
}

fn rotate<const BY: i8>(core: &mut Core<'_>, _: &Op) -> Done {
    check_pending(core)?;
    core.cpu.fpu.clear_c1();
    core.cpu.fpu.rotate(BY);
    Ok(())
}

/// Bytes of a field of an environment.
const fn field_size(narrow: bool) -> usize {
    if narrow { 2 } else { 4 }
}

/// Bytes of an environment.
const fn environment_size(narrow: bool) -> usize {
    7 * field_size(narrow)
}

/// The protected-mode images: control, status and tag words, instruction pointer, its selector with the opcode, operand
/// pointer, its selector. Upper halves of 16-bit fields read all ones.
fn environment(fpu: &Fpu, narrow: bool) -> Vec<u8> {
    const ONES: u32 = 0xffff_0000;
    let Pointers { instruction, operand, code_segment, operand_segment, opcode } = fpu.pointers;
    let fields = [
        ONES | u32::from(fpu.control),
        ONES | u32::from(fpu.status_word()),
        ONES | u32::from(fpu.tag_word()),
        instruction as u32,
        u32::from(opcode) << 16 | u32::from(code_segment),
        operand as u32,
        ONES | u32::from(operand_segment),
    ];
    let width = field_size(narrow);
    fields.iter().flat_map(|field| field.to_le_bytes().into_iter().take(width)).collect()
}

fn load_environment(fpu: &mut Fpu, image: &[u8], narrow: bool) {
    let width = field_size(narrow);
    let field =
        |i: usize| image[i * width..(i + 1) * width].iter().rev().fold(0u32, |v, byte| v << 8 | u32::from(*byte));
    fpu.set_control_word(field(0) as u16);
    fpu.set_status_word(field(1) as u16);
    fpu.set_tag_word(field(2) as u16);
    fpu.pointers = Pointers {
        instruction: field(3).into(),
        code_segment: field(4) as u16,
        opcode: if narrow { 0 } else { (field(4) >> 16) as u16 & Pointers::OPCODE },
        operand: field(5).into(),
        operand_segment: field(6) as u16,
    };
}

/// Stores all bytes or none. The first field and the last byte are touched before the others, which shows in CR2.
fn store_bytes(core: &mut Core<'_>, address: u64, bytes: &[u8], field: usize) -> Done {
    core.check_aligned(address, field)?;
    core.check_store(address, field)?;
    core.check_store(address.wrapping_add(bytes.len() as u64 - 1), 1)?;
    core.check_store(address, bytes.len())?;
    for (i, byte) in bytes.iter().enumerate() {
        core.store(address.wrapping_add(i as u64), *byte)?;
    }
    Ok(())
}

/// Loads bytes, likewise.
fn load_bytes<const N: usize>(core: &mut Core<'_>, address: u64, len: usize, field: usize) -> Result<[u8; N], Stop> {
    core.check_aligned(address, field)?;
    core.check_load(address, field)?;
    core.check_load(address.wrapping_add(len as u64 - 1), 1)?;
    let mut bytes = [0; N];
    for (i, byte) in bytes[..len].iter_mut().enumerate() {
        *byte = core.load(address.wrapping_add(i as u64))?;
    }
    Ok(bytes)
}

/// Stores the environment, then masks all exceptions.
fn fnstenv<const NARROW: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let image = environment(&core.cpu.fpu, NARROW);
    store_bytes(core, core.ea(op), &image, field_size(NARROW))?;
    let control = core.cpu.fpu.control | flag::ALL as u16;
    core.cpu.fpu.set_control_word(control);
    Ok(())
}

fn fldenv<const NARROW: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let image: [u8; 28] = load_bytes(core, core.ea(op), environment_size(NARROW), field_size(NARROW))?;
    load_environment(&mut core.cpu.fpu, &image, NARROW);
    Ok(())
}

/// Stores environment and registers, then initialises.
fn fnsave<const NARROW: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    let mut image = environment(&core.cpu.fpu, NARROW);
    for i in 0..8 {
        image.extend(core.cpu.fpu.raw(i).to_bytes());
    }
    store_bytes(core, core.ea(op), &image, field_size(NARROW))?;
    core.cpu.fpu.init();
    Ok(())
}

fn frstor<const NARROW: bool>(core: &mut Core<'_>, op: &Op) -> Done {
    check_pending(core)?;
    let size = environment_size(NARROW);
    let image: [u8; 108] = load_bytes(core, core.ea(op), size + 80, field_size(NARROW))?;
    let fpu = &mut core.cpu.fpu;
    load_environment(fpu, &image, NARROW);
    for (i, bytes) in (0..8).zip(image[size..].chunks_exact(10)) {
        let bits = bytes.iter().rev().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        fpu.load_raw(i, F80 { sig: bits as u64, sign_exp: (bits >> 64) as u16 });
    }
    Ok(())
}
