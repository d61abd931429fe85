/*
 * What C programs and other kernels know of each system call that this kernel has: one prototype an entry point.
 * Handlers are held to them while they are compiled, by number, name and class of their arguments.
 */

struct __kernel_old_itimerval;
struct __kernel_old_timeval;
struct __kernel_timespec;
struct clone_args;
struct epoll_event;
struct getcpu_cache;
struct iovec;
struct linux_dirent;
struct linux_dirent64;
struct new_utsname;
struct open_how;
struct pollfd;
struct rlimit;
struct rlimit64;
struct robust_list_head;
struct rusage;
struct sched_param;
struct sigaction;
struct siginfo;
struct stat;
struct statfs;
struct statx;
struct sysinfo;
struct timezone;
struct tms;
struct utimbuf;

/* Files: opening, closing, what a descriptor is. */
asmlinkage long sys_open(const char __user *filename, int flags, umode_t mode);
asmlinkage long sys_openat(int dfd, const char __user *filename, int flags, umode_t mode);
asmlinkage long compat_sys_open(const char __user *filename, int flags, umode_t mode);
asmlinkage long compat_sys_openat(int dfd, const char __user *filename, int flags, umode_t mode);
asmlinkage long sys_openat2(int dfd, const char __user *filename, struct open_how __user *how,
		size_t usize);
asmlinkage long sys_creat(const char __user *pathname, umode_t mode);
asmlinkage long sys_close(unsigned int fd);
asmlinkage long sys_close_range(unsigned int fd, unsigned int max_fd, unsigned int flags);
asmlinkage long sys_dup(unsigned int fildes);
asmlinkage long sys_dup2(unsigned int oldfd, unsigned int newfd);
asmlinkage long sys_dup3(unsigned int oldfd, unsigned int newfd, int flags);
asmlinkage long sys_fcntl(unsigned int fd, unsigned int cmd, unsigned long arg);
asmlinkage long sys_flock(unsigned int fd, unsigned int cmd);
asmlinkage long sys_ioctl(unsigned int fd, unsigned int cmd, unsigned long arg);
asmlinkage long sys_pipe(int __user *fildes);
asmlinkage long sys_pipe2(int __user *fildes, int flags);
asmlinkage long sys_eventfd(unsigned int count);
asmlinkage long sys_eventfd2(unsigned int count, int flags);
asmlinkage long sys_memfd_create(const char __user *uname, unsigned int flags);

/* Reading and writing. */
asmlinkage long sys_read(unsigned int fd, char __user *buf, size_t count);
asmlinkage long sys_write(unsigned int fd, const char __user *buf, size_t count);
asmlinkage long sys_pread64(unsigned int fd, char __user *buf, size_t count, loff_t pos);
asmlinkage long sys_pwrite64(unsigned int fd, const char __user *buf, size_t count, loff_t pos);
asmlinkage long sys_readv(unsigned long fd, const struct iovec __user *vec, unsigned long vlen);
asmlinkage long sys_writev(unsigned long fd, const struct iovec __user *vec, unsigned long vlen);
asmlinkage long sys_preadv(unsigned long fd, const struct iovec __user *vec, unsigned long vlen,
		unsigned long pos_l, unsigned long pos_h);
asmlinkage long sys_pwritev(unsigned long fd, const struct iovec __user *vec, unsigned long vlen,
		unsigned long pos_l, unsigned long pos_h);
asmlinkage long sys_preadv2(unsigned long fd, const struct iovec __user *vec, unsigned long vlen,
		unsigned long pos_l, unsigned long pos_h, rwf_t flags);
asmlinkage long sys_pwritev2(unsigned long fd, const struct iovec __user *vec, unsigned long vlen,
		unsigned long pos_l, unsigned long pos_h, rwf_t flags);
asmlinkage long sys_lseek(unsigned int fd, off_t offset, unsigned int whence);
asmlinkage long sys_sendfile64(int out_fd, int in_fd, loff_t __user *offset, size_t count);
asmlinkage long sys_copy_file_range(int fd_in, loff_t __user *off_in, int fd_out,
		loff_t __user *off_out, size_t len, unsigned int flags);
