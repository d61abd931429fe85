//! What handlers read and write through user pointers.

use callgate_abi::{Errno, UserMemory, UserMut, UserPtr, UserStr};

/// Memory from 0 to its length, and nothing after it.
struct Memory(Vec<u8>);

impl UserMemory for Memory {
    fn copy_from_user(&mut self, dst: &mut [u8], src: u64) -> Result<(), usize> {
        let there = self.0.get(src as usize..).unwrap_or_default();
        let len = there.len().min(dst.len());
        dst[..len].copy_from_slice(&there[..len]);
        if len < dst.len() { Err(dst.len() - len) } else { Ok(()) }
    }

    fn copy_to_user(&mut self, dst: u64, src: &[u8]) -> Result<(), usize> {
        let there = self.0.get_mut(dst as usize..).unwrap_or_default();
        let len = there.len().min(src.len());
        there[..len].copy_from_slice(&src[..len]);
        if len < src.len() { Err(src.len() - len) } else { Ok(()) }
    }
}

#[test]
fn values_go_both_ways() {
    let mut memory = Memory(vec![0; 64]);
    let to = UserMut::<u32>::new(8);
    to.offset(1).write(&mut memory, &0x1122_3344).unwrap();
    assert_eq!(memory.0[12..16], [0x44, 0x33, 0x22, 0x11]);
    assert_eq!(UserPtr::<u32>::new(12).read(&mut memory), Ok(0x1122_3344));
    assert_eq!(UserPtr::<u32>::new(62).read(&mut memory), Err(Errno::EFAULT));
    assert_eq!(UserMut::<u64>::new(u64::MAX).write(&mut memory, &1), Err(Errno::EFAULT));
    assert_eq!(UserPtr::<u64>::new(u64::MAX - 7).offset(1).addr(), 0);
}

#[test]
fn slices_know_their_length() {
    let mut memory = Memory((0..64).collect());
    let mut two = [0u16; 2];
    UserPtr::<u16>::new(4).slice(2).read_into(&mut memory, &mut two).unwrap();
    assert_eq!(two, [0x0504, 0x0706]);
    let slice = UserMut::<u16>::new(4).slice(1);
    assert_eq!(slice.write_from(&mut memory, &[1, 2]), Err(Errno::EINVAL));
    assert_eq!(slice.write_from(&mut memory, &[0x0909]), Ok(()));
    assert_eq!(memory.0[3..7], [3, 9, 9, 6]);
}

#[test]
fn strings_end_at_nul_or_fail_as_linux_says() {
    let mut memory = Memory(vec![b'x'; 1000]);
    memory.0[600] = 0;
    let mut buf = [0; 4096];
    let string = |addr: u64| UserStr::new(addr);
    assert_eq!(string(598).read(&mut memory, &mut buf), Ok(&b"xx"[..]));
    assert_eq!(string(600).read(&mut memory, &mut buf), Ok(&b""[..]));
    assert_eq!(string(10).read(&mut memory, &mut buf).map(<[u8]>::len), Ok(590));
    assert_eq!(string(601).read(&mut memory, &mut buf), Err(Errno::EFAULT));
    assert_eq!(string(10).read(&mut memory, &mut buf[..590]), Err(Errno::ENAMETOOLONG));
    assert_eq!(string(10).read(&mut memory, &mut buf[..591]).map(<[u8]>::len), Ok(590));
    assert_eq!(string(10).read(&mut memory, &mut []), Err(Errno::ENAMETOOLONG));
}

/// Users' structures can hold user pointers, as `struct iovec` does.
#[repr(C)]
#[derive(zerocopy::FromBytes, zerocopy::IntoBytes)]
struct IoVec {
    base: UserMut<u8>,
    len: u64,
}

#[test]
fn structures_of_pointers_are_read() {
    let mut memory = Memory(vec![0; 64]);
    memory.0[16..18].copy_from_slice(&[0x20, 3]);
    memory.0[24] = 5;
    let iov = UserPtr::<IoVec>::new(0).offset(1).read(&mut memory).unwrap();
    assert_eq!((iov.base.addr(), iov.len), (0x320, 5));

    memory.0[40] = 17;
    let argv = UserPtr::<UserStr>::new(40);
    let first = argv.read(&mut memory).unwrap();
    assert_eq!(first.read(&mut memory, &mut [0; 8]), Ok(&[3][..]));
}
