//! Credentials: on whose behalf a task acts (credentials(7), capabilities(7)).
//!
//! Linux checks capabilities, not the user id 0; the id decides which capabilities a task gets when
//! it changes its ids or executes a program. So do we.

use std::rc::Rc;

use linux_raw_sys::general::{
    CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_LAST_CAP, CAP_LINUX_IMMUTABLE,
    CAP_MAC_OVERRIDE, CAP_MKNOD,
};

/// A set of capabilities: bit n is capability n.
pub type CapSet = u64;

/// All capabilities that there are.
pub const CAP_FULL: CapSet = (1 << (CAP_LAST_CAP + 1)) - 1;

/// The capabilities that follow the file-system user id.
const CAP_FS: CapSet = 1 << CAP_CHOWN
    | 1 << CAP_DAC_OVERRIDE
    | 1 << CAP_DAC_READ_SEARCH
    | 1 << CAP_FOWNER
    | 1 << CAP_FSETID
    | 1 << CAP_LINUX_IMMUTABLE
    | 1 << CAP_MKNOD
    | 1 << CAP_MAC_OVERRIDE;

/// Securebits that matter here: keep permitted capabilities when all ids leave 0.
pub(super) const SECBIT_KEEP_CAPS: u32 = 1 << 4;
/// Ids have no effect on capabilities.
pub(super) const SECBIT_NO_SETUID_FIXUP: u32 = 1 << 2;

/// On whose behalf a task acts (`struct cred`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are credentials(7)'s
pub struct Cred {
    pub uid: u32,
    pub gid: u32,
    pub suid: u32,
    pub sgid: u32,
    pub euid: u32,
    pub egid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    /// Supplementary groups, sorted.
    pub groups: Rc<[u32]>,
    pub cap_inheritable: CapSet,
    pub cap_permitted: CapSet,
    pub cap_effective: CapSet,
    pub cap_bset: CapSet,
    pub cap_ambient: CapSet,
    /// SECBIT_* of capabilities(7).
    pub securebits: u32,
}

/// Root's credentials.
impl Default for Cred {
    fn default() -> Cred {
        Cred {
            uid: 0,
            gid: 0,
            suid: 0,
            sgid: 0,
            euid: 0,
            egid: 0,
            fsuid: 0,
            fsgid: 0,
            groups: Rc::new([]),
            cap_inheritable: 0,
            cap_permitted: CAP_FULL,
            cap_effective: CAP_FULL,
            cap_bset: CAP_FULL,
            cap_ambient: 0,
            securebits: 0,
        }
    }
}

impl Cred {
    /// Whether the task may do what `cap` allows (`capable`).
    pub fn capable(&self, cap: u32) -> bool {
        cap <= CAP_LAST_CAP && self.cap_effective >> cap & 1 != 0
    }

    /// Whether `gid` is the task's group for file access, or a supplementary one (`in_group_p`).
    pub fn in_group(&self, gid: u32) -> bool {
        gid == self.fsgid || self.groups.binary_search(&gid).is_ok()
    }

    /// The same with the effective group (`in_egroup_p`).
    pub fn in_egroup(&self, gid: u32) -> bool {
        gid == self.egid || self.groups.binary_search(&gid).is_ok()
    }

    /// What becomes of capabilities when user ids have changed from `old`'s (`cap_emulate_setxuid`).
    pub(super) fn fixup_capabilities(&mut self, old: &Cred) {
        if self.securebits & SECBIT_NO_SETUID_FIXUP != 0 {
            return;
        }
        let is_root = |c: &Cred| c.uid == 0 || c.euid == 0 || c.suid == 0;
        if is_root(old) && !is_root(self) {
            if self.securebits & SECBIT_KEEP_CAPS == 0 {
                self.cap_permitted = 0;
                self.cap_effective = 0;
            }
            self.cap_ambient = 0;
        }
        if old.euid == 0 && self.euid != 0 {
            self.cap_effective = 0;
        }
        if old.euid != 0 && self.euid == 0 {
            self.cap_effective = self.cap_permitted;
        }
    }

    /// The same when the file-system user id has changed.
    pub(super) fn fixup_fs_capabilities(&mut self, old: &Cred) {
        if self.securebits & SECBIT_NO_SETUID_FIXUP != 0 {
            return;
        }
        if old.fsuid == 0 && self.fsuid != 0 {
            self.cap_effective &= !CAP_FS;
        }
        if old.fsuid != 0 && self.fsuid == 0 {
            self.cap_effective |= self.cap_permitted & CAP_FS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux_raw_sys::general::CAP_KILL;

    #[test]
    fn leaving_root_for_good_drops_capabilities() {
        let old = Cred::default();
        let mut new = Cred { uid: 1, euid: 1, suid: 1, ..old.clone() };
        new.fixup_capabilities(&old);
        assert_eq!((new.cap_permitted, new.cap_effective), (0, 0));
    }

    #[test]
    fn the_effective_id_switches_effective_capabilities() {
        let root = Cred::default();
        let mut user = Cred { euid: 5, ..root.clone() };
        user.fixup_capabilities(&root);
        assert!(!user.capable(CAP_KILL));
        let mut again = Cred { euid: 0, ..user.clone() };
        again.fixup_capabilities(&user);
        assert!(again.capable(CAP_KILL));
    }

    #[test]
    fn supplementary_groups_count() {
        let cred = Cred { groups: Rc::new([3, 7]), fsgid: 1, ..Cred::default() };
        assert!(cred.in_group(1) && cred.in_group(7) && !cred.in_group(4));
    }
}