asmlinkage long sys_readahead(int fd, loff_t offset, size_t count);
asmlinkage long sys_fadvise64(int fd, loff_t offset, size_t len, int advice);
asmlinkage long sys_fallocate(int fd, int mode, loff_t offset, loff_t len);
asmlinkage long sys_truncate(const char __user *path, long length);
asmlinkage long sys_ftruncate(unsigned int fd, off_t length);
asmlinkage long sys_sync(void);
asmlinkage long sys_syncfs(int fd);
asmlinkage long sys_fsync(unsigned int fd);
asmlinkage long sys_fdatasync(unsigned int fd);
asmlinkage long sys_sync_file_range(int fd, loff_t offset, loff_t nbytes, unsigned int flags);

/* Waiting for files. */
asmlinkage long sys_poll(struct pollfd __user *ufds, unsigned int nfds, int timeout_msecs);
asmlinkage long sys_ppoll(struct pollfd __user *ufds, unsigned int nfds,
		struct __kernel_timespec __user *tsp, const sigset_t __user *sigmask, size_t sigsetsize);
asmlinkage long sys_select(int n, fd_set __user *inp, fd_set __user *outp, fd_set __user *exp,
		struct __kernel_old_timeval __user *tvp);
asmlinkage long sys_pselect6(int n, fd_set __user *inp, fd_set __user *outp, fd_set __user *exp,
		struct __kernel_timespec __user *tsp, void __user *sig);
asmlinkage long sys_epoll_create(int size);
asmlinkage long sys_epoll_create1(int flags);
asmlinkage long sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event __user *event);
asmlinkage long sys_epoll_wait(int epfd, struct epoll_event __user *events, int maxevents,
		int timeout);
asmlinkage long sys_epoll_pwait(int epfd, struct epoll_event __user *events, int maxevents,
		int timeout, const sigset_t __user *sigmask, size_t sigsetsize);
asmlinkage long sys_epoll_pwait2(int epfd, struct epoll_event __user *events, int maxevents,
		const struct __kernel_timespec __user *timeout, const sigset_t __user *sigmask,
		size_t sigsetsize);

/* Names. */
asmlinkage long sys_mkdir(const char __user *pathname, umode_t mode);
asmlinkage long sys_mkdirat(int dfd, const char __user *pathname, umode_t mode);
asmlinkage long sys_mknod(const char __user *filename, umode_t mode, unsigned int dev);
asmlinkage long sys_mknodat(int dfd, const char __user *filename, umode_t mode, unsigned int dev);
asmlinkage long sys_symlink(const char __user *oldname, const char __user *newname);
asmlinkage long sys_symlinkat(const char __user *oldname, int newdfd, const char __user *newname);
asmlinkage long sys_link(const char __user *oldname, const char __user *newname);
asmlinkage long sys_linkat(int olddfd, const char __user *oldname, int newdfd,
		const char __user *newname, int flags);
asmlinkage long sys_unlink(const char __user *pathname);
asmlinkage long sys_unlinkat(int dfd, const char __user *pathname, int flag);
asmlinkage long sys_rmdir(const char __user *pathname);
asmlinkage long sys_rename(const char __user *oldname, const char __user *newname);
asmlinkage long sys_renameat(int olddfd, const char __user *oldname, int newdfd,
		const char __user *newname);
asmlinkage long sys_renameat2(int olddfd, const char __user *oldname, int newdfd,
		const char __user *newname, unsigned int flags);
asmlinkage long sys_readlink(const char __user *path, char __user *buf, int bufsiz);
asmlinkage long sys_readlinkat(int dfd, const char __user *path, char __user *buf, int bufsiz);
asmlinkage long sys_getcwd(char __user *buf, unsigned long size);
asmlinkage long sys_chdir(const char __user *filename);
asmlinkage long sys_fchdir(unsigned int fd);
asmlinkage long sys_chroot(const char __user *filename);
asmlinkage long sys_getdents(unsigned int fd, struct linux_dirent __user *dirent,
		unsigned int count);
asmlinkage long sys_getdents64(unsigned int fd, struct linux_dirent64 __user *dirent,
		unsigned int count);

