#ifndef _UAPI_ASM_UNISTD_64_X32_H
#define _UAPI_ASM_UNISTD_64_X32_H

#define __NR_x32_readv (__X32_SYSCALL_BIT + 512)
#define __NR_x32_writev (__X32_SYSCALL_BIT + 513)

#ifdef __KERNEL__
#define __NR_x32_syscalls 514
#endif

#endif /* _UAPI_ASM_UNISTD_64_X32_H */
