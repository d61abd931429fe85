//! Branches.
//!
//! A guest's call is a host's call, so that the host predicts the return: the guest's return address goes onto the
//! guest's stack and the host's onto the return stack. The return loads the guest's address into rcx and returns; where
//! it lands it is compared with the address that belongs there. What has landed wrongly (a stack was switched, or
//! rewritten) goes the way of indirect branches: through the jump table, by the low 16 bits of the address, to code that
//! makes sure that it is the right one. None of this touches the flags: subtraction is `lea`, and comparing is `jrcxz`.
//! That branches where all is well, though: a taken branch more for each return and each indirect branch, which processors
//! have to remember beside the program's own. `loop` branches where something is wrong, but no further than 127
//! bytes: to a jump behind the piece's blocks, or before one of them, which those before then jump over.

use iced_x86::{Code, FlowControl, Instruction, Mnemonic, OpKind};

use super::facts::Decoded;
use super::{Ending, Landing, Outside, Translator, Untranslated};
use crate::context::{COUNTER, Reason, SCRATCH, STACK, slot};
use crate::emit::{CALL, JMP, JRCXZ, LOOP};
use crate::window::Origin;

impl Translator<'_> {
    pub(super) fn branch(&mut self, decoded: &Decoded) -> Result<Ending, Untranslated> {
        let instruction = &decoded.instruction;
        let is_near = match instruction.flow_control() {
            FlowControl::IndirectBranch | FlowControl::IndirectCall => {
                matches!(instruction.code(), Code::Jmp_rm64 | Code::Call_rm64)
            }
            FlowControl::Return => matches!(instruction.code(), Code::Retnq | Code::Retnq_imm16),
            _ => instruction.op0_kind() == OpKind::NearBranch64,
        };
        if !is_near {
            return Err(Untranslated);
        }
        match instruction.flow_control() {
            FlowControl::ConditionalBranch => self.conditional(instruction),
            FlowControl::UnconditionalBranch => {
                self.jump(JMP, instruction.near_branch_target());
                Ok(Ending::Closed)
            }
            FlowControl::IndirectBranch => {
                let target = self.target(decoded)?;
                self.emit.jump_table(target, false);
                Ok(Ending::Closed)
            }
            FlowControl::Call => {
                self.probe_return_stack();
                self.emit.store_stack_imm(self.moved - 8, instruction.next_ip());
                self.moved -= 8;
                self.move_stack();
                self.jump(CALL, instruction.near_branch_target());
                self.landing(instruction.next_ip());
                Ok(Ending::Open)
            }
            FlowControl::IndirectCall => {
                self.probe_return_stack();
                let target = self.target(decoded)?;
                self.emit.store_stack_imm(-8, instruction.next_ip());
                self.emit.add(STACK, -8);
                self.emit.jump_table(target, true);
                self.landing(instruction.next_ip());
                Ok(Ending::Open)
            }
            FlowControl::Return => {
                let popped = match instruction.op_count() {
                    1 => i32::from(instruction.immediate16()),
                    _ => 0,
                };
                self.emit.load_stack(SCRATCH, self.moved);
                self.moved += 8 + popped;
                self.move_stack();
                self.emit.ret();
                Ok(Ending::Closed)
            }
            _ => Err(Untranslated),
        }
    }

    /// Has a call fault that would leave too little of the return stack for handlers that run there.
    fn probe_return_stack(&mut self) {
        if self.emit.kind.probes {
            self.emit.probe_return_stack();
        }
    }

    /// Where indirect branches land: makes sure that this is the address that was looked for.
    pub(super) fn land(&mut self) -> Landing {
        let address = self.request.address as i64;
        if self.emit.kind.loops {
            let otherwise = self.land_otherwise(address);
            let entry = self.here() as usize;
            self.take_target();
            self.emit.add_to_scratch(1 - address);
            let branch = self.emit.short_branch(LOOP);
            self.emit.resolve_short(branch, 0);
            return Landing { entry, otherwise };
        }
        let entry = self.here() as usize;
        self.take_target();
        self.emit.add_to_scratch(-address);
        let branch = self.emit.short_branch(JRCXZ);
        let otherwise = self.land_otherwise(address);
        self.emit.resolve_short(branch, self.emit.len());
        Landing { entry, otherwise }
    }

    /// Gets the address that was looked for into the scratch register.
    fn take_target(&mut self) {
        if self.emit.kind.origin == Origin::Gs {
            self.emit.load(SCRATCH, slot::TARGET);
        }
    }

    /// Goes on where it was another address: the offset of the displacement.
    fn land_otherwise(&mut self, address: i64) -> usize {
        if self.emit.kind.origin == Origin::Zero {
            self.emit.add_to_scratch(address);
        }
        self.branch_to_stub(JMP, self.stubs.reason(Reason::Miss));
        self.here() as usize - 4
    }

    /// Where a return lands that belongs to a call: rcx has the address that it goes to. What landed wrongly may need its
    /// flags, even if nobody here does.
    fn landing(&mut self, address: u64) {
        if self.loops {
            self.emit.add_to_scratch(1 - address as i64);
            let branch = self.emit.short_branch(LOOP);
            self.piece.wrong_returns.push((branch, address));
            return;
        }
        self.emit.add_to_scratch(-(address as i64));
        self.emit.skip_if_rcx_0(5);
        let branch = self.emit.branch(JMP);
        self.piece.outside.push((branch, Outside::WrongReturn(address)));
    }

    fn conditional(&mut self, instruction: &Instruction) -> Result<Ending, Untranslated> {
        let target = instruction.near_branch_target();
        match instruction.mnemonic() {
            Mnemonic::Jrcxz | Mnemonic::Jecxz | Mnemonic::Loop => {
                let narrow = match instruction.code() {
                    Code::Jrcxz_rel8_64 => false,
                    Code::Jecxz_rel8_64 => true,
                    Code::Loop_rel8_64_RCX => {
                        self.emit.add(COUNTER, -1);
                        self.emit.mov(SCRATCH, COUNTER);
                        self.emit.skip_if_rcx_0(5);
                        self.jump(JMP, target);
                        return Ok(Ending::Open);
                    }
                    _ => return Err(Untranslated),
                };
                self.emit.mov(SCRATCH, COUNTER);
                // Over the jump that goes on in line, to the one that is taken.
                if narrow {
                    self.emit.skip_if_ecx_0(5);
                } else {
                    self.emit.skip_if_rcx_0(5);
                }
                self.jump(JMP, instruction.next_ip());
                self.jump(JMP, target);
                Ok(Ending::Closed)
            }
            Mnemonic::Loope | Mnemonic::Loopne | Mnemonic::Jcxz => Err(Untranslated),
            _ if instruction.is_jcc_short_or_near() => {
                let condition = instruction.condition_code() as u8 - 1;
                self.jump(&[0x0f, 0x80 | CONDITIONS[usize::from(condition & 15)]], target);
                Ok(Ending::Open)
            }
            _ => Err(Untranslated),
        }
    }
}

/// Condition codes as instructions encode them, in iced's order: o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g.
const CONDITIONS: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