/* Attributes. */
asmlinkage long sys_newstat(const char __user *filename, struct stat __user *statbuf);
asmlinkage long sys_newlstat(const char __user *filename, struct stat __user *statbuf);
asmlinkage long sys_newfstat(unsigned int fd, struct stat __user *statbuf);
asmlinkage long sys_newfstatat(int dfd, const char __user *filename, struct stat __user *statbuf,
		int flag);
asmlinkage long sys_statx(int dfd, const char __user *filename, unsigned int flags,
		unsigned int mask, struct statx __user *buffer);
asmlinkage long sys_statfs(const char __user *pathname, struct statfs __user *buf);
asmlinkage long sys_fstatfs(unsigned int fd, struct statfs __user *buf);
asmlinkage long sys_umask(int mask);
asmlinkage long sys_chmod(const char __user *filename, umode_t mode);
asmlinkage long sys_fchmod(unsigned int fd, umode_t mode);
asmlinkage long sys_fchmodat(int dfd, const char __user *filename, umode_t mode);
asmlinkage long sys_fchmodat2(int dfd, const char __user *filename, umode_t mode,
		unsigned int flags);
asmlinkage long sys_chown(const char __user *filename, uid_t user, gid_t group);
asmlinkage long sys_lchown(const char __user *filename, uid_t user, gid_t group);
asmlinkage long sys_fchown(unsigned int fd, uid_t user, gid_t group);
asmlinkage long sys_fchownat(int dfd, const char __user *filename, uid_t user, gid_t group,
		int flag);
asmlinkage long sys_access(const char __user *filename, int mode);
asmlinkage long sys_faccessat(int dfd, const char __user *filename, int mode);
asmlinkage long sys_faccessat2(int dfd, const char __user *filename, int mode, int flags);
asmlinkage long sys_utime(const char __user *filename, struct utimbuf __user *times);
asmlinkage long sys_utimes(const char __user *filename, struct __kernel_old_timeval __user *utimes);
asmlinkage long sys_utimensat(int dfd, const char __user *filename,
		struct __kernel_timespec __user *utimes, int flags);
asmlinkage long sys_futimesat(int dfd, const char __user *filename,
		struct __kernel_old_timeval __user *utimes);
asmlinkage long sys_setxattr(const char __user *path, const char __user *name,
		const void __user *value, size_t size, int flags);
asmlinkage long sys_lsetxattr(const char __user *path, const char __user *name,
		const void __user *value, size_t size, int flags);
asmlinkage long sys_fsetxattr(int fd, const char __user *name, const void __user *value,
		size_t size, int flags);
asmlinkage long sys_getxattr(const char __user *path, const char __user *name, void __user *value,
		size_t size);
asmlinkage long sys_lgetxattr(const char __user *path, const char __user *name, void __user *value,
		size_t size);
asmlinkage long sys_fgetxattr(int fd, const char __user *name, void __user *value, size_t size);
asmlinkage long sys_listxattr(const char __user *path, char __user *list, size_t size);
asmlinkage long sys_llistxattr(const char __user *path, char __user *list, size_t size);
asmlinkage long sys_flistxattr(int fd, char __user *list, size_t size);
asmlinkage long sys_removexattr(const char __user *path, const char __user *name);
asmlinkage long sys_lremovexattr(const char __user *path, const char __user *name);
asmlinkage long sys_fremovexattr(int fd, const char __user *name);

/* Memory. */
asmlinkage long sys_brk(unsigned long brk);
asmlinkage long sys_mmap(unsigned long addr, unsigned long len, unsigned long prot,
		unsigned long flags, unsigned long fd, unsigned long off);
asmlinkage long sys_munmap(unsigned long addr, size_t len);
asmlinkage long sys_mprotect(unsigned long start, size_t len, unsigned long prot);
asmlinkage long sys_mremap(unsigned long addr, unsigned long old_len, unsigned long new_len,
		unsigned long flags, unsigned long new_addr);
asmlinkage long sys_madvise(unsigned long start, size_t len, int behavior);
asmlinkage long sys_msync(unsigned long start, size_t len, int flags);
asmlinkage long sys_mlock(unsigned long start, size_t len);
asmlinkage long sys_munlock(unsigned long start, size_t len);
asmlinkage long sys_mincore(unsigned long start, size_t len, unsigned char __user *vec);

