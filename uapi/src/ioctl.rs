//! Linux: `asm/ioctls.h`, `asm/termbits.h`, `asm/termios.h`.

use callgate_abi::syscall_enum;

use crate::user_structs;

syscall_enum! {
    /// What ioctl(2) asks for.
    pub struct IoctlCmd: u32, "unsigned int" {
        TCGETS = linux_raw_sys::ioctl::TCGETS,
        TCSETS = linux_raw_sys::ioctl::TCSETS,
        TCSETSW = linux_raw_sys::ioctl::TCSETSW,
        TCSETSF = linux_raw_sys::ioctl::TCSETSF,
        TIOCSCTTY = linux_raw_sys::ioctl::TIOCSCTTY,
        TIOCNOTTY = linux_raw_sys::ioctl::TIOCNOTTY,
        TIOCGPGRP = linux_raw_sys::ioctl::TIOCGPGRP,
        TIOCSPGRP = linux_raw_sys::ioctl::TIOCSPGRP,
        TIOCGSID = linux_raw_sys::ioctl::TIOCGSID,
        TIOCGWINSZ = linux_raw_sys::ioctl::TIOCGWINSZ,
        TIOCSWINSZ = linux_raw_sys::ioctl::TIOCSWINSZ,
        FIONREAD = linux_raw_sys::ioctl::FIONREAD,
        FIONBIO = linux_raw_sys::ioctl::FIONBIO,
        FIOCLEX = linux_raw_sys::ioctl::FIOCLEX,
        FIONCLEX = linux_raw_sys::ioctl::FIONCLEX,
    }
}

user_structs! {
    /// Size of a terminal's window.
    Winsize = "struct winsize" { ws_row: u16, ws_col: u16, ws_xpixel: u16, ws_ypixel: u16 }
    /// A terminal's settings, as the kernel has them (glibc's struct is longer).
    Termios = "struct termios" {
        c_iflag: u32, c_oflag: u32, c_cflag: u32, c_lflag: u32, c_line: u8, c_cc: [u8; 19],
    }
}
