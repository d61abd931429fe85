asmlinkage long sys_clone(int (*fn)(void *), void *arg);