/* Tasks. */
asmlinkage long sys_fork(void);
asmlinkage long sys_vfork(void);
asmlinkage long sys_clone(unsigned long clone_flags, unsigned long newsp, int __user *parent_tidptr,
		int __user *child_tidptr, unsigned long tls);
asmlinkage long sys_clone3(struct clone_args __user *uargs, size_t size);
asmlinkage long sys_execve(const char __user *filename, const char __user *const __user *argv,
		const char __user *const __user *envp);
asmlinkage long sys_execveat(int dfd, const char __user *filename,
		const char __user *const __user *argv, const char __user *const __user *envp, int flags);
asmlinkage long sys_exit(int error_code);
asmlinkage long sys_exit_group(int error_code);
asmlinkage long sys_wait4(pid_t upid, int __user *stat_addr, int options, struct rusage __user *ru);
asmlinkage long sys_waitid(int which, pid_t upid, struct siginfo __user *infop, int options,
		struct rusage __user *ru);
asmlinkage long sys_set_tid_address(int __user *tidptr);
asmlinkage long sys_set_robust_list(struct robust_list_head __user *head, size_t len);
asmlinkage long sys_get_robust_list(int pid, struct robust_list_head __user *__user *head_ptr,
		size_t __user *len_ptr);
asmlinkage long sys_futex(u32 __user *uaddr, int op, u32 val,
		const struct __kernel_timespec __user *utime, u32 __user *uaddr2, u32 val3);
asmlinkage long sys_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4,
		unsigned long arg5);
asmlinkage long sys_arch_prctl(int option, unsigned long arg2);
asmlinkage long sys_personality(unsigned int personality);

/* Scheduling. */
asmlinkage long sys_sched_yield(void);
asmlinkage long sys_sched_setscheduler(pid_t pid, int policy, struct sched_param __user *param);
asmlinkage long sys_sched_getscheduler(pid_t pid);
asmlinkage long sys_sched_setparam(pid_t pid, struct sched_param __user *param);
asmlinkage long sys_sched_getparam(pid_t pid, struct sched_param __user *param);
asmlinkage long sys_sched_get_priority_max(int policy);
asmlinkage long sys_sched_get_priority_min(int policy);
asmlinkage long sys_sched_rr_get_interval(pid_t pid, struct __kernel_timespec __user *interval);
asmlinkage long sys_sched_setaffinity(pid_t pid, unsigned int len,
		unsigned long __user *user_mask_ptr);
asmlinkage long sys_sched_getaffinity(pid_t pid, unsigned int len,
		unsigned long __user *user_mask_ptr);
asmlinkage long sys_getpriority(int which, int who);
asmlinkage long sys_setpriority(int which, int who, int niceval);
asmlinkage long sys_getcpu(unsigned int __user *cpup, unsigned int __user *nodep,
		struct getcpu_cache __user *unused);

/* Signals. */
asmlinkage long sys_kill(pid_t pid, int sig);
asmlinkage long sys_tkill(pid_t pid, int sig);
asmlinkage long sys_tgkill(pid_t tgid, pid_t pid, int sig);
asmlinkage long sys_rt_sigaction(int sig, const struct sigaction __user *act,
		struct sigaction __user *oact, size_t sigsetsize);
asmlinkage long sys_rt_sigprocmask(int how, sigset_t __user *nset, sigset_t __user *oset,
		size_t sigsetsize);
asmlinkage long sys_rt_sigpending(sigset_t __user *uset, size_t sigsetsize);
asmlinkage long sys_rt_sigsuspend(sigset_t __user *unewset, size_t sigsetsize);
asmlinkage long sys_rt_sigtimedwait(const sigset_t __user *uthese, siginfo_t __user *uinfo,
		const struct __kernel_timespec __user *uts, size_t sigsetsize);
asmlinkage long sys_rt_sigqueueinfo(pid_t pid, int sig, siginfo_t __user *uinfo);
asmlinkage long sys_rt_tgsigqueueinfo(pid_t tgid, pid_t pid, int sig, siginfo_t __user *uinfo);
asmlinkage long sys_rt_sigreturn(void);
asmlinkage long sys_sigaltstack(const stack_t __user *uss, stack_t __user *uoss);
asmlinkage long sys_pause(void);
asmlinkage long sys_restart_syscall(void);

