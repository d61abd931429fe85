//! Whether every instruction that CPUID promises is executed.

use iced_x86::{Code, EncodingKind, Instruction, Mnemonic, OpCodeOperandKind as Kind, OpKind, Register};

use super::decode;
use crate::cpuid;

/// An instruction of a code, in its register form or its memory form.
fn example(code: Code, memory: bool) -> Instruction {
    let mut i = Instruction::new();
    i.set_code(code);
    for n in 0..code.op_code().op_count() {
        let (kind, register) = match code.op_code().op_kind(n) {
            Kind::mem | Kind::mem_offs => (OpKind::Memory, Register::None),
            Kind::r8_or_mem
            | Kind::r16_or_mem
            | Kind::r32_or_mem
            | Kind::r64_or_mem
            | Kind::xmm_or_mem
            | Kind::mm_or_mem
            | Kind::ymm_or_mem
            | Kind::zmm_or_mem
            | Kind::k_or_mem
                if memory =>
            {
                (OpKind::Memory, Register::None)
            }
            Kind::r8_or_mem | Kind::r8_reg | Kind::r8_opcode | Kind::al => (OpKind::Register, Register::AL),
            Kind::cl => (OpKind::Register, Register::CL),
            Kind::r16_or_mem | Kind::r16_reg | Kind::r16_rm | Kind::r16_opcode | Kind::ax => {
                (OpKind::Register, Register::AX)
            }
            Kind::dx => (OpKind::Register, Register::DX),
            Kind::r32_or_mem | Kind::r32_reg | Kind::r32_rm | Kind::r32_opcode | Kind::eax | Kind::r32_vvvv => {
                (OpKind::Register, Register::EAX)
            }
            Kind::r64_or_mem | Kind::r64_reg | Kind::r64_rm | Kind::r64_opcode | Kind::rax | Kind::r64_vvvv => {
                (OpKind::Register, Register::RAX)
            }
            Kind::mem_vsib32x
            | Kind::mem_vsib32y
            | Kind::mem_vsib32z
            | Kind::mem_vsib64x
            | Kind::mem_vsib64y
            | Kind::mem_vsib64z => (OpKind::Memory, Register::None),
            Kind::k_or_mem | Kind::k_reg | Kind::k_rm | Kind::k_vvvv => (OpKind::Register, Register::K1),
            Kind::zmm_or_mem | Kind::zmm_reg | Kind::zmm_rm | Kind::zmm_vvvv => (OpKind::Register, Register::ZMM1),
            Kind::ymm_or_mem | Kind::ymm_reg | Kind::ymm_rm | Kind::ymm_vvvv | Kind::ymm_is4 => {
                (OpKind::Register, Register::YMM1)
            }
            Kind::xmm_or_mem | Kind::xmm_reg | Kind::xmm_rm | Kind::xmm_vvvv | Kind::xmm_is4 => {
                (OpKind::Register, Register::XMM1)
            }
            Kind::mm_or_mem | Kind::mm_reg | Kind::mm_rm => (OpKind::Register, Register::MM1),
            Kind::st0 => (OpKind::Register, Register::ST0),
            Kind::sti_opcode => (OpKind::Register, Register::ST1),
            Kind::seg_reg => (OpKind::Register, Register::DS),
            Kind::fs => (OpKind::Register, Register::FS),
            Kind::gs => (OpKind::Register, Register::GS),
            Kind::cr_reg => (OpKind::Register, Register::CR0),
            Kind::dr_reg => (OpKind::Register, Register::DR0),
            Kind::seg_rDI => (OpKind::MemorySegRDI, Register::None),
            Kind::seg_rSI => (OpKind::MemorySegRSI, Register::None),
            Kind::es_rDI => (OpKind::MemoryESRDI, Register::None),
            Kind::br16_2 | Kind::br32_1 | Kind::br32_4 | Kind::br64_1 | Kind::br64_4 => {
                (OpKind::NearBranch64, Register::None)
            }
            _ => (OpKind::Immediate8, Register::None),
        };
        i.set_op_kind(n, kind);
        if kind == OpKind::Register {
            i.set_op_register(n, register);
        }
    }
    i
}

/// Has no feature bit and is not executed: far transfers of kinds that 64-bit mode lacks, the
/// return to 32-bit code, and virtualisation, of which only the hypercall is there.
const ABSENT: &[Mnemonic] = &[
    Mnemonic::Call,
    Mnemonic::Jmp,
    Mnemonic::Retf,
    Mnemonic::Sysret,
    Mnemonic::Vmlaunch,
    Mnemonic::Vmresume,
    Mnemonic::Vmxoff,
    Mnemonic::Vmfunc,
    Mnemonic::Vmread,
    Mnemonic::Vmwrite,
    Mnemonic::Vmptrld,
    Mnemonic::Vmclear,
    Mnemonic::Vmxon,
    Mnemonic::Vmptrst,
];

#[test]
fn what_cpuid_promises_is_executed() {
    let missing: Vec<Code> = Code::values()
        .filter(|code| {
            let op_code = code.op_code();
            let ours = matches!(op_code.encoding(), EncodingKind::Legacy | EncodingKind::VEX | EncodingKind::EVEX);
            ours && op_code.is_instruction() && op_code.mode64()
        })
        .filter(|code| {
            [false, true].iter().any(|memory| {
                let i = example(*code, *memory);
                cpuid::has(cpuid::CpuModel::V4, &i) && decode::select(&i).is_none()
            })
        })
        .filter(|code| !ABSENT.contains(&code.mnemonic()))
        .collect();
    assert_eq!(missing, []);
}
