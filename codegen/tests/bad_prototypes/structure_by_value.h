asmlinkage long sys_a(struct timespec when);
