//! Two instructions in one function.
//!
//! What a dispatch costs is less its few instructions than that the host must guess where it goes. So the instructions
//! that programs have most of go on to a few likely successors without one: in [`pair`]s, whose function has the second
//! instruction's body where others jump to it. Both have their operations still, so that each faults as always.

use core::marker::PhantomData;

use iced_x86::{Instruction, Mnemonic};

use crate::interp::core::Core;
use crate::interp::op::{Dispatch, End, Next, Op, Step};

use super::alu::{binary_ri, condition_number, extend_rm, lea_plain, mov_mr, mov_ri, mov_rm, mov_rr};
use super::arith::Xor;
use super::arith::{Add, Binary, Cmp, Test};
use super::fused::{self, Outcome};
use super::operand::{Address, AddressKind, Base, Form, Indexed, Int, form, operand_size};
use super::stack::{pop_r, push_r};
use super::{alu, branch};

/// An instruction with its operands' kinds, as a type.
trait Body {
    /// Executes it, and goes on as `N` does.
    fn step<N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End;
}

/// Goes on with the body `B`, which is known to be the next operation's.
struct Then<B>(PhantomData<B>);

impl<B: Body> Next for Then<B> {
    #[inline(always)]
    fn next(core: &mut Core<'_>, rest: &[Op]) -> End {
        match rest {
            [op, rest @ ..] => B::step::<Dispatch>(core, op, rest),
            [] => End::FallsThrough,
        }
    }
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident<$($p:ident: $bound:ident),*> $step:expr;)*) => {$(
        $(#[$doc])*
        struct $name<$($p),*>(PhantomData<($($p,)*)>);

        impl<$($p: $bound),*> Body for $name<$($p),*> {
            #[inline(always)]
            fn step<N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
                $step(core, op, rest)
            }
        }
    )*};
}

bodies! {
    MovRr<T: Int> mov_rr::<T, N>;
    MovRi<T: Int> mov_ri::<T, N>;
    Load<T: Int, A: Address> mov_rm::<T, A, N>;
    LoadZero<F: Int, A: Address> extend_rm::<u32, F, A, N, false>;
    Store<T: Int, A: Address> mov_mr::<T, A, N>;
    Lea<A: Address> lea_plain::<u64, A, N>;
    AluRr<T: Int, B: Binary> alu::binary_rr::<T, B, N>;
    AluRi<T: Int, B: Binary> binary_ri::<T, B, N>;
    Push<T: Int> push_r::<T, N>;
    Pop<T: Int> pop_r::<T, N>;
}

/// Branches after a comparison: if equal, if not.
struct FusedRr<T, B, const C: u8>(PhantomData<(T, B)>);
struct FusedRi<T, B, const C: u8>(PhantomData<(T, B)>);
struct Jump;
struct Call;
struct Return;

impl<T: Int, B: Binary + Outcome, const C: u8> Body for FusedRr<T, B, C> {
    #[inline(always)]
    fn step<N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
        fused::binary_rr::<T, B, C>(core, op, rest)
    }
}

impl<T: Int, B: Binary + Outcome, const C: u8> Body for FusedRi<T, B, C> {
    #[inline(always)]
    fn step<N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
        fused::binary_ri::<T, B, C>(core, op, rest)
    }
}

impl Body for Jump {
    #[inline(always)]
    fn step<N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
        branch::jmp(core, op, rest)
    }
}

impl Body for Call {
    #[inline(always)]
    fn step<N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
        branch::call(core, op, rest)
    }
}

impl Body for Return {
    #[inline(always)]
    fn step<N: Next>(core: &mut Core<'_>, op: &Op, rest: &[Op]) -> End {
        branch::ret::<false>(core, op, rest)
    }
}

/// Condition codes.
const EQUAL: u8 = 4;
const NOT_EQUAL: u8 = 5;

macro_rules! kinds {
    (both { $($both:ident = $body:ty,)* } second { $($second:ident = $last:ty,)* }) => {
        /// The instructions that come in pairs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($both,)* $($second,)* }

        /// The function for two instructions, one after the other, if there is one.
        pub(crate) fn pair(first: Kind, second: Kind) -> Option<Step> {
            match first {
                $(Kind::$both => Some(before::<$body>(second)),)*
                _ => None,
            }
        }

        fn before<A: Body>(second: Kind) -> Step {
            match second {
                $(Kind::$both => A::step::<Then<$body>>,)*
                $(Kind::$second => A::step::<Then<$last>>,)*
            }
        }
    };
}

