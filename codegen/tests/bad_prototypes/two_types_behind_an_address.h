asmlinkage long sys_a(struct foo ba *x);
asmlinkage long sys_b([2]);
