#ifndef _UAPI_ASM_UNISTD_64_H
#define _UAPI_ASM_UNISTD_64_H

#define __NR_read 0
#define __NR_stat 2
#define __NR_writev 3
#define __NR_uselib 4
#define __NR_umount2 6
#define __NR_old 7
#define __NR_exit 8
#define __NR_exit_thread 9

#ifdef __KERNEL__
#define __NR_syscalls 10
#endif

#endif /* _UAPI_ASM_UNISTD_64_H */