kinds! {
    both {
        MovRr32 = MovRr<u32>,
        MovRr64 = MovRr<u64>,
        MovRi32 = MovRi<u32>,
        Load32 = Load<u32, Base>,
        Load64 = Load<u64, Base>,
        Load64Indexed = Load<u64, Indexed>,
        LoadByte = LoadZero<u8, Base>,
        LoadWord = LoadZero<u16, Base>,
        Store32 = Store<u32, Base>,
        Store64 = Store<u64, Base>,
        Lea = Lea<Base>,
        LeaIndexed = Lea<Indexed>,
        Xor32 = AluRr<u32, Xor>,
        AddImmediate64 = AluRi<u64, Add>,
        Push = Push<u64>,
        Pop = Pop<u64>,
    }
    second {
        TestEqual32 = FusedRr<u32, Test, EQUAL>,
        TestNotEqual32 = FusedRr<u32, Test, NOT_EQUAL>,
        TestEqual64 = FusedRr<u64, Test, EQUAL>,
        TestNotEqual64 = FusedRr<u64, Test, NOT_EQUAL>,
        CompareEqual32 = FusedRr<u32, Cmp, EQUAL>,
        CompareNotEqual32 = FusedRr<u32, Cmp, NOT_EQUAL>,
        CompareEqual64 = FusedRr<u64, Cmp, EQUAL>,
        CompareNotEqual64 = FusedRr<u64, Cmp, NOT_EQUAL>,
        CompareEqualImmediate32 = FusedRi<u32, Cmp, EQUAL>,
        CompareNotEqualImmediate32 = FusedRi<u32, Cmp, NOT_EQUAL>,
        CompareEqualImmediate8 = FusedRi<u8, Cmp, EQUAL>,
        CompareNotEqualImmediate8 = FusedRi<u8, Cmp, NOT_EQUAL>,
        Jump = Jump,
        Call = Call,
        Return = Return,
    }
}

/// What an instruction is in a pair. It must be executed by the function of that kind.
pub(crate) fn kind(i: &Instruction) -> Option<Kind> {
    use AddressKind as By;
    if super::uses_special_registers(i) {
        return None;
    }
    let bytes = |n: u32| if n < i.op_count() { operand_size(i, n) } else { 0 };
    Some(match (i.mnemonic(), form(i), bytes(0)) {
        (Mnemonic::Mov, Form::RR, 4) => Kind::MovRr32,
        (Mnemonic::Mov, Form::RR, 8) => Kind::MovRr64,
        (Mnemonic::Mov, Form::RI, 4) => Kind::MovRi32,
        (Mnemonic::Mov, Form::RM(By::Base), 4) => Kind::Load32,
        (Mnemonic::Mov, Form::RM(By::Base), 8) => Kind::Load64,
        (Mnemonic::Mov, Form::RM(By::Indexed), 8) => Kind::Load64Indexed,
        (Mnemonic::Movzx, Form::RM(By::Base), 4) if bytes(1) == 1 => Kind::LoadByte,
        (Mnemonic::Movzx, Form::RM(By::Base), 4) if bytes(1) == 2 => Kind::LoadWord,
        (Mnemonic::Mov, Form::MR(By::Base), 4) => Kind::Store32,
        (Mnemonic::Mov, Form::MR(By::Base), 8) => Kind::Store64,
        (Mnemonic::Lea, Form::RM(By::Base), 8) => Kind::Lea,
        (Mnemonic::Lea, Form::RM(By::Indexed), 8) => Kind::LeaIndexed,
        (Mnemonic::Xor, Form::RR, 4) => Kind::Xor32,
        (Mnemonic::Add, Form::RI, 8) => Kind::AddImmediate64,
        (Mnemonic::Push, Form::R, 8) => Kind::Push,
        (Mnemonic::Pop, Form::R, 8) => Kind::Pop,
        (Mnemonic::Jmp, ..) if i.is_jmp_short_or_near() => Kind::Jump,
        (Mnemonic::Call, ..) if i.is_call_near() => Kind::Call,
        (Mnemonic::Ret, ..) if i.op_count() == 0 => Kind::Return,
        _ => return None,
    })
}

/// The same of a comparison and a branch in one.
pub(crate) fn kind_of_fused(first: &Instruction, branch: &Instruction) -> Option<Kind> {
    let equal = match condition_number(branch) {
        EQUAL => true,
        NOT_EQUAL => false,
        _ => return None,
    };
    Some(match (first.mnemonic(), form(first), operand_size(first, 0), equal) {
        (Mnemonic::Test, Form::RR, 4, true) => Kind::TestEqual32,
        (Mnemonic::Test, Form::RR, 4, false) => Kind::TestNotEqual32,
        (Mnemonic::Test, Form::RR, 8, true) => Kind::TestEqual64,
        (Mnemonic::Test, Form::RR, 8, false) => Kind::TestNotEqual64,
        (Mnemonic::Cmp, Form::RR, 4, true) => Kind::CompareEqual32,
        (Mnemonic::Cmp, Form::RR, 4, false) => Kind::CompareNotEqual32,
        (Mnemonic::Cmp, Form::RR, 8, true) => Kind::CompareEqual64,
        (Mnemonic::Cmp, Form::RR, 8, false) => Kind::CompareNotEqual64,
        (Mnemonic::Cmp, Form::RI, 4, true) => Kind::CompareEqualImmediate32,
        (Mnemonic::Cmp, Form::RI, 4, false) => Kind::CompareNotEqualImmediate32,
        (Mnemonic::Cmp, Form::RI, 1, true) => Kind::CompareEqualImmediate8,
        (Mnemonic::Cmp, Form::RI, 1, false) => Kind::CompareNotEqualImmediate8,
        _ => return None,
    })
}
