//! Which instructions there are to run: what the core claims, of what can be run here.

use std::collections::BTreeSet;
use std::io;

use callgate_emulator::CpuModel;
use iced_x86::{Code, CpuidFeature, EncodingKind, Instruction, Mnemonic};

use crate::native::{Native, is_amd};
use crate::oracle::single_case;
use crate::ours::{Ours, Pace, model};
use crate::report::{Options, Unrunnable};
use crate::rng::{Pool, Rng};
use crate::state::{CODE, MISSING, SLOT, State};

const UD: u64 = 6;

/// What the core claims.
pub(crate) struct Claims {
    /// The codes to run: those that it claims, without those that can't be run here.
    pub(crate) codes: Vec<Code>,
    /// How many it claims.
    pub(crate) claimed: usize,
    /// Those that can't be run, and why.
    pub(crate) unrunnable: Vec<(Unrunnable, Code)>,
}

/// Finds out what the core claims, by asking it.
pub(crate) fn claims(native: &mut Native, ours: &mut Ours, options: &Options) -> io::Result<Claims> {
    let (mut claimed, mut unrunnable_codes) = (0, Vec::new());
    let mut codes = Vec::new();
    let model = model();
    let pool = Pool::new(0, 0, model.has_avx_512());
    let mut unmade = Vec::new();
    let mut features = BTreeSet::<CpuidFeature>::new();
    let wanted = |code: &Code| {
        let op_code = code.op_code();
        let chosen = options.only.as_ref().is_none_or(|only| format!("{code:?}").starts_with(only));
        chosen && op_code.is_instruction() && op_code.mode64()
    };
    for code in Code::values().filter(wanted) {
        let reason = unrunnable(code);
        let mut rng = Rng::new(0, code as u64);
        let mut cases = Vec::new();
        for n in 0..24 {
            let slot = CODE + (cases.len() * SLOT) as u64;
            cases.extend(single_case(code, n, slot, &mut rng, &pool));
        }
        if cases.is_empty() {
            unmade.push((reason.unwrap_or(Unrunnable::NotMade), code));
            continue;
        }
        let mut mine: Vec<State> = cases.iter().map(|case| case.state.clone()).collect();
        ours.load(&mine);
        for state in &mut mine {
            ours.run(state, Pace::Steps);
        }
        if mine.iter().all(|state| state.trap == MISSING) {
            if is_promised(code, model) {
                claimed += 1;
                unrunnable_codes.push((Unrunnable::CoreLacksIt, code));
            }
            continue;
        }
        claimed += 1;
        features.extend(code.cpuid_features());
        if let Some(reason) = reason {
            unrunnable_codes.push((reason, code));
            continue;
        }
        let mut theirs: Vec<State> = cases.iter().map(|case| case.state.clone()).collect();
        native.run(&mut theirs)?;
        if theirs.iter().all(|state| state.trap == UD) && mine.iter().any(|state| state.trap != UD) {
            unrunnable_codes.push((Unrunnable::HostLacksIt, code));
            continue;
        }
        codes.push(code);
    }
    // Of what could not be made the core claims what belongs to its extensions, but not encodings of other makers, nor
    // what is decoded as two instructions.
    unmade.retain(|(_, code)| {
        let op_code = code.op_code();
        let encoding = match op_code.encoding() {
            EncodingKind::Legacy => op_code.intel_decoder64() && !op_code.fwait(),
            EncodingKind::VEX | EncodingKind::EVEX => model.has_avx_512(),
            _ => false,
        };
        encoding && code.cpuid_features().iter().all(|feature| features.contains(feature))
    });
    claimed += unmade.len();
    unrunnable_codes.extend(unmade);
    Ok(Claims { codes, claimed, unrunnable: unrunnable_codes })
}

/// Whether a code belongs to an extension that the model has beyond the usual one.
fn is_promised(code: Code, model: CpuModel) -> bool {
    let mut i = Instruction::new();
    i.set_code(code);
    model.executes(&i) && !CpuModel::default().executes(&i)
}

/// Why an instruction can't be run in ring 3 under a kernel that isn't ours.
fn unrunnable(code: Code) -> Option<Unrunnable> {
    use Code as C;
    use Mnemonic as M;
    match code.mnemonic() {
        // Behind INT1 rip is what the hypervisor makes of it.
        M::Syscall | M::Sysenter | M::Vmcall | M::Int1 => Some(Unrunnable::CallsTheHost),
        M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw => Some(Unrunnable::Umip),
        _ if is_amd()
            && matches!(
                code,
                C::Call_m1664 | C::Jmp_m1664 | C::Lss_r64_m1664 | C::Lfs_r64_m1664 | C::Lgs_r64_m1664
            ) =>
        {
            Some(Unrunnable::Vendor)
        }
        _ => None,
    }
}
