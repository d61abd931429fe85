//! Where the guest's registers are while a block runs.
//!
//! Two or three of the guest's registers have no host register of their own. A block that uses one of them often borrows it a
//! host register whose own guest register the block doesn't use: a loan.

use super::Translator;
use super::facts::Decoded;
use crate::context::{BUDGET, COUNTER, Context, HOMED, SCRATCH, STACK, slot};
use crate::kind::Kind;

/// Guest registers with names of their own here.
pub(super) const RCX: u8 = 1;
pub(super) const RSP: u8 = 4;

/// Uses of a register that pay for a loan for one block.
const WORTHWHILE: usize = 3;

/// A host register that is lent to a guest register of the context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loan {
    guest: u8,
    host: u8,
    /// The guest's register is changed meanwhile.
    written: bool,
}

/// The loans of a block.
pub(crate) type Lent = [Option<Loan>; HOMED.len()];

/// Where a guest's register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a host register.
    Host(u8),
    /// In a slot.
    Home(i32),
}

/// The host register that holds a guest's register when it isn't lent.
fn host_of(kind: Kind, guest: u8) -> Option<u8> {
    match guest {
        RCX => Some(COUNTER),
        RSP => Some(STACK),
        guest => (!kind.homed().contains(&guest)).then_some(guest),
    }
}

/// Where the context has what a host register holds.
fn held(context: &mut Context, host: u8) -> &mut u64 {
    match host {
        SCRATCH => &mut context.scratch,
        COUNTER => &mut context.gpr[usize::from(RCX)],
        STACK => &mut context.gpr[usize::from(RSP)],
        host => &mut context.gpr[usize::from(host)],
    }
}

/// Puts registers into the places that they have during loans.
pub(crate) fn enter(lent: &Lent, context: &mut Context) {
    for (place, loan) in lent.iter().enumerate() {
        let Some(Loan { guest, host, .. }) = *loan else { continue };
        let value = context.gpr[usize::from(guest)];
        context.lent[place] = std::mem::replace(held(context, host), value);
    }
}

/// Puts them back.
pub(crate) fn leave(lent: &Lent, context: &mut Context) {
    for (place, loan) in lent.iter().enumerate() {
        let Some(Loan { guest, host, .. }) = *loan else { continue };
        let own = context.lent[place];
        let value = std::mem::replace(held(context, host), own);
        context.gpr[usize::from(guest)] = value;
    }
}

/// Host registers that may be lent, by preference; the last one unless it counts.
const LENDERS: [u8; 12] = [15, 14, 13, 12, 10, STACK, COUNTER, 5, 3, 7, 6, BUDGET];

impl Translator<'_> {
    /// Where a guest's register is, with the loans of the block at hand.
    pub(super) fn place(&self, guest: u8) -> Place {
        let mut loans = self.lent.iter().enumerate().filter_map(|(place, loan)| loan.map(|loan| (place, loan)));
        if let Some((_, loan)) = loans.clone().find(|(_, loan)| loan.guest == guest) {
            return Place::Host(loan.host);
        }
        match host_of(self.emit.kind, guest) {
            None => Place::Home(slot::gpr(guest)),
            Some(host) => match loans.find(|(_, loan)| loan.host == host) {
                Some((place, _)) => Place::Home(slot::lent(place)),
                None => Place::Host(host),
            },
        }
    }

    /// Whether a host register is lent.
    pub(super) fn is_lent(&self, host: u8) -> bool {
        self.lent.iter().flatten().any(|loan| loan.host == host)
    }

    /// Notes where registers are from now on.
    fn set_lent(&mut self, lent: Lent) {
        self.lent = lent;
        let set = |wanted: &dyn Fn(u8) -> bool| (0..16).filter(|n| wanted(*n)).fold(0, |set, n| set | 1 << n);
        self.at_home = set(&|n| matches!(self.place(n), Place::Home(_)));
        self.elsewhere = set(&|n| self.place(n) != Place::Host(n));
    }

    /// Notes that all registers are where they usually are.
    pub(super) fn set_usual(&mut self) {
        self.lent = [None; HOMED.len()];
        self.at_home = self.emit.kind.homed().iter().fold(0, |set, n| set | 1 << n);
        self.elsewhere = self.at_home | 1 << RCX | 1 << RSP;
    }

    /// What registers of the context that a block uses often are lent, by host registers that it doesn't use at all; those
    /// that it uses in each round, if it `loops`, for which the scratch register may be lent, too.
    pub(super) fn loans(&self, body: &[Decoded], loops: bool) -> Lent {
        let kind = self.emit.kind;
        let worthwhile = if loops { 1 } else { WORTHWHILE };
        let taken = body.iter().fold(0, |all, one| all | one.registers.used);
        let written = body.iter().fold(0, |all, one| all | one.registers.written);
        let free = |host: &u8| (0..16).all(|guest| host_of(kind, guest) != Some(*host) || taken >> guest & 1 == 0);
        let lenders = &LENDERS[..LENDERS.len() - usize::from(kind.counts)];
        let scratch = (loops && self.lends_scratch).then_some(SCRATCH);
        let mut lenders = lenders.iter().copied().filter(free).chain(scratch);
        let mut lent = [None; HOMED.len()];
        for (loan, guest) in lent.iter_mut().zip(kind.homed().iter().copied()) {
            let uses = body.iter().filter(|one| one.registers.used >> guest & 1 != 0).count();
            if uses < worthwhile {
                continue;
            }
            let Some(host) = lenders.next() else { break };
            *loan = Some(Loan { guest, host, written: written >> guest & 1 != 0 });
        }
        lent
    }

    /// Begins loans.
    pub(super) fn lend(&mut self, lent: Lent) {
        for (place, loan) in lent.into_iter().enumerate() {
            let Some(Loan { guest, host, .. }) = loan else { continue };
            self.emit.store(slot::lent(place), host);
            self.emit.load(host, slot::gpr(guest));
        }
        if lent.iter().any(Option::is_some) {
            self.set_lent(lent);
        }
    }

    /// Ends them: all registers are where they usually are.
    pub(super) fn take_back(&mut self, lent: Lent) {
        for (place, loan) in lent.into_iter().enumerate() {
            let Some(Loan { guest, host, written }) = loan else { continue };
            if written {
                self.emit.store(slot::gpr(guest), host);
            }
            self.emit.load(host, slot::lent(place));
        }
        self.set_usual();
    }
}
