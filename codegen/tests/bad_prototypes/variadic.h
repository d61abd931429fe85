asmlinkage long sys_open(const char __user *path, int flags, ...);