/* Ids and limits. */
asmlinkage long sys_getpid(void);
asmlinkage long sys_gettid(void);
asmlinkage long sys_getppid(void);
asmlinkage long sys_getpgid(pid_t pid);
asmlinkage long sys_getpgrp(void);
asmlinkage long sys_setpgid(pid_t pid, pid_t pgid);
asmlinkage long sys_getsid(pid_t pid);
asmlinkage long sys_setsid(void);
asmlinkage long sys_getuid(void);
asmlinkage long sys_geteuid(void);
asmlinkage long sys_getgid(void);
asmlinkage long sys_getegid(void);
asmlinkage long sys_setuid(uid_t uid);
asmlinkage long sys_setgid(gid_t gid);
asmlinkage long sys_setreuid(uid_t ruid, uid_t euid);
asmlinkage long sys_setregid(gid_t rgid, gid_t egid);
asmlinkage long sys_setresuid(uid_t ruid, uid_t euid, uid_t suid);
asmlinkage long sys_setresgid(gid_t rgid, gid_t egid, gid_t sgid);
asmlinkage long sys_getresuid(uid_t __user *ruidp, uid_t __user *euidp, uid_t __user *suidp);
asmlinkage long sys_getresgid(gid_t __user *rgidp, gid_t __user *egidp, gid_t __user *sgidp);
asmlinkage long sys_setfsuid(uid_t uid);
asmlinkage long sys_setfsgid(gid_t gid);
asmlinkage long sys_getgroups(int gidsetsize, gid_t __user *grouplist);
asmlinkage long sys_setgroups(int gidsetsize, gid_t __user *grouplist);
asmlinkage long sys_capget(cap_user_header_t header, cap_user_data_t dataptr);
asmlinkage long sys_capset(cap_user_header_t header, const cap_user_data_t data);
asmlinkage long sys_getrlimit(unsigned int resource, struct rlimit __user *rlim);
asmlinkage long sys_setrlimit(unsigned int resource, struct rlimit __user *rlim);
asmlinkage long sys_prlimit64(pid_t pid, unsigned int resource,
		const struct rlimit64 __user *new_rlim, struct rlimit64 __user *old_rlim);
asmlinkage long sys_getrusage(int who, struct rusage __user *ru);

/* Time. */
asmlinkage long sys_time(__kernel_old_time_t __user *tloc);
asmlinkage long sys_times(struct tms __user *tbuf);
asmlinkage long sys_gettimeofday(struct __kernel_old_timeval __user *tv,
		struct timezone __user *tz);
asmlinkage long sys_settimeofday(struct __kernel_old_timeval __user *tv,
		struct timezone __user *tz);
asmlinkage long sys_clock_gettime(clockid_t which_clock, struct __kernel_timespec __user *tp);
asmlinkage long sys_clock_settime(clockid_t which_clock, const struct __kernel_timespec __user *tp);
asmlinkage long sys_clock_getres(clockid_t which_clock, struct __kernel_timespec __user *tp);
asmlinkage long sys_clock_nanosleep(clockid_t which_clock, int flags,
		const struct __kernel_timespec __user *rqtp, struct __kernel_timespec __user *rmtp);
asmlinkage long sys_nanosleep(struct __kernel_timespec __user *rqtp,
		struct __kernel_timespec __user *rmtp);
asmlinkage long sys_alarm(unsigned int seconds);
asmlinkage long sys_getitimer(int which, struct __kernel_old_itimerval __user *value);
asmlinkage long sys_setitimer(int which, struct __kernel_old_itimerval __user *value,
		struct __kernel_old_itimerval __user *ovalue);

/* The machine. */
asmlinkage long sys_newuname(struct new_utsname __user *name);
asmlinkage long sys_sethostname(char __user *name, int len);
asmlinkage long sys_setdomainname(char __user *name, int len);
asmlinkage long sys_sysinfo(struct sysinfo __user *info);
asmlinkage long sys_syslog(int type, char __user *buf, int len);
asmlinkage long sys_getrandom(char __user *ubuf, size_t len, unsigned int flags);
